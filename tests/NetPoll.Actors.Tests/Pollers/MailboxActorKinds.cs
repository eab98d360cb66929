using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Pollers;

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

    [Fact]
    public void Differs_an_actor_that_cannot_be_made_keeps_its_name_for_ever()
    {
        IRootContext root = Server.System.Root;
        Assert.Throws<InvalidOperationException>(() => root.SpawnNamed(With(Props.FromProducer(static () => throw new InvalidOperationException())), "name"));

        Assert.Throws<ProcessNameExistException>(() => root.SpawnNamed(With(Props.FromFunc(Record)), "name"));
    }

    private protected override Props With(Props props, Func<IMailboxStatistics>? statistics = null) => statistics is null
        ? props
        : props.WithMailbox(() => UnboundedMailbox.Create(statistics()));
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

    [Fact]
    public async Task Differs_an_actor_that_cannot_be_made_leaves_its_name_free()
    {
        IRootContext root = Server.System.Root;
        Assert.Throws<InvalidOperationException>(() => root.SpawnNamed(With(Props.FromProducer(static () => throw new InvalidOperationException())), "name"));

        PID pid = root.SpawnNamed(With(Props.FromFunc(Record)), "name");
        root.Send(pid, "hello");

        await Eventually.True("the message is taken", () => Seen.Contains("hello"));
    }

    private protected override Props With(Props props, Func<IMailboxStatistics>? statistics = null) =>
        props.OnPoller(PollerChoice.At(1), statistics);
}
