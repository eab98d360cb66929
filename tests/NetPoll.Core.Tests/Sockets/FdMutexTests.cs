using NetPoll.Core.Descriptors;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

public sealed class FdMutexTests
{
    private FdMutex _mutex;

    [Fact]
    public void NP033_References_and_locks_of_a_fresh_mutex_come_and_go_without_destroying()
    {
        Assert.True(_mutex.TryAddReference());
        Assert.False(_mutex.RemoveReference());
        foreach (PollMode mode in new[] { PollMode.Read, PollMode.Write })
        {
            Assert.True(_mutex.TryLock(mode));
            Assert.False(_mutex.Unlock(mode));
            Assert.Equal(LockAttempt.Held, _mutex.TryLockOrEnqueue(mode, out _));
            Assert.False(_mutex.Unlock(mode));
        }
    }

    [Fact]
    public void NP034_A_closed_mutex_refuses_everything_and_a_second_close()
    {
        Assert.True(_mutex.AddReferenceAndClose());

        Assert.False(_mutex.TryAddReference());
        Assert.False(_mutex.TryLock(PollMode.Read));
        Assert.False(_mutex.TryLock(PollMode.Write));
        Assert.Equal(LockAttempt.Closed, _mutex.TryLockOrEnqueue(PollMode.Read, out _));
        Assert.Equal(LockAttempt.Closed, _mutex.TryLockOrEnqueue(PollMode.Write, out _));
        Assert.False(_mutex.AddReferenceAndClose());
        Assert.True(_mutex.RemoveReference());
    }

    [Fact]
    public void NP035_Closing_turns_away_the_queue_and_the_holder_destroys()
    {
        Assert.True(_mutex.TryLock(PollMode.Read));
        SemaphoreSlim turn = Enqueue(PollMode.Read, count: 4);
        Assert.Equal(0, turn.CurrentCount);

        Assert.True(_mutex.AddReferenceAndClose());

        Assert.Equal(4, turn.CurrentCount);
        Assert.Equal(LockAttempt.Closed, _mutex.TryLockOrEnqueue(PollMode.Read, out _));
        Assert.False(_mutex.RemoveReference());
        Assert.True(_mutex.Unlock(PollMode.Read));
    }

    [Fact]
    public void NP036_Leaving_what_was_not_taken_throws_and_changes_nothing()
    {
        Assert.Throws<PollerInvariantException>(() => _mutex.RemoveReference());
        Assert.Throws<PollerInvariantException>(() => _mutex.Unlock(PollMode.Read));
        Assert.Throws<PollerInvariantException>(() => _mutex.Unlock(PollMode.Write));

        _mutex.TryLock(PollMode.Read);
        _mutex.Unlock(PollMode.Read);
        Assert.Throws<PollerInvariantException>(() => _mutex.Unlock(PollMode.Read));
        _mutex.TryAddReference();
        Assert.Throws<PollerInvariantException>(() => _mutex.Unlock(PollMode.Write));
        _mutex.RemoveReference();
        Assert.Throws<PollerInvariantException>(() => _mutex.RemoveReference());

        NP033_References_and_locks_of_a_fresh_mutex_come_and_go_without_destroying();
    }

    [Fact]
    public void NP037_Too_many_references_are_an_error_of_their_own()
    {
        for (int count = 0; count < (1 << 20) - 1; count++)
        {
            Assert.True(_mutex.TryAddReference());
        }

        foreach (Action overflow in new Action[]
        {
            () => _mutex.TryAddReference(),
            () => _mutex.TryLock(PollMode.Read),
            () => _mutex.TryLockOrEnqueue(PollMode.Write, out _),
            () => _mutex.AddReferenceAndClose(),
        })
        {
            InvalidOperationException failure = Assert.Throws<InvalidOperationException>(overflow);
            Assert.Contains("too many", failure.Message, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("inconsistent", failure.Message, StringComparison.OrdinalIgnoreCase);
        }

        Assert.False(_mutex.RemoveReference());
        Assert.True(_mutex.TryAddReference());
    }

    [Fact]
    public void NP037_Too_many_waiters_are_refused_before_they_count_as_the_other_direction_s()
    {
        _mutex.TryLock(PollMode.Read);
        Enqueue(PollMode.Read, (1 << 20) - 1);

        Assert.Throws<InvalidOperationException>(() => _mutex.TryLockOrEnqueue(PollMode.Read, out _));

        Assert.True(_mutex.TryLock(PollMode.Write));
        Assert.False(_mutex.Unlock(PollMode.Write));
    }

    [Fact]
    public async Task NP038_Each_direction_s_lock_excludes_under_load_and_the_last_user_destroys()
    {
        int rounds = StressScale.Rounds(20_000);
        int seed = Seed.Next();
        long[] first = new long[2];
        long[] second = new long[2];

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            Random random = new(seed + worker);
            for (int round = 0; round < rounds; round++)
            {
                int kind = random.Next(3);
                if (kind == 2)
                {
                    Assert.True(_mutex.TryAddReference());
                    Assert.False(_mutex.RemoveReference());
                    continue;
                }

                PollMode mode = kind == 0 ? PollMode.Read : PollMode.Write;
                await Lock(mode);
                Assert.Equal(first[kind], second[kind]);
                first[kind]++;
                second[kind]++;
                Assert.False(_mutex.Unlock(mode));
            }
        })));

        Assert.Equal(first, second);
        Assert.True(_mutex.AddReferenceAndClose());
        Assert.True(_mutex.RemoveReference());
    }

    [Fact]
    public void NP039_The_two_directions_are_independent()
    {
        Assert.True(_mutex.TryLock(PollMode.Read));
        SemaphoreSlim readers = Enqueue(PollMode.Read, 1);

        Assert.True(_mutex.TryLock(PollMode.Write));
        Assert.False(_mutex.Unlock(PollMode.Write));

        Assert.Equal(0, readers.CurrentCount);
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.Equal(1, readers.CurrentCount);
    }

    [Fact]
    public void NP040_Unlocking_wakes_one_waiter_who_queues_again_behind_a_barger()
    {
        _mutex.TryLock(PollMode.Write);
        SemaphoreSlim turn = Enqueue(PollMode.Write, 3);

        _mutex.Unlock(PollMode.Write);
        Assert.Equal(1, turn.CurrentCount);

        // Somebody who never waited gets in; the woken one finds it held and counts himself in again.
        Assert.True(_mutex.TryLock(PollMode.Write));
        Assert.True(turn.Wait(0, TestContext.Current.CancellationToken));
        Assert.Equal(LockAttempt.Wait, _mutex.TryLockOrEnqueue(PollMode.Write, out _));
        for (int waiter = 0; waiter < 3; waiter++)
        {
            _mutex.Unlock(PollMode.Write);
            Assert.True(turn.Wait(0, TestContext.Current.CancellationToken));
            Assert.Equal(LockAttempt.Held, _mutex.TryLockOrEnqueue(PollMode.Write, out _));
        }

        _mutex.Unlock(PollMode.Write);
        Assert.Equal(0, turn.CurrentCount);
    }

    [Fact]
    public void NP041_Closing_fails_the_waiters_at_once_and_the_holder_destroys_once()
    {
        _mutex.TryLock(PollMode.Write);
        SemaphoreSlim turn = Enqueue(PollMode.Write, 2);

        Assert.True(_mutex.AddReferenceAndClose());

        Assert.Equal(2, turn.CurrentCount);
        Assert.False(_mutex.RemoveReference());
        Assert.True(_mutex.Unlock(PollMode.Write));
        Assert.Equal(2, turn.CurrentCount);
        Assert.Throws<PollerInvariantException>(() => _mutex.RemoveReference());
    }

    [Fact]
    public void One_who_leaves_the_queue_is_not_released_afterwards()
    {
        _mutex.TryLock(PollMode.Read);
        _mutex.TryLock(PollMode.Write);
        SemaphoreSlim readers = Enqueue(PollMode.Read, 2);
        SemaphoreSlim writers = Enqueue(PollMode.Write, 1);

        _mutex.LeaveQueue(PollMode.Read);
        _mutex.LeaveQueue(PollMode.Read);

        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.False(_mutex.Unlock(PollMode.Write));
        Assert.Equal(0, readers.CurrentCount);
        Assert.Equal(1, writers.CurrentCount);
        Assert.True(_mutex.TryLock(PollMode.Read));
    }

    [Fact]
    public void One_who_leaves_when_his_turn_has_come_takes_it_with_him_and_no_other_s()
    {
        _mutex.TryLock(PollMode.Write);
        SemaphoreSlim turn = Enqueue(PollMode.Write, 2);
        _mutex.Unlock(PollMode.Write);

        // One is counted still, and one release is there: whoever leaves, the other has his turn.
        _mutex.LeaveQueue(PollMode.Write);
        Assert.Equal(1, turn.CurrentCount);
        _mutex.LeaveQueue(PollMode.Write);

        Assert.Equal(0, turn.CurrentCount);
        Assert.True(_mutex.TryLock(PollMode.Write));
        _mutex.Unlock(PollMode.Write);
        Assert.Equal(0, turn.CurrentCount);
    }

    [Fact]
    public void One_who_leaves_after_the_close_takes_the_release_of_the_close_with_him()
    {
        _mutex.TryLock(PollMode.Read);
        SemaphoreSlim turn = Enqueue(PollMode.Read, 3);
        _mutex.AddReferenceAndClose();

        _mutex.LeaveQueue(PollMode.Read);

        Assert.Equal(2, turn.CurrentCount);
        Assert.False(_mutex.RemoveReference());
        Assert.True(_mutex.Unlock(PollMode.Read));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_who_leaves_while_the_lock_is_left_or_closed_leaves_nothing_behind(bool isClose)
    {
        SemaphoreSlim turn = null!;
        Race.Run(
            StressScale.Rounds(20_000),
            prepare: () =>
            {
                _mutex = default;
                _mutex.TryLock(PollMode.Read);
                turn = Enqueue(PollMode.Read, 2);
            },
            here: () =>
            {
                if (isClose)
                {
                    Assert.True(_mutex.AddReferenceAndClose());
                }
                else
                {
                    Assert.False(_mutex.Unlock(PollMode.Read));
                }
            },
            there: () => _mutex.LeaveQueue(PollMode.Read),
            check: () =>
            {
                // The other's turn, and nobody's beside it.
                Assert.Equal(1, turn.CurrentCount);
                _mutex.LeaveQueue(PollMode.Read);
                Assert.Equal(0, turn.CurrentCount);
            });
    }

    [Fact]
    public async Task Waiters_that_are_cancelled_at_random_keep_nobody_from_the_lock_and_leave_nothing_behind()
    {
        int rounds = StressScale.Rounds(10_000);
        int seed = Seed.Next();
        CancellationTokenSource[] tokens = [.. Enumerable.Range(0, 8).Select(static _ => new CancellationTokenSource())];
        bool isOver = false;
        long held = 0;
        long cancelled = 0;
        Task canceller = Task.Run(
            () =>
            {
                Random random = new(seed);
                while (!Volatile.Read(ref isOver))
                {
                    int victim = random.Next(tokens.Length);
                    using CancellationTokenSource old = Interlocked.Exchange(ref tokens[victim], new CancellationTokenSource());
                    old.Cancel();
                }
            },
            TestContext.Current.CancellationToken);

        await Task.WhenAll(Enumerable.Range(0, tokens.Length).Select(worker => Task.Run(async () =>
        {
            for (int round = 0; round < rounds; round++)
            {
                try
                {
                    await Lock(PollMode.Read, Volatile.Read(ref tokens[worker]));
                }
                catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
                {
                    Interlocked.Increment(ref cancelled);
                    continue;
                }

                Assert.Equal(1, Interlocked.Increment(ref held));
                if (round % 4 == 0)
                {
                    await Task.Yield();
                }

                Assert.Equal(0, Interlocked.Decrement(ref held));
                Assert.False(_mutex.Unlock(PollMode.Read));
            }
        }))).WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
        Volatile.Write(ref isOver, true);
        await canceller;
        Array.ForEach(tokens, static token => token.Dispose());

        Assert.True(cancelled > 0, "Nobody was cancelled: the test shows nothing.");
        Assert.True(_mutex.TryLock(PollMode.Read));
        SemaphoreSlim turn = Enqueue(PollMode.Read, 1);
        _mutex.LeaveQueue(PollMode.Read);
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.Equal(0, turn.CurrentCount);
    }

    [Fact]
    public void A_close_that_races_users_is_destroyed_by_exactly_one_of_them()
    {
        int destroyed = 0;

        Race.Run(
            StressScale.Rounds(20_000),
            prepare: () =>
            {
                _mutex = default;
                destroyed = 0;
            },
            here: () =>
            {
                for (int time = 0; time < 3; time++)
                {
                    if (_mutex.TryLock(PollMode.Read) && _mutex.Unlock(PollMode.Read))
                    {
                        Interlocked.Increment(ref destroyed);
                    }

                    if (_mutex.TryAddReference() && _mutex.RemoveReference())
                    {
                        Interlocked.Increment(ref destroyed);
                    }
                }
            },
            there: () =>
            {
                if (_mutex.AddReferenceAndClose() && _mutex.RemoveReference())
                {
                    Interlocked.Increment(ref destroyed);
                }
            },
            check: () => Assert.Equal(1, destroyed));
    }

    private SemaphoreSlim Enqueue(PollMode mode, int count)
    {
        SemaphoreSlim? turn = null;
        for (int waiter = 0; waiter < count; waiter++)
        {
            Assert.Equal(LockAttempt.Wait, _mutex.TryLockOrEnqueue(mode, out turn));
        }

        return turn!;
    }

    // As NetFd does it.
    private async ValueTask Lock(PollMode mode, CancellationTokenSource source)
    {
        CancellationToken cancellation = source.Token;
        while (_mutex.TryLockOrEnqueue(mode, out SemaphoreSlim? turn) == LockAttempt.Wait)
        {
            try
            {
                await turn!.WaitAsync(cancellation);
            }
            catch (OperationCanceledException)
            {
                _mutex.LeaveQueue(mode);
                throw;
            }
        }
    }

    private async ValueTask Lock(PollMode mode)
    {
        while (_mutex.TryLockOrEnqueue(mode, out SemaphoreSlim? turn) == LockAttempt.Wait)
        {
            await turn!.WaitAsync(TestContext.Current.CancellationToken);
        }
    }
}
