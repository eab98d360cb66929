using Chat.Domain;
using Chat.Tests.Support;
using NetPoll.Tests;

namespace Chat.Tests.Domain;

public sealed class PeopleTests
{
    [Fact]
    public async Task A_name_is_given_as_it_was_spelt()
    {
        await using var chat = new TestChat();
        TestPerson ada = chat.Stranger();

        ada.Do(session => session.Claim(7, "Ada"));

        NameClaimed claimed = await ada.Log.Hears<NameClaimed>();
        Assert.Equal((7UL, "Ada"), (claimed.RequestId, claimed.Person.Name));
    }

    [Theory]
    [InlineData("Ada", "ADA")]
    [InlineData("Zoë", "zOË")]
    public async Task A_name_is_taken_in_whatever_case(string first, string second)
    {
        await using var chat = new TestChat();
        await chat.Person(first);
        TestPerson other = chat.Stranger();

        other.Do(session => session.Claim(9, second));

        Refused refused = await other.Log.Hears<Refused>();
        Assert.Equal((9UL, RefusalReason.NameTaken), (refused.RequestId, refused.Reason));
        Assert.Contains($"'{second}'", refused.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_session_may_ask_for_another_name()
    {
        await using var chat = new TestChat();
        await chat.Person("ada");
        TestPerson other = chat.Stranger();
        other.Do(session => session.Claim(1, "ada"));
        await other.Log.Hears<Refused>();

        other.Do(session => session.Claim(2, "bob"));

        Assert.Equal("bob", (await other.Log.Hears<NameClaimed>()).Person.Name);
    }

    [Fact]
    public async Task A_second_name_is_refused()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");

        ada.Do(session => session.Claim(2, "eve"));

        Assert.Equal(RefusalReason.AlreadyNamed, (await ada.Log.Hears<Refused>()).Reason);
    }

    [Fact]
    public async Task A_name_is_free_when_its_session_has_ended()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");

        ada.End();

        await CanBeClaimed(chat, "ada");
    }

    [Fact]
    public async Task A_name_is_free_when_its_session_died_without_a_word()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");

        await ada.Die();

        await CanBeClaimed(chat, "ada");
    }

    [Fact]
    public async Task A_claim_that_its_session_did_not_live_to_see_answered_is_freed()
    {
        await using var chat = new TestChat();
        TestPerson ada = chat.Stranger();

        ada.Do(session =>
        {
            session.Claim(1, "ada");
            session.End();
            return null;
        });

        await CanBeClaimed(chat, "ada");
    }

    [Fact]
    public async Task A_private_message_reaches_one_person_and_is_acknowledged()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "Bob", chat.Back);
        TestPerson eve = await chat.PersonIn("lobby", "eve");

        ada.Do(session => session.SendPrivate(5, "bOB", "psst"));

        PrivateMessage message = await bob.Log.Hears<PrivateMessage>();
        Assert.Matches("^[0-9a-f]{32}$", message.Id);
        Assert.Equal(new PrivateMessage("ada", "psst", chat.Time.GetUtcNow(), Id: message.Id), message);
        Assert.Equal(new PrivateSent(5, "Bob", chat.Time.GetUtcNow(), Id: message.Id), await ada.Log.Hears<PrivateSent>());
        await eve.Settled("lobby");
        Assert.Empty(eve.Log.Of<PrivateMessage>());
    }

    [Fact]
    public async Task A_private_message_to_nobody_is_refused_by_name()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.Person("ada");

        ada.Do(session => session.SendPrivate(5, "nobody", "psst"));

        Refused refused = await ada.Log.Hears<Refused>();
        Assert.Equal((5UL, RefusalReason.NoSuchPerson), (refused.RequestId, refused.Reason));
        Assert.Contains("'nobody'", refused.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_is_known_how_long_somebody_has_said_nothing_and_where_they_are()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob", chat.Back);
        ada.Do(session => session.Join(3, "attic"));
        await ada.Log.Hears<Joined>(joined => joined.Room == "attic");

        chat.Time.Advance(TimeSpan.FromSeconds(7));
        Assert.Equal((7, "attic,lobby"), await Found(20));
        ada.Do(session => session.Say(4, "lobby", "hello"));
        await ada.Log.Hears<Said>();
        chat.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal((5, "attic,lobby"), await Found(21));
        ada.Do(session => session.SendPrivate(5, "bob", "psst"));
        await ada.Log.Hears<PrivateSent>();
        chat.Time.Advance(TimeSpan.FromSeconds(3));
        ada.Do(session => session.Join(6, "cellar"));
        ada.Do(session => session.SetTopic(7, "cellar", "to change a topic is to say nothing"));
        await ada.Log.Hears<TopicChanged>();
        ada.Do(session => session.Leave(8, "lobby"));
        await ada.Log.Hears<Left>();
        Assert.Equal((3, "attic,cellar"), await Found(22));

        async Task<(double Idle, string Rooms)> Found(ulong id)
        {
            bob.Do(session => session.WhoIs(id, "ADA"));
            PersonDetails details = (await bob.Log.Hears<PersonFound>(found => found.RequestId == id)).Details;
            return (details.Idle.TotalSeconds, string.Join(',', details.Rooms));
        }
    }

    [Fact]
    public async Task Whoever_was_put_out_or_whose_room_failed_is_not_there_any_more()
    {
        await using var chat = new TestChat(new ChatOptions { Operators = new Dictionary<string, string> { ["root"] = PasswordHash.Create("correct horse") } });
        chat.Back.Poison = "boom";
        TestPerson ada = await chat.PersonIn("lobby", "ada", chat.Back);
        TestPerson bob = await chat.PersonIn("attic", "bob");
        foreach (string room in (string[])["attic", "cellar"])
        {
            ada.Do(session => session.Join(3, room));
            await ada.Log.Hears<Joined>(joined => joined.Room == room);
        }

        bob.Do(session => session.BecomeOperator(5, "root", "correct horse"));
        await bob.Log.Hears<OperatorGranted>();
        bob.Do(session => session.Moderate(6, "attic", ModerationAction.Kick, "ada", ""));
        await bob.Log.Hears<Done>(done => done.RequestId == 6);
        bob.Do(session => session.Join(7, "lobby"));
        bob.Do(session => session.Say(8, "lobby", "boom"));
        await bob.Log.Hears<RoomClosed>();

        ulong id = 20;
        await Eventually.Equal("ada's rooms", "cellar", () =>
        {
            bob.Do(session => session.WhoIs(++id, "ada"));
            return bob.Log.Of<PersonFound>().LastOrDefault() is { } found ? string.Join(',', found.Details.Rooms) : null;
        });
    }

    /// <summary>The news of an end travels by itself, so somebody who is refused asks again.</summary>
    private static async Task CanBeClaimed(TestChat chat, string name)
    {
        TestPerson next = chat.Stranger();
        ulong id = 0;
        int refusals = -1;
        await Eventually.True($"the name '{name}' is free", () =>
        {
            if (next.Log.Of<Refused>().Length > refusals)
            {
                refusals = next.Log.Of<Refused>().Length;
                next.Do(session => session.Claim(++id, name));
            }

            return next.Log.Of<NameClaimed>().Length == 1;
        });
    }
}
