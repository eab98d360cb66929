using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>What an actor sees, whichever mailbox it has: here its life; its messages and its failures have files of their own.</summary>
public abstract partial class MailboxActorContractTests : IAsyncDisposable
{
    private readonly ConcurrentQueue<object> _seen = new();

    private protected TestServer Server { get; } = new(pollers: 2);

    private IRootContext Root => Server.System.Root;

    [Fact]
    public async Task A_life_has_its_messages_in_order()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(Record)));
        Root.Send(pid, "hello");

        await Root.PoisonAsync(pid).Soon();

        Assert.Equal(["Started", "hello", "Stopping", "Stopped"], _seen);
    }

    [Fact]
    public async Task A_request_is_answered()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(static context =>
        {
            if (context.Message is int number)
            {
                context.Respond(number + 1);
            }

            return Task.CompletedTask;
        })));

        Assert.Equal(42, await Root.RequestAsync<int>(pid, 41, TestContext.Current.CancellationToken).Soon());
    }

    [Fact]
    public async Task A_continuation_overtakes_user_messages_and_finds_its_message_again()
    {
        TaskCompletionSource task = new();
        TaskCompletionSource gate = new();
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            await Record(context);
            switch (context.Message)
            {
                case "later":
                    context.ReenterAfter(task.Task, () => _seen.Enqueue($"continued {context.Message}"));
                    break;
                case "slow":
                    await gate.Task;
                    break;
            }
        })));
        Root.Send(pid, "later");
        Root.Send(pid, "slow");
        await Eventually.True("the slow message is taken", () => _seen.Contains("slow"));

        Root.Send(pid, "last");
        task.SetResult();
        gate.SetResult();
        await Eventually.True("the last message is taken", () => _seen.Contains("last"));
        await Eventually.True("the continuation ran", () => _seen.Contains("continued later"));

        Assert.Equal(1, _seen.Count(static entry => entry is "continued later"));
    }

    [Fact]
    public async Task A_receive_timeout_arrives_and_ends_when_it_is_cancelled()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(context =>
        {
            switch (context.Message)
            {
                case Started:
                    context.SetReceiveTimeout(TimeSpan.FromMilliseconds(20));
                    break;
                case ReceiveTimeout:
                    context.CancelReceiveTimeout();
                    _seen.Enqueue("timeout");
                    break;
                default:
                    return Record(context);
            }

            return Task.CompletedTask;
        })));
        await Eventually.True("the timeout arrives", () => _seen.Contains("timeout"));

        await Root.PoisonAsync(pid).Soon();

        // Proto.Actor's timer is periodic: another one may have been on its way when it was cancelled.
        Assert.Equal(["timeout", "Stopping", "Stopped"], _seen.Distinct());
    }

    [Fact]
    public async Task Poison_comes_after_what_was_queued_before()
    {
        TaskCompletionSource gate = new();
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            await Record(context);
            if (context.Message is "slow")
            {
                await gate.Task;
            }
        })));
        Root.Send(pid, "slow");
        Root.Send(pid, "a");
        Root.Send(pid, "b");

        Task poisoned = Root.PoisonAsync(pid);
        gate.SetResult();
        await poisoned.Soon();

        Assert.Equal(["Started", "slow", "a", "b", "Stopping", "Stopped"], _seen);
        Assert.Empty(Server.DeadLetters);
    }

    [Fact]
    public async Task Stop_overtakes_what_was_queued_which_becomes_dead_letters()
    {
        TaskCompletionSource gate = new();
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            await Record(context);
            if (context.Message is "slow")
            {
                await gate.Task;
            }
        })));
        Root.Send(pid, "slow");
        await Eventually.True("the slow message is taken", () => _seen.Contains("slow"));
        Root.Send(pid, "a");
        Root.Send(pid, "b");

        Task stopped = Root.StopAsync(pid);
        gate.SetResult();
        await stopped.Soon();
        await Eventually.Equal("dead letters", 2, () => Server.DeadLetters.Count);

        Assert.Equal(["Started", "slow", "Stopping", "Stopped"], _seen);
        Assert.Equal(["a", "b"], Server.DeadLetters);
    }

    [Fact]
    public async Task What_is_sent_after_the_end_is_a_dead_letter_and_a_watch_is_answered()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(Record)));
        Root.Send(pid, "first"); // The PID keeps what it leads to.
        await Root.PoisonAsync(pid).Soon();

        Root.Send(pid, "late");
        Task<TerminatedReason> told = await Server.Watch(pid, static terminated => terminated.Why);
        await told.Soon();
        await Eventually.Equal("dead letters", 1, () => Server.DeadLetters.Count);

        Assert.Equal(["late"], Server.DeadLetters);
        Assert.DoesNotContain("late", _seen);
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>The props of an actor with the mailbox that is tested.</summary>
    private protected abstract Props With(Props props, Func<IMailboxStatistics>? statistics = null);

    private protected Task Record(IContext context)
    {
        _seen.Enqueue(context.Message switch
        {
            SystemMessage or InfrastructureMessage => context.Message.GetType().Name,
            _ => context.Message!,
        });
        return Task.CompletedTask;
    }

    private protected IReadOnlyCollection<object> Seen => _seen;

}
