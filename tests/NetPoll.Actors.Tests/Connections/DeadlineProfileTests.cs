using Microsoft.Extensions.Time.Testing;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>Deadlines of phases, by a clock that the test owns; the races by the system's.</summary>
public sealed class DeadlineProfileTests : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly TestServer _server;

    public DeadlineProfileTests() => _server = new TestServer(options: new PollerOptions { TimeProvider = _time });

    [Fact]
    public async Task A_peer_that_says_nothing_from_the_beginning_is_closed()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new DeadlineProfile { FirstByte = 5 * Second });
        using Peer _ = peer;
        peer.CloseWriteWhenItEnds();
        await AdvanceAsync(4.999 * Second);
        Assert.Equal(["connected"], connection.Events);

        await AdvanceAsync(0.002 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
        Assert.Equal(["connected", DeadlineKind.FirstByte, closed], connection.Events);
    }

    [Fact]
    public async Task One_byte_is_enough_and_each_switch_asks_for_another()
    {
        DeadlineProfile profile = new() { FirstByte = 5 * Second };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript { Deadline = static (_, _) => { } }, profile);
        using Peer _ = peer;
        await peer.SendAsync("x");
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);
        await AdvanceAsync(60 * Second);
        Assert.Equal(["connected"], connection.Events);

        await connection.Do(self => self.Deadlines = profile);
        await AdvanceAsync(4.9 * Second);
        Assert.Equal(["connected"], connection.Events);
        await AdvanceAsync(0.2 * Second);
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        await AdvanceAsync(60 * Second);

        Assert.Equal(["connected", DeadlineKind.FirstByte], connection.Events);
    }

    [Fact]
    public async Task The_first_byte_that_came_while_a_handler_awaited_counts()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new DeadlineProfile { FirstByte = 5 * Second });
        using Peer _ = peer;
        Task handler = connection.Do(_ => gate.Task);
        await _server.OnPoller(static () => true);
        await peer.SendAsync("x");
        await AdvanceAsync(6 * Second);

        gate.SetResult();
        await handler;
        await Eventually.Equal("bytes", 1, () => connection.ReceivedBytes.Length);
        await connection.Do(static _ => { });

        Assert.Equal(["connected"], connection.Events);
    }

    [Fact]
    public async Task A_lifetime_ends_a_connection_that_talks_and_a_switch_does_not_prolong_it()
    {
        DeadlineProfile profile = new() { Lifetime = 10 * Second };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), profile);
        using Peer _ = peer;
        peer.CloseWriteWhenItEnds();
        for (int round = 1; round <= 9; round++)
        {
            await AdvanceAsync(Second);
            await peer.SendAsync("x");
            int expected = round;
            await Eventually.Equal("bytes", expected, () => connection.ReceivedBytes.Length);
            await connection.Do(self => self.Deadlines = profile with { });
        }

        Assert.Equal(["connected"], connection.Events);
        await AdvanceAsync(1.001 * Second);
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(["connected", DeadlineKind.Lifetime, closed], connection.Events);
        Assert.Equal(CloseReason.DeadlineExceeded, closed.Reason);
    }

    [Fact]
    public async Task A_lifetime_ends_the_connection_of_a_handler_that_awaits_unasked()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript { Deadline = static (_, _) => { } }, new DeadlineProfile { Lifetime = 10 * Second });
        using Peer _ = peer;
        string socket = peer.ServerSocketName()!;
        Task handler = connection.Do(_ => gate.Task);
        await _server.OnPoller(static () => true);

        await AdvanceAsync(10.001 * Second);
        Assert.Empty(await peer.ReceiveToEndAsync());
        await AdvanceAsync(2.001 * Second);
        await Eventually.True("the descriptor is gone", () => !Descriptors.Has(socket));
        Assert.False(handler.IsCompleted);
        gate.SetResult();
        await handler;

        Assert.Equal(CloseReason.DeadlineExceeded, (await connection.WhenClosed).Reason);
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task Phases_follow_one_another_each_with_its_own_times()
    {
        DeadlineProfile connected = new() { FirstByte = 5 * Second, Lifetime = 30 * Second };
        DeadlineProfile authenticated = new() { Idle = 60 * Second };
        DeadlineProfile idle = new() { Idle = 600 * Second };
        ConnectionScript script = new()
        {
            Deadline = (self, kind) =>
            {
                if (ReferenceEquals(self.Deadlines, authenticated))
                {
                    self.Deadlines = idle;
                }
            },
        };
        (Peer peer, ScriptedConnection connection) = await OpenAsync(script, connected);
        using Peer _ = peer;
        await AdvanceAsync(4 * Second);
        await peer.SendAsync("hello");
        await Eventually.Equal("bytes", 5, () => connection.ReceivedBytes.Length);
        await connection.Do(self => self.Deadlines = authenticated);
        await AdvanceAsync(59 * Second);
        Assert.Equal(["connected"], connection.Events);

        await AdvanceAsync(1.001 * Second);
        await Eventually.Equal("events", 2, () => connection.Events.Count);
        Assert.Same(idle, await connection.Ask(static self => self.Deadlines));
        await AdvanceAsync(599 * Second);
        Assert.Equal(["connected", DeadlineKind.Idle], connection.Events);
        await AdvanceAsync(1.001 * Second);
        await Eventually.Equal("events", 3, () => connection.Events.Count);

        Assert.Equal(["connected", DeadlineKind.Idle, DeadlineKind.Idle], connection.Events);
    }

    [Fact]
    public async Task The_write_time_of_a_phase_counts_for_what_waits_already()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new DeadlineProfile(), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        await connection.Do(static self => self.Send(new byte[16 * 1024 * 1024]));
        await AdvanceAsync(20 * Second);
        await connection.Do(static self => self.Deadlines = new DeadlineProfile { Write = 3 * Second });

        // Room that the system finds on the way may count as progress.
        for (int step = 0; step < 100 && !connection.HasClosed; step++)
        {
            await AdvanceAsync(3.001 * Second);
        }

        Assert.Contains(DeadlineKind.Write, connection.Events);
        Assert.Equal(CloseReason.DeadlineExceeded, (await connection.WhenClosed).Reason);
    }

    [Fact]
    public async Task What_passes_while_a_handler_awaits_is_never_told_if_it_then_begins_another_phase()
    {
        TaskCompletionSource gate = new();
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript { Deadline = static (_, _) => { } }, new DeadlineProfile { FirstByte = 5 * Second, Idle = 5 * Second });
        using Peer _ = peer;
        Task handler = connection.Do(async self =>
        {
            await gate.Task;
            self.Deadlines = new DeadlineProfile();
        });
        await _server.OnPoller(static () => true);

        await AdvanceAsync(6 * Second);
        gate.SetResult();
        await handler;
        await connection.Do(static _ => { });
        await AdvanceAsync(3600 * Second);

        Assert.Equal(["connected"], connection.Events);
    }

    [Fact]
    public async Task However_switches_and_times_race_nothing_of_an_earlier_phase_is_told()
    {
        await using TestServer server = new();
        DeadlineProfile first = new() { FirstByte = Millisecond };
        DeadlineProfile idle = new() { Idle = Millisecond };
        DeadlineProfile old = new() { Lifetime = Millisecond };
        DeadlineProfile none = new();
        int told = 0;
        int stale = 0;
        ConnectionScript script = new()
        {
            Deadline = (self, kind) =>
            {
                told++;
                DeadlineProfile? expected = kind switch { DeadlineKind.FirstByte => first, DeadlineKind.Idle => idle, _ => old };
                if (!ReferenceEquals(self.Deadlines, expected))
                {
                    stale++;
                }
            },
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await server.ListenAsync(script), script);
        using Peer _ = peer;
        Random random = new(7);
        DeadlineProfile[] profiles = [first, none, idle, none, old, none];
        for (int round = 0; round < StressScale.Rounds(3_000); round++)
        {
            DeadlineProfile next = profiles[round % profiles.Length];
            await connection.Do(self => self.Deadlines = next);
            int spins = random.Next(20_000);
            if (next != none)
            {
                Thread.SpinWait(spins);
            }
        }

        (int Told, int Stale) = await connection.Ask(_ => (told, stale));
        Assert.Equal(0, Stale);
        Assert.NotEqual(0, Told);
    }

    [Fact]
    public async Task To_a_plain_actor_nothing_of_an_earlier_profile_comes_after_the_answer_to_a_switch()
    {
        int rounds = StressScale.Rounds(1_000);
        await using TestServer server = new();
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Random random = new(11);
        RecordingHandler handler = new();
        int switches = 0;
        handler.OnEvent = (context, message) =>
        {
            PID? connection = message switch
            {
                Connected connected => connected.Connection,
                DeadlinesSet set => set.Connection,
                _ => null,
            };
            if (connection is null)
            {
                return;
            }

            if (switches++ == rounds)
            {
                done.SetResult();
                return;
            }

            // Sometimes about as long as the deadlines, so that they race with the switch, and some pass.
            TimeSpan pause = random.NextDouble() * (switches % 10 == 0 ? 2 : 0.1) * Millisecond;
            long start = TimeProvider.System.GetTimestamp();
            SpinWait.SpinUntil(() => TimeProvider.System.GetElapsedTime(start) >= pause);
            context.Request(connection, new SetDeadlines(new DeadlineProfile { FirstByte = Millisecond, Idle = Millisecond, Lifetime = switches * Millisecond }));
        };
        handler.Spawn(server.System);
        Listener listener = await server.NetPoll.ListenAsync("handled", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), handler.Pid).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await done.Task.Soon();

        DeadlineProfile? current = null;
        int told = 0;
        foreach (object message in handler.All)
        {
            switch (message)
            {
                case DeadlinesSet set:
                    current = set.Profile;
                    break;
                case DeadlineExceeded late:
                    told++;
                    Assert.Same(current, late.Profile);
                    break;
            }
        }

        Assert.NotEqual(0, told);
    }

    [Fact]
    public async Task A_profile_after_the_end_does_nothing_and_one_that_makes_no_sense_is_refused()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), new DeadlineProfile { Idle = Second });
        using Peer _ = peer;
        await connection.Do(static self =>
        {
            string message = Assert.Throws<ArgumentException>(() => self.Deadlines = new DeadlineProfile { Lifetime = TimeSpan.Zero }).Message;
            Assert.Contains("DeadlineProfile.Lifetime is 00:00:00; expected more than 0", message, StringComparison.Ordinal);
            Assert.Throws<ArgumentNullException>(() => self.Deadlines = null);
        });
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => _server.ListenAsync(
            new ConnectionScript(), new ConnectionOptions { Deadlines = new DeadlineProfile { FirstByte = -Second } }));
        Assert.Contains("FirstByte", refused.Message, StringComparison.Ordinal);

        await connection.Do(static self =>
        {
            self.Close();
            self.Deadlines = new DeadlineProfile { Lifetime = Millisecond };
        });
        await AdvanceAsync(Second);
        peer.CloseWrite();

        Assert.Equal(CloseReason.Local, (await connection.WhenClosed).Reason);
        Assert.DoesNotContain(DeadlineKind.Lifetime, connection.Events);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, DeadlineProfile profile, int receiveBuffer = 0)
    {
        ConnectionOptions options = new() { Deadlines = profile, MaxOutputBytes = 64 * 1024 * 1024 };
        return await TestServer.OpenAsync(await _server.ListenAsync(script, options), script, receiveBuffer);
    }

    // The poller has seen the new time, and everything that it made runnable has run.
    private async Task AdvanceAsync(TimeSpan time)
    {
        _time.Advance(time);
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
    }
}
