using System.Collections.Concurrent;
using NetPoll.Actors.Pollers;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>What only a mailbox on a poller can do: threads, parking, moving, signals.</summary>
public sealed class PollerMailboxTests : IAsyncDisposable
{
    private readonly TestServer _server = new(pollers: 2);

    [Fact]
    public async Task Messages_are_handled_on_the_poller_s_thread()
    {
        ConcurrentQueue<Poller?> threads = new();
        PollerMailbox mailbox = Open(new RecordingInvoker { User = _ => Note(threads), Infrastructure = _ => Note(threads) }, poller: 1);

        mailbox.PostUserMessage("a");
        mailbox.PostSystemMessage(new Note("b"));
        await Eventually.Equal("messages handled", 2, () => threads.Count);

        Assert.All(threads, poller => Assert.Same(_server.Homes[1].Poller, poller));
    }

    [Fact]
    public async Task An_async_handler_goes_on_on_its_poller_s_thread()
    {
        ConcurrentQueue<Poller?> threads = new();
        RecordingInvoker invoker = new()
        {
            User = async _ =>
            {
                await Note(threads);
                await Task.Run(() => Note(threads));
                await Note(threads);
                await Task.Yield();
                await Note(threads);
            },
        };
        PollerMailbox mailbox = Open(invoker);

        mailbox.PostUserMessage("a");
        await Eventually.Equal("looks at the thread", 4, () => threads.Count);

        Poller poller = _server.Homes[0].Poller;
        Assert.Equal([poller, null, poller, poller], threads);
    }

    [Fact]
    public async Task While_a_handler_is_parked_the_others_of_its_poller_go_on()
    {
        TaskCompletionSource gate = new();
        RecordingInvoker slow = new() { User = _ => gate.Task };
        RecordingInvoker quick = new();
        PollerMailbox first = Open(slow);
        PollerMailbox second = Open(quick);
        first.PostUserMessage("parks");
        first.PostUserMessage("waits");
        await Eventually.Equal("messages of the slow one", 1, () => slow.Count);

        for (int round = 0; round < 10; round++)
        {
            second.PostUserMessage(round);
        }

        await Eventually.Equal("messages of the quick one", 10, () => quick.Count);
        Assert.Equal(1, slow.Count);
        gate.SetResult();
        await Eventually.Equal("messages of the slow one", 2, () => slow.Count);
    }

    [Fact]
    public async Task Posting_never_runs_a_message_even_on_the_poller_s_thread()
    {
        RecordingInvoker invoker = new();
        PollerMailbox mailbox = Open(invoker);

        int seenInside = await _server.OnPoller(() =>
        {
            mailbox.PostUserMessage("a");
            mailbox.PostSystemMessage(new Note("b"));
            return invoker.Count;
        });
        await Eventually.Equal("messages taken", 2, () => invoker.Count);

        Assert.Equal(0, seenInside);
    }

    [Fact]
    public async Task A_mailbox_that_is_moved_runs_on_its_new_poller()
    {
        ConcurrentQueue<Poller?> threads = new();
        PollerMailbox mailbox = Open(new RecordingInvoker { User = _ => Note(threads) });
        mailbox.PostUserMessage("a");
        await Eventually.Equal("messages handled", 1, () => threads.Count);

        mailbox.MoveTo(_server.Homes[1]);
        mailbox.PostUserMessage("b");
        await Eventually.Equal("messages handled", 2, () => threads.Count);

        Assert.Equal([_server.Homes[0].Poller, _server.Homes[1].Poller], threads);
    }

    [Fact]
    public async Task A_run_that_is_queued_at_the_old_poller_goes_to_the_new_one()
    {
        ConcurrentQueue<Poller?> threads = new();
        PollerMailbox mailbox = Open(new RecordingInvoker { User = _ => Note(threads) });

        await _server.OnPoller(() =>
        {
            mailbox.PostUserMessage("queued at the old poller");
            mailbox.MoveTo(_server.Homes[1]);
            return true;
        });
        await Eventually.Equal("messages handled", 1, () => threads.Count);

        Assert.Equal([_server.Homes[1].Poller], threads);
    }

    [Fact]
    public async Task A_handler_that_waits_while_its_mailbox_is_moved_goes_on_on_the_new_poller()
    {
        ConcurrentQueue<Poller?> threads = new();
        TaskCompletionSource gate = new();
        PollerMailbox mailbox = Open(new RecordingInvoker
        {
            User = async _ =>
            {
                await Note(threads);
                await gate.Task;
                await Note(threads);
            },
        });
        mailbox.PostUserMessage("a");
        await Eventually.Equal("looks at the thread", 1, () => threads.Count);

        mailbox.MoveTo(_server.Homes[1]);
        gate.SetResult();
        await Eventually.Equal("looks at the thread", 2, () => threads.Count);

        Assert.Equal([_server.Homes[0].Poller, _server.Homes[1].Poller], threads);
    }

    [Fact]
    public async Task Moving_to_and_fro_loses_and_overlaps_nothing()
    {
        int messages = StressScale.Rounds(10_000);
        RecordingInvoker invoker = new() { User = static message => (int)message % 500 == 0 ? Task.Run(static () => { }) : Task.CompletedTask };
        PollerMailbox mailbox = Open(invoker);

        Task mover = Task.Factory.StartNew(
            () =>
            {
                for (int round = 0; invoker.Count < messages; round++)
                {
                    TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                    mailbox.MoveTo(_server.Homes[round % 2]);
                    Thread.Yield();
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        for (int number = 0; number < messages; number++)
        {
            mailbox.PostUserMessage(number);
        }

        await Eventually.Equal("messages taken", messages, () => invoker.Count);
        await mover.Soon();

        Assert.Equal(0, invoker.Overlaps);
        Assert.Equal(Enumerable.Range(0, messages), invoker.Seen.Cast<int>());
    }

    [Fact]
    public async Task Signals_coalesce_into_one_message_which_comes_before_user_messages()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);

        await _server.OnPoller(() =>
        {
            mailbox.PostUserMessage("user");
            mailbox.Raise(1);
            mailbox.Raise(2);
            mailbox.Raise(1);
            mailbox.PostSystemMessage(new Note("system"));
            return true;
        });
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal([new Note("system"), "signal", "user"], invoker.Seen);
        Assert.Equal([3], mailbox.Taken);
    }

    [Fact]
    public async Task A_handler_that_signals_itself_gives_way_to_what_waits()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker, rounds: 3);

        await _server.OnPoller(() =>
        {
            mailbox.Raise(1);
            mailbox.PostUserMessage("a");
            return true;
        });
        await Eventually.Equal("messages taken", 4, () => invoker.Count);

        Assert.Equal(["signal", "a", "signal", "signal"], invoker.Seen);
    }

    [Fact]
    public async Task A_signal_from_the_ready_list_runs_at_once_where_nothing_is_in_its_way()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);

        int seenInside = await _server.OnPoller(() =>
        {
            mailbox.RaiseAndRun(1);
            return invoker.Count;
        });

        Assert.Equal(1, seenInside);
    }

    [Fact]
    public async Task A_signal_from_the_ready_list_waits_its_turn_behind_messages()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);

        int seenInside = await _server.OnPoller(() =>
        {
            mailbox.PostUserMessage("a");
            mailbox.RaiseAndRun(1);
            return invoker.Count;
        });
        await Eventually.Equal("messages taken", 2, () => invoker.Count);

        Assert.Equal(0, seenInside);
    }

    [Fact]
    public async Task A_signal_to_a_suspended_mailbox_is_kept_until_it_resumes()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);
        mailbox.PostSystemMessage(SuspendMailbox.Instance);
        await Eventually.Equal("messages taken", 1, () => invoker.Count);

        await _server.OnPoller(() =>
        {
            mailbox.RaiseAndRun(1);
            return true;
        });
        mailbox.PostSystemMessage(new Note("passes"));
        await Eventually.Equal("messages taken", 2, () => invoker.Count);
        Assert.Empty(mailbox.Taken);

        mailbox.PostSystemMessage(ResumeMailbox.Instance);
        await Eventually.Equal("messages taken", 4, () => invoker.Count);

        Assert.Equal([SuspendMailbox.Instance, new Note("passes"), ResumeMailbox.Instance, "signal"], invoker.Seen);
    }

    // The hooks are where a turn ends: before the mailbox is idle, and while it looks whether it may stay so.
    [Theory]
    [InlineData(SignalledMailbox.Hook.EndOfTurn)]
    [InlineData(SignalledMailbox.Hook.LastLook)]
    [InlineData(SignalledMailbox.Hook.AfterTake)]
    public async Task NP137_A_signal_at_the_end_of_a_turn_is_never_lost(SignalledMailbox.Hook hook)
    {
        // Two rounds: the last look asks for the message only where a signal is up already.
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker, rounds: 2);
        mailbox.At = hook;
        mailbox.OnHook = () =>
        {
            // From another thread, and over before the turn goes on.
            Thread foreign = new(() => mailbox.Raise(4));
            foreign.Start();
            foreign.Join();
        };

        mailbox.Raise(1);

        await Eventually.True("the signal of the hook is taken", () => mailbox.Taken.Any(static bits => (bits & 4) != 0));
        Assert.Equal(0, invoker.Overlaps);
    }

    [Theory]
    [InlineData(SignalledMailbox.Hook.EndOfTurn)]
    [InlineData(SignalledMailbox.Hook.LastLook)]
    [InlineData(SignalledMailbox.Hook.AfterTake)]
    public async Task NP137_A_signal_at_the_end_of_a_turn_follows_a_mailbox_that_is_moved_there(SignalledMailbox.Hook hook)
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker, rounds: 2);
        mailbox.At = hook;
        mailbox.OnHook = () =>
        {
            Thread foreign = new(() =>
            {
                mailbox.MoveTo(_server.Homes[1]);
                mailbox.Raise(4);
            });
            foreign.Start();
            foreign.Join();
        };

        mailbox.Raise(1);

        await Eventually.True("the signal of the hook is taken", () => mailbox.Taken.Any(static bits => (bits & 4) != 0));
        Assert.Equal(0, invoker.Overlaps);
        Assert.Same(_server.Homes[1].Poller, mailbox.LastPoller);
    }

    [Fact]
    public async Task NP137_A_signal_from_the_ready_list_of_the_poller_that_was_left_is_taken_on_the_new_one()
    {
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);

        await _server.OnPoller(() =>
        {
            mailbox.MoveTo(_server.Homes[1]);
            mailbox.RaiseAndRun(1);
            return true;
        });
        await Eventually.Equal("signals taken", 1, () => mailbox.Taken.Count);

        Assert.Same(_server.Homes[1].Poller, mailbox.LastPoller);
    }

    [Fact]
    public async Task NP137_Signals_from_foreign_threads_against_the_ends_of_turns()
    {
        int rounds = StressScale.Rounds(2_000);
        SignalledMailbox mailbox = OpenSignalled(out RecordingInvoker invoker);

        // Each waits until its own bit is taken before it raises it again: one lost signal stops its thread for good.
        Task[] senders = [.. Enumerable.Range(0, 3).Select(sender => Task.Factory.StartNew(
            () =>
            {
                int bit = 1 << sender;
                SpinWait wait = default;
                for (int round = 1; round <= rounds; round++)
                {
                    mailbox.Raise(bit);
                    while (mailbox.TakenOf(sender) < round)
                    {
                        TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                        wait.SpinOnce(sleep1Threshold: -1);
                    }
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default))];
        await Task.WhenAll(senders).Soon();

        Assert.Equal([rounds, rounds, rounds], [mailbox.TakenOf(0), mailbox.TakenOf(1), mailbox.TakenOf(2)]);
        Assert.Equal(0, invoker.Overlaps);
    }

    [Fact]
    public async Task A_supervisor_that_throws_does_not_stop_the_poller()
    {
        PollerMailbox mailbox = Open(new ThrowingInvoker());
        RecordingInvoker other = new();
        PollerMailbox neighbour = Open(other);

        mailbox.PostUserMessage("bad");
        neighbour.PostUserMessage("good");
        await Eventually.Equal("messages of the neighbour", 1, () => other.Count);
        await Eventually.Equal("errors logged", 1, () => _server.Log.Errors.Count);

        Assert.Equal(102, _server.Log.Errors[0].Id);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static Task Note(ConcurrentQueue<Poller?> threads)
    {
        threads.Enqueue(Poller.Current);
        return Task.CompletedTask;
    }

    private PollerMailbox Open(IMessageInvoker invoker, int poller = 0)
    {
        PollerMailbox mailbox = new(_server.System, _server.Homes[poller], PollerMailbox.DefaultThroughput);
        mailbox.RegisterHandlers(invoker, Dispatchers.DefaultDispatcher);
        mailbox.Start();
        return mailbox;
    }

    private SignalledMailbox OpenSignalled(out RecordingInvoker invoker, int rounds = 1)
    {
        SignalledMailbox mailbox = new(_server.System, _server.Homes[0]);
        int taken = 0;
        invoker = new RecordingInvoker
        {
            User = message =>
            {
                if (message is "signal")
                {
                    mailbox.Take();
                    if (++taken < rounds)
                    {
                        mailbox.RaiseForNextTurn(1);
                    }
                }

                return Task.CompletedTask;
            },
        };
        mailbox.RegisterHandlers(invoker, Dispatchers.DefaultDispatcher);
        mailbox.Start();
        return mailbox;
    }

    private sealed class ThrowingInvoker : IMessageInvoker
    {
        public CancellationTokenSource? CancellationTokenSource => null;

        public void EscalateFailure(Exception reason, object? message) => throw new InvalidOperationException("so does the strategy");

        public Task InvokeSystemMessageAsync(SystemMessage msg) => Task.CompletedTask;

        public Task InvokeUserMessageAsync(object msg) => throw new InvalidOperationException("on purpose");
    }
}

/// <summary>A mailbox with signals and nothing else, and with hooks where a turn ends.</summary>
public sealed class SignalledMailbox
{
    private readonly Inner _inner;
    private readonly ConcurrentQueue<int> _taken = new();
    private readonly int[] _counts = new int[3];
    private int _isHookDone;

    internal SignalledMailbox(ActorSystem system, ActorPoller home) => _inner = new Inner(this, system, home);

    /// <summary>Where the hook runs.</summary>
    public enum Hook
    {
        /// <summary>Nowhere.</summary>
        None,

        /// <summary>After the last message, before the mailbox is idle.</summary>
        EndOfTurn,

        /// <summary>While the mailbox, idle by now, looks whether signals are there.</summary>
        LastLook,

        /// <summary>Directly after the signals were taken.</summary>
        AfterTake,
    }

    public Hook At { get; set; }

    public Action? OnHook { get; set; }

    public IReadOnlyCollection<int> Taken => _taken;

    /// <summary>Where signals were last taken.</summary>
    public Poller? LastPoller { get; private set; }

    public int TakenOf(int bit) => Volatile.Read(ref _counts[bit]);

    public void Raise(int bits) => _inner.Raise(bits);

    public void RaiseAndRun(int bits) => _inner.RaiseAndRun(bits);

    public void RaiseForNextTurn(int bits) => _inner.RaiseForNextTurn(bits);

    public void PostUserMessage(object message) => _inner.PostUserMessage(message);

    public void PostSystemMessage(object message) => _inner.PostSystemMessage(message);

    public void RegisterHandlers(IMessageInvoker invoker, IDispatcher dispatcher) => _inner.RegisterHandlers(invoker, dispatcher);

    public void Start() => _inner.Start();

    internal void MoveTo(ActorPoller home) => _inner.MoveTo(home);

    public void Take()
    {
        int bits = _inner.Take();
        LastPoller = Poller.Current;
        _taken.Enqueue(bits);
        for (int bit = 0; bit < _counts.Length; bit++)
        {
            if ((bits & (1 << bit)) != 0)
            {
                Interlocked.Increment(ref _counts[bit]);
            }
        }

        Run(Hook.AfterTake);
    }

    private void Run(Hook hook)
    {
        if (At == hook && !_taken.IsEmpty && Interlocked.Exchange(ref _isHookDone, 1) == 0)
        {
            OnHook!();
        }
    }

    private sealed class Inner : PollerMailbox
    {
        private readonly SignalledMailbox _outer;

        internal Inner(SignalledMailbox outer, ActorSystem system, ActorPoller home)
            : base(system, home, DefaultThroughput) => _outer = outer;

        protected override object? SignalMessage
        {
            get
            {
                _outer.Run(Hook.LastLook);
                return "signal";
            }
        }

        internal void Raise(int bits) => Signal(bits);

        internal void RaiseAndRun(int bits) => SignalAndRun(bits);

        internal void RaiseForNextTurn(int bits) => SignalNextTurn(bits);

        internal int Take() => TakeSignals();

        protected override void EndTurn(ActorPoller home) => _outer.Run(Hook.EndOfTurn);
    }
}
