using System.Globalization;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Which poller a newcomer gets, how even that is, and on which core a poller runs.</summary>
public sealed class PlacementTests
{
    [Fact]
    public async Task The_least_loaded_poller_is_chosen_and_equals_take_turns()
    {
        await using PollerGroup group = new(new PollerOptions
        {
            PollerCount = 3,
            Placement = PollerPlacement.LeastLoaded,
            Platform = new ScriptedPlatform(),
        });
        Poller full = group.Pollers[1];
        _ = Open(full);
        _ = Open(full);

        for (int count = 0; count < 4; count++)
        {
            Poller chosen = group.Choose();
            Assert.NotSame(full, chosen);
            _ = Open(chosen);
        }

        Assert.Equal([2, 2, 2], group.Snapshot().Pollers.Select(static poller => poller.Monitored));
        Assert.Equal(3, Enumerable.Range(0, 3).Select(_ => group.Choose()).Distinct().Count());
    }

    [Theory]
    [InlineData(PollerPlacement.RoundRobin)]
    [InlineData(PollerPlacement.LeastLoaded)]
    public async Task A_poller_that_has_failed_is_passed_over(PollerPlacement placement)
    {
        ScriptedPlatform platform = new();
        await using PollerGroup group = new(new PollerOptions { PollerCount = 3, Placement = placement, Platform = platform });
        Poller failed = group.Pollers[1];
        platform.Backends[1].FailWait(new IOException("the system refuses"));
        await failed.Stopped;

        Poller[] chosen = [.. Enumerable.Range(0, 12).Select(_ => group.Choose())];
        Poller? chosenThere = null;
        await failed.RunAsync(() => { chosenThere = group.Choose(); });

        Assert.DoesNotContain(failed, chosen);
        Assert.Equal(2, chosen.Distinct().Count());
        Assert.NotSame(failed, chosenThere);
    }

    [Theory]
    [InlineData(PollerPlacement.RoundRobin)]
    [InlineData(PollerPlacement.LeastLoaded)]
    public async Task Where_all_have_failed_one_of_them_is_chosen_and_refuses(PollerPlacement placement)
    {
        ScriptedPlatform platform = new();
        await using PollerGroup group = new(new PollerOptions { PollerCount = 2, Placement = placement, Platform = platform });
        group.Start();
        foreach (ScriptedBackend backend in platform.Backends)
        {
            backend.FailWait(new IOException("the system refuses"));
        }

        await Task.WhenAll(group.Pollers.Select(static poller => poller.Stopped));

        Assert.False(group.Choose().Open(new ScriptedSocket(), out _).IsSuccess);
    }

    [Fact]
    public async Task An_accept_loop_loses_nobody_because_another_poller_has_failed()
    {
        await using NetListenerFixture fixture = new(pollers: 2);
        Poller failed = fixture.Group.Pollers.Single(poller => poller != fixture.Listener.Poller);
        failed.Stop();
        await failed.Stopped;

        for (int count = 0; count < 4; count++)
        {
            await using Loopback pair = await Loopback.ConnectAsync(fixture.Listener);
            await pair.SendAsync(new byte[] { 42 });
            Assert.Equal(1, await pair.Connection.ReadAsync(new byte[8]));
        }
    }

    [Fact]
    public async Task A_hash_leads_to_the_same_poller_also_when_that_has_failed_and_what_is_posted_there_runs()
    {
        ScriptedPlatform platform = new();
        await using PollerGroup group = new(new PollerOptions { PollerCount = 2, Platform = platform });
        Poller chosen = group.Choose(hash: 1);
        platform.Backends[chosen.Index].FailWait(new IOException("the system refuses"));
        await chosen.Stopped;

        Assert.Same(chosen, group.Choose(hash: 1));
        Assert.True(await group.Choose(hash: 1).RunAsync(() => Task.FromResult(chosen.IsCurrent)));
    }

    [Fact]
    public async Task A_hash_always_leads_to_the_same_poller_and_hashes_lead_to_all()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 3, Platform = new ScriptedPlatform() });

        foreach (int hash in (int[])[int.MinValue, -1, 0, 1, int.MaxValue])
        {
            Assert.Same(group.Choose(hash), group.Choose(hash));
        }

        Assert.Equal(3, Enumerable.Range(-10, 20).Select(group.Choose).Distinct().Count());
    }

    [Fact]
    public async Task Skew_is_1_when_all_have_as_many_and_the_number_of_pollers_when_one_has_all()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 4, Platform = new ScriptedPlatform() });
        Assert.Equal(1, group.Snapshot().Skew);

        _ = Open(group.Pollers[2]);
        Assert.Equal(4, group.Snapshot().Skew);

        foreach (int index in (int[])[0, 1, 3])
        {
            _ = Open(group.Pollers[index]);
        }

        Assert.Equal(1, group.Snapshot().Skew);
    }

    [Theory]
    [InlineData(0b1011, 0, 0)]
    [InlineData(0b1011, 1, 1)]
    [InlineData(0b1011, 2, 3)]
    [InlineData(0b1011, 3, 0)]
    [InlineData(0b1011, 7, 1)]
    [InlineData(0, 0, -1)]
    public void A_place_is_counted_round_among_the_cores_that_may_be_used(ulong allowed, int index, int core)
    {
        Assert.Equal(core, ThreadAffinity.CoreAt([allowed, 0], index));
        Assert.Equal(core < 0 ? core : core + 64, ThreadAffinity.CoreAt([0, allowed], index));
    }

    [Fact]
    public async Task A_pinned_poller_runs_on_its_core_only()
    {
        TestBackend.SkipOnPortable("System.Net.Sockets has no way to confine a thread to a core.");
        await using PollerGroup group = new(new PollerOptions { PollerCount = 3, PinToCores = true });

        foreach (Poller poller in group.Pollers)
        {
            string allowed = await poller.RunAsync(static () => Task.FromResult(
                File.ReadLines("/proc/thread-self/status").Single(static line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal))));

            Assert.Equal(poller.Snapshot().Core?.ToString(CultureInfo.InvariantCulture), allowed.Split(':')[1].Trim());
        }
    }

    [Fact]
    public async Task Where_a_core_cannot_be_had_the_log_says_so_and_the_pollers_run()
    {
        CapturedLog log = new();
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, PinToCores = true, Platform = new ScriptedPlatform(), Logger = log });

        Assert.Equal(1, await group.Pollers[0].RunAsync(static () => Task.FromResult(1)));

        Assert.Null(group.Pollers[0].Snapshot().Core);
        Assert.Contains(log.Entries, static entry => entry.Message.Contains("poller-0 could not be confined to a core", StringComparison.Ordinal));
    }

    private static PollDescriptor Open(Poller poller)
    {
        Assert.True(poller.Open(new ScriptedSocket(), out PollDescriptor? descriptor).IsSuccess);
        return descriptor!;
    }
}
