using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;
using Proto.Diagnostics;

namespace NetPoll.Actors.Tests.Pollers;

/// <content>Children, failures, restarts.</content>
public abstract partial class MailboxActorContractTests
{
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
    public async Task While_the_supervisor_thinks_user_messages_wait_and_system_messages_pass()
    {
        UndecidedStrategy strategy = new();
        PID pid = SpawnChild(strategy, context => context.Message is "bad" ? throw new InvalidOperationException("on purpose") : Record(context));
        Root.Send(pid, "bad");
        Action resume = await strategy.Asked.Soon();

        Root.Send(pid, "waits");
        await DiagnosticTools.GetDiagnosticsString(Server.System, pid).Soon();
        Assert.Equal(["Started"], _seen);
        resume();
        await Eventually.True("the message is taken", () => _seen.Contains("waits"));
    }

    [Fact]
    public async Task A_child_that_fails_too_often_is_stopped()
    {
        int instances = 0;
        PID pid = SpawnChild(
            new OneForOneStrategy(static (_, _) => SupervisorDirective.Restart, 2, TimeSpan.FromMinutes(10)),
            () =>
            {
                Interlocked.Increment(ref instances);
                return new FailingActor();
            });
        Task<bool> stopped = await Server.Watch(pid, static _ => true);

        for (int failure = 0; failure < 3; failure++)
        {
            Root.Send(pid, "bad");
        }

        await stopped.Soon();

        Assert.Equal(3, instances);
    }

    [Fact]
    public async Task An_escalated_failure_is_decided_by_the_grandparent()
    {
        ConcurrentQueue<(PID Child, Exception Reason, object? Message)> failures = new();
        TaskCompletionSource<(PID Parent, PID Child)> spawned = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Props child = With(Props.FromProducer(static () => new FailingActor()));
        Props parent = With(Props.FromFunc(context =>
        {
            if (context.Message is Started)
            {
                spawned.SetResult((context.Self, context.Spawn(child)));
            }

            return Task.CompletedTask;
        })).WithChildSupervisorStrategy(new OneForOneStrategy(static (_, _) => SupervisorDirective.Escalate, 0, null));
        Root.Spawn(With(Props.FromFunc(context =>
        {
            if (context.Message is Started)
            {
                context.Spawn(parent);
            }

            return Task.CompletedTask;
        })).WithChildSupervisorStrategy(new RecordingStrategy(new OneForOneStrategy(static (_, _) => SupervisorDirective.Stop, 0, null), failures)));
        (PID parentPid, PID childPid) = await spawned.Task.Soon();
        Task<bool> parentStopped = await Server.Watch(parentPid, static _ => true);
        Task<bool> childStopped = await Server.Watch(childPid, static _ => true);

        Root.Send(childPid, "bad");
        await parentStopped.Soon();
        await childStopped.Soon();

        Assert.Equal(parentPid, Assert.Single(failures).Child);
    }

    [Fact]
    public async Task An_actor_that_is_a_strategy_supervises_its_children_itself()
    {
        TaskCompletionSource<PID> child = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<PID> failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Props childProps = With(Props.FromProducer(static () => new FailingActor()));
        Root.Spawn(With(Props.FromProducer(() => new SupervisingActor(context => child.SetResult(context.Spawn(childProps)), failed))));
        PID pid = await child.Task.Soon();

        Root.Send(pid, "bad");

        Assert.Equal(pid, await failed.Task.Soon());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_instance_is_disposed_of_at_a_restart_and_at_the_end(bool isAsync)
    {
        PID pid = SpawnChild(
            new OneForOneStrategy(static (_, _) => SupervisorDirective.Restart, 10, TimeSpan.FromMinutes(10)),
            () => isAsync ? new AsyncDisposableActor(_seen) : new DisposableActor(_seen));
        Root.Send(pid, "bad");

        await Root.PoisonAsync(pid).Soon();

        Assert.Equal(["Started", "bad", "Restarting", "disposed", "Started", "Stopping", "Stopped", "disposed"], _seen);
    }

    [Fact]
    public async Task Diagnostics_are_the_actor_s_own()
    {
        PID pid = Root.Spawn(With(Props.FromProducer(static () => new DiagnosedActor())));

        Assert.Contains("all is well", await DiagnosticTools.GetDiagnosticsString(Server.System, pid).Soon(), StringComparison.Ordinal);
    }

    private protected PID SpawnChild(SupervisorDirective directive, Receive receive) =>
        SpawnChild(new OneForOneStrategy((_, _) => directive, 10, TimeSpan.FromMinutes(1)), receive, []);

    private PID SpawnChild(OneForOneStrategy strategy, Receive receive, ConcurrentQueue<(PID, Exception, object?)> failures) =>
        SpawnChild(new RecordingStrategy(strategy, failures), receive);

    private PID SpawnChild(ISupervisorStrategy strategy, Receive receive) => SpawnChild(strategy, Props.FromFunc(receive));

    private PID SpawnChild(ISupervisorStrategy strategy, Producer producer) => SpawnChild(strategy, Props.FromProducer(producer));

    private PID SpawnChild(ISupervisorStrategy strategy, Props props)
    {
        TaskCompletionSource<PID> child = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is Started)
            {
                child.SetResult(context.Spawn(With(props)));
            }

            return Task.CompletedTask;
        }).WithChildSupervisorStrategy(strategy));
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

    /// <summary>Leaves the decision to the test: the task gives what lets the child go on.</summary>
    private sealed class UndecidedStrategy : ISupervisorStrategy
    {
        private readonly TaskCompletionSource<Action> _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<Action> Asked => _asked.Task;

        public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message) =>
            _asked.SetResult(() => supervisor.ResumeChildren(child));
    }

    private sealed class FailingActor : IActor
    {
        public Task ReceiveAsync(IContext context) =>
            context.Message is "bad" ? throw new InvalidOperationException("on purpose") : Task.CompletedTask;
    }

    private sealed class SupervisingActor(Action<IContext> started, TaskCompletionSource<PID> failed) : IActor, ISupervisorStrategy
    {
        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is Started)
            {
                started(context);
            }

            return Task.CompletedTask;
        }

        public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message) =>
            failed.SetResult(child);
    }

    private class NotingActor(ConcurrentQueue<object> seen) : IActor
    {
        public Task ReceiveAsync(IContext context)
        {
            seen.Enqueue(context.Message is InfrastructureMessage ? context.Message.GetType().Name : context.Message!);
            return context.Message is "bad" ? throw new InvalidOperationException("on purpose") : Task.CompletedTask;
        }

        protected void NoteDisposal() => seen.Enqueue("disposed");
    }

    private sealed class DisposableActor(ConcurrentQueue<object> seen) : NotingActor(seen), IDisposable
    {
        public void Dispose() => NoteDisposal();
    }

    private sealed class AsyncDisposableActor(ConcurrentQueue<object> seen) : NotingActor(seen), IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Task.Yield();
            NoteDisposal();
        }
    }

    private sealed class DiagnosedActor : IActor, IActorDiagnostics
    {
        public Task ReceiveAsync(IContext context) => Task.CompletedTask;

        public string GetDiagnosticsString() => "all is well";
    }
}
