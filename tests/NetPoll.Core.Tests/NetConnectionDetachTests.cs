using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests;

/// <summary>A layer above takes a connection's socket over.</summary>
public sealed class NetConnectionDetachTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_socket_stays_open_and_may_be_watched_again()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        await pair.SendAsync("hello"u8.ToArray());

        PollableSocket socket = Assert.IsType<PollableSocket>(await pair.Connection.DetachAsync(), exactMatch: false);

        Assert.False(pair.Poller.Monitors(socket.Descriptor));
        Assert.Throws<ObjectDisposedException>(() => pair.Connection.TryRead(new byte[1], out _));
        IoResult opened = NetFd.Open(pair.Poller, socket, out NetFd? fd);
        Assert.True(opened.IsSuccess);
        byte[] buffer = new byte[16];
        Assert.Equal(5, await fd!.ReadAsync(buffer).AsTask().WaitAsync(Limit, Cancellation));
        await fd.CloseAsync();
        Assert.Equal(0, await pair.Peer.ReceiveAsync(buffer, SocketFlags.None, Cancellation));
    }

    [Fact]
    public async Task Whoever_waits_is_told_that_the_connection_has_ended_before_the_socket_is_given_out()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        Task<int> reading = pair.Connection.ReadAsync(new byte[1]).AsTask();
        await pair.ReaderParked();

        PollableSocket? socket = await pair.Connection.DetachAsync().WaitAsync(Limit, Cancellation);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => reading.WaitAsync(Limit, Cancellation));
        Assert.True(socket!.Write("x"u8).IsSuccess);
        Assert.Equal(1, await pair.Peer.ReceiveAsync(new byte[1], SocketFlags.None, Cancellation));
        _ = socket.Close();
    }

    [Fact]
    public async Task A_closed_connection_has_no_socket_to_give_and_one_is_given_once()
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        PollableSocket? first = await pair.Connection.DetachAsync();

        Assert.NotNull(first);
        Assert.Null(await pair.Connection.DetachAsync());
        await pair.Connection.CloseAsync();
        Assert.True(first.Write("x"u8).IsSuccess);
        _ = first.Close();
    }
}
