using System.Net;
using System.Text;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The example of docs/actors.md about plain actors as handlers does what the guide says.</summary>
public sealed class ActorsHandlerTests
{
    [Fact]
    public async Task A_plain_actor_greets_everybody_who_connects()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        PID greeter = system.Root.Spawn(Props.FromProducer(static () => new Doorman()));
        Listener listener = await system.NetPoll().ListenAsync("greetings", new IPEndPoint(IPAddress.Loopback, 0), greeter);
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);
        await connection.WriteAsync(Encoding.UTF8.GetBytes("Ada\n"));

        using StreamReader reader = new(connection.AsStream());
        Assert.Equal("Your name?\nHello, Ada!\n", await reader.ReadToEndAsync());

        await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(5));
    }
}
