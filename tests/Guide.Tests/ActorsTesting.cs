using System.Net;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

internal static class ActorsTesting
{
    public static async Task<string?> FirstLineAfterAQuietMinuteAsync()
    {
        // One poller, whose time is the test's.
        FakeTimeProvider time = new();
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
        {
            Pollers = new PollerOptions { PollerCount = 1, TimeProvider = time },
        });

        // Port 0: the system chooses, and tests run beside one another.
        Listener listener = await system.NetPoll().ListenAsync("sessions", new IPEndPoint(IPAddress.Loopback, 0), static () => new Session());
        await using NetConnection peer = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader hears = new(peer.AsStream());
        await peer.WriteAsync("Ada\n"u8.ToArray());
        await hears.ReadLineAsync();

        time.Advance(TimeSpan.FromMinutes(1));
        string? line = await hears.ReadLineAsync();
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
        return line;
    }
}
