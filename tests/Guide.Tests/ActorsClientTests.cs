using System.Net;
using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

/// <summary>The examples of docs/actors.md about outbound connections do what the guide says.</summary>
public sealed class ActorsClientTests : IAsyncDisposable
{
    private readonly ActorSystem _system = new ActorSystem().WithNetPoll();

    [Fact]
    public async Task A_request_gets_its_reply()
    {
        Listener listener = await ListenAsync();

        Assert.Equal("HELLO", await ActorsClient.AskOnceAsync(_system, listener.EndPoint, "hello"));
    }

    [Fact]
    public async Task The_observer_of_a_connector_learns_the_connection_and_its_end()
    {
        Listener listener = await ListenAsync();
        TaskCompletionSource<PID> connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<ConnectionClosed> closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        PID observer = _system.Root.Spawn(Props.FromFunc(context =>
        {
            switch (context.Message)
            {
                case ConnectorState { Connection: { } connection }:
                    connected.TrySetResult(connection);
                    break;
                case ConnectorState { Closed: { } end }:
                    closed.TrySetResult(end);
                    break;
            }

            return Task.CompletedTask;
        }));

        ActorsClient.Keep(_system, listener.EndPoint, observer);
        PID pid = await connected.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("HI", await _system.Root.RequestAsync<string>(pid, new Ask("hi")));
        await _system.Root.StopAsync(pid);

        Assert.Equal(CloseReason.Shutdown, (await closed.Task.WaitAsync(TimeSpan.FromSeconds(30))).Reason);
    }

    public async ValueTask DisposeAsync()
    {
        await _system.NetPoll().ShutdownAsync(TimeSpan.Zero);
        await _system.ShutdownAsync();
    }

    private Task<Listener> ListenAsync() =>
        _system.NetPoll().ListenAsync("loud", new IPEndPoint(IPAddress.Loopback, 0), static () => new Loud());

    private sealed class Loud : LineConnectionActor
    {
        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            Send(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(line).ToUpperInvariant() + "\n"));
            return Task.CompletedTask;
        }
    }
}
