using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>Waiting for readiness alone, also where nothing but readiness may end it. Go: <c>pollWaitCanceled</c>.</summary>
public sealed class ReadinessOperationTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NP017_An_uncancelable_wait_outlives_its_deadline_and_the_close_and_ends_by_readiness()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        Task<OperationOutcome> wait = new ReadinessOperation(fd, PollMode.Read, isUncancelable: true).Begin(CancellationToken.None).AsTask();

        fd.SetDeadline(PollMode.Read, Deadline.Past);
        await world.Asleep();
        Assert.True(fd.Descriptor.HasReader);
        world.Poller.Evict(fd.Descriptor);
        await world.Asleep();
        Assert.False(wait.IsCompleted);
        Assert.True(fd.Descriptor.HasReader);
        Assert.True(fd.Descriptor.Info.IsClosing);

        world.Backend.Inject(socket, PollEventFlags.Read);

        Assert.True((await wait.WaitAsync(Limit, Cancellation)).IsSuccess);
        Assert.False(fd.Descriptor.HasReader);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP017_An_uncancelable_wait_on_a_descriptor_that_is_closing_parks_and_ends_by_readiness(bool isReadyBefore)
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        world.Poller.Evict(fd.Descriptor);
        if (isReadyBefore)
        {
            world.Backend.Inject(socket, PollEventFlags.Read);
            await world.Asleep();
        }

        Task<OperationOutcome> wait = new ReadinessOperation(fd, PollMode.Read, isUncancelable: true).Begin(CancellationToken.None).AsTask();
        Assert.Equal(isReadyBefore, wait.IsCompleted);
        Assert.Equal(!isReadyBefore, fd.Descriptor.HasReader);
        if (!isReadyBefore)
        {
            world.Backend.Inject(socket, PollEventFlags.Read);
        }

        Assert.True((await wait.WaitAsync(Limit, Cancellation)).IsSuccess);
    }

    [Fact]
    public async Task NP017_A_wait_that_may_be_cancelled_ends_where_an_uncancelable_one_does_not()
    {
        await using ScriptedPoller world = new();
        NetFd fd = world.Open(new ScriptedSocket());
        Task<OperationOutcome> wait = new ReadinessOperation(fd, PollMode.Read).Begin(CancellationToken.None).AsTask();

        fd.SetDeadline(PollMode.Read, Deadline.Past);

        Assert.Equal(PollResult.DeadlineExceeded, (await wait.WaitAsync(Limit, Cancellation)).Poll);
    }
}
