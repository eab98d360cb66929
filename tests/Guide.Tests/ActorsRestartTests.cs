using System.Net;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The example of docs/actors.md about restarts does what the guide says.</summary>
public sealed class ActorsRestartTests
{
    [Fact]
    public async Task A_calculator_survives_three_lines_that_are_no_numbers()
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll();
        Listener listener = await ActorsRestart.ListenAsync(system, new IPEndPoint(IPAddress.Loopback, 0));
        await using NetConnection peer = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader hears = new(peer.AsStream());

        await peer.WriteAsync("1\n2\nx\n3\ny\nz\n4\n!\n5\n"u8.ToArray());

        const string told = "that was no number, the sum is 0 again";
        foreach (string expected in (string[])["1", "3", told, "3", told, told, "4"])
        {
            Assert.Equal(expected, await hears.ReadLineAsync());
        }

        Assert.Null(await hears.ReadLineAsync());
        await system.NetPoll().DisposeAsync();
    }
}
