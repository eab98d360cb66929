using System.Collections.Concurrent;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <content>Messages and what comes between mailbox and actor.</content>
public abstract partial class MailboxActorContractTests
{
    [Fact]
    public async Task A_batch_reaches_the_actor_as_its_messages()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(Record)));

        Root.Send(pid, new Batch("a", "b"));
        await Root.PoisonAsync(pid).Soon();

        Assert.Equal(["Started", "a", "b", "Stopping", "Stopped"], _seen);
    }

    [Fact]
    public async Task A_touch_is_answered_by_itself_and_seen()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(Record)));

        Touched touched = await Root.RequestAsync<Touched>(pid, new Touch(), TestContext.Current.CancellationToken).Soon();

        Assert.Equal(pid, touched.Who);
        Assert.Equal(["Started", "Touch"], _seen);
    }

    [Fact]
    public async Task A_poison_pill_stops_ahead_of_what_was_queued_behind_it()
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
        Task<bool> stopped = await Server.Watch(pid, static _ => true);
        Root.Send(pid, "slow");
        Root.Send(pid, PoisonPill.Instance);
        Root.Send(pid, "late");

        gate.SetResult();
        await stopped.Soon();
        await Eventually.Equal("dead letters", 1, () => Server.DeadLetters.Count);

        Assert.Equal(["Started", "slow", "Stopping", "Stopped"], _seen);
        Assert.Equal(["late"], Server.DeadLetters);
    }

    [Fact]
    public async Task An_answer_after_an_await_reaches_who_asked()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(static async context =>
        {
            if (context.Message is string)
            {
                await Task.Run(static () => { });
                context.Respond($"{context.Message}!");
            }
        })));

        Assert.Equal("hello!", await Root.RequestAsync<string>(pid, "hello", TestContext.Current.CancellationToken).Soon());
    }

    [Fact]
    public async Task What_was_stashed_is_handled_within_the_message_that_takes_it_out()
    {
        List<CapturedContext> stash = [];
        bool isOpen = false;
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            switch (context.Message)
            {
                case "open":
                    isOpen = true;
                    foreach (CapturedContext captured in stash)
                    {
                        await captured.Receive();
                        _seen.Enqueue($"back at {context.Message}");
                    }

                    break;
                case string when !isOpen:
                    stash.Add(context.Capture());
                    break;
                case string:
                    await Task.Run(static () => { });
                    _seen.Enqueue($"handled {context.Message}");
                    break;
            }
        })));
        foreach (string message in new[] { "a", "b", "open", "c" })
        {
            Root.Send(pid, message);
        }

        await Eventually.True("the last message is handled", () => _seen.Contains("handled c"));

        Assert.Equal(["handled a", "back at open", "handled b", "back at open", "handled c"], _seen);
    }

    [Theory]
    [InlineData("middleware")]
    [InlineData("decorator")]
    public async Task What_stands_between_mailbox_and_actor_sees_the_end_of_a_handler_that_awaits(string kind)
    {
        TaskCompletionSource gate = new();
        Props props = With(Props.FromFunc(async context =>
        {
            await Record(context);
            if (context.Message is "slow")
            {
                await gate.Task;
                _seen.Enqueue("handled");
            }
        }));
        PID pid = Root.Spawn(kind == "middleware"
            ? props.WithReceiverMiddleware(next => async (context, envelope) =>
            {
                await next(context, envelope);
                NoteEndOf(envelope);
            })
            : props.WithContextDecorator(context => new NotingContext(context, NoteEndOf)));
        Root.Send(pid, "slow");
        await Eventually.True("the message is taken", () => _seen.Contains("slow"));

        gate.SetResult();
        await Eventually.True("the end is seen", () => _seen.Contains("end of slow"));

        Assert.Equal(["slow", "handled", "end of slow"], _seen.Where(static entry => entry is not "Started"));

        void NoteEndOf(MessageEnvelope envelope)
        {
            if (envelope.Message is string)
            {
                _seen.Enqueue($"end of {envelope.Message}");
            }
        }
    }

    [Fact]
    public async Task The_receive_timeout_counts_from_the_end_of_a_handler()
    {
        TimeSpan timeout = TimeSpan.FromMilliseconds(250);
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            switch (context.Message)
            {
                case Started:
                    context.SetReceiveTimeout(timeout);
                    break;
                case ReceiveTimeout:
                    _seen.Enqueue("timeout");
                    break;
                case string message:
                    if (message is "slow")
                    {
                        await Task.Delay(3 * timeout);
                    }

                    _seen.Enqueue(message);
                    break;
            }
        })));
        Root.Send(pid, "slow");
        Root.Send(pid, "next");

        await Eventually.True("a timeout arrives", () => _seen.Contains("timeout"));

        Assert.Equal(["slow", "next", "timeout"], _seen.Take(3));
    }

    [Fact]
    public async Task A_continuation_is_dropped_when_the_actor_was_restarted_meanwhile()
    {
        TaskCompletionSource task = new();
        PID pid = SpawnChild(SupervisorDirective.Restart, context =>
        {
            switch (context.Message)
            {
                case "later":
                    context.ReenterAfter(task.Task, () => _seen.Enqueue("continued"));
                    break;
                case "bad":
                    throw new InvalidOperationException("on purpose");
            }

            return Record(context);
        });
        Root.Send(pid, "later");
        Root.Send(pid, "bad");
        Root.Send(pid, "restarted");
        await Eventually.True("the actor was restarted", () => _seen.Contains("restarted"));

        task.SetResult(); // Posts the continuation before it returns.
        Root.Send(pid, "last");
        await Eventually.True("the last message is taken", () => _seen.Contains("last"));

        Assert.Equal(["Started", "later", "Restarting", "Started", "restarted", "last"], _seen);
    }

    [Fact]
    public async Task A_handler_that_waits_with_its_token_ends_when_the_actor_is_stopped()
    {
        PID pid = Root.Spawn(With(Props.FromFunc(async context =>
        {
            await Record(context);
            if (context.Message is "waits")
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken).ContinueWith(static _ => { }, TaskScheduler.Default);
                _seen.Enqueue("told");
            }
        })));
        Root.Send(pid, "waits");
        await Eventually.True("the message is taken", () => _seen.Contains("waits"));

        await Root.StopAsync(pid).Soon();

        Assert.Equal(["Started", "waits", "told", "Stopping", "Stopped"], _seen);
    }

    [Fact]
    public async Task Statistics_are_told_of_what_is_posted_and_of_what_was_handled()
    {
        RecordingStatistics statistics = new();
        Batch batch = new("b", "c");
        PID pid = Root.Spawn(With(
            Props.FromFunc(async context =>
            {
                switch (context.Message)
                {
                    case "a":
                        await Task.Run(static () => { });
                        break;
                    case "bad":
                        throw new InvalidOperationException("on purpose");
                }
            }),
            () => statistics).WithGuardianSupervisorStrategy(ResumeAlways));

        Root.Send(pid, "a");
        Root.Send(pid, "bad");
        Root.Send(pid, batch);
        await Eventually.True("the last message is handled", () => statistics.Handled.Contains("c"));
        await Eventually.True("the mailbox is empty", () => statistics.Last is "empty");

        Assert.Equal(1, statistics.Starts);
        Assert.Equal(["a", "bad", "b", "c", batch], statistics.Posted.Where(static message => message is not InfrastructureMessage));
        Assert.Equal(["a", "b", "c"], statistics.Handled.Where(static message => message is not InfrastructureMessage));
        Assert.Contains(statistics.Posted, static message => message is Started);
        Assert.Contains(statistics.Handled, static message => message is Started);
    }

    private static ISupervisorStrategy ResumeAlways { get; } = new OneForOneStrategy(static (_, _) => SupervisorDirective.Resume, 0, null);

    private sealed record Batch(params object[] Messages) : IMessageBatch
    {
        public IReadOnlyCollection<object> GetMessages() => Messages;
    }

    private sealed class NotingContext(IContext inner, Action<MessageEnvelope> atEnd) : ActorContextDecorator(inner)
    {
        public override async Task Receive(MessageEnvelope envelope)
        {
            await base.Receive(envelope);
            atEnd(envelope);
        }
    }

    private sealed class RecordingStatistics : IMailboxStatistics
    {
        private readonly ConcurrentQueue<object> _posted = new();
        private readonly ConcurrentQueue<object> _handled = new();
        private int _starts;
        private string _last = "nothing";

        public int Starts => Volatile.Read(ref _starts);

        public IReadOnlyCollection<object> Posted => _posted;

        public IReadOnlyCollection<object> Handled => _handled;

        public string Last => Volatile.Read(ref _last);

        public void MailboxStarted() => Interlocked.Increment(ref _starts);

        public void MessagePosted(object message) => _posted.Enqueue(MessageEnvelope.UnwrapMessage(message)!);

        public void MessageReceived(object message)
        {
            Volatile.Write(ref _last, "handled");
            _handled.Enqueue(MessageEnvelope.UnwrapMessage(message)!);
        }

        public void MailboxEmpty() => Volatile.Write(ref _last, "empty");
    }
}
