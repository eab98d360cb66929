using System.Runtime.CompilerServices;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Descriptors;

/// <summary>Every transition of the table in <see cref="PollSlot"/>; the numbers T1 to T16 are those of the semantics.</summary>
public sealed class PollSlotTests
{
    private readonly SilentWaiter _waiter = new();
    private PollSlot _slot;
    private IPollWaiter? _freed;
    private int _timesFreed;
    private bool _isOver;

    [Fact]
    public void T1_A_latched_readiness_is_consumed_by_the_entry_of_a_wait()
    {
        _slot.Unblock(ioReady: true);

        Assert.True(_slot.TakeReadyOrBeginWait());

        AssertEmpty();
    }

    [Fact]
    public void T2_An_empty_slot_lets_its_owner_announce_a_wait()
    {
        Assert.False(_slot.TakeReadyOrBeginWait());

        Assert.True(_slot.TryCommit(_waiter));
    }

    [Fact]
    public void T3_A_second_wait_is_refused_while_the_first_is_announced()
    {
        _slot.TakeReadyOrBeginWait();

        InvalidOperationException refusal = Assert.Throws<InvalidOperationException>(() => _slot.TakeReadyOrBeginWait());

        Assert.Contains("Double wait", refusal.Message, StringComparison.Ordinal);
        Assert.True(_slot.TryCommit(_waiter));
    }

    [Fact]
    public void T3_A_second_wait_is_refused_while_the_first_is_parked()
    {
        Park();

        Assert.Throws<InvalidOperationException>(() => _slot.TakeReadyOrBeginWait());

        Assert.Same(_waiter, _slot.Unblock(ioReady: true));
    }

    [Fact]
    public void T4_A_committed_waiter_is_parked()
    {
        Park();

        Assert.True(_slot.HasWaiter);
        Assert.False(_slot.IsReady);
    }

    [Fact]
    public void T5_Readiness_before_the_commit_frees_nobody_and_keeps_the_waiter_from_parking()
    {
        _slot.TakeReadyOrBeginWait();

        Assert.Null(_slot.Unblock(ioReady: true));

        Assert.False(_slot.TryCommit(_waiter));
        Assert.True(_slot.FinishWait());
    }

    [Fact]
    public void T6_An_event_before_the_commit_frees_nobody_and_keeps_the_waiter_from_parking()
    {
        _slot.TakeReadyOrBeginWait();

        Assert.Null(_slot.Unblock(ioReady: false));

        Assert.False(_slot.TryCommit(_waiter));
        Assert.False(_slot.FinishWait());
    }

    [Fact]
    public void T7_Readiness_takes_the_waiter_and_stays_until_the_waiter_runs()
    {
        Park();

        Assert.Same(_waiter, _slot.Unblock(ioReady: true));

        Assert.True(_slot.IsReady);
        Assert.True(_slot.FinishWait());
        AssertEmpty();
    }

    [Fact]
    public void T8_An_event_takes_the_waiter_and_leaves_nothing()
    {
        Park();

        Assert.Same(_waiter, _slot.Unblock(ioReady: false));

        Assert.False(_slot.HasWaiter);
        Assert.False(_slot.FinishWait());
    }

    [Fact]
    public void T9_Readiness_with_nobody_waiting_is_latched()
    {
        Assert.Null(_slot.Unblock(ioReady: true));

        Assert.True(_slot.IsReady);
    }

    [Fact]
    public void T10_Readiness_twice_is_latched_once()
    {
        _slot.Unblock(ioReady: true);

        Assert.Null(_slot.Unblock(ioReady: true));

        Assert.True(_slot.TakeReadyOrBeginWait());
        Assert.False(_slot.TakeReadyOrBeginWait());
    }

    [Fact]
    public void T11_An_event_never_removes_a_pending_readiness()
    {
        _slot.Unblock(ioReady: true);

        Assert.Null(_slot.Unblock(ioReady: false));

        Assert.True(_slot.IsReady);
    }

    [Fact]
    public void T12_An_event_with_nobody_waiting_leaves_no_trace()
    {
        Assert.Null(_slot.Unblock(ioReady: false));

        AssertEmpty();
    }

    [Fact]
    public void T13_Preparing_forgets_a_readiness()
    {
        _slot.Unblock(ioReady: true);

        _slot.Prepare();

        AssertEmpty();
    }

    [Fact]
    public void T14_The_exit_of_a_wait_refuses_to_find_a_waiter()
    {
        Park();

        Assert.Throws<PollerInvariantException>(() => _slot.FinishWait());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void T14_The_exit_of_a_wait_empties_the_slot(bool isReady)
    {
        _slot.TakeReadyOrBeginWait();
        if (isReady)
        {
            _slot.Unblock(ioReady: true);
        }

        Assert.Equal(isReady, _slot.FinishWait());

        AssertEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void T15_A_new_tenant_begins_with_an_empty_slot(bool isReady)
    {
        if (isReady)
        {
            _slot.Unblock(ioReady: true);
        }

        _slot.Vacate("free");

        AssertEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void T15_A_new_tenant_is_refused_while_somebody_waits(bool isCommitted)
    {
        _slot.TakeReadyOrBeginWait();
        if (isCommitted)
        {
            _slot.TryCommit(_waiter);
        }

        Assert.Throws<PollerInvariantException>(() => _slot.Vacate("free"));

        Assert.Equal(isCommitted, _slot.HasWaiter);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void T16_The_end_of_a_tenancy_refuses_a_waiter_and_nothing_else(bool isCommitted)
    {
        _slot.Vacate("closing");
        _slot.Unblock(ioReady: true);
        _slot.Vacate("closing");
        _slot.Prepare();
        _slot.TakeReadyOrBeginWait();
        if (isCommitted)
        {
            _slot.TryCommit(_waiter);
        }

        PollerInvariantException refusal = Assert.Throws<PollerInvariantException>(() => _slot.Vacate("closing"));

        Assert.Contains("blocked on a closing descriptor", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mailbox_arms_an_empty_slot_in_one_step()
    {
        Assert.False(_slot.TakeReadyOrArm(_waiter));

        Assert.True(_slot.HasWaiter);
    }

    [Fact]
    public void A_mailbox_takes_a_latched_readiness_instead_of_arming()
    {
        _slot.Unblock(ioReady: true);

        Assert.True(_slot.TakeReadyOrArm(_waiter));

        AssertEmpty();
    }

    [Fact]
    public void Arming_twice_by_the_same_mailbox_is_as_once()
    {
        _slot.TakeReadyOrArm(_waiter);

        Assert.False(_slot.TakeReadyOrArm(_waiter));

        Assert.Same(_waiter, _slot.Unblock(ioReady: true));
    }

    [Fact]
    public void Arming_by_another_mailbox_is_a_double_wait()
    {
        _slot.TakeReadyOrArm(_waiter);

        Assert.Throws<InvalidOperationException>(() => _slot.TakeReadyOrArm(new SilentWaiter()));

        Assert.Same(_waiter, _slot.Unblock(ioReady: true));
    }

    [Fact]
    public void An_awaited_wait_while_a_mailbox_is_armed_is_a_double_wait()
    {
        _slot.TakeReadyOrArm(_waiter);

        Assert.Throws<InvalidOperationException>(() => _slot.TakeReadyOrBeginWait());
    }

    [Fact]
    public void A_mailbox_withdraws_its_own_park_and_no_other()
    {
        SilentWaiter other = new();
        _slot.TakeReadyOrArm(_waiter);

        Assert.False(_slot.TryWithdraw(other));
        Assert.True(_slot.TryWithdraw(_waiter));

        AssertEmpty();
    }

    [Fact]
    public void A_mailbox_whose_signal_is_on_the_way_cannot_withdraw()
    {
        _slot.TakeReadyOrArm(_waiter);
        _slot.Unblock(ioReady: true);

        Assert.False(_slot.TryWithdraw(_waiter));

        Assert.True(_slot.IsReady);
    }

    [Theory]
    [InlineData("freed by readiness")]
    [InlineData("freed by an event")]
    [InlineData("withdrawn")]
    [InlineData("vacated")]
    public void A_waiter_whose_wait_is_over_is_not_kept_alive(string end)
    {
        WeakReference waiter = WaitOnce(end);

        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.False(waiter.IsAlive);
    }

    [Fact]
    public void Each_of_many_parks_is_freed_once_and_by_its_own_waiter()
    {
        SilentWaiter other = new();
        Thread readiness = new(() => Free(ioReady: true));
        Thread events = new(() => Free(ioReady: false));
        readiness.Start();
        events.Start();
        int parks = 0;
        try
        {
            for (int rounds = StressScale.Rounds(100_000); parks < rounds; parks++)
            {
                SilentWaiter waiter = (parks & 1) == 0 ? _waiter : other;
                ParkAtLast(waiter);
                AwaitFreed(parks + 1);
                Assert.Same(waiter, _freed);
                _slot.FinishWait();
            }
        }
        finally
        {
            Volatile.Write(ref _isOver, true);
            readiness.Join();
            events.Join();
        }

        Assert.Equal(parks, _timesFreed);
        Assert.False(_slot.HasWaiter);
    }

    // A wait that nobody frees any more would hang: each look costs time, and there is plenty of it.
    private void AwaitFreed(int times)
    {
        long start = TimeProvider.System.GetTimestamp();
        SpinWait spin = default;
        while (Volatile.Read(ref _timesFreed) < times)
        {
            spin.SpinOnce(sleep1Threshold: -1);
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(30), $"Park {times} was freed by nobody.");
        }

        Assert.Equal(times, _timesFreed);
    }

    private void ParkAtLast(SilentWaiter waiter)
    {
        while (_slot.TakeReadyOrBeginWait() || !_slot.TryCommit(waiter))
        {
            if (!_slot.IsReady)
            {
                _slot.FinishWait();
            }
        }
    }

    // Mostly when there is somebody, or the owner would hardly ever come to park.
    private void Free(bool ioReady)
    {
        for (int turn = 0; !Volatile.Read(ref _isOver); turn++)
        {
            if ((_slot.HasWaiter || turn % 64 == 0) && _slot.Unblock(ioReady) is { } waiter)
            {
                _freed = waiter;
                Interlocked.Increment(ref _timesFreed);
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference WaitOnce(string end)
    {
        SilentWaiter waiter = new();
        Assert.False(_slot.TakeReadyOrArm(waiter));
        switch (end)
        {
            case "withdrawn":
                Assert.True(_slot.TryWithdraw(waiter));
                break;
            case "vacated":
                Assert.Same(waiter, _slot.Unblock(ioReady: false));
                _slot.Vacate("closing");
                break;
            default:
                Assert.Same(waiter, _slot.Unblock(ioReady: end == "freed by readiness"));
                _slot.FinishWait();
                break;
        }

        return new WeakReference(waiter);
    }

    private void Park()
    {
        Assert.False(_slot.TakeReadyOrBeginWait());
        Assert.True(_slot.TryCommit(_waiter));
    }

    private void AssertEmpty()
    {
        Assert.False(_slot.IsReady);
        Assert.False(_slot.HasWaiter);
        Assert.False(_slot.TakeReadyOrBeginWait());
    }
}
