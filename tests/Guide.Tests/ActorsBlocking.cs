using System.Globalization;
using System.Net;
using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal sealed class Measurer : LineConnectionActor
{
    private readonly Func<string, int> _measure;

    public Measurer(Func<string, int> measure) => _measure = measure;

    // May block: it holds up this connection and a thread of the pool, and nothing else.
    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        int length = _measure(Encoding.UTF8.GetString(line));
        SendFrame(Encoding.UTF8.GetBytes(length.ToString(CultureInfo.InvariantCulture)));
        return Task.CompletedTask;
    }
}

internal static class ActorsBlocking
{
    public static Task<Listener> ListenAsync(ActorSystem system, IPEndPoint endPoint, Func<string, int> measure)
    {
        ListenerOptions options = new() { Connections = { Scheduling = ConnectionScheduling.ThreadPool } };
        return system.NetPoll().ListenAsync("measures", endPoint, () => new Measurer(measure), options);
    }
}
