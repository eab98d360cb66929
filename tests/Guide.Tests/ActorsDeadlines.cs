using System.Text;
using NetPoll.Actors;

namespace Guide.Tests;

internal sealed class Session : LineConnectionActor
{
    // One object of each for all connections.
    private static readonly DeadlineProfile LoggingIn = new() { FirstByte = TimeSpan.FromSeconds(5), Lifetime = TimeSpan.FromSeconds(30) };
    private static readonly DeadlineProfile LoggedIn = new() { Idle = TimeSpan.FromMinutes(10), Lifetime = TimeSpan.FromDays(1) };
    private static readonly Heartbeat AreYouThere = new(TimeSpan.FromMinutes(1), "PING\n"u8.ToArray()) { MaxMissed = 3 };

    protected override void OnConnected() => Deadlines = LoggingIn;

    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        if (Deadlines == LoggingIn)
        {
            SendFrame(Encoding.UTF8.GetBytes($"hello {Encoding.UTF8.GetString(line)}"));
            Deadlines = LoggedIn;
            Heartbeat = AreYouThere;
        }

        return Task.CompletedTask;
    }

    protected override void OnDeadline(DeadlineKind kind)
    {
        SendFrame(kind == DeadlineKind.Idle ? "bye, you are idle"u8 : "bye, you took too long"u8);

        // Without this it would go on.
        Close(CloseReason.DeadlineExceeded);
    }
}
