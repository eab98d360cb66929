using System.Net;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connecting;

/// <summary>Outbound connections that a plain actor handles.</summary>
public sealed class ConnectHandledTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);
    private readonly RecordingHandler _handler = new();

    [Fact]
    public async Task A_plain_actor_talks_to_a_server_that_it_connected_to()
    {
        Listener listener = await _server.ListenAsync(ConnectionScript.Echo());
        _handler.Spawn(_server.System);

        PID pid = await _server.NetPoll.ConnectAsync(listener.EndPoint, _handler.Pid, cancellationToken: TestContext.Current.CancellationToken).Soon();
        Connected connected = await _handler.Next<Connected>();
        Assert.Equal(pid, connected.Connection);
        Assert.Equal(listener.EndPoint, connected.RemoteEndPoint);
        _server.System.Root.Send(pid, new Write("hello"u8.ToArray()));
        Assert.Equal("hello", Encoding.UTF8.GetString(await _handler.NextBytes(5)));
        _server.System.Root.Send(pid, Close.Instance);

        ConnectionClosed closed = await _handler.Next<ConnectionClosed>();
        Assert.Equal((CloseReason.Local, 5L, 5L), (closed.Reason, closed.BytesReceived, closed.BytesSent));
        await Eventually.Equal("connections that are counted", 0, () => _server.NetPoll.Connections.Live);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_told_to_who_asked_and_not_to_the_handler()
    {
        _handler.Spawn(_server.System);
        IPEndPoint nobody = ConnectTests.ClosedEndPoint("127.0.0.83");

        IOException refused = await Assert.ThrowsAsync<IOException>(
            () => _server.NetPoll.ConnectAsync(nobody, _handler.Pid, cancellationToken: TestContext.Current.CancellationToken).Soon());

        Assert.Contains(nobody.ToString(), refused.Message, StringComparison.Ordinal);
        Assert.Empty(_handler.All);
        Assert.Throws<ArgumentNullException>(() => { _ = _server.NetPoll.ConnectAsync(nobody, (PID)null!); });
    }

    [Fact]
    public async Task A_connector_gives_its_handler_one_connection_after_the_other()
    {
        ConnectionScript script = new();
        await using TestServer other = new();
        Listener listener = await other.ListenAsync(script);
        _handler.Spawn(_server.System);
        ConnectorOptions quick = new() { FirstDelay = TimeSpan.FromMilliseconds(1), MaxDelay = TimeSpan.FromMilliseconds(20) };
        PID connector = _server.NetPoll.StartConnector("plain", listener.EndPoint, _handler.Pid, quick);

        for (int number = 1; number <= 3; number++)
        {
            Connected connected = await _handler.Next<Connected>();
            Assert.Equal($"netpoll/connector-plain/{number}", connected.Connection.Id);
            ScriptedConnection accepted = await script.ConnectionOf(connected.LocalEndPoint!.Port);
            _server.System.Root.Send(connected.Connection, new Write("x"u8.ToArray()));
            await Eventually.Equal("bytes at the other end", 1, () => accepted.ReceivedBytes.Length);
            await accepted.Do(static self => self.Abort());
            ConnectionClosed closed = await _handler.Next<ConnectionClosed>();
            Assert.Equal((connected.Connection, CloseReason.Reset), (closed.Connection, closed.Reason));
        }

        // Stopped, the connector tells its connection to finish, which for a plain actor is a message.
        Connected last = await _handler.Next<Connected>();
        await _server.System.Root.StopAsync(connector).Soon();
        Assert.Equal(last.Connection, (await _handler.Next<ServerStopping>()).Connection);
        _server.System.Root.Send(last.Connection, Close.Instance);
        await _handler.Next<ConnectionClosed>();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
