using System.Globalization;
using System.Net;
using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsRestart
{
    internal static Task<Listener> ListenAsync(ActorSystem system, EndPoint endPoint)
    {
        ListenerOptions options = new()
        {
            Connections = { Restart = new RestartPolicy { MaxRestarts = 3, Within = TimeSpan.FromMinutes(1) } },
        };
        return system.NetPoll().ListenAsync("calculator", endPoint, static () => new Calculator(), options);
    }
}

internal sealed class Calculator : LineConnectionActor
{
    // State of an actor does not outlive its failure.
    private int _sum;

    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        _sum += int.Parse(line, CultureInfo.InvariantCulture);
        SendFrame(Encoding.ASCII.GetBytes($"{_sum}"));
        return Task.CompletedTask;
    }

    // The line that was no number is not given to us again; the next one comes.
    protected override void OnRestarted(Exception failure) => SendFrame("that was no number, the sum is 0 again"u8);
}
