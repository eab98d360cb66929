using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>Any actor can live on a poller: which one, on which thread its life happens, and what its neighbours notice of it.</summary>
public sealed class ActorOnPollerTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 3);

    private IRootContext Root => _server.System.Root;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Its_whole_life_is_on_its_poller_s_thread_restarts_and_awaits_included(bool awaits)
    {
        ConcurrentQueue<(string What, Poller? Where)> life = new();
        Props props = Props.FromProducer(() => new LivingActor(life, awaits))
            .OnPoller(PollerChoice.At(2))
            .WithGuardianSupervisorStrategy(new OneForOneStrategy(static (_, _) => SupervisorDirective.Restart, 10, null));
        PID pid = Root.Spawn(props);
        Root.Send(pid, "message");
        Root.Send(pid, "bad");
        Root.Send(pid, "after the restart");

        await Root.PoisonAsync(pid).Soon();
        await Eventually.Equal("disposals", 2, () => life.Count(static entry => entry.What == "disposed"));

        string[] whole =
        [
            "Started", "message", "bad", "Restarting", "disposed",
            "Started", "after the restart", "Stopping", "Stopped", "disposed",
        ];
        Assert.Equal(
            whole.SelectMany(what => awaits && what != "disposed" ? new[] { what, $"{what}, later" } : [what]),
            life.Select(static entry => entry.What));
        Assert.All(life, entry => Assert.Same(_server.Homes[2].Poller, entry.Where));
    }

    [Fact]
    public async Task A_continuation_and_a_receive_timeout_are_on_its_poller_s_thread()
    {
        ConcurrentQueue<Poller?> threads = new();
        Root.Spawn(Props.FromFunc(context =>
        {
            switch (context.Message)
            {
                case Started:
                    context.ReenterAfter(Task.Run(static () => { }), () => threads.Enqueue(Poller.Current));
                    context.SetReceiveTimeout(TimeSpan.FromMilliseconds(1));
                    break;
                case ReceiveTimeout:
                    context.CancelReceiveTimeout();
                    threads.Enqueue(Poller.Current);
                    break;
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(1)));

        await Eventually.True("both came", () => threads.Count >= 2);

        Assert.All(threads, poller => Assert.Same(_server.Homes[1].Poller, poller));
    }

    [Fact]
    public async Task Round_robin_takes_one_poller_after_the_other()
    {
        Props props = WhereAmI().OnPoller(PollerChoice.RoundRobin);

        List<Poller> pollers = [];
        for (int number = 0; number < 6; number++)
        {
            pollers.Add(await WhereIs(Root.Spawn(props)));
        }

        Assert.All(_server.Homes, home => Assert.Equal(2, pollers.Count(poller => poller == home.Poller)));
        Assert.Equal(pollers.Take(3), pollers.Skip(3));
    }

    [Fact]
    public async Task A_child_of_an_actor_on_a_poller_can_live_beside_it()
    {
        Props props = WhereAmI().OnPoller(PollerChoice.Current);
        PID parent = Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is "spawn")
            {
                context.Respond(context.SpawnNamed(props, "child"));
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(2)));

        PID child = await Root.RequestAsync<PID>(parent, "spawn", TestContext.Current.CancellationToken).Soon();

        Assert.Equal($"{parent.Id}/child", child.Id);
        Assert.Same(_server.Homes[2].Poller, await WhereIs(child));
    }

    [Fact]
    public async Task The_current_poller_is_an_error_where_there_is_none()
    {
        Props props = WhereAmI().OnPoller(PollerChoice.Current);
        await using TestServer other = new();

        InvalidOperationException here = Assert.Throws<InvalidOperationException>(() => Root.Spawn(props));
        InvalidOperationException elsewhere = await Assert.ThrowsAsync<InvalidOperationException>(() => other.OnPoller(() => Root.Spawn(props)));

        Assert.Contains("PollerChoice.Current", here.Message, StringComparison.Ordinal);
        Assert.Contains("netpoll-0", elsewhere.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_poller_that_is_not_there_is_an_error_that_names_it()
    {
        ArgumentOutOfRangeException tooHigh = Assert.Throws<ArgumentOutOfRangeException>(() => Root.Spawn(WhereAmI().OnPoller(PollerChoice.At(3))));

        Assert.Equal(3, tooHigh.ActualValue);
        Assert.Contains("3 pollers", tooHigh.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(static () => PollerChoice.At(-1));
    }

    [Fact]
    public async Task A_system_without_NetPoll_is_an_error_that_says_so()
    {
        await using ActorSystem bare = new();

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => bare.Root.Spawn(WhereAmI().OnPoller(PollerChoice.RoundRobin)));

        Assert.Contains("WithNetPoll", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Props_with_a_mailbox_of_their_own_are_refused(bool mailboxLast)
    {
        Props props = mailboxLast
            ? WhereAmI().OnPoller(PollerChoice.RoundRobin).WithMailbox(static () => UnboundedMailbox.Create())
            : WhereAmI().WithMailbox(static () => UnboundedMailbox.Create()).OnPoller(PollerChoice.RoundRobin);

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => Root.Spawn(props));

        Assert.Contains("WithMailbox", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_producer_that_makes_nothing_is_an_error_that_names_the_actor()
    {
        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() =>
            Root.SpawnNamed(Props.FromProducer(static () => null!).OnPoller(PollerChoice.RoundRobin), "nothing"));

        Assert.Contains("nothing", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_is_taken_is_an_error_as_with_any_actor()
    {
        Props props = WhereAmI().OnPoller(PollerChoice.RoundRobin);
        Root.SpawnNamed(props, "twice");

        Assert.Throws<ProcessNameExistException>(() => Root.SpawnNamed(props, "twice"));
    }

    [Fact]
    public async Task What_the_system_and_later_calls_change_about_the_props_holds()
    {
        await using ActorSystem system = new(ActorSystemConfig.Setup().WithConfigureProps(static props => props.WithStartDeadline(TimeSpan.Zero)));
        system.WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 1 } });
        Props props = Props.Empty.OnPoller(PollerChoice.RoundRobin).WithProducer(static () => new AnsweringActor());

        Assert.NotNull(await system.Root.RequestAsync<Poller>(system.Root.Spawn(props), "where", TestContext.Current.CancellationToken).Soon());
        Assert.NotNull(await system.Root.RequestAsync<Poller>(system.Root.Spawn(props), "where", TestContext.Current.CancellationToken).Soon());

        await system.NetPoll().ShutdownAsync(TimeSpan.Zero).Soon();
    }

    [Fact]
    public async Task With_metrics_a_handler_that_awaits_is_measured_to_its_end_and_still_comes_back()
    {
        await using ActorSystem system = new(ActorSystemConfig.Setup().WithMetrics());
        system.WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 1 } });
        ConcurrentQueue<(string What, Poller? Where)> life = new();
        PID pid = system.Root.Spawn(Props.FromProducer(() => new LivingActor(life, awaits: true)).OnPoller(PollerChoice.RoundRobin));
        system.Root.Send(pid, "message");

        await system.Root.PoisonAsync(pid).Soon();

        Assert.Contains(life, static entry => entry.What == "message, later");
        Assert.All(life, entry => Assert.Same(system.NetPoll().PollerThreads[0], entry.Where));
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero).Soon();
    }

    [Fact]
    public async Task While_one_awaits_the_others_of_its_poller_and_its_connections_go_on()
    {
        TaskCompletionSource gate = new();
        PID waiting = Root.Spawn(Props.FromFunc(context => context.Message is "wait" ? gate.Task : Task.CompletedTask).OnPoller(PollerChoice.At(0)));
        PID neighbour = Root.Spawn(WhereAmI().OnPoller(PollerChoice.At(0)));
        Root.Send(waiting, "wait");
        Task<Touched> touched = Root.RequestAsync<Touched>(waiting, new Touch(), TestContext.Current.CancellationToken);

        for (int round = 0; round < 10; round++)
        {
            Assert.Same(_server.Homes[0].Poller, await WhereIs(neighbour));
        }

        Assert.False(touched.IsCompleted);
        gate.SetResult();
        await touched.Soon();
    }

    [Fact]
    public async Task Completing_what_a_neighbour_awaits_does_not_run_the_neighbour_in_between()
    {
        ConcurrentQueue<string> order = new();
        TaskCompletionSource signal = new();
        PID waiting = Root.Spawn(Props.FromFunc(async context =>
        {
            if (context.Message is "wait")
            {
                order.Enqueue("waits");
                await signal.Task;
                order.Enqueue("goes on");
            }
        }).OnPoller(PollerChoice.At(0)));
        PID signalling = Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is "signal")
            {
                order.Enqueue("signals");
                signal.SetResult();
                order.Enqueue("signalled");
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(0)));

        Root.Send(waiting, "wait");
        await Eventually.Equal("steps", 1, () => order.Count);

        Root.Send(signalling, "signal");
        await Eventually.Equal("steps", 4, () => order.Count);

        Assert.Equal(["waits", "signals", "signalled", "goes on"], order);
    }

    [Fact]
    public async Task What_a_handler_leaves_in_an_async_local_is_not_seen_by_a_neighbour()
    {
        AsyncLocal<string?> local = new();
        PID leaving = Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is string)
            {
                local.Value = "left behind";
                context.Respond("done");
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(0)));
        PID looking = Root.Spawn(Props.FromFunc(context =>
        {
            if (context.Message is string)
            {
                context.Respond(local.Value ?? "nothing");
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(0)));

        await Root.RequestAsync<string>(leaving, "leave", TestContext.Current.CancellationToken).Soon();

        Assert.Equal("nothing", await Root.RequestAsync<string>(looking, "look", TestContext.Current.CancellationToken).Soon());
        Assert.Null(await _server.OnPoller(() => local.Value));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whether_async_locals_flow_on_its_poller_is_the_same_after_a_handler_that_awaited(bool flows)
    {
        await using TestServer server = new(options: new PollerOptions { FlowExecutionContext = flows });
        PID pid = server.System.Root.Spawn(Props.FromFunc(static async context =>
        {
            if (context.Message is string)
            {
                await Task.Yield();
                context.Respond("done");
            }
        }).OnPoller(PollerChoice.At(0)));

        await server.System.Root.RequestAsync<string>(pid, "await", TestContext.Current.CancellationToken).Soon();

        Assert.Equal(!flows, await server.OnPoller(ExecutionContext.IsFlowSuppressed));
    }

    [Fact]
    public async Task Code_that_is_no_actor_can_post_to_a_poller()
    {
        TaskCompletionSource<Poller?> ran = new(TaskCreationOptions.RunContinuationsAsynchronously);

        _server.NetPoll.PollerThreads[1].Post(() => ran.SetResult(Poller.Current));

        Assert.Same(_server.Homes[1].Poller, await ran.Task.Soon());
        Assert.Equal(["poller-0", "poller-1", "poller-2"], _server.NetPoll.PollerThreads.Select(static poller => poller.Name));
    }

    [Fact]
    public async Task After_NetPoll_has_stopped_it_goes_on_and_never_beside_another_of_its_poller()
    {
        const int Messages = 500;
        int inside = 0;
        int overlaps = 0;
        int handled = 0;
        PID[] pids = [.. Enumerable.Range(0, 3).Select(_ => Root.Spawn(Props.FromFunc(async context =>
        {
            if (context.Message is int number)
            {
                Enter();
                if (number % 50 == 0)
                {
                    await Task.Run(static () => { });
                    Enter();
                }

                Interlocked.Increment(ref handled);
            }
        }).OnPoller(PollerChoice.At(0))))];
        await _server.NetPoll.ShutdownAsync(TimeSpan.Zero).Soon();

        await Task.WhenAll(pids.Select(pid => Task.Run(() =>
        {
            for (int number = 0; number < Messages; number++)
            {
                Root.Send(pid, number);
            }
        }))).Soon();
        await Eventually.Equal("messages handled", pids.Length * Messages, () => Volatile.Read(ref handled));
        await Root.StopAsync(pids[0]).Soon();

        Assert.Equal(0, overlaps);

        void Enter()
        {
            if (Interlocked.Exchange(ref inside, 1) != 0)
            {
                Interlocked.Increment(ref overlaps);
            }

            Thread.SpinWait(50);
            Volatile.Write(ref inside, 0);
        }
    }

    [Fact]
    public async Task After_the_system_has_stopped_a_spawn_gives_the_dead_letters_as_with_any_actor()
    {
        ActorSystem system = new();
        system.WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 1 } });
        await system.ShutdownAsync().Soon();

        Assert.Equal(system.DeadLetterPid, system.Root.Spawn(WhereAmI().OnPoller(PollerChoice.RoundRobin)));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static Props WhereAmI() => Props.FromProducer(static () => new AnsweringActor());

    private Task<Poller> WhereIs(PID pid) => Root.RequestAsync<Poller>(pid, "where", TestContext.Current.CancellationToken).Soon();

    private sealed class AnsweringActor : IActor
    {
        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is "where")
            {
                context.Respond(Poller.Current!);
            }

            return Task.CompletedTask;
        }
    }

    /// <summary>Notes on which poller everything of its life happens.</summary>
    private sealed class LivingActor(ConcurrentQueue<(string What, Poller? Where)> life, bool awaits) : IActor, IAsyncDisposable
    {
        public async Task ReceiveAsync(IContext context)
        {
            string what = context.Message as string ?? context.Message!.GetType().Name;
            Note(what);
            if (awaits)
            {
                await Task.Run(static () => { });
                Note($"{what}, later");
            }

            if (what == "bad")
            {
                throw new InvalidOperationException("on purpose");
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (awaits)
            {
                await Task.Run(static () => { });
            }

            Note("disposed");
        }

        private void Note(string what) => life.Enqueue((what, Poller.Current));
    }
}
