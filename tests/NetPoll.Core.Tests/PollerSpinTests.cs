using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Looking for a while instead of sleeping, after waits that were short.</summary>
public sealed class PollerSpinTests
{
    // More looks in a row, without anything to do, than a poller that only falls asleep takes.
    private const int Spinning = 16;

    private const int Posts = 400;

    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(10);

    [Fact]
    public async Task A_poller_that_was_busy_a_moment_ago_looks_on_and_sleeps_in_the_end()
    {
        await using ScriptedPoller world = new(static options => options.MaxSpin = Longest);
        Looks looks = new(world);

        await Eventually.True("it spins", () =>
        {
            for (int post = 0; post < Posts && looks.Most < Spinning; post++)
            {
                looks.PostAndWait();
            }

            return looks.Most >= Spinning;
        });

        await world.Asleep();
    }

    [Fact]
    public async Task A_spinning_poller_finds_events_and_posts()
    {
        await using ScriptedPoller world = new(static options => options.MaxSpin = Longest);
        Looks looks = new(world);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);

        for (int round = 0; round < Posts / 2 || (looks.Most < Spinning && round < Posts * 10); round++)
        {
            looks.PostAndWait();
            Task<int> read = fd.ReadAsync(new byte[1]).AsTask();
            socket.ThenReads(1);
            world.Backend.Inject(socket, PollEventFlags.Read);
            Assert.Equal(1, await read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }

        await world.Asleep();
    }

    [Fact]
    public async Task A_limit_of_zero_never_spins()
    {
        await using ScriptedPoller world = new(static options => options.MaxSpin = TimeSpan.Zero);
        Looks looks = new(world);

        for (int post = 0; post < Posts; post++)
        {
            looks.PostAndWait();
        }

        await world.Asleep();
        Assert.InRange(looks.Most, 0, 3);
    }

    [Fact]
    public async Task A_poller_by_a_clock_that_stands_still_does_not_spin_for_ever()
    {
        await using ScriptedPoller world = new(static options =>
        {
            options.MaxSpin = Longest;
            options.TimeProvider = new FakeTimeProvider();
        });
        Looks looks = new(world);

        for (int post = 0; post < Posts; post++)
        {
            looks.PostAndWait();
        }

        await world.Asleep();
        Assert.InRange(looks.Most, 0, 3);
    }

    // The longest row of looks that do not block, between two posts.
    private sealed class Looks
    {
        private readonly ScriptedPoller _world;
        private int _row;
        private int _most;

        internal Looks(ScriptedPoller world)
        {
            _world = world;
            world.Backend.OnWait = timeout =>
            {
                _row = timeout == 0 ? _row + 1 : 0;
                Volatile.Write(ref _most, Math.Max(_most, _row));
            };
        }

        internal int Most => Volatile.Read(ref _most);

        // On this thread, so that the pool, whose work ends a spin, has none.
        internal void PostAndWait()
        {
            using ManualResetEventSlim done = new();
            _world.Poller.Post(() =>
            {
                _row = 0;
                done.Set();
            });
            Assert.True(done.Wait(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }
    }
}
