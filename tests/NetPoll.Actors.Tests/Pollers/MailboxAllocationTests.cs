using NetPoll.Actors.Tests.Support;
using Proto;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>What a warm message between two actors of one poller allocates: nothing.</summary>
public sealed class MailboxAllocationTests : IAsyncDisposable
{
    private const int WarmUp = 20_000;
    private const int Messages = 100_000;

    private readonly TestServer _server = new();

    [Fact]
    public async Task A_hundred_thousand_warm_messages_between_two_actors_allocate_nothing()
    {
        Player first = new();
        Player second = new();
        PID firstPid = _server.System.Root.Spawn(Props.FromProducer(() => first).OnPoller(PollerChoice.At(0)));
        second.Partner = firstPid;
        first.Partner = _server.System.Root.Spawn(Props.FromProducer(() => second).OnPoller(PollerChoice.At(0)));
        await first.PlayAsync(_server.System, firstPid, WarmUp).Soon();

        // When the code is replaced by its final form is the runtime's business, and something may be made once then.
        long allocated = -1;
        for (int round = 0; round < 3 && allocated != 0; round++)
        {
            allocated = await first.PlayAsync(_server.System, firstPid, Messages).Soon();
        }

        Assert.Equal(0, allocated);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private sealed class Player : IActor
    {
        private static readonly object Ball = new();

        private TaskCompletionSource<long>? _done;
        private long _before;
        private int _left;

        public PID Partner { get; set; } = null!;

        /// <summary>Sends the ball to and fro, and tells what that allocated on the poller's thread.</summary>
        public Task<long> PlayAsync(ActorSystem system, PID self, int messages)
        {
            TaskCompletionSource<long> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _done = done;
            _left = messages / 2;
            system.Root.Send(self, "serve");
            return done.Task;
        }

        public Task ReceiveAsync(IContext context)
        {
            object? message = context.Message;
            if (message is "serve")
            {
                _before = GC.GetAllocatedBytesForCurrentThread();
                context.Send(Partner, Ball);
            }
            else if (ReferenceEquals(message, Ball))
            {
                if (_done is not null && --_left == 0)
                {
                    _done.SetResult(GC.GetAllocatedBytesForCurrentThread() - _before);
                }
                else
                {
                    context.Send(Partner, Ball);
                }
            }

            return Task.CompletedTask;
        }
    }
}
