using Chat.Domain;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Domain;

/// <summary>Messages are kept before anybody hears of them, once, and told to those who come back.</summary>
public sealed class HistoryTests
{
    [Fact]
    public async Task Nobody_hears_a_message_before_it_is_stored()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("attic", "eve");

        store.Gate.Reset();
        ada.Do(session => session.Say(10, "lobby", "hello"));

        // In the same mailbox of the room, behind the message: were it told at once, this would come after it.
        ada.Do(session => session.Leave(11, "lobby"));
        eve.Do(session => session.ListRooms(12));
        await eve.Log.Hears<RoomList>();
        Assert.Empty(bob.Log.Of<RoomMessage>());
        Assert.Empty(ada.Log.Of<Said>());
        store.Gate.Set();

        await ada.Log.Hears<Left>();
        Assert.Single(ada.Log.Of<Said>());
        await bob.Log.Hears<Presence>(presence => presence.Departed.Count > 0);
        Assert.Equal(
            [typeof(RoomMessage), typeof(Presence)],
            bob.Log.All().Where(entry => entry is RoomMessage or Presence { Departed.Count: > 0 }).Select(entry => entry.GetType()));
    }

    [Fact]
    public async Task What_arrives_while_the_disk_is_busy_is_stored_in_one_batch()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        store.Gate.Reset();
        for (ulong id = 1; id <= 300; id++)
        {
            ulong request = id + 1000;
            ada.Do(session => session.Say(request, "lobby", "x"));
        }

        // Behind all of them in the room's mailbox, and refused at once.
        var asked = new TaskCompletionSource();
        ada.Do(_ =>
        {
            asked.SetResult();
            return null;
        });
        await asked.Task;
        TestPerson stranger = await chat.Person("stranger");
        stranger.Do(session => session.Say(1, "lobby", "x"));
        await stranger.Log.Hears<Refused>();
        store.Gate.Set();
        await Eventually.Equal("answers", 300, () => ada.Log.Of<Said>().Length);

        Assert.Equal(Enumerable.Range(1, 300).Select(value => (long)value), ada.Log.Of<Said>().Select(said => said.Sequence));

        // One that was under way, and one of all the others; or all in one.
        Assert.InRange(store.Batches, 1, 2);
    }

    [Fact]
    public async Task A_message_that_cannot_be_stored_is_refused_told_to_nobody_and_takes_no_number()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        store.Fails = true;
        ada.Do(session => session.Say(10, "lobby", "lost"));
        Refused refused = await ada.Log.Hears<Refused>();
        store.Fails = false;
        ada.Do(session => session.Say(11, "lobby", "kept"));

        Assert.Equal((10UL, RefusalReason.Unavailable), (refused.RequestId, refused.Reason));
        Assert.Contains("no space left", refused.Text, StringComparison.Ordinal);
        Assert.Equal((1L, "kept"), ((await bob.Log.Hears<RoomMessage>()).Sequence, bob.Log.Of<RoomMessage>().Single().Text));
    }

    [Fact]
    public async Task A_room_whose_history_cannot_be_read_lets_nobody_in_and_opens_when_it_can()
    {
        using var store = new FailingStore { Fails = true };
        await using var chat = new TestChat(store: store);
        TestPerson ada = await chat.Person("ada");

        ada.Do(session => session.Join(5, "lobby"));
        Refused refused = await ada.Log.Hears<Refused>();
        store.Fails = false;
        await Eventually.True("the room opens", () =>
        {
            ada.Do(session => session.Join(6, "lobby"));
            return ada.Log.Of<Joined>().Length > 0;
        });

        Assert.Equal((5UL, RefusalReason.Unavailable), (refused.RequestId, refused.Reason));
    }

    /// <summary>The answer of the history may be there before the request that the room was made for.</summary>
    [Fact]
    public async Task A_room_whose_history_cannot_be_read_lets_nobody_in_however_soon_that_is_known()
    {
        // As many as one person may be in, for each.
        const int Rooms = 30;
        using var store = new FailingStore { Fails = true };
        await using var chat = new TestChat(store: store);
        List<TestPerson> people = await chat.Crowd(10);

        foreach ((int number, TestPerson person) in people.Index())
        {
            for (int room = 1; room <= Rooms; room++)
            {
                string name = $"room{number}-{room}";
                ulong request = (ulong)room;
                person.Do(session => session.Join(request, name));
            }
        }

        foreach (TestPerson person in people)
        {
            await Eventually.True("all answers", () => person.Log.Of<Refused>().Length + person.Log.Of<Joined>().Length == Rooms);
            Assert.Empty(person.Log.Of<Joined>());
            Assert.All(person.Log.Of<Refused>(), static refused => Assert.Equal(RefusalReason.Unavailable, refused.Reason));
        }
    }

    [Fact]
    public async Task A_repeated_message_gets_the_first_answer_and_is_told_to_nobody()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        ada.Do(session => session.Say(10, "lobby", "hello", messageId: "id-1"));
        Said first = await ada.Log.Hears<Said>();
        chat.Time.Advance(TimeSpan.FromHours(1));
        ada.Do(session => session.Say(11, "lobby", "hello", messageId: "id-1"));
        ada.Do(session => session.Say(12, "lobby", "other", messageId: "id-1"));
        Said second = await ada.Log.Hears<Said>(said => said.RequestId == 11);
        Refused refused = await ada.Log.Hears<Refused>(refused => refused.RequestId == 12);
        ada.Do(session => session.Say(13, "lobby", "end"));
        await bob.Log.Hears<RoomMessage>(message => message.Text == "end");

        Assert.Equal(first with { RequestId = 11, IsRepetition = true }, second);
        Assert.Equal(RefusalReason.MessageIdTaken, refused.Reason);
        Assert.Equal(["hello", "end"], bob.Log.Of<RoomMessage>().Select(message => message.Text));
    }

    [Fact]
    public async Task Whoever_comes_is_told_the_last_messages_that_they_ask_for()
    {
        await using var chat = new TestChat();
        await Speak(chat, 5);
        TestPerson bob = await chat.Person("bob");

        bob.Do(session => session.Join(2, "lobby", new Replay(3)));

        Joined joined = await bob.Log.Hears<Joined>();
        Assert.Equal(["3", "4", "5"], joined.Replay.Select(message => message.Text));
        Assert.Equal((5L, (Gap?)null), (joined.Sequence, joined.Gap));
    }

    [Theory]
    [InlineData(0, 7, 10, 1, 6)]
    [InlineData(5, 7, 10, 6, 6)]
    [InlineData(6, 7, 10, 0, 0)]
    [InlineData(9, 10, 10, 0, 0)]
    [InlineData(10, 0, 0, 0, 0)]
    [InlineData(99, 7, 10, 1, 6)]
    public async Task Whoever_comes_back_is_told_all_since_and_what_is_missing(int since, int first, int last, int gapFirst, int gapLast)
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 1000, ReplayMessages = 4 });
        await Speak(chat, 10);
        TestPerson bob = await chat.Person("bob");

        bob.Do(session => session.Join(2, "lobby", new Replay(0, since)));

        Joined joined = await bob.Log.Hears<Joined>();
        Assert.Equal(first == 0 ? [] : Enumerable.Range(first, last - first + 1).Select(value => (long)value), joined.Replay.Select(message => message.Sequence));
        Assert.Equal(gapFirst == 0 ? null : new Gap(gapFirst, gapLast), joined.Gap);
    }

    [Fact]
    public async Task A_replay_is_bounded_in_bytes_and_age_and_says_what_it_leaves_out()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 1000, ReplayBytes = 4096, ReplayAge = TimeSpan.FromHours(1) });
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        for (ulong id = 1; id <= 5; id++)
        {
            ulong request = id + 100;
            ada.Do(session => session.Say(request, "lobby", new string('x', 1000)));
        }

        await ada.Log.Hears<Said>(said => said.Sequence == 5);
        TestPerson bob = await chat.Person("bob");
        bob.Do(session => session.Join(2, "lobby", new Replay(0, 0)));
        Joined cut = await bob.Log.Hears<Joined>();
        chat.Time.Advance(TimeSpan.FromHours(2));
        TestPerson eve = await chat.Person("eve");
        eve.Do(session => session.Join(2, "lobby", new Replay(0, 3)));
        Joined old = await eve.Log.Hears<Joined>();

        Assert.Equal([3L, 4, 5], cut.Replay.Select(message => message.Sequence));
        Assert.Equal(new Gap(1, 2), cut.Gap);
        Assert.Empty(old.Replay);
        Assert.Equal(new Gap(4, 5), old.Gap);
    }

    [Fact]
    public async Task A_gap_can_be_filled_page_by_page_by_those_who_are_in_the_room()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 1000, ReplayMessages = 4 });
        await Speak(chat, 10);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("attic", "eve");

        bob.Do(session => session.ReadHistory(5, "lobby", 0, 3));
        bob.Do(session => session.ReadHistory(6, "lobby", 6, 100));
        eve.Do(session => session.ReadHistory(7, "lobby", 0, 3));

        HistoryPage page = await bob.Log.Hears<HistoryPage>(page => page.RequestId == 5);
        Assert.Equal([1L, 2, 3], page.Messages.Select(message => message.Sequence));
        Assert.False(page.IsLast);
        HistoryPage rest = await bob.Log.Hears<HistoryPage>(page => page.RequestId == 6);
        Assert.Equal([7L, 8, 9, 10], rest.Messages.Select(message => message.Sequence));
        Assert.True(rest.IsLast);
        Assert.Equal(RefusalReason.NotInRoom, (await eve.Log.Hears<Refused>(refused => refused.RequestId == 7)).Reason);
    }

    private static async Task Speak(TestChat chat, int messages)
    {
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        for (int message = 1; message <= messages; message++)
        {
            string text = $"{message}";
            ada.Do(session => session.Say(100, "lobby", text));
        }

        await ada.Log.Hears<Said>(said => said.Sequence == messages);
    }
}
