using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests.Descriptors;

/// <summary>
/// Every order of the steps of a park against those that end it: none may end with somebody parked while what should free him is there.
/// The steps are those of <see cref="PollDescriptor.TryPark"/> and <see cref="PollDescriptor.Arm"/>, on a real slot.
/// </summary>
public sealed class PollSlotInterleavingTests
{
    [Fact]
    public void NP007_A_park_against_a_close_always_ends_with_Closing()
    {
        int orders = Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.Evict()],
            static (world, order) =>
            {
                world.AssertQuiet(order);
                Assert.True(world.Result == PollResult.Closing, order);
            });

        Assert.True(orders > 20);
    }

    [Fact]
    public void A_park_without_its_second_look_at_the_info_would_sleep_through_a_close()
    {
        bool sleeps = false;

        Interleavings.Explore(
            static () => new World { SkipsSecondLook = true },
            static world => [world.Park(), world.Evict()],
            (world, _) => sleeps |= world.IsParked);

        Assert.True(sleeps, "The explorer found no order that shows why the second look is needed.");
    }

    [Fact]
    public void A_park_against_a_readiness_always_ends_with_Ready()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.Readiness()],
            static (world, order) =>
            {
                world.AssertQuiet(order);
                Assert.True(world.Result == PollResult.Ready, order);
            });
    }

    [Fact]
    public void NP018_A_park_against_a_close_and_a_readiness_ends_once_with_one_of_both()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.Evict(), world.Readiness()],
            static (world, order) =>
            {
                world.AssertQuiet(order);
                Assert.True(world.Result is PollResult.Ready or PollResult.Closing, order);
            });
    }

    [Fact]
    public void NP010_A_park_against_an_expiry_that_is_taken_back_fails_or_goes_on_waiting()
    {
        int waiting = 0;
        int failed = 0;

        Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.ExpireAndExtend()],
            (world, order) =>
            {
                if (world.IsParked)
                {
                    // Freed and parked again, or never freed: either way it is where the next event finds it.
                    Assert.True(world.Slot.HasWaiter, order);
                    Assert.True(world.Freed == world.Ran, order);
                    waiting++;
                }
                else
                {
                    Assert.True(world.Result == PollResult.DeadlineExceeded, order);
                    failed++;
                }
            });

        Assert.True(waiting > 0);
        Assert.True(failed > 0);
    }

    [Fact]
    public void A_park_against_an_expiry_that_is_taken_back_and_a_readiness_always_ends()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.ExpireAndExtend(), world.Readiness()],
            static (world, order) =>
            {
                world.AssertQuiet(order);
                Assert.True(world.Result is PollResult.Ready or PollResult.DeadlineExceeded, order);
            });
    }

    [Fact]
    public void A_park_against_two_readinesses_is_freed_at_most_once()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Park(), world.Readiness(), world.Readiness()],
            static (world, order) =>
            {
                world.AssertQuiet(order);
                Assert.True(world.Result == PollResult.Ready, order);
                Assert.True(world.Freed <= 1, order);
            });
    }

    [Fact]
    public void A_mailbox_that_arms_against_a_close_is_signalled()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Arm(), world.Evict()],
            static (world, order) =>
            {
                Assert.False(world.Slot.HasWaiter, order);
                Assert.True(world.Freed + world.SelfSignals == 1, order);
            });
    }

    [Fact]
    public void NP130_A_mailbox_that_arms_against_a_readiness_is_signalled()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Arm(), world.Readiness()],
            static (world, order) =>
            {
                Assert.False(world.Slot.HasWaiter, order);
                Assert.True(world.Freed + world.SelfSignals == 1, order);
            });
    }

    [Fact]
    public void A_mailbox_that_arms_against_a_close_and_a_readiness_is_signalled()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Arm(), world.Evict(), world.Readiness()],
            static (world, order) =>
            {
                Assert.False(world.Slot.HasWaiter, order);
                Assert.True(world.Freed + world.SelfSignals >= 1, order);
            });
    }

    [Fact]
    public void A_mailbox_that_arms_against_an_expiry_that_is_taken_back_is_signalled_or_armed()
    {
        Interleavings.Explore(
            static () => new World(),
            static world => [world.Arm(), world.ExpireAndExtend()],
            static (world, order) => Assert.True(world.Slot.HasWaiter != (world.Freed + world.SelfSignals > 0), order));
    }

    [Fact]
    public void A_mailbox_that_arms_without_its_look_at_the_info_would_sleep_through_a_close()
    {
        bool sleeps = false;

        Interleavings.Explore(
            static () => new World { SkipsSecondLook = true },
            static world => [world.Arm(), world.Evict()],
            (world, _) => sleeps |= world.Slot.HasWaiter);

        Assert.True(sleeps, "The explorer found no order that shows why the look is needed.");
    }

    private sealed class World
    {
        internal PollSlot Slot;
        private readonly SilentWaiter _waiter = new();
        private bool _isClosing;
        private bool _isExpired;

        internal bool SkipsSecondLook { get; init; }

        internal PollResult? Result { get; private set; }

        internal bool IsParked { get; private set; }

        /// <summary>How often somebody took the waiter and made it runnable.</summary>
        internal int Freed { get; private set; }

        /// <summary>How often the freed waiter ran.</summary>
        internal int Ran { get; private set; }

        /// <summary>How often the mailbox gave itself a signal instead of waiting.</summary>
        internal int SelfSignals { get; private set; }

        internal IEnumerable<Func<bool>> Park()
        {
            while (true)
            {
                PollResult first = Look();
                yield return Interleavings.Free;
                if (first != PollResult.Ready || Slot.TakeReadyOrBeginWait())
                {
                    Result = first;
                    yield break;
                }

                yield return Interleavings.Free;
                PollResult second = SkipsSecondLook ? PollResult.Ready : Look();
                yield return Interleavings.Free;
                if (second == PollResult.Ready && Slot.TryCommit(_waiter))
                {
                    IsParked = true;
                    yield return () => Freed > Ran;
                    IsParked = false;
                    Ran++;
                }

                yield return Interleavings.Free;
                if (Slot.FinishWait())
                {
                    Result = PollResult.Ready;
                    yield break;
                }

                yield return Interleavings.Free;
            }
        }

        internal IEnumerable<Func<bool>> Arm()
        {
            if (Slot.TakeReadyOrArm(_waiter))
            {
                SelfSignals++;
                yield break;
            }

            yield return Interleavings.Free;
            PollResult result = SkipsSecondLook ? PollResult.Ready : Look();
            yield return Interleavings.Free;
            if (result != PollResult.Ready && Slot.TryWithdraw(_waiter))
            {
                SelfSignals++;
            }
        }

        internal IEnumerable<Func<bool>> Evict()
        {
            _isClosing = true;
            yield return Interleavings.Free;
            bool isTaken = Slot.Unblock(ioReady: false) is not null;
            yield return Interleavings.Free;
            Freed += isTaken ? 1 : 0;
        }

        internal IEnumerable<Func<bool>> ExpireAndExtend()
        {
            _isExpired = true;
            yield return Interleavings.Free;
            bool isTaken = Slot.Unblock(ioReady: false) is not null;
            yield return Interleavings.Free;
            Freed += isTaken ? 1 : 0;
            yield return Interleavings.Free;
            _isExpired = false;
        }

        internal IEnumerable<Func<bool>> Readiness()
        {
            bool isTaken = Slot.Unblock(ioReady: true) is not null;
            yield return Interleavings.Free;
            Freed += isTaken ? 1 : 0;
        }

        internal void AssertQuiet(string order)
        {
            Assert.False(IsParked, order);
            Assert.False(Slot.HasWaiter, order);
            Assert.True(Freed == Ran, order);
        }

        private PollResult Look() => _isClosing ? PollResult.Closing : _isExpired ? PollResult.DeadlineExceeded : PollResult.Ready;
    }
}
