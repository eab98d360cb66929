using Chat.Domain;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Domain;

/// <summary>Who leaves the chat altogether, and what their rooms tell of it.</summary>
public sealed class QuitTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Each_room_tells_it_once_and_knows_who_has_heard_it(bool isBig, bool dies)
    {
        await using var chat = new TestChat(Options(isBig ? 0 : 50));
        TestPerson both = await chat.PersonIn("lobby", "both");
        TestPerson one = await chat.PersonIn("attic", "one", chat.Back);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(both, "attic");
        await Join(ada, "attic");

        if (dies)
        {
            await ada.Die();
        }
        else
        {
            ada.Do(static session =>
            {
                session.Quit("good night");
                return null;
            });
        }

        await Eventually.Equal("rooms that have told it", 2, () => Exits(both).Length);
        await Eventually.Equal("rooms that have told it", 1, () => Exits(one).Length);
        Departure[] exits = Exits(both);
        Assert.All(exits, exit => Assert.Equal(
            ("ada", dies ? "the connection failed" : "good night", !dies), (exit.Name, exit.Reason, exit.Exit!.IsOwnWish)));
        Assert.Equal([(false, false), (true, true)], exits.Select(exit => (exit.Exit!.Round.IsKnownTo(both.Self), exit.Exit.Round.IsLast)));
        await both.Settled("attic");
        Assert.Equal(2, Exits(both).Length);
    }

    [Fact]
    public async Task Whoever_leaves_a_room_only_has_not_left_the_chat()
    {
        await using var chat = new TestChat();
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        ada.Do(session => session.Leave(8, "lobby", "tea"));

        Presence presence = await bob.Log.Hears<Presence>(presence => presence.Departed.Count > 0);
        Assert.Equal([new Departure("ada", "tea")], presence.Departed);
    }

    [Fact]
    public async Task Many_who_leave_big_rooms_together_are_told_in_a_few_notices()
    {
        const int People = 1000;
        await using var chat = new TestChat(Options(batchFrom: 0));
        TestPerson stayer = await chat.PersonIn("hall", "stayer");
        await Join(stayer, "yard");
        List<TestPerson> people = await chat.Crowd(People);
        foreach (TestPerson person in people)
        {
            person.Do(session => session.Join(2, "hall"));
            person.Do(session => session.Join(3, "yard"));
        }

        await Eventually.Equal("arrivals told", 2 * (People + 1), () => stayer.Log.Of<Presence>().Sum(presence => presence.Arrived.Count));
        int before = chat.Front.Publishes;
        foreach (TestPerson person in people)
        {
            person.End();
        }

        await Eventually.Equal("departures told", 2 * People, () => Exits(stayer).Length);
        Assert.InRange(chat.Front.Publishes - before, 2, 200);
        Assert.Equal(People, Exits(stayer).Count(exit => exit.Exit!.Round.IsKnownTo(stayer.Self)));

        // Who has heard it is listed once for all who left together.
        Assert.InRange(Exits(stayer).SelectMany(static exit => exit.Exit!.Round.Told).Distinct(ReferenceEqualityComparer.Instance).Count(), 1, 100);
    }

    [Fact]
    public async Task Nobody_gets_the_name_before_all_rooms_have_told_it()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson first = chat.Stranger();
        TestPerson second = chat.Stranger();

        // The lobby cannot tell anything before the message is stored.
        store.Gate.Reset();
        ada.Do(session => session.Say(9, "lobby", "last words"));
        ada.End();
        await Eventually.Equal("people", 1, () => chat.Domain.Figures.People);
        first.Do(session => session.Claim(1, "Ada"));
        second.Do(session => session.Claim(1, "ADA"));
        bob.Do(session => session.WhoIs(10, "ada"));
        await bob.Log.Hears<Refused>(refused => refused.Reason == RefusalReason.NoSuchPerson);
        Assert.Empty(first.Log.All());
        Assert.Empty(second.Log.All());
        store.Gate.Set();
        await Eventually.Equal("answers", 2, () => first.Log.All().Length + second.Log.All().Length);

        // Whoever of them came first.
        (TestPerson heir, TestPerson other) = first.Log.Of<NameClaimed>().Length > 0 ? (first, second) : (second, first);
        string name = (await heir.Log.Hears<NameClaimed>()).Person.Name;
        Assert.Equal(RefusalReason.NameTaken, (await other.Log.Hears<Refused>()).Reason);
        heir.Do(session => session.Join(2, "lobby"));
        await bob.Log.Hears<Presence>(presence => presence.Arrived.Contains(name));

        Assert.Equal(
            ["+ada", "last words", "-ada", $"+{name}"],
            bob.Log.All().Select(static entry => entry switch
            {
                Presence { Arrived: [var name] } => $"+{name}",
                Presence { Departed: [var departure] } => $"-{departure.Name}",
                RoomMessage message => message.Text,
                _ => "",
            }).Where(static entry => entry.Length > 0));
    }

    [Fact]
    public async Task A_room_that_fails_or_empties_in_between_keeps_nobodys_name()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        chat.Back.Poison = "boom";
        await chat.PersonIn("lobby", "bob", chat.Back);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(ada, "attic");
        TestPerson next = chat.Stranger();

        store.Gate.Reset();
        ada.Do(session => session.Say(9, "lobby", "boom"));
        ada.End();
        await Eventually.Equal("people", 1, () => chat.Domain.Figures.People);
        next.Do(session => session.Claim(1, "ada"));
        store.Gate.Set();

        await next.Log.Hears<NameClaimed>();
    }

    [Fact]
    public async Task Whoever_is_still_in_a_room_when_the_register_hears_of_their_end_is_taken_out_first()
    {
        await using var chat = new TestChat();
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        Person gone = (await ada.Log.Hears<NameClaimed>()).Person;

        // As if its end had reached the register only.
        chat.Domain.Rooms.Tell(new AwaitQuit(gone, bob.Self));
        await bob.Log.Hears<HasQuit>();

        Assert.Equal("ada", Assert.Single(Exits(bob)).Name);
    }

    [Fact]
    public async Task Whoever_dies_before_a_room_has_let_them_in_is_out_of_it_all_the_same()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(store: store);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(bob, "attic");
        var asked = new TaskCompletionSource();

        // Neither room takes anything before its message is stored.
        store.Gate.Reset();
        bob.Do(session => session.Say(9, "attic", "x"));
        bob.Do(session => session.Say(10, "lobby", "x"));
        await bob.Settled("nowhere");
        ada.Do(session =>
        {
            Refused? refused = session.Join(9, "attic");
            asked.SetResult();
            return refused;
        });
        await asked.Task;
        await ada.Die();
        store.Gate.Set();

        await Eventually.Equal("rooms that have told it", 2, () => Exits(bob).Length);
        await CanBeClaimed(chat, "ada");
        bob.Do(session => session.Who(20, "attic"));
        Assert.Equal(["bob"], (await bob.Log.Hears<RoomMembers>(members => members.RequestId == 20)).Members);
    }

    private static async Task CanBeClaimed(TestChat chat, string name)
    {
        TestPerson next = chat.Stranger();
        next.Do(session => session.Claim(1, name));
        await next.Log.Hears<NameClaimed>();
    }

    private static ChatOptions Options(int batchFrom) => new()
    {
        FloodBurst = 1_000_000,
        PresenceBatchFrom = batchFrom,
        PresenceInterval = TimeSpan.FromMilliseconds(100),
    };

    private static async Task Join(TestPerson person, string room)
    {
        person.Do(session => session.Join(3, room));
        await person.Log.Hears<Joined>(joined => joined.Room == room);
    }

    private static Departure[] Exits(TestPerson person)
        => [.. person.Log.Of<Presence>().SelectMany(static presence => presence.Departed).Where(static departure => departure.Exit is not null)];
}
