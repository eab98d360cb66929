using System.ComponentModel;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

public sealed class PollerGroupTests
{
    [Fact]
    public async Task NP113_Starting_from_many_threads_makes_each_poller_once()
    {
        for (int round = 0; round < StressScale.Rounds(20); round++)
        {
            ScriptedPlatform platform = new();
            await using PollerGroup group = new(new PollerOptions { PollerCount = 3, Platform = platform });
            using Barrier barrier = new(16);
            Thread[] threads = new Thread[16];
            bool[] seen = new bool[threads.Length];
            for (int index = 0; index < threads.Length; index++)
            {
                int own = index;
                threads[index] = new Thread(() =>
                {
                    barrier.SignalAndWait(CancellationToken.None);
                    group.Start();
                    seen[own] = group.IsStarted && group.Pollers.Count == 3 && group.Choose() is not null;
                });
                threads[index].Start();
            }

            Array.ForEach(threads, static thread => thread.Join());

            Assert.DoesNotContain(false, seen);
            Assert.Equal(3, platform.Backends.Count);
        }
    }

    [Fact]
    public async Task NP113_A_start_that_fails_leaves_nothing_open_and_can_be_tried_again()
    {
        ScriptedPlatform platform = new() { BackendsUntilFailure = 2 };
        await using PollerGroup group = new(new PollerOptions { PollerCount = 3, Platform = platform });

        Assert.Throws<Win32Exception>(group.Start);

        Assert.False(group.IsStarted);
        Assert.Equal(2, platform.Backends.Count);
        Assert.All(platform.Backends, static backend => Assert.True(backend.IsDisposed));

        group.Start();
        Assert.True(group.IsStarted);
        Assert.Equal(5, platform.Backends.Count);
    }

    [Fact]
    public async Task A_stopped_group_says_so_and_does_not_start_again()
    {
        PollerGroup group = new(new PollerOptions { PollerCount = 1, Platform = new ScriptedPlatform() });
        group.Start();
        await group.DisposeAsync();

        Assert.False(group.IsStarted);
        Assert.Throws<ObjectDisposedException>(group.Start);
        Assert.Throws<ObjectDisposedException>(group.Choose);
        Assert.False(group.IsPollDescriptor(ScriptedBackend.OwnDescriptor));
        await group.DisposeAsync();
    }

    [Fact]
    public async Task A_group_that_never_started_can_be_disposed()
    {
        PollerGroup group = new(new PollerOptions { PollerCount = 1, Platform = new ScriptedPlatform() });

        await group.DisposeAsync();

        Assert.Throws<ObjectDisposedException>(group.Start);
    }

    [Fact]
    public async Task Newcomers_are_spread_and_a_poller_keeps_its_own()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 3, Platform = new ScriptedPlatform() });

        Poller[] chosen = [.. Enumerable.Range(0, 6).Select(_ => group.Choose())];
        Assert.All(chosen.GroupBy(static poller => poller), static uses => Assert.Equal(2, uses.Count()));

        foreach (Poller poller in group.Pollers)
        {
            Assert.Same(poller, await poller.RunAsync(() => Task.FromResult(group.Choose())));
        }
    }

    [Fact]
    public async Task A_group_has_the_name_that_it_was_given_or_one_of_its_own()
    {
        PollerOptions unnamed = new() { PollerCount = 2, Platform = new ScriptedPlatform() };
        await using PollerGroup first = new(unnamed);
        await using PollerGroup second = new(unnamed);
        await using PollerGroup named = new(new PollerOptions { Name = "players", PollerCount = 1, Platform = new ScriptedPlatform() });

        Assert.NotEqual(first.Name, second.Name);
        Assert.Equal("players", named.Name);
        Assert.Equal("default", PollerGroup.Default.Name);
        Assert.Equal([(first.Name, "poller-0"), (first.Name, "poller-1")], first.Pollers.Select(static poller => (poller.Group, poller.Name)));
    }

    [Theory]
    [InlineData(nameof(PollerOptions.PollerCount), 0)]
    [InlineData(nameof(PollerOptions.PollerCount), 5_000)]
    [InlineData(nameof(PollerOptions.EventsPerWait), 0)]
    [InlineData(nameof(PollerOptions.EventsPerWait), 70_000)]
    [InlineData(nameof(PollerOptions.MaxDescriptors), 0)]
    [InlineData(nameof(PollerOptions.Name), " ")]
    public void An_option_out_of_its_range_is_named_with_its_value(string option, object value)
    {
        PollerOptions options = new();
        typeof(PollerOptions).GetProperty(option)!.SetValue(options, value);

        ArgumentException refusal = Assert.Throws<ArgumentException>(() => new PollerGroup(options));

        Assert.Contains(value is string text ? $"{option} is '{text}'" : $"{option} is {value}", refusal.Message, StringComparison.Ordinal);
    }
}
