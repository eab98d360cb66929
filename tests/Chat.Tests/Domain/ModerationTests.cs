using Chat.Domain;
using Chat.Tests.Support;

namespace Chat.Tests.Domain;

/// <summary>Topics, passwords, absence, and what operators may do.</summary>
public sealed class ModerationTests
{
    private const string Password = "correct horse";

    private static readonly ChatOptions Options = new()
    {
        FloodBurst = 1000,
        Operators = new Dictionary<string, string> { ["root"] = PasswordHash.Create(Password) },
    };

    [Fact]
    public async Task A_topic_is_told_to_all_and_to_those_who_come_later()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob", chat.Back);

        ada.Do(session => session.SetTopic(10, "lobby", "tea"));

        var topic = new Topic("tea", "ada", chat.Time.GetUtcNow());
        Assert.Equal(new TopicChanged("lobby", 0, topic, 10), await ada.Log.Hears<TopicChanged>());
        Assert.Equal(new TopicChanged("lobby", 0, topic), await bob.Log.Hears<TopicChanged>());
        TestPerson eve = await chat.PersonIn("lobby", "eve");
        Assert.Equal(topic, (await eve.Log.Hears<Joined>()).Topic);
        ada.Do(session => session.SetTopic(11, "lobby", new string('x', 301)));
        Refused refused = await ada.Log.Hears<Refused>();
        Assert.Equal("a topic of 301 bytes exceeds the limit of 300", refused.Text);
    }

    [Fact]
    public async Task A_new_name_is_told_in_every_room_and_the_old_one_is_free()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        ada.Do(session => session.Join(3, "attic"));
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("attic", "eve");

        ada.Do(session => session.ChangeName(10, "Countess"));

        Assert.Equal(("ada", "Countess"), ((await ada.Log.Hears<NameChanged>()).OldName, ada.Log.Of<NameChanged>()[0].Person.Name));
        Assert.Equal(("ada", "Countess"), ((await bob.Log.Hears<Renamed>()).OldName, bob.Log.Of<Renamed>()[0].NewName));
        Assert.Equal("attic", (await eve.Log.Hears<Renamed>()).Room);
        ada.Do(session => session.Say(11, "lobby", "it is me"));
        Assert.Equal("Countess", (await bob.Log.Hears<RoomMessage>()).From);
        bob.Do(session => session.Who(12, "lobby"));
        Assert.Equal(["Countess", "bob"], (await bob.Log.Hears<RoomMembers>()).Members);
        TestPerson next = await Successor(chat, "ada");
        next.Do(session => session.ChangeName(13, "countess"));
        Assert.Equal(RefusalReason.NameTaken, (await next.Log.Hears<Refused>(refused => refused.RequestId == 13)).Reason);
    }

    [Fact]
    public async Task A_name_may_change_in_case_only()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        ada.Do(session => session.ChangeName(10, "ADA"));

        Assert.Equal("ADA", (await ada.Log.Hears<NameChanged>()).Person.Name);
        TestPerson other = chat.Stranger();
        other.Do(session => session.Claim(1, "ada"));
        Assert.Equal(RefusalReason.NameTaken, (await other.Log.Hears<Refused>()).Reason);
    }

    [Fact]
    public async Task Who_is_away_is_told_to_their_rooms_and_to_those_who_write_to_them()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        ada.Do(session => session.SetAway(10, "lunch"));
        await ada.Log.Hears<Done>();
        Assert.Equal(["ada"], (await bob.Log.Hears<Presence>(presence => presence.Away.Count > 0)).Away);
        bob.Do(session => session.SendPrivate(11, "ada", "psst"));
        Assert.Equal("lunch", (await bob.Log.Hears<PrivateSent>()).Away);
        TestPerson eve = await chat.PersonIn("lobby", "eve");
        Assert.Equal(["ada"], (await eve.Log.Hears<Joined>()).Away);
        ada.Do(session => session.SetAway(12, null));

        Assert.Equal(["ada"], (await bob.Log.Hears<Presence>(presence => presence.Back.Count > 0)).Back);
    }

    [Fact]
    public async Task A_registered_name_needs_its_password_and_is_taken_back_with_it()
    {
        var store = new MemoryStore();
        await using var chat = new TestChat(store: store);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        ada.Do(session => session.Register(10, "short"));
        Assert.Equal("a password of 5 characters is refused; expected 8 to 256", (await ada.Log.Hears<Refused>()).Text);
        ada.Do(session => session.Register(11, Password));
        await ada.Log.Hears<Done>(done => done.RequestId == 11);

        TestPerson thief = chat.Stranger();
        thief.Do(session => session.Claim(1, "Ada"));
        Assert.Equal(RefusalReason.PasswordRequired, (await thief.Log.Hears<Refused>(refused => refused.RequestId == 1)).Reason);
        thief.Do(session => session.Claim(2, "Ada", "wrong password"));
        Assert.Equal(RefusalReason.WrongPassword, (await thief.Log.Hears<Refused>(refused => refused.RequestId == 2)).Reason);
        TestPerson owner = chat.Stranger();
        owner.Do(session => session.Claim(3, "Ada", Password));

        Assert.True((await owner.Log.Hears<NameClaimed>()).IsRegistered);
        Assert.Equal("the owner of the name 'ada' has come", (await ada.Log.Hears<Disconnect>()).Reason);
        Account account = Assert.Single(store.LoadAccounts());
        Assert.StartsWith("pbkdf2-sha256$600000$", account.PasswordHash, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Accounts_are_there_after_a_restart()
    {
        var store = new MemoryStore();
        await using (var first = new TestChat(store: store))
        {
            TestPerson ada = await first.Person("ada");
            ada.Do(session => session.Register(10, Password));
            await ada.Log.Hears<Done>();
        }

        await using var second = new TestChat(store: store);
        TestPerson thief = second.Stranger();
        thief.Do(session => session.Claim(1, "ada"));

        Assert.Equal(RefusalReason.PasswordRequired, (await thief.Log.Hears<Refused>()).Reason);
    }

    [Fact]
    public async Task Three_wrong_passwords_are_enough()
    {
        await using var chat = new TestChat(Options);
        TestPerson eve = await chat.Person("eve");
        for (ulong id = 10; id < 13; id++)
        {
            ulong request = id;
            eve.Do(session => session.BecomeOperator(request, "root", "wrong password"));
            await eve.Log.Hears<Refused>(refused => refused.RequestId == request);
        }

        eve.Do(session => session.BecomeOperator(13, "root", Password));

        Assert.Contains("3 passwords were wrong", (await eve.Log.Hears<Refused>(refused => refused.RequestId == 13)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_operators_moderate()
    {
        await using var chat = new TestChat(Options);
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        await chat.PersonIn("lobby", "bob");

        ada.Do(session => session.Moderate(10, "lobby", ModerationAction.Kick, "bob", ""));
        ada.Do(session => session.Kill(11, "bob", ""));
        ada.Do(session => session.ListPeople(12));
        ada.Do(session => session.Drain(13));
        ada.Do(session => session.ListRestrictions(14, "lobby"));

        await ada.Log.Hears<Refused>(refused => refused.RequestId == 14);
        Assert.All(ada.Log.Of<Refused>(), refused => Assert.Equal(RefusalReason.OperatorsOnly, refused.Reason));
        Assert.False(chat.Domain.DrainRequested.IsCompleted);
    }

    [Fact]
    public async Task An_operator_kicks_bans_and_lets_in_again()
    {
        await using var chat = new TestChat(Options);
        TestPerson root = await Operator(chat);
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("lobby", "eve");

        root.Do(session => session.Moderate(10, "lobby", ModerationAction.Kick, "EVE", "spam"));
        Assert.Equal(new Kicked("lobby", 0, "admin", "spam"), await eve.Log.Hears<Kicked>());
        Assert.Equal([new Departure("eve", "spam", "admin")], (await bob.Log.Hears<Presence>(presence => presence.Departed.Count > 0)).Departed);
        root.Do(session => session.Moderate(11, "lobby", ModerationAction.Ban, "eve", ""));
        await root.Log.Hears<Done>(done => done.RequestId == 11);
        eve.Do(session => session.Join(12, "lobby"));
        Assert.Equal(RefusalReason.Banned, (await eve.Log.Hears<Refused>(refused => refused.RequestId == 12)).Reason);
        root.Do(session => session.ListRestrictions(13, "lobby"));
        Assert.Equal(["EVE"], (await root.Log.Hears<RoomRestrictions>()).Banned);
        root.Do(session => session.Moderate(14, "lobby", ModerationAction.Unban, "eve", ""));
        await root.Log.Hears<Done>(done => done.RequestId == 14);
        eve.Do(session => session.Join(15, "lobby"));

        await eve.Log.Hears<Joined>(joined => joined.RequestId == 15);
        root.Do(session => session.Moderate(16, "lobby", ModerationAction.Kick, "nobody", ""));
        Assert.Equal(RefusalReason.NoSuchPerson, (await root.Log.Hears<Refused>(refused => refused.RequestId == 16)).Reason);
    }

    [Fact]
    public async Task A_ban_outlives_the_room_and_the_server()
    {
        var store = new MemoryStore();
        await using (var first = new TestChat(Options, store))
        {
            TestPerson root = await Operator(first);
            root.Do(session => session.Moderate(11, "lobby", ModerationAction.Ban, "eve", ""));
            await root.Log.Hears<Done>(done => done.RequestId == 11);
        }

        await using var second = new TestChat(Options, store);
        TestPerson eve = await second.Person("eve");
        eve.Do(session => session.Join(12, "lobby"));

        Assert.Equal(RefusalReason.Banned, (await eve.Log.Hears<Refused>()).Reason);
    }

    [Theory]
    [InlineData("192.0.2.7")]
    [InlineData("2001:db8::a")]
    public async Task A_ban_of_an_address_keeps_out_whoever_comes_from_there(string address)
    {
        await using var chat = new TestChat(Options);
        TestPerson root = await Operator(chat);
        TestPerson eve = chat.Stranger(address: address);
        eve.Do(session => session.Claim(1, "eve"));
        await eve.Log.Hears<NameClaimed>();

        root.Do(session => session.Moderate(10, "lobby", ModerationAction.Ban, address, ""));
        await root.Log.Hears<Done>(done => done.RequestId == 10);
        eve.Do(session => session.Join(11, "lobby"));
        Assert.Equal(RefusalReason.Banned, (await eve.Log.Hears<Refused>()).Reason);
        root.Do(session => session.Moderate(12, "lobby", ModerationAction.Unban, address, ""));
        await root.Log.Hears<Done>(done => done.RequestId == 12);
        eve.Do(session => session.Join(13, "lobby"));

        await eve.Log.Hears<Joined>();
    }

    [Fact]
    public async Task A_ban_or_mute_that_could_meet_nobody_is_refused()
    {
        await using var chat = new TestChat(Options);
        TestPerson root = await Operator(chat);

        root.Do(session => session.Moderate(10, "lobby", ModerationAction.Ban, "*", ""));
        root.Do(session => session.Moderate(11, "lobby", ModerationAction.Mute, "", ""));
        root.Do(session => session.Moderate(12, "attic", ModerationAction.Kick, "eve", ""));
        root.Do(session => session.SetTopic(13, "attic", "x"));

        await root.Log.Hears<Refused>(refused => refused.RequestId == 13);
        Assert.Equal(
            [RefusalReason.InvalidName, RefusalReason.InvalidName, RefusalReason.NoSuchRoom, RefusalReason.NoSuchRoom],
            root.Log.Of<Refused>().OrderBy(refused => refused.RequestId).Select(refused => refused.Reason));
    }

    [Fact]
    public async Task The_muted_listen_until_they_may_speak_again()
    {
        await using var chat = new TestChat(Options);
        TestPerson root = await Operator(chat);
        TestPerson eve = await chat.PersonIn("lobby", "eve");

        root.Do(session => session.Moderate(10, "lobby", ModerationAction.Mute, "eve", ""));
        await root.Log.Hears<Done>(done => done.RequestId == 10);
        eve.Do(session => session.Say(11, "lobby", "x"));
        Assert.Equal(RefusalReason.Muted, (await eve.Log.Hears<Refused>()).Reason);
        root.Do(session => session.Moderate(12, "lobby", ModerationAction.Unmute, "eve", ""));
        await root.Log.Hears<Done>(done => done.RequestId == 12);
        eve.Do(session => session.Say(13, "lobby", "x"));

        await eve.Log.Hears<Said>(said => said.RequestId == 13);
    }

    [Fact]
    public async Task An_operator_lists_people_ends_a_connection_and_drains_the_server()
    {
        await using var chat = new TestChat(Options);
        TestPerson root = await Operator(chat);
        TestPerson eve = await chat.Person("eve");

        root.Do(session => session.ListPeople(10));
        Assert.Equal([("admin", true), ("eve", false)], (await root.Log.Hears<PeopleListed>()).People.Select(person => (person.Name, person.IsOperator)));
        root.Do(session => session.Kill(11, "eve", "spam"));
        Assert.Equal("admin ended your connection: spam", (await eve.Log.Hears<Disconnect>()).Reason);
        root.Do(session => session.Drain(12));

        Assert.Equal("admin", await chat.Domain.DrainRequested.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Invitations_and_questions_about_people_are_answered()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.Person("bob");

        ada.Do(session => session.Invite(10, "lobby", "BOB"));
        ada.Do(session => session.WhoIs(11, "BOB"));
        ada.Do(session => session.WhoIs(12, "nobody"));
        ada.Do(session => session.Invite(13, "lobby", "nobody"));
        ada.Do(session => session.Invite(14, "lobby", "Ada"));
        bob.Do(session => session.Invite(15, "lobby", "ada"));
        bob.Do(session => session.Invite(16, "attic", "ada"));

        Assert.Equal(new Invited("lobby", "ada"), await bob.Log.Hears<Invited>());
        await ada.Log.Hears<Done>(done => done.RequestId == 10);
        Assert.Equal(("bob", "front", ""), ((await ada.Log.Hears<PersonFound>()).Details.Name, ada.Log.Of<PersonFound>()[0].Details.Door, ada.Log.Of<PersonFound>()[0].Details.Address));
        Assert.Equal(RefusalReason.NoSuchPerson, (await ada.Log.Hears<Refused>(refused => refused.RequestId == 12)).Reason);
        Assert.Equal(RefusalReason.NoSuchPerson, (await ada.Log.Hears<Refused>(refused => refused.RequestId == 13)).Reason);
        Refused there = await ada.Log.Hears<Refused>(refused => refused.RequestId == 14);
        Assert.Equal((RefusalReason.AlreadyInRoom, "ada is in room 'lobby' already"), (there.Reason, there.Text));
        Assert.Equal(RefusalReason.NotInRoom, (await bob.Log.Hears<Refused>(refused => refused.RequestId == 15)).Reason);
        Assert.Equal(RefusalReason.NoSuchRoom, (await bob.Log.Hears<Refused>(refused => refused.RequestId == 16)).Reason);
    }

    private static async Task<TestPerson> Operator(TestChat chat)
    {
        TestPerson root = await chat.Person("admin");
        root.Do(session => session.BecomeOperator(5, "root", Password));
        await root.Log.Hears<OperatorGranted>();
        return root;
    }

    /// <summary>A name is free when all rooms have told of the change, which may be a moment later.</summary>
    private static async Task<TestPerson> Successor(TestChat chat, string name)
    {
        TestPerson next = chat.Stranger();
        ulong id = 100;
        int refusals = -1;
        await NetPoll.Tests.Eventually.True($"the name '{name}' is free", () =>
        {
            if (next.Log.Of<Refused>().Length > refusals)
            {
                refusals = next.Log.Of<Refused>().Length;
                next.Do(session => session.Claim(++id, name));
            }

            return next.Log.Of<NameClaimed>().Length == 1;
        });
        return next;
    }
}
