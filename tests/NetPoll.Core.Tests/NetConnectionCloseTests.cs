using NetPoll.Core.Tests.Support;

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
        while (pair.Connection.TryWrite(new byte[64 * 1024], out int written) && written > 0)
        {
            // Until neither side has room.
        }

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

    [Fact]
    public async Task What_is_wrong_about_keep_alive_is_refused_before_anything_is_changed()
    {
        await using Loopback pair = await Loopback.ConnectAsync();

        ArgumentOutOfRangeException refused = Assert.Throws<ArgumentOutOfRangeException>(
            () => pair.Connection.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(30), TimeSpan.Zero, 3)));

        Assert.Equal("Interval", refused.ParamName);
        int isOn = -1;
        Assert.True(pair.Connection.Fd.GetOption(Core.Backends.SocketSetting.KeepAlive, out isOn).IsSuccess);
        Assert.Equal(0, isOn);
    }
}
