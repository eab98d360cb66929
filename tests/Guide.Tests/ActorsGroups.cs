using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal sealed record Enter(PID Connection);

internal sealed record Say(PID Connection, string Text);

internal sealed class Room : IActor
{
    private static readonly Framing Lines = Framing.Lines();

    private readonly ConnectionGroup _members;

    public Room(ActorSystem system) => _members = new ConnectionGroup(system, "room");

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Enter enter:
                using (SharedPayload welcome = Line($"welcome, {_members.Count} are here"))
                {
                    // Before everything that is published from now on, and behind nothing that was published before.
                    _members.Join(enter.Connection, welcome);
                }

                break;
            case Say say:
                using (SharedPayload payload = Line(say.Text))
                {
                    _members.Publish(payload, except: say.Connection);
                }

                break;
        }

        return Task.CompletedTask;
    }

    private static SharedPayload Line(string text) => SharedPayload.Framed(Lines, Encoding.UTF8.GetBytes(text));
}

internal sealed class Member : LineConnectionActor
{
    private readonly PID _room;

    public Member(PID room) => _room = room;

    protected override void OnConnected() => Context.Send(_room, new Enter(Context.Self));

    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        Context.Send(_room, new Say(Context.Self, Encoding.UTF8.GetString(line)));
        return Task.CompletedTask;
    }
}
