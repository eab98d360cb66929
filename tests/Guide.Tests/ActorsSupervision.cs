using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal sealed record Arrived(PID Who);

internal sealed record CountPresent;

internal sealed class Presence : IActor
{
    private readonly HashSet<PID> _present = [];

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Arrived arrived:
                _present.Add(arrived.Who);
                context.Watch(arrived.Who);
                break;
            case Terminated terminated:
                // However it ended: closed, reset, stopped, or by its own fault.
                _present.Remove(terminated.Who);
                break;
            case CountPresent:
                context.Respond(_present.Count);
                break;
        }

        return Task.CompletedTask;
    }
}

internal sealed class Guest : LineConnectionActor
{
    private readonly PID _presence;

    public Guest(PID presence) => _presence = presence;

    protected override void OnConnected()
    {
        Context.Send(_presence, new Arrived(Context.Self));
        SendFrame("welcome"u8);
    }

    // What throws ends this connection, with CloseReason.Error, and no other.
    protected override Task OnLine(ReadOnlySpan<byte> line) => throw new NotSupportedException("Guests are to be silent.");

    protected override void OnShutdown()
    {
        SendFrame("we are closing"u8);

        // Unless overridden OnShutdown does just this. Whoever has to finish something first calls it later.
        Close(CloseReason.Shutdown);
    }
}
