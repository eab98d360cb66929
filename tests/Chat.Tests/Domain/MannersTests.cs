using Chat.Domain;
using Chat.Tests.Support;

namespace Chat.Tests.Domain;

/// <summary>Who says too much is refused, and big rooms tell who comes in batches.</summary>
public sealed class MannersTests
{
    [Fact]
    public async Task Who_says_too_much_is_refused_with_the_limit_and_may_go_on_after_a_pause()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 3, FloodRate = 2, FloodCoolDown = TimeSpan.FromSeconds(4) });
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        for (ulong id = 10; id < 15; id++)
        {
            Say(ada, id);
        }

        await ada.Log.Hears<Refused>(refused => refused.RequestId == 14);
        await ada.Log.Hears<Said>(said => said.RequestId == 12);
        Assert.Equal([13UL, 14], ada.Log.Of<Refused>().Select(refused => refused.RequestId));
        Refused refused = ada.Log.Of<Refused>()[0];
        Assert.Equal((RefusalReason.TooFast, TimeSpan.FromSeconds(4)), (refused.Reason, refused.RetryAfter));
        Assert.Equal("you say too much; the limit is 3 at once and 2 a second; wait 4 s", refused.Text);
        chat.Time.Advance(TimeSpan.FromSeconds(3));
        Say(ada, 15);
        Assert.Equal(TimeSpan.FromSeconds(1), (await ada.Log.Hears<Refused>(later => later.RequestId == 15)).RetryAfter);
        chat.Time.Advance(TimeSpan.FromSeconds(1));
        Say(ada, 16);
        await ada.Log.Hears<Said>(said => said.RequestId == 16);
        Assert.Equal(3, chat.Domain.Figures.FloodRefusals);
    }

    [Fact]
    public async Task Whoever_keeps_to_the_rate_is_never_refused()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 2, FloodRate = 2 });
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        for (ulong id = 10; id < 50; id++)
        {
            ulong request = id;
            Say(ada, request);
            await ada.Log.Hears<Said>(said => said.RequestId == request);
            chat.Time.Advance(TimeSpan.FromSeconds(0.5));
        }

        Assert.Empty(ada.Log.Of<Refused>());
    }

    [Fact]
    public async Task Many_who_come_to_a_big_room_are_told_in_a_few_notices()
    {
        const int People = 2000;
        var options = new ChatOptions { PresenceInterval = TimeSpan.FromMilliseconds(100) };
        await using var chat = new TestChat(options);
        TestPerson first = await chat.PersonIn("hall", "first");
        List<TestPerson> people = await chat.Crowd(People);
        int before = chat.Front.Publishes;
        foreach (TestPerson person in people)
        {
            person.Do(session => session.Join(2, "hall"));
        }

        HashSet<string> seen = [];
        await NetPoll.Tests.Eventually.Equal("arrivals told", People, () => first.Log.Of<Presence>().Sum(presence => presence.Arrived.Count));
        foreach (Presence presence in first.Log.Of<Presence>())
        {
            Assert.All(presence.Arrived, name => Assert.True(seen.Add(name), $"{name} came twice"));
        }

        // One each until the room is big; then a notice now and then.
        Assert.InRange(chat.Front.Publishes - before, options.PresenceBatchFrom, options.PresenceBatchFrom + 200);

        // What all of them were told together: told one by one, it would be two million notices. How few it is depends on how fast they come:
        // who comes with the last of them is told of nobody.
        int notices = first.Log.Of<Presence>().Length + people.Sum(person => person.Log.Of<Presence>().Length);
        Assert.InRange(notices, 1, People * People / 20);
    }

    [Fact]
    public async Task Whoever_comes_and_goes_for_ever_is_refused_and_whoever_comes_back_to_all_rooms_is_not()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 3, MaxRoomsPerSession = 10 });
        TestPerson ada = await chat.Person("ada");

        for (ulong room = 0; room < 10; room++)
        {
            ulong id = room + 10;
            ada.Do(session => session.Join(id, $"room{id}"));
        }

        for (ulong room = 0; room < 4; room++)
        {
            ulong id = room + 10;
            ada.Do(session => session.Leave(id + 100, $"room{id}"));
        }

        Refused refused = await ada.Log.Hears<Refused>();
        await NetPoll.Tests.Eventually.Equal("rooms joined", 10, () => ada.Log.Of<Joined>().Length);
        await NetPoll.Tests.Eventually.Equal("rooms left", 3, () => ada.Log.Of<Left>().Length);
        Assert.Equal((113UL, RefusalReason.TooFast), (refused.RequestId, refused.Reason));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    public async Task Whoever_is_away_is_away_in_the_rooms_that_they_come_to_as_well(int batchFrom)
    {
        await using var chat = new TestChat(new ChatOptions { PresenceBatchFrom = batchFrom, PresenceInterval = TimeSpan.FromMilliseconds(10) });
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.Person("bob");

        bob.Do(session => session.SetAway(5, "at lunch"));
        bob.Do(session => session.Join(6, "lobby"));

        Assert.Equal(["bob"], (await bob.Log.Hears<Joined>()).Away);
        Assert.Equal(["bob"], (await ada.Log.Hears<Presence>(presence => presence.Arrived.Contains("bob"))).Away);
        bob.Do(session => session.SetAway(7, null));
        bob.Do(session => session.Join(8, "attic"));
        Assert.Equal(["bob"], (await ada.Log.Hears<Presence>(presence => presence.Back.Count > 0)).Back);
        Assert.Empty((await bob.Log.Hears<Joined>(joined => joined.Room == "attic")).Away);
    }

    [Fact]
    public async Task In_a_big_room_nobody_is_heard_before_it_is_told_that_they_came_nor_after_they_went()
    {
        await using var chat = new TestChat(new ChatOptions { FloodBurst = 1000, PresenceBatchFrom = 0, PresenceInterval = TimeSpan.FromMinutes(1) });
        TestPerson ada = await chat.PersonIn("lobby", "ada");
        TestPerson bob = await chat.PersonIn("lobby", "bob");
        TestPerson eve = await chat.PersonIn("lobby", "eve");

        bob.Do(session => session.Say(10, "lobby", "hello"));
        await ada.Log.Hears<RoomMessage>();
        eve.Do(session => session.Leave(11, "lobby"));
        await eve.Log.Hears<Left>();
        eve.Do(session => session.Join(12, "lobby"));
        await eve.Log.Hears<Joined>(joined => joined.RequestId == 12);
        eve.Do(session => session.Say(13, "lobby", "back"));
        await ada.Log.Hears<RoomMessage>(message => message.Text == "back");

        string[] heard = [.. ada.Log.All().Where(entry => entry is Presence or RoomMessage).Select(entry => entry switch
        {
            Presence presence => string.Join(' ', presence.Arrived.Select(name => $"+{name}").Concat(presence.Departed.Select(departure => $"-{departure.Name}"))),
            RoomMessage message => message.Text,
            _ => "",
        })];
        Assert.Equal(["+ada +bob +eve", "hello", "-eve", "+eve", "back"], heard);
    }

    private static void Say(TestPerson person, ulong id) => person.Do(session => session.Say(id, "lobby", "x"));
}
