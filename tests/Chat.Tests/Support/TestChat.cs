using Chat.Domain;
using Microsoft.Extensions.Time.Testing;
using Proto;

namespace Chat.Tests.Support;

/// <summary>The domain on a real actor system, with doors that record.</summary>
internal sealed class TestChat : IAsyncDisposable
{
    private readonly ActorSystem _system = new();

    /// <param name="options">The limits; by default nobody says too much.</param>
    /// <param name="store">What keeps the history; in memory by default.</param>
    public TestChat(ChatOptions? options = null, IChatStore? store = null)
    {
        Domain = ChatDomain.Start(_system, options ?? new ChatOptions { FloodBurst = 1_000_000 }, [Front, Back], store, Time);
    }

    public RecordingDoor Front { get; } = new("front");

    public RecordingDoor Back { get; } = new("back");

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    public ChatDomain Domain { get; }

    /// <summary>Somebody who has come in by a door and has no name yet.</summary>
    public TestPerson Stranger(RecordingDoor? door = null, string address = "") => new(_system, Domain, door ?? Front, address);

    /// <summary>Somebody who has a name.</summary>
    public async Task<TestPerson> Person(string name, RecordingDoor? door = null)
    {
        TestPerson person = Stranger(door);
        person.Do(session => session.Claim(1, name));
        await person.Log.Hears<NameClaimed>();
        return person;
    }

    /// <summary>Many people with names, who are in no room.</summary>
    public async Task<List<TestPerson>> Crowd(int count)
    {
        List<TestPerson> people = [];
        for (int index = 0; index < count; index++)
        {
            TestPerson person = Stranger();
            string name = $"p{index}";
            person.Do(session => session.Claim(1, name));
            people.Add(person);
        }

        foreach (TestPerson person in people)
        {
            await person.Log.Hears<NameClaimed>();
        }

        return people;
    }

    /// <summary>Somebody who has a name and is in a room.</summary>
    public async Task<TestPerson> PersonIn(string room, string name, RecordingDoor? door = null)
    {
        TestPerson person = await Person(name, door);
        person.Do(session => session.Join(2, room));
        await person.Log.Hears<Joined>(joined => joined.Room == room);
        return person;
    }

    public async ValueTask DisposeAsync()
    {
        await Domain.StopAsync();
        await _system.ShutdownAsync();
        await _system.DisposeAsync();
    }
}
