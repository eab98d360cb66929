using System.Collections.Concurrent;
using NetPoll.Actors.Pollers;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>What every mailbox must do, seen from the place of the actor context.</summary>
public abstract class MailboxContractTests : IAsyncDisposable
{
    private protected TestServer Server { get; } = new(pollers: 2);

    [Fact]
    public async Task System_messages_are_taken_before_the_user_messages_that_wait()
    {
        TaskCompletionSource gate = new();
        RecordingInvoker invoker = new() { User = message => message is "first" ? gate.Task : Task.CompletedTask };
        IMailbox mailbox = Open(invoker);
        mailbox.PostUserMessage("first");
        await Eventually.Equal("messages taken", 1, () => invoker.Count);

        mailbox.PostUserMessage("second");
        mailbox.PostUserMessage("third");
        mailbox.PostSystemMessage(new Note("a"));
        mailbox.PostSystemMessage(new Note("b"));
        gate.SetResult();
        await Eventually.Equal("messages taken", 5, () => invoker.Count);

        Assert.Equal(["first", new Note("a"), new Note("b"), "second", "third"], invoker.Seen);
    }

    [Fact]
    public async Task Before_each_user_message_the_system_messages_are_looked_at()
    {
        IMailbox mailbox = null!;
        RecordingInvoker invoker = new()
        {
            User = message =>
            {
                mailbox.PostSystemMessage(new Note((string)message));
                return Task.CompletedTask;
            },
        };
        mailbox = Open(invoker);
        mailbox.PostSystemMessage(SuspendMailbox.Instance);
        mailbox.PostUserMessage("a");
        mailbox.PostUserMessage("b");
        mailbox.PostSystemMessage(ResumeMailbox.Instance);
        await Eventually.Equal("messages taken", 6, () => invoker.Count);

        Assert.Equal(["a", new Note("a"), "b", new Note("b")], invoker.Seen.Where(static message => message is string or Note));
    }

    [Fact]
    public async Task A_suspended_mailbox_takes_system_messages_only()
    {
        RecordingInvoker invoker = new();
        IMailbox mailbox = Open(invoker);
        SuspendMailbox suspend = SuspendMailbox.Instance;
        ResumeMailbox resume = ResumeMailbox.Instance;

        mailbox.PostSystemMessage(suspend);
        mailbox.PostUserMessage("waits");
        mailbox.PostSystemMessage(new Note("passes"));
        await Eventually.Equal("messages taken", 2, () => invoker.Count);
        Assert.Equal(1, mailbox.UserMessageCount);

        mailbox.PostSystemMessage(resume);
        await Eventually.Equal("messages taken", 4, () => invoker.Count);

        Assert.Equal([suspend, new Note("passes"), resume, "waits"], invoker.Seen);
        Assert.Equal(0, mailbox.UserMessageCount);
    }

    [Fact]
    public async Task While_a_task_is_unfinished_nothing_is_taken_not_even_a_system_message()
    {
        TaskCompletionSource gate = new();
        RecordingInvoker invoker = new() { User = message => message is "slow" ? gate.Task : Task.CompletedTask };
        IMailbox mailbox = Open(invoker);
        mailbox.PostUserMessage("slow");
        await Eventually.Equal("messages taken", 1, () => invoker.Count);

        mailbox.PostUserMessage("next");
        mailbox.PostSystemMessage(new Note("system"));
        RecordingInvoker other = new();
        IMailbox neighbour = Open(other);
        neighbour.PostUserMessage("neighbour");
        await Eventually.Equal("the neighbour's messages taken", 1, () => other.Count);
        Assert.Equal(1, invoker.Count);

        gate.SetResult();
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal(["slow", new Note("system"), "next"], invoker.Seen);
        Assert.Equal(0, invoker.Overlaps);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_exception_is_escalated_with_its_message_and_the_next_message_is_taken(bool isAsync)
    {
        InvalidOperationException failure = new("on purpose");
        RecordingInvoker invoker = new()
        {
            User = async message =>
            {
                if (message is "bad")
                {
                    if (isAsync)
                    {
                        await Task.Yield();
                    }

                    throw failure;
                }
            },
        };
        IMailbox mailbox = Open(invoker);

        mailbox.PostUserMessage("bad");
        mailbox.PostUserMessage("good");
        await Eventually.Equal("messages and failures", 3, () => invoker.Count);

        Assert.Equal(["bad", new RecordingInvoker.Failure(failure, "bad"), "good"], invoker.Seen);
    }

    [Fact]
    public async Task A_batch_is_unpacked_into_its_messages()
    {
        RecordingInvoker invoker = new();
        IMailbox mailbox = Open(invoker);

        mailbox.PostUserMessage(new Batch("a", "b"));
        mailbox.PostUserMessage("c");
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal(["a", "b", "c"], invoker.Seen);
    }

    [Fact]
    public async Task A_batch_in_an_envelope_is_unpacked_as_well()
    {
        RecordingInvoker invoker = new();
        IMailbox mailbox = Open(invoker);

        mailbox.PostUserMessage(new MessageEnvelope(new Batch("a", "b"), null, null));
        mailbox.PostUserMessage("c");
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal(["a", "b", "c"], invoker.Seen);
    }

    [Fact]
    public async Task A_batch_that_answers_by_itself_follows_its_messages()
    {
        RecordingInvoker invoker = new();
        IMailbox mailbox = Open(invoker);
        AnsweringBatch batch = new("a", "b");
        MessageEnvelope envelope = new(batch, null, null);

        mailbox.PostUserMessage(envelope);
        await Eventually.Equal("messages taken", 3, () => invoker.Count);

        Assert.Equal(["a", "b", envelope], invoker.Seen);
    }

    [Fact]
    public async Task Stop_cancels_what_the_handler_waits_for_at_once()
    {
        using CancellationTokenSource cancellation = new();
        RecordingInvoker invoker = new() { CancellationTokenSource = cancellation, User = _ => Task.Delay(Timeout.Infinite, cancellation.Token) };
        IMailbox mailbox = Open(invoker);
        mailbox.PostUserMessage("waits for ever");
        await Eventually.Equal("messages taken", 1, () => invoker.Count);

        mailbox.PostSystemMessage(Stop.Instance);

        Assert.True(cancellation.IsCancellationRequested);
        await Eventually.True("Stop is taken", () => invoker.Seen.Contains(Stop.Instance));
    }

    [Fact]
    public async Task No_two_messages_at_once_and_each_sender_in_order_under_eight_threads()
    {
        const int Senders = 8;
        int each = StressScale.Rounds(2_000);
        RecordingInvoker invoker = new()
        {
            User = message => ((Sent)message).Number % 1_000 == 0 ? Task.Run(static () => { }) : Task.CompletedTask,
        };
        IMailbox mailbox = Open(invoker);

        Task[] senders = [.. Enumerable.Range(0, Senders).Select(sender => Task.Factory.StartNew(
            () =>
            {
                for (int number = 0; number < each; number++)
                {
                    mailbox.PostUserMessage(new Sent(sender, number));
                    if (number % 100 == 0)
                    {
                        mailbox.PostSystemMessage(new Note("between"));
                    }
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default))];
        await Task.WhenAll(senders).Soon();
        int total = Senders * (each + ((each + 99) / 100));
        await Eventually.Equal("messages taken", total, () => invoker.Count);

        Assert.Equal(0, invoker.Overlaps);
        for (int sender = 0; sender < Senders; sender++)
        {
            Assert.Equal(Enumerable.Range(0, each), invoker.Seen.OfType<Sent>().Where(sent => sent.Sender == sender).Select(static sent => sent.Number));
        }
    }

    [Fact]
    public async Task No_message_is_left_behind_when_posts_meet_the_end_of_a_turn()
    {
        int rounds = StressScale.Rounds(3_000);
        RecordingInvoker invoker = new();
        IMailbox mailbox = Open(invoker);
        int turn = 0;

        // In step: each post follows as closely as can be on the end of the turn that took the one before it.
        Task[] senders = [.. Enumerable.Range(0, 2).Select(sender => Task.Factory.StartNew(
            () =>
            {
                SpinWait wait = default;
                for (int round = sender; round < rounds; round += 2)
                {
                    while (Volatile.Read(ref turn) != round || invoker.Count < round)
                    {
                        TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                        wait.SpinOnce(sleep1Threshold: -1);
                    }

                    if (round % 3 == 0)
                    {
                        mailbox.PostSystemMessage(new Note("a"));
                    }
                    else
                    {
                        mailbox.PostUserMessage("b");
                    }

                    Volatile.Write(ref turn, round + 1);
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default))];
        await Task.WhenAll(senders).Soon();

        await Eventually.Equal("messages taken", rounds, () => invoker.Count);
    }

    [Fact]
    public async Task The_throughput_lets_another_mailbox_of_the_thread_take_its_turn()
    {
        ConcurrentQueue<object> order = new();
        RecordingInvoker first = new() { User = Note };
        RecordingInvoker second = new() { User = Note };
        IMailbox a = OpenOnPoller(first, throughput: 2);
        IMailbox b = OpenOnPoller(second, throughput: 2);

        // Posted while the thread is here, so that both find all of it.
        await Server.OnPoller(() =>
        {
            for (int round = 0; round < 5; round++)
            {
                a.PostUserMessage("a");
                b.PostUserMessage("b");
            }

            return true;
        });
        await Eventually.Equal("messages handled", 10, () => order.Count);

        Assert.Equal(["a", "a", "b", "b", "a", "a", "b", "b", "a", "b"], order);

        Task Note(object message)
        {
            order.Enqueue(message);
            return Task.CompletedTask;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>A mailbox that has started.</summary>
    private protected abstract IMailbox Open(IMessageInvoker invoker);

    /// <summary>The same, with its turns on the first poller's thread.</summary>
    private protected abstract IMailbox OpenOnPoller(IMessageInvoker invoker, int throughput);

    private sealed record Sent(int Sender, int Number);

    private class Batch(params object[] messages) : IMessageBatch
    {
        public IReadOnlyCollection<object> GetMessages() => messages;
    }

    private sealed class AnsweringBatch(params object[] messages) : Batch(messages), IAutoRespond
    {
        public object GetAutoResponse(IContext context) => "answer";
    }
}

/// <summary>The measure: Proto.Actor's own.</summary>
public sealed class DefaultMailboxContractTests : MailboxContractTests
{
    private protected override IMailbox Open(IMessageInvoker invoker) => Open(invoker, Dispatchers.DefaultDispatcher);

    private protected override IMailbox OpenOnPoller(IMessageInvoker invoker, int throughput) =>
        Open(invoker, new PollerDispatcher(Server.Homes[0].Poller, throughput));

    private static IMailbox Open(IMessageInvoker invoker, IDispatcher dispatcher)
    {
        IMailbox mailbox = UnboundedMailbox.Create();
        mailbox.RegisterHandlers(invoker, dispatcher);
        mailbox.Start();
        return mailbox;
    }

    private sealed class PollerDispatcher(Poller poller, int throughput) : IDispatcher
    {
        public int Throughput => throughput;

        public void Schedule(Func<Task> runner) => poller.Post(() => _ = runner());
    }
}

/// <summary>Ours.</summary>
public sealed class PollerMailboxContractTests : MailboxContractTests
{
    private protected override IMailbox Open(IMessageInvoker invoker) => OpenOnPoller(invoker, PollerMailbox.DefaultThroughput);

    private protected override IMailbox OpenOnPoller(IMessageInvoker invoker, int throughput)
    {
        PollerMailbox mailbox = new(Server.System, Server.Homes[0], throughput);
        mailbox.RegisterHandlers(invoker, Dispatchers.DefaultDispatcher);
        mailbox.Start();
        return mailbox;
    }
}
