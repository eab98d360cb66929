using System.Net;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The example of docs/actors.md about deadlines does what the guide says.</summary>
public sealed class ActorsDeadlinesTests
{
    [Fact]
    public async Task Who_does_not_log_in_in_time_is_told_and_closed()
    {
        FakeTimeProvider time = new();
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { TimeProvider = time, PollerCount = 1 } });
        Listener listener = await system.NetPoll().ListenAsync("sessions", new IPEndPoint(IPAddress.Loopback, 0), static () => new Session());
        await using NetConnection silent = await new NetDialer().ConnectAsync(listener.EndPoint);
        await using NetConnection ada = await new NetDialer().ConnectAsync(listener.EndPoint);
        using StreamReader adaHears = new(ada.AsStream());
        await ada.WriteAsync("Ada\n"u8.ToArray());
        Assert.Equal("hello Ada", await adaHears.ReadLineAsync());

        time.Advance(TimeSpan.FromSeconds(5.001));
        using StreamReader reader = new(silent.AsStream());
        Assert.Equal("bye, you took too long\n", await reader.ReadToEndAsync());

        for (int minute = 1; minute <= 3; minute++)
        {
            time.Advance(TimeSpan.FromMinutes(1.001));
            Assert.Equal("PING", await adaHears.ReadLineAsync());
        }

        time.Advance(TimeSpan.FromMinutes(1.001));
        await Assert.ThrowsAnyAsync<IOException>(async () => await adaHears.ReadLineAsync());
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
    }
}
