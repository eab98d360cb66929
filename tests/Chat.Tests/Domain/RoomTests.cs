using Chat.Domain;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Domain;

public sealed class RoomTests
{
    [Fact]
    public async Task Whoever_joins_is_told_who_is_there_and_the_others_are_told_of_them()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        TestPerson bob = await chat.PersonIn("lobby", "bob");

        Joined joined = await bob.Log.Hears<Joined>();
        Assert.Equal(["ada", "bob"], joined.Members);
        Assert.Equal(("lobby", 0L, 2UL), (joined.Room, joined.Sequence, joined.RequestId));
        Presence presence = await ada.Log.Hears<Presence>();
        Assert.Equal(["bob"], presence.Arrived);
        Assert.Empty(presence.Departed);
        await bob.Settled("lobby");
        Assert.Empty(bob.Log.Of<Presence>());
    }

    [Fact]
    public async Task A_message_is_numbered_reaches_the_others_and_is_acknowledged_to_its_speaker()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        ada.Do(session => session.Say(11, "lobby", "hello"));
        ada.Do(session => session.Say(12, "lobby", "again"));

        DateTimeOffset now = chat.Time.GetUtcNow();
        await bob.Log.Hears<RoomMessage>(message => message.Sequence == 2);
        Assert.Equal(
            [Message(1, "hello"), Message(2, "again")],
            bob.Log.Of<RoomMessage>());
        await ada.Settled("lobby");
        Assert.Equal([new Said(Message(1, "hello"), 11), new Said(Message(2, "again"), 12)], ada.Log.Of<Said>());
        Assert.Empty(ada.Log.Of<RoomMessage>());

        RoomMessage Message(long sequence, string text) => new("lobby", sequence, "ada", text, now);
    }

    [Fact]
    public async Task A_message_reaches_those_of_every_door_by_one_publish_each()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob", chat.Back);
        TestPerson eve = await chat.PersonIn("lobby", "eve", chat.Back);
        int front = chat.Front.Publishes;
        int back = chat.Back.Publishes;

        bob.Do(session => session.Say(1, "lobby", "hello"));

        await ada.Log.Hears<RoomMessage>();
        await eve.Log.Hears<RoomMessage>();
        await bob.Settled("lobby");
        Assert.Empty(bob.Log.Of<RoomMessage>());
        Assert.Equal((front + 1, back + 1), (chat.Front.Publishes, chat.Back.Publishes));
    }

    [Fact]
    public async Task Those_who_join_while_others_speak_miss_nothing_and_see_nothing_twice()
    {
        await using var chat = new TestChat();
        TestPerson speaker = await chat.PersonIn("lobby", "speaker");
        const int Messages = 500;
        var joiners = new List<TestPerson>();

        for (int index = 0; index < Messages; index++)
        {
            string text = $"{index + 1}";
            speaker.Do(session => session.Say(100, "lobby", text));
            if (index % 50 == 0)
            {
                TestPerson joiner = await chat.Person($"joiner{index}");
                joiner.Do(session => session.Join(3, "lobby"));
                joiners.Add(joiner);
            }
        }

        await speaker.Settled("lobby");
        foreach (TestPerson joiner in joiners)
        {
            await joiner.Settled("lobby");
            object[] heard = [.. joiner.Log.All().Where(entry => entry is Joined or RoomMessage)];
            Joined joined = Assert.IsType<Joined>(heard[0]);
            long[] expected = [.. Enumerable.Range((int)joined.Sequence + 1, Messages - (int)joined.Sequence).Select(value => (long)value)];
            Assert.Equal(expected, heard.Skip(1).Cast<RoomMessage>().Select(message => message.Sequence));
            Assert.All(joiner.Log.Of<RoomMessage>(), message => Assert.Equal($"{message.Sequence}", message.Text));
        }
    }

    [Fact]
    public async Task All_members_see_the_messages_of_many_speakers_in_one_order()
    {
        await using var chat = new TestChat();
        var people = new List<TestPerson>();
        for (int index = 0; index < 8; index++)
        {
            people.Add(await chat.PersonIn("lobby", $"person{index}"));
        }

        for (int round = 0; round < 50; round++)
        {
            foreach (TestPerson person in people)
            {
                person.Do(session => session.Say(10, "lobby", "x"));
            }
        }

        foreach (TestPerson person in people)
        {
            await Eventually.Equal("messages heard or acknowledged", 400, () => person.Log.Of<RoomMessage>().Length + person.Log.Of<Said>().Length);
            long[] numbers = [.. person.Log.All()
                .Where(entry => entry is RoomMessage or Said).Cast<RoomEvent>().Select(entry => entry.Sequence)];
            Assert.Equal(Enumerable.Range(1, 400).Select(value => (long)value), numbers);
        }
    }

    [Fact]
    public async Task Whoever_leaves_hears_no_more_of_the_room_and_the_others_are_told()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        bob.Do(session => session.Leave(8, "LOBBY"));
        await bob.Log.Hears<Left>();
        ada.Do(session => session.Say(9, "lobby", "gone?"));
        await ada.Log.Hears<Said>();
        await bob.Settled("lobby");

        Assert.Equal(new Left("lobby", 0, 8), Assert.Single(bob.Log.Of<Left>()));
        Assert.Empty(bob.Log.Of<RoomMessage>());
        Assert.Equal(["bob"], (await ada.Log.Hears<Presence>(presence => presence.Departed.Count > 0)).Departed.Select(departure => departure.Name));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_session_that_ends_leaves_its_rooms(bool orderly)
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        if (orderly)
        {
            bob.End();
        }
        else
        {
            await bob.Die();
        }

        Assert.Equal(["bob"], (await ada.Log.Hears<Presence>(presence => presence.Departed.Count > 0)).Departed.Select(departure => departure.Name));
        ada.Do(session => session.Who(70, "lobby"));
        Assert.Equal(["ada"], (await ada.Log.Hears<RoomMembers>(members => members.RequestId == 70)).Members);
        Assert.Single(ada.Log.Of<Presence>(), presence => presence.Departed.Count > 0);
    }

    [Fact]
    public async Task Anybody_may_ask_who_is_in_a_room()
    {
        await using var chat = new TestChat();
        await chat.PersonIn("lobby", "bob");
        await chat.PersonIn("lobby", "ada", chat.Back);
        TestPerson eve = await chat.Person("eve");

        eve.Do(session => session.Who(3, "lobby"));
        eve.Do(session => session.Who(4, "attic"));

        RoomMembers members = await eve.Log.Hears<RoomMembers>();
        Assert.Equal(["ada", "bob"], members.Members);
        Refused refused = await eve.Log.Hears<Refused>();
        Assert.Equal((4UL, RefusalReason.NoSuchRoom), (refused.RequestId, refused.Reason));
    }

    [Fact]
    public async Task Rooms_are_the_same_in_whatever_case_and_are_told_in_lower_case()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");

        ada.Do(session => session.Join(4, "LobbY"));

        Joined joined = await ada.Log.Hears<Joined>();
        Assert.Equal("lobby", joined.Room);
        Assert.Equal(["ada", "bob"], joined.Members);
        await bob.Log.Hears<Presence>();
    }

    [Fact]
    public async Task Requests_that_a_room_cannot_grant_are_refused_with_the_reason()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.Person("bob");

        ada.Do(session => session.Join(10, "lobby"));
        bob.Do(session => session.Say(11, "lobby", "hello"));
        bob.Do(session => session.Leave(12, "lobby"));
        bob.Do(session => session.Say(13, "attic", "hello"));

        await bob.Log.Hears<Refused>(refused => refused.RequestId == 13);
        Refused already = await ada.Log.Hears<Refused>();
        Assert.Equal((10UL, RefusalReason.AlreadyInRoom, "you are in room 'lobby' already"), (already.RequestId, already.Reason, already.Text));
        Assert.All(bob.Log.Of<Refused>(), refused => Assert.Equal(RefusalReason.NotInRoom, refused.Reason));
        Assert.Equal([11UL, 12UL, 13UL], bob.Log.Of<Refused>().Select(refused => refused.RequestId).Order());
    }

    [Fact]
    public async Task Full_rooms_and_full_houses_refuse_with_the_limit()
    {
        await using var chat = new TestChat(new ChatOptions { MaxMembersPerRoom = 1, MaxRooms = 1, MaxRoomsPerSession = 1 });
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.Person("bob");

        bob.Do(session => session.Join(20, "lobby"));
        await bob.Log.Hears<Refused>(refused => refused.RequestId == 20);
        bob.Do(session => session.Join(21, "attic"));
        ada.Do(session => session.Join(22, "attic"));

        await bob.Log.Hears<Refused>(refused => refused.RequestId == 21);
        Assert.Equal(
            ["room 'lobby' is full; the limit is 1 people", "room 'attic' cannot be opened: there are 1 rooms, which is the limit"],
            bob.Log.Of<Refused>().Select(refused => refused.Text));
        Refused tooMany = await ada.Log.Hears<Refused>();
        Assert.Equal(RefusalReason.TooManyRooms, tooMany.Reason);
        Assert.Equal("room 'attic' cannot be joined: you are in 1 rooms, which is the limit", tooMany.Text);
    }

    [Fact]
    public async Task Rooms_are_listed_with_the_fullest_first_and_the_empty_ones_not_at_all()
    {
        await using var chat = new TestChat(new ChatOptions { MaxListedRooms = 2 });
        await chat.PersonIn("attic", "ada");
        await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("lobby", "eve");
        eve.Do(session => session.Join(5, "cellar"));
        eve.Do(session => session.Join(6, "zoo"));
        eve.Do(session => session.Leave(7, "zoo"));
        await eve.Log.Hears<Left>();

        RoomList? list = null;
        ulong id = 100;
        await Eventually.True("the list shows three rooms", () =>
        {
            eve.Do(session => session.ListRooms(id++));
            list = eve.Log.Of<RoomList>().LastOrDefault();
            return list?.Total == 3;
        });

        Assert.Equal([new RoomSummary("lobby", 2), new RoomSummary("attic", 1)], list!.Rooms);
    }

    [Fact]
    public async Task Rooms_that_are_asked_about_by_name_are_listed_however_many_are_fuller()
    {
        await using var chat = new TestChat(new ChatOptions { MaxListedRooms = 2 });
        TestPerson ada = await chat.PersonIn("attic", "ada");
        foreach (string room in (string[])["barn", "cellar", "zoo"])
        {
            ada.Do(session => session.Join(3, room));
            await ada.Log.Hears<Joined>(joined => joined.Room == room);
        }

        RoomList? list = null;
        ulong id = 100;
        await Eventually.True("the room is listed", () =>
        {
            ada.Do(session => session.ListRooms(id++, ["Zoo", "zoo", "nowhere", "no room"]));
            list = ada.Log.Of<RoomList>().LastOrDefault();
            return list?.Total > 0;
        });

        Assert.Equal([new RoomSummary("zoo", 1)], list!.Rooms);
        Assert.Equal(1, list.Total);
        ada.Do(session => session.ListRooms(5, ["no room"]));
        Assert.Empty((await ada.Log.Hears<RoomList>(answer => answer.RequestId == 5)).Rooms);
    }

    [Fact]
    public async Task An_empty_room_goes_and_its_successor_goes_on_where_it_was()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        ada.Do(session => session.Say(3, "lobby", "hello"));
        ada.Do(session => session.Leave(4, "lobby"));
        await Eventually.Equal("open audiences", 0, () => chat.Front.OpenAudiences);

        ada.Do(session => session.Join(5, "lobby"));

        Joined joined = await ada.Log.Hears<Joined>(joined => joined.RequestId == 5);
        Assert.Equal(1, joined.Sequence);
    }

    [Fact]
    public async Task Every_request_is_answered_while_the_room_comes_and_goes()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");
        TestPerson bob = await chat.Person("bob");
        const int Rounds = 500;

        for (int round = 0; round < Rounds; round++)
        {
            ulong id = 10 + ((ulong)round * 3);
            foreach (TestPerson person in (TestPerson[])[ada, bob])
            {
                person.Do(session => session.Join(id, "lobby"));
                person.Do(session => session.Say(id + 1, "lobby", "x"));
                person.Do(session => session.Leave(id + 2, "lobby"));
            }
        }

        foreach (TestPerson person in (TestPerson[])[ada, bob])
        {
            await Eventually.Equal("rooms left", Rounds, () => person.Log.Of<Left>().Length);
            Assert.Equal(Rounds, person.Log.Of<Joined>().Length);
            Assert.Equal(Rounds, person.Log.Of<Said>().Length);
            Assert.Empty(person.Log.Of<Refused>());
        }

        await Eventually.Equal("open audiences", 0, () => chat.Front.OpenAudiences);
    }

    [Fact]
    public async Task A_room_that_fails_is_closed_for_its_members_and_the_others_live_on()
    {
        await using var chat = new TestChat();
        chat.Back.Poison = "boom";
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob", chat.Back);
        TestPerson eve = await chat.PersonIn("attic", "eve");

        ada.Do(session => session.Say(3, "lobby", "boom"));

        await ada.Log.Hears<RoomClosed>();
        await bob.Log.Hears<RoomClosed>();
        await Eventually.Equal("open audiences", 1, () => chat.Front.OpenAudiences + chat.Back.OpenAudiences);
        eve.Do(session => session.Say(4, "attic", "still here"));
        await eve.Log.Hears<Said>();
        ada.Do(session => session.Join(5, "lobby"));
        Assert.Equal(["ada"], (await ada.Log.Hears<Joined>(joined => joined.RequestId == 5)).Members);
    }

    [Fact]
    public async Task When_the_chat_stops_the_members_are_told_that_their_room_is_closed()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        ada.Do(session => session.Say(3, "lobby", "last words"));
        await ada.Log.Hears<Said>();

        await chat.Domain.StopAsync();

        Assert.Equal(new RoomClosed("lobby", 1, "room 'lobby' is closed"), Assert.Single(ada.Log.Of<RoomClosed>()));
        Assert.Equal(0, chat.Front.OpenAudiences);
    }
}
