using Chat.Domain;
using Chat.Tests.Support;

namespace Chat.Tests.Domain;

/// <summary>Who takes another name, and what their rooms tell of it.</summary>
public sealed class RenameTests
{
    private const string Password = "correct horse";
    private static readonly string Hash = PasswordHash.Create(Password);

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    public async Task Each_room_tells_it_once_and_knows_who_has_heard_it(int batchFrom)
    {
        await using var chat = new TestChat(Options(batchFrom));
        TestPerson both = await chat.PersonIn("lobby", "both");
        TestPerson one = await chat.PersonIn("attic", "one", chat.Back);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(both, "attic");
        await Join(ada, "attic");

        ada.Do(session => session.ChangeName(9, "Countess"));
        await ada.Log.Hears<HasRenamed>();
        await both.Settled("lobby");
        await both.Settled("attic");
        await one.Settled("attic");

        Renamed[] told = both.Log.Of<Renamed>();
        Assert.All(told, renamed => Assert.Equal(("ada", "Countess"), (renamed.OldName, renamed.NewName)));
        Assert.Equal([(false, false), (true, true)], told.Select(renamed => (renamed.Round.IsKnownTo(both.Self), renamed.Round.IsLast)));
        Assert.Equal(["attic", "lobby"], told.Select(static renamed => renamed.Room).Order());
        Assert.Single(one.Log.Of<Renamed>());
        Assert.Empty(ada.Log.Of<Renamed>());
    }

    [Fact]
    public async Task Nothing_is_told_of_the_new_name_before_the_name_itself()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(Options(50), store);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson root = await chat.Person("root");
        root.Do(session => session.BecomeOperator(2, "root", Password));
        await root.Log.Hears<OperatorGranted>();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(bob, "attic");
        await Join(ada, "attic");

        // The attic cannot change anything before the message is stored, and the lobby could.
        store.Gate.Reset();
        ada.Do(session => session.Say(9, "attic", "before"));
        ada.Do(session => session.ChangeName(10, "Countess"));
        await ada.Log.Hears<NameChanged>();
        ada.Do(session => session.Say(11, "lobby", "behind"));
        ada.Do(session => session.SetTopic(12, "lobby", "tea"));
        ada.Do(session => session.WhoIs(15, "root"));
        await ada.Log.Hears<PersonFound>();
        root.Do(session => session.Moderate(13, "lobby", ModerationAction.Kick, "countess", ""));
        root.Do(session => session.Moderate(14, "lobby", ModerationAction.Kick, "ada", ""));
        await root.Settled("lobby");
        Assert.Empty(bob.Log.Of<Renamed>());
        TestPerson next = chat.Stranger();
        next.Do(session => session.Claim(1, "ada"));
        Assert.Equal(RefusalReason.NameTaken, (await next.Log.Hears<Refused>()).Reason);
        store.Gate.Set();
        await root.Log.Hears<Done>(done => done.RequestId == 13);
        Assert.Equal(RefusalReason.NoSuchPerson, (await root.Log.Hears<Refused>(refused => refused.RequestId == 14)).Reason);
        await ada.Log.Hears<HasRenamed>();
        next.Do(session => session.Claim(2, "ada"));
        await next.Log.Hears<NameClaimed>();
        await Join(next, "lobby");
        await bob.Settled("lobby");

        Assert.Equal(["+ada", "ada is Countess", "Countess: behind", "Countess: topic", "-Countess", "+ada"], Heard(bob, "lobby"));
        Assert.Equal(["+ada", "ada: before", "ada is Countess"], Heard(bob, "attic"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_goes_while_it_is_told_is_told_to_go_by_the_new_name(bool dies)
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(Options(50), store);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(bob, "attic");
        await Join(ada, "attic");

        store.Gate.Reset();
        bob.Do(session => session.Say(9, "attic", "x"));
        await bob.Settled("lobby");
        ada.Do(session => session.ChangeName(10, "Countess"));
        await ada.Log.Hears<NameChanged>();
        if (dies)
        {
            await ada.Die();
        }
        else
        {
            ada.End();
        }

        store.Gate.Set();
        foreach (string room in (string[])["lobby", "attic"])
        {
            await bob.Log.Hears<Presence>(presence => presence.Room == room && presence.Departed.Count > 0);
            Assert.Equal(["+ada", "ada is Countess", "-Countess"], Heard(bob, room));
        }

        foreach (string name in (string[])["ada", "Countess"])
        {
            TestPerson next = chat.Stranger();
            ulong id = 0;
            await NetPoll.Tests.Eventually.True($"the name '{name}' is free", () =>
            {
                if (next.Log.All().Length == (int)id)
                {
                    next.Do(session => session.Claim(++id, name));
                }

                return next.Log.Of<NameClaimed>().Length == 1;
            });
        }
    }

    [Fact]
    public async Task A_room_that_fails_in_between_keeps_nobodys_old_name()
    {
        using var store = new FailingStore();
        await using var chat = new TestChat(Options(50), store);
        chat.Back.Poison = "boom";
        await chat.PersonIn("lobby", "bob", chat.Back);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await Join(ada, "attic");

        store.Gate.Reset();
        ada.Do(session => session.Say(9, "lobby", "boom"));
        ada.Do(session => session.ChangeName(10, "Countess"));
        await ada.Log.Hears<NameChanged>();
        store.Gate.Set();
        await ada.Log.Hears<HasRenamed>();

        await chat.Person("ada");
    }

    private static string[] Heard(TestPerson person, string room) =>
    [
        .. person.Log.All().OfType<RoomEvent>().Where(roomEvent => roomEvent.Room == room).Select(static roomEvent => roomEvent switch
        {
            Presence { Arrived: [var name] } => $"+{name}",
            Presence { Departed: [var departure] } => $"-{departure.Name}",
            RoomMessage message => $"{message.From}: {message.Text}",
            TopicChanged changed => $"{changed.Topic.By}: topic",
            Renamed renamed => $"{renamed.OldName} is {renamed.NewName}",
            _ => "",
        }).Where(static entry => entry.Length > 0),
    ];

    private static ChatOptions Options(int batchFrom) => new()
    {
        FloodBurst = 1_000_000,
        PresenceBatchFrom = batchFrom,
        PresenceInterval = TimeSpan.FromMilliseconds(100),
        Operators = new Dictionary<string, string> { ["root"] = Hash },
    };

    private static async Task Join(TestPerson person, string room)
    {
        person.Do(session => session.Join(3, room));
        await person.Log.Hears<Joined>(joined => joined.Room == room);
    }
}
