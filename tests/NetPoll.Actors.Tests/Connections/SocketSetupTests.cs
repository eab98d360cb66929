using System.Runtime.CompilerServices;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>What the system was told about the sockets of connections.</summary>
public sealed class SocketSetupTests : IAsyncDisposable
{
    private readonly TestServer _server = new();
    private readonly ConnectionScript _script = new();

    /// <summary>A write timeout, null for the default, and after how long the system is to give up, 0 for its own time.</summary>
    public static TheoryData<TimeSpan?, int> Times => new()
    {
        { null, 30_000 },
        { TimeSpan.FromMilliseconds(1_500), 1_500 },
        { TimeSpan.FromDays(365), int.MaxValue },
        { Timeout.InfiniteTimeSpan, 0 },
    };

    [Theory]
    [MemberData(nameof(Times))]
    public async Task The_system_gives_up_on_a_vanished_peer_when_the_write_timeout_would(TimeSpan? writeTimeout, int milliseconds)
    {
        Listener listener = await _server.ListenAsync(_script, OptionsWith(writeTimeout));
        (Peer peer, ScriptedConnection accepted) = await TestServer.OpenAsync(listener, _script);
        using Peer _ = peer;
        PID connected = await _server.NetPoll.ConnectAsync(
            listener.EndPoint, static () => new ScriptedConnection(new ConnectionScript()), options: new ConnectOptions { Connections = OptionsWith(writeTimeout) }).Soon();

        Assert.Equal(milliseconds, await OptionOf(accepted.Pid, SocketSetting.UserTimeoutMilliseconds));
        Assert.Equal(milliseconds, await OptionOf(connected, SocketSetting.UserTimeoutMilliseconds));
    }

    [Fact]
    public async Task Small_writes_leave_at_once()
    {
        RecordingHandler handler = new RecordingHandler().Spawn(_server.System);
        Listener listener = await _server.NetPoll.ListenAsync("plain", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        PID connection = (await handler.Next<Connected>()).Connection;

        Assert.Equal(1, await OptionOf(connection, SocketSetting.NoDelay));
        Assert.Equal(30_000, await OptionOf(connection, SocketSetting.UserTimeoutMilliseconds));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static ConnectionOptions OptionsWith(TimeSpan? writeTimeout)
    {
        ConnectionOptions options = new();
        options.WriteTimeout = writeTimeout ?? options.WriteTimeout;
        return options;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_descriptor")]
    private static extern ref PollDescriptor DescriptorOf(Connection connection);

    private Task<int> OptionOf(PID pid, SocketSetting setting) => _server.OnPoller(() =>
    {
        Assert.True(DescriptorOf(_server.Find(pid)!).Socket!.GetOption(setting, out int value).IsSuccess);
        return value;
    });
}
