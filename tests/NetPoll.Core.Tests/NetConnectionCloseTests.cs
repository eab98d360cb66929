using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What a close holds up, and what is refused after it.</summary>
public sealed class NetConnectionCloseTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_close_that_waits_for_the_peer_to_take_everything_holds_no_poller(bool onPoller)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Fill(pair.Connection);
        pair.Connection.SetLinger(TimeSpan.FromMinutes(5));
        Task<int> read = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();

        Task closed = Task.CompletedTask;
        if (onPoller)
        {
            await pair.Poller.RunAsync(() => { closed = pair.Connection.CloseAsync(); }).WaitAsync(Limit, Cancellation);
        }
        else
        {
            closed = pair.Connection.CloseAsync();
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Limit, Cancellation));
        await pair.Poller.RunAsync(static () => { }).WaitAsync(Limit, Cancellation);
        pair.Peer.Dispose();
        await closed.WaitAsync(Limit, Cancellation);
    }

    [Theory]
    [InlineData(LingerBy.FormerOwner)]
    [InlineData(LingerBy.FormerOwnerOfListener)]
    [InlineData(LingerBy.RawControl)]
    [InlineData(LingerBy.RawWrite)]
    public async Task A_close_that_waits_because_somebody_else_made_it_linger_holds_no_poller(LingerBy lingerBy)
    {
        if (lingerBy is LingerBy.FormerOwner or LingerBy.FormerOwnerOfListener)
        {
            TestBackend.SkipOnPortable("The portable backend adopts no sockets.");
        }

        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        (NetConnection connection, Socket peer) = await Lingering(lingerBy, group);
        using Socket released = peer;
        Fill(connection);

        Task closed = Task.CompletedTask;
        await group.Pollers[0].RunAsync(() => { closed = connection.CloseAsync(); }).WaitAsync(Limit, Cancellation);

        Assert.False(closed.IsCompleted);
        peer.Dispose();
        await closed.WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task A_socket_that_is_closed_without_a_descriptor_of_ours_holds_no_poller_either()
    {
        TestBackend.SkipOnPortable("The portable backend adopts no sockets.");
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        (NetConnection connection, Socket peer) = await Lingering(LingerBy.FormerOwner, group);
        using Socket released = peer;
        Fill(connection);
        PollableSocket socket = (await connection.DetachAsync())!;

        await group.Pollers[0].RunAsync(() => { _ = socket.Close(); }).WaitAsync(Limit, Cancellation);

        peer.Dispose();
        Assert.Equal(-1, socket.Descriptor);
    }

    [Fact]
    public async Task After_the_close_the_deadline_of_whoever_came_after_is_not_told()
    {
        await using NetListenerFixture fixture = new();
        await using Loopback old = await Loopback.ConnectAsync(fixture.Listener);
        await old.Connection.CloseAsync();
        await using Loopback next = await Loopback.ConnectAsync(fixture.Listener);
        next.Connection.SetReadDeadline(Deadline.After(TimeSpan.FromHours(1)));

        Assert.Throws<ObjectDisposedException>(() => old.Connection.TimeLeft(PollMode.Read));
    }

    private static async Task<(NetConnection Connection, Socket Peer)> Lingering(LingerBy lingerBy, PollerGroup group)
    {
        const int FiveMinutes = 300;
        if (lingerBy == LingerBy.FormerOwner)
        {
            using TcpPair pair = new();
            pair.Ours.LingerState = new LingerOption(enable: true, FiveMinutes);
            return (NetConnection.Adopt(pair.Ours.SafeHandle, group), pair.TakePeer());
        }

        using Socket made = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        made.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        made.Listen(1);
        made.LingerState = new LingerOption(enable: true, FiveMinutes);
        await using NetListener listener = lingerBy == LingerBy.FormerOwnerOfListener
            ? NetListener.Adopt(made.SafeHandle, group)
            : NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), group);
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(listener.LocalEndPoint, Cancellation);
        NetConnection connection = await listener.AcceptAsync(Cancellation);
        switch (lingerBy)
        {
            case LingerBy.RawControl:
                connection.RawControl(static number => Libc.SetLinger(number, on: true, FiveMinutes));
                break;
            case LingerBy.RawWrite:
                await connection.RawWriteAsync(static number => Libc.SetLinger(number, on: true, FiveMinutes) == 0, Cancellation);
                break;
        }

        return (connection, peer);
    }

    private static void Fill(NetConnection connection)
    {
        while (connection.TryWrite(new byte[64 * 1024], out int written) && written > 0)
        {
            // Until neither side has room.
        }
    }

    /// <summary>Who has made a close wait.</summary>
    public enum LingerBy
    {
        FormerOwner,
        FormerOwnerOfListener,
        RawControl,
        RawWrite,
    }
}
