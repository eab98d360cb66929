using System.Globalization;
using System.Net;
using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsClient
{
    internal static async Task<string> AskOnceAsync(ActorSystem system, EndPoint endPoint, string question)
    {
        ConnectOptions options = new() { ConnectTimeout = TimeSpan.FromSeconds(5) };
        PID connection = await system.NetPoll().ConnectAsync(endPoint, static () => new Client(), options);
        return await system.Root.RequestAsync<string>(connection, new Ask(question));
    }

    internal static PID Keep(ActorSystem system, EndPoint endPoint, PID observer)
    {
        // Connects, and connects again after 100 ms, 200 ms, ... 30 s, each a bit less by chance.
        PID connector = system.NetPoll().StartConnector("backend", endPoint, static () => new Client());

        // From now on the observer is sent a ConnectorState at every change, with the connection's PID while there is one.
        system.Root.Send(connector, new ObserveConnector(observer));
        return connector;
    }
}

internal sealed record Ask(string Text);

internal sealed class Client : LineConnectionActor
{
    private readonly PendingRequests<int, string> _requests;
    private int _last;

    public Client() => _requests = new PendingRequests<int, string>(this);

    protected override Task OnMessage(object message)
    {
        if (message is Ask ask)
        {
            // The sender gets the reply, or a RequestFailed: after five seconds, or when the connection ends.
            _requests.Add(++_last, TimeSpan.FromSeconds(5), Context.Sender!);
            Send(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{_last} {ask.Text}\n")));
        }

        return Task.CompletedTask;
    }

    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        string[] words = Encoding.UTF8.GetString(line).Split(' ', 2);
        _requests.TryComplete(int.Parse(words[0], CultureInfo.InvariantCulture), words[1]);
        return Task.CompletedTask;
    }
}
