using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>What one who listens relies on.</summary>
public sealed class ListenerTests
{
    private const int OutOfDescriptors = 24;

    [Fact]
    public async Task A_port_in_use_is_named_also_when_its_owner_shares_it_among_pollers()
    {
        await using TestServer server = new(pollers: 2);
        Listener listener = await server.ListenAsync(ConnectionScript.Echo());

        IOException exception = await Assert.ThrowsAsync<IOException>(
            () => server.NetPoll.ListenAsync("second", listener.EndPoint, static () => new ScriptedConnection(new ConnectionScript())));

        Assert.Contains(listener.EndPoint.ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(exception.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_name_in_use_leaves_nothing_behind()
    {
        await using TestServer server = new();
        await server.NetPoll.ListenAsync("echo", new IPEndPoint(IPAddress.Loopback, 0), static () => new ScriptedConnection(new ConnectionScript()));

        IPEndPoint free = FreeEndPoint();
        await Assert.ThrowsAsync<ProcessNameExistException>(
            () => server.NetPoll.ListenAsync("echo", free, static () => new ScriptedConnection(new ConnectionScript())));

        // The address was given back.
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(free);
    }

    [Fact]
    public async Task Its_PID_answers_how_many_connections_there_were_and_are()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await server.ListenAsync(script);
        (Peer first, _) = await TestServer.OpenAsync(listener, script);
        (Peer second, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
        Assert.Equal(new ListenerStatistics(2, 2), await server.Statistics(listener));
        Assert.StartsWith(listener.Pid.Id + "/", connection.Pid.Id, StringComparison.Ordinal);

        second.Dispose();
        await connection.WhenClosed;

        Assert.Equal(new ListenerStatistics(2, 1), await server.Statistics(listener));
        first.Dispose();
    }

    [Fact]
    public async Task Stopping_its_PID_frees_the_address_and_leaves_the_connections()
    {
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await server.ListenAsync(script);
        (Peer peer, _) = await TestServer.OpenAsync(listener, script);

        await server.System.Root.StopAsync(listener.Pid).Soon();

        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(listener.EndPoint);
        await peer.SendAsync("still");
        Assert.Equal("still", await peer.ReceiveTextAsync(5));
        peer.Dispose();
    }

    [Fact]
    public async Task Out_of_descriptors_it_waits_by_a_timer_and_serves_the_connection_that_waited()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket accepted = new();
        platform.Listener.ThenAcceptFails(OutOfDescriptors, OutOfDescriptors, OutOfDescriptors).ThenAccepts(accepted);
        await using TestServer server = new(options: new PollerOptions { Platform = platform });
        ConnectionScript script = new();
        TaskCompletionSource connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        script.Connected = _ => connected.TrySetResult();

        await server.ListenAsync(script);

        await connected.Task.Soon();
        Assert.Equal(3, server.Log.Entries.Count(static entry => entry.Id == 104));
    }

    private static IPEndPoint FreeEndPoint()
    {
        using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
