using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>What an actor sees, whichever mailbox it has.</summary>
public abstract class MailboxActorContractTests : IAsyncDisposable
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
    public async Task A_restart_by_the_supervisor_keeps_the_messages_that_wait()
    {
        TaskCompletionSource gate = new();
        PID pid = SpawnChild(SupervisorDirective.Restart, async context =>
        {
            await Record(context);
            if (context.Message is "bad")
            {
                await gate.Task;
                throw new InvalidOperationException("on purpose");
            }
        });
        Root.Send(pid, "bad");
        await Eventually.True("the bad message is taken", () => _seen.Contains("bad"));

        Root.Send(pid, "a");
        Root.Send(pid, "b");
        gate.SetResult();
        await Eventually.True("the last message is taken", () => _seen.Contains("b"));

        Assert.Equal(["Started", "bad", "Restarting", "Started", "a", "b"], _seen);
        Assert.Empty(Server.DeadLetters);
    }

    [Fact]
    public async Task Resuming_after_a_failure_keeps_the_instance_and_goes_on()
    {
        PID pid = SpawnChild(SupervisorDirective.Resume, async context =>
        {
            await Record(context);
            if (context.Message is "bad")
            {
                throw new InvalidOperationException("on purpose");
            }
        });

        Root.Send(pid, "bad");
        Root.Send(pid, "good");
        await Eventually.True("the last message is taken", () => _seen.Contains("good"));

        Assert.Equal(["Started", "bad", "good"], _seen);
    }

    [Fact]
    public async Task A_failure_is_escalated_with_its_reason_and_its_message()
    {
        ConcurrentQueue<(PID Child, Exception Reason, object? Message)> failures = new();
        PID pid = SpawnChild(
            new OneForOneStrategy((_, _) => SupervisorDirective.Stop, 0, null),
            static context => context.Message is "bad" ? throw new InvalidOperationException("on purpose") : Task.CompletedTask,
            failures);
        Task<bool> stopped = await Server.Watch(pid, static _ => true);

        Root.Send(pid, "bad");
        await stopped.Soon();

        (PID child, Exception reason, object? message) = Assert.Single(failures);
        Assert.Equal(pid, child);
        Assert.Equal("on purpose", reason.Message);
        Assert.Equal("bad", MessageEnvelope.UnwrapMessage(message!));
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
    public async Task Children_are_stopped_before_their_parent()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(context =>
        {
            if (context.Message is Started)
            {
                context.Spawn(With(Props.FromFunc(child =>
                {
                    if (child.Message is Stopped)
                    {
                        _seen.Enqueue("child");
                    }

                    return Task.CompletedTask;
                })));
            }
            else if (context.Message is Stopped)
            {
                _seen.Enqueue("parent");
            }

            return Task.CompletedTask;
        })));

        await Root.StopAsync(pid).Soon();

        Assert.Equal(["child", "parent"], _seen);
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

    private protected abstract Props With(Props props);

    private protected PID SpawnChild(SupervisorDirective directive, Receive receive) =>
        SpawnChild(new OneForOneStrategy((_, _) => directive, 10, TimeSpan.FromMinutes(1)), receive, []);

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

    private PID SpawnChild(OneForOneStrategy strategy, Receive receive, ConcurrentQueue<(PID, Exception, object?)> failures)
    {
        TaskCompletionSource<PID> child = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is Started)
            {
                child.SetResult(context.Spawn(With(Props.FromFunc(receive))));
            }

            return Task.CompletedTask;
        }).WithChildSupervisorStrategy(new RecordingStrategy(strategy, failures)));
        return child.Task.GetAwaiter().GetResult();
    }

    private sealed class RecordingStrategy(OneForOneStrategy inner, ConcurrentQueue<(PID, Exception, object?)> failures) : ISupervisorStrategy
    {
        public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message)
        {
            failures.Enqueue((child, cause, message));
            inner.HandleFailure(supervisor, child, rs, cause, message);
        }
    }
}

/// <summary>The measure: Proto.Actor's own mailbox, and where it loses messages.</summary>
public sealed class DefaultMailboxActorTests : MailboxActorContractTests
{
    [Fact]
    public void Differs_what_is_posted_before_the_start_breaks_it()
    {
        IMailbox mailbox = UnboundedMailbox.Create();

        Assert.Throws<NotImplementedException>(() => mailbox.PostUserMessage("early"));
    }

    [Fact]
    public async Task Differs_what_waits_behind_a_fatal_failure_vanishes()
    {
        TaskCompletionSource gate = new();
        PID pid = SpawnChild(SupervisorDirective.Stop, async context =>
        {
            await Record(context);
            if (context.Message is "bad")
            {
                await gate.Task;
                throw new InvalidOperationException("on purpose");
            }
        });
        Task<bool> stopped = await Server.Watch(pid, static _ => true);
        Server.System.Root.Send(pid, "bad");
        Server.System.Root.Send(pid, "lost");

        gate.SetResult();
        await stopped.Soon();

        Assert.Empty(Server.DeadLetters);
    }

    private protected override Props With(Props props) => props;
}

/// <summary>Ours, and where it keeps them.</summary>
public sealed class PollerMailboxActorTests : MailboxActorContractTests
{
    [Fact]
    public async Task Differs_what_is_posted_before_the_start_waits_for_it()
    {
        RecordingInvoker invoker = new();
        Actors.Pollers.PollerMailbox mailbox = new(Server.System, Server.Homes[0], Actors.Pollers.PollerMailbox.DefaultThroughput);
        mailbox.PostUserMessage("early");
        mailbox.PostSystemMessage(new Note("early"));

        mailbox.RegisterHandlers(invoker, Dispatchers.DefaultDispatcher);
        mailbox.PostUserMessage("still early");
        Assert.Empty(invoker.Seen);
        mailbox.Start();
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal([new Note("early"), "early", "still early"], invoker.Seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Differs_what_waits_behind_a_fatal_failure_becomes_dead_letters(bool isStoppingAsync)
    {
        TaskCompletionSource gate = new();
        PID pid = SpawnChild(SupervisorDirective.Stop, async context =>
        {
            await Record(context);
            switch (context.Message)
            {
                case "bad":
                    await gate.Task;
                    throw new InvalidOperationException("on purpose");
                case Stopping when isStoppingAsync:
                    await Task.Yield();
                    break;
            }
        });
        Server.System.Root.Send(pid, "bad");
        await Eventually.True("the bad message is taken", () => Seen.Contains("bad"));
        Server.System.Root.Send(pid, "a");
        Server.System.Root.Send(pid, "b");

        gate.SetResult();
        await Eventually.Equal("dead letters", 2, () => Server.DeadLetters.Count);

        Assert.Equal(["a", "b"], Server.DeadLetters);
        Assert.Equal(["Started", "bad", "Stopping", "Stopped"], Seen);
    }

    [Fact]
    public async Task Differs_what_waits_behind_a_fatal_failure_reaches_nobody_while_children_still_stop()
    {
        TaskCompletionSource gate = new();
        TaskCompletionSource childGate = new();
        PID pid = SpawnChild(SupervisorDirective.Stop, async context =>
        {
            switch (context.Message)
            {
                case Started:
                    context.Spawn(Props.FromFunc(async child =>
                    {
                        if (child.Message is Stopping)
                        {
                            await Record(child);
                            await childGate.Task;
                        }
                    }));
                    break;
                case string:
                    await Record(context);
                    await gate.Task;
                    throw new InvalidOperationException("on purpose");
            }
        });
        Server.System.Root.Send(pid, "bad");
        await Eventually.True("the bad message is taken", () => Seen.Contains("bad"));
        Server.System.Root.Send(pid, "a");

        gate.SetResult();
        await Eventually.True("the child is told to stop", () => Seen.Contains("Stopping"));
        await Server.OnPoller(static () => true, poller: 1);
        await Server.OnPoller(static () => true, poller: 1);
        Assert.Empty(Server.DeadLetters);
        childGate.SetResult();
        await Eventually.Equal("dead letters", 1, () => Server.DeadLetters.Count);

        Assert.Equal(["a"], Server.DeadLetters);
        Assert.Equal(["bad", "Stopping"], Seen);
    }

    private protected override Props With(Props props) => props.WithMailbox(() =>
        new Actors.Pollers.PollerMailbox(Server.System, Server.Homes[1], Actors.Pollers.PollerMailbox.DefaultThroughput));
}
