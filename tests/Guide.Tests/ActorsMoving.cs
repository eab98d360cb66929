using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsMoving
{
    internal static ActorSystem Balanced()
    {
        NetPollOptions options = new()
        {
            Balancing = new BalancingOptions { Period = TimeSpan.FromSeconds(5), MinDifference = 0.25, MaxMoves = 8 },
        };
        return new ActorSystem().WithNetPoll(options);
    }

    internal static async Task<bool> MoveAsync(ActorSystem system, PID connection, PID poller)
    {
        ConnectionMoved moved = await system.Root.RequestAsync<ConnectionMoved>(connection, new MoveConnection(poller));
        return moved.Outcome == MoveOutcome.Moved;
    }
}

internal sealed record Seat(PID Poller);

internal sealed class SeatedPlayer : LineConnectionActor
{
    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        SendFrame(line);
        return Task.CompletedTask;
    }

    // Beside the others at the same table, so that what they tell each other crosses no thread.
    protected override Task OnMessage(object message)
    {
        if (message is Seat seat && !MoveTo(seat.Poller))
        {
            SendFrame("the table is closed"u8);
        }

        return Task.CompletedTask;
    }

    protected override void OnMoved() => SendFrame("you have a seat"u8);
}
