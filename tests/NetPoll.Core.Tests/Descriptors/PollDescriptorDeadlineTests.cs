using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Descriptors;

/// <summary>The deadlines of a descriptor in virtual time.</summary>
public sealed class PollDescriptorDeadlineTests
{
    private readonly DescriptorModel _model = new();

    private PollDescriptor Descriptor => _model.Descriptor;

    private WaitProbe Reader => _model.Reader;

    private WaitProbe Writer => _model.Writer;

    [Fact]
    public void NP042_A_parked_reader_is_freed_at_its_deadline_and_not_before()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();

        _model.Advance(49);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(0.999);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(0.001);

        Assert.Equal(1, Reader.Freed);
        Assert.Equal(PollSignals.ReadDeadline, Reader.Signals);
        _model.Run();
        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
    }

    [Fact]
    public void NP043_A_wait_past_its_deadline_does_not_park()
    {
        _model.SetDeadline(PollMode.Read, -1);

        Assert.False(Reader.Wait());

        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void NP044_A_cleared_deadline_lets_the_wait_go_on_for_ever()
    {
        _model.SetDeadline(PollMode.Read, -1);
        _model.ClearDeadline(PollMode.Read);
        _model.ClearDeadline(PollMode.Read);

        Assert.True(Reader.Wait());

        _model.Advance(1e9);
        Assert.Equal(0, Reader.Freed);
    }

    [Fact]
    public void NP045_One_deadline_for_both_frees_both_at_once()
    {
        _model.SetDeadline(PollMode.Both, 50);
        Reader.Wait();
        Writer.Wait();

        Assert.Equal(1, _model.Advance(50));
        _model.Run();

        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
        Assert.Equal([PollResult.DeadlineExceeded], Writer.Results);
        Assert.True(Descriptor.Info.IsReadExpired);
        Assert.True(Descriptor.Info.IsWriteExpired);
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NP046_Moving_or_clearing_the_read_side_leaves_the_write_side_where_it_was(bool clear)
    {
        _model.SetDeadline(PollMode.Both, 50);
        Reader.Wait();
        Writer.Wait();

        if (clear)
        {
            _model.ClearDeadline(PollMode.Read);
        }
        else
        {
            _model.SetDeadline(PollMode.Read, 150);
        }

        _model.Advance(50);
        Assert.Equal(0, Reader.Freed);
        Assert.Equal(1, Writer.Freed);
        Assert.Equal(PollSignals.WriteDeadline, Writer.Signals);

        _model.Advance(100);
        Assert.Equal(clear ? 0 : 1, Reader.Freed);
        Assert.Equal(1, Writer.Freed);
    }

    [Fact]
    public void NP046_Expiring_the_write_side_frees_it_at_once_and_the_reader_in_its_time()
    {
        _model.SetDeadline(PollMode.Both, 50);
        Reader.Wait();
        Writer.Wait();

        _model.SetDeadline(PollMode.Write, -1);

        Assert.Equal(1, Writer.Freed);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(49);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(1);
        Assert.Equal(1, Reader.Freed);
        Assert.Equal(1, Writer.Freed);
    }

    [Fact]
    public void NP047_A_later_deadline_for_both_replaces_two_separate_ones()
    {
        _model.SetDeadline(PollMode.Read, 10);
        _model.SetDeadline(PollMode.Write, 20);
        Reader.Wait();
        Writer.Wait();

        _model.SetDeadline(PollMode.Both, 30);

        _model.Advance(10);
        _model.Advance(10);
        _model.Advance(9.9);
        Assert.Equal(0, Reader.Freed + Writer.Freed);
        _model.Advance(0.1);
        Assert.Equal(1, Reader.Freed);
        Assert.Equal(1, Writer.Freed);
    }

    [Fact]
    public void NP048_A_firing_that_is_on_its_way_when_the_deadline_is_moved_is_ignored()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();

        _model.SetDeadline(PollMode.Read, 150);
        _model.FireNode();

        Assert.Equal(0, Reader.Freed);
        _model.Advance(149);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(1);
        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void NP048_A_late_firing_for_an_old_deadline_does_not_expire_the_new_one_that_has_passed_meanwhile()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();
        _model.SetDeadline(PollMode.Read, 60);

        // The wheel is worked off late: both times have passed, and the node still carries the first one.
        _model.Advance(100);

        Assert.Equal(1, Reader.Freed);
        _model.Run();
        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void A_node_that_comes_up_before_its_deadline_frees_nobody_and_comes_again()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();
        _model.Wheel.Cancel(DescriptorModel.Deadlines(Descriptor));

        ReadyList ready = new();
        Descriptor.OnDue(_model.Now, ready);
        Assert.False(ready.TryTake(out _, out _));
        Assert.False(Descriptor.Info.IsReadExpired);
        Assert.Equal(1, _model.Wheel.Count);

        Assert.Equal(1, _model.Advance(60));
        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void NP048_A_firing_that_overtakes_the_news_of_an_earlier_deadline_is_ignored_and_the_new_one_still_fires()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();

        // Set by another thread, whose post has not reached the poller when the old node comes up, late.
        Assert.True(Descriptor.SetDeadline(PollMode.Read, _model.Now + (10 * DescriptorModel.Millisecond)).MustSyncWheel);
        Assert.Equal(2, _model.Advance(60));

        Assert.Equal(1, Reader.Freed);
        Descriptor.SyncWheel();
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void NP049_A_firing_that_is_on_its_way_when_the_deadline_is_cleared_is_ignored()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();

        _model.ClearDeadline(PollMode.Read);
        _model.FireNode();
        _model.Advance(1_000);

        Assert.Equal(0, Reader.Freed);
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void NP049_A_firing_that_is_on_its_way_when_the_descriptor_is_closed_is_ignored()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();

        _model.Evict();
        _model.FireNode();
        _model.Run();

        Assert.Equal([PollResult.Closing], Reader.Results);
        Assert.Equal(1, Reader.Freed);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(50)]
    [InlineData(100)]
    public void NP049_A_firing_of_an_old_tenant_does_not_touch_the_new_one(int newDeadline)
    {
        Descriptor.SetDeadline(PollMode.Read, _model.Now + (50 * DescriptorModel.Millisecond));
        Descriptor.SyncWheel();
        FreedWaiters evicted = Descriptor.Evict();
        Assert.True(evicted.MustSyncWheel);
        _model.Reopen(new ScriptedSocket());
        _model.SetDeadline(PollMode.Read, newDeadline);
        Reader.Wait();

        _model.FireNode();
        Assert.Equal(0, Reader.Freed);
        _model.Advance(newDeadline - 1);
        Assert.Equal(0, Reader.Freed);
        Descriptor.SyncWheel();
        _model.Advance(1);

        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void NP050_Past_again_frees_nobody_a_second_time_and_a_new_deadline_fires_again()
    {
        _model.SetDeadline(PollMode.Read, 10);
        Reader.Wait();
        _model.Advance(10);
        _model.Run();

        _model.SetDeadline(PollMode.Read, -1);
        Assert.Equal(1, Reader.Freed);
        Assert.Equal(0, _model.Wheel.Count);

        _model.SetDeadline(PollMode.Read, 10);
        Assert.True(Reader.Wait());
        _model.Advance(10);
        _model.Run();
        Assert.Equal([PollResult.DeadlineExceeded, PollResult.DeadlineExceeded], Reader.Results);
        Assert.Equal(2, Reader.Freed);
    }

    [Theory]
    [InlineData("later")]
    [InlineData("earlier")]
    [InlineData("random")]
    public void NP051_A_deadline_that_is_moved_ten_thousand_times_fires_once_at_its_last_value(string order)
    {
        Random random = new(Seed.Next());
        Reader.Wait();
        int last = 0;
        for (int step = 0; step < 10_000; step++)
        {
            last = order switch
            {
                "later" => 100 + step,
                "earlier" => 20_000 - step,
                _ => random.Next(1, 20_000),
            };
            _model.SetDeadline(PollMode.Read, last);
        }

        for (int passed = 1; passed < last; passed++)
        {
            _model.Advance(1);
        }

        Assert.Equal(0, Reader.Freed);
        _model.Advance(1);
        Assert.Equal(1, Reader.Freed);
        _model.Advance(50_000);
        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void NP052_A_deadline_on_a_closing_descriptor_is_not_armed()
    {
        _model.Evict();

        _model.SetDeadline(PollMode.Both, 10);

        Assert.Equal(0, _model.Wheel.Count);
        Assert.Equal(0, Descriptor.ArmedDeadlines);
    }

    [Fact]
    public void NP052_Closing_takes_the_deadlines_off_the_wheel()
    {
        _model.SetDeadline(PollMode.Read, 10);
        _model.SetDeadline(PollMode.Write, 20);
        Assert.Equal(2, Descriptor.ArmedDeadlines);

        _model.Evict();

        Assert.Equal(0, _model.Wheel.Count);
        Assert.Equal(0, Descriptor.ArmedDeadlines);
    }

    [Fact]
    public void NP053_A_deadline_at_the_end_of_time_neither_expires_nor_disturbs()
    {
        _model.SetDeadlineAt(PollMode.Both, long.MaxValue);
        Reader.Wait();
        Writer.Wait();

        _model.Advance(1e12);

        Assert.Equal(0, Reader.Freed + Writer.Freed);
        Assert.Equal(2, Descriptor.ArmedDeadlines);
    }

    [Fact]
    public void NP056_A_hundred_thousand_deadlines_of_one_tick_fire_once_each()
    {
        PollDescriptor[] descriptors = new PollDescriptor[100_000];
        SilentWaiter[] waiters = new SilentWaiter[descriptors.Length];
        for (int index = 0; index < descriptors.Length; index++)
        {
            descriptors[index] = new PollDescriptor(index, _model.Wheel);
            descriptors[index].Open(_model.Socket);
            waiters[index] = new SilentWaiter();
            descriptors[index].TryPark(PollMode.Read, waiters[index], out _);
            descriptors[index].SetDeadline(PollMode.Read, _model.Now + (7 * DescriptorModel.Millisecond));
            descriptors[index].SyncWheel();
        }

        _model.Advance(6);
        Assert.All(waiters, static waiter => Assert.Equal(0, waiter.Resumed));
        Assert.Equal(descriptors.Length, _model.Advance(1));

        Assert.All(waiters, static waiter => Assert.Equal(1, waiter.Resumed));
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void NP057_Setting_moving_and_clearing_allocates_nothing()
    {
        long bytes = AllocationCounter.BytesOf(() =>
        {
            for (int round = 0; round < 100_000; round++)
            {
                _model.SetDeadline(PollMode.Both, 100 + (round % 50));
                _model.SetDeadline(PollMode.Read, 10 + (round % 7));
                _model.ClearDeadline(PollMode.Both);
            }
        });

        Assert.Equal(0, bytes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(50)]
    [InlineData(100)]
    [InlineData(500)]
    [InlineData(1_000)]
    [InlineData(250_000)]
    [InlineData(500_000)]
    public void NP058_A_deadline_of_less_than_a_tick_fires_at_the_next_tick(long nanoseconds)
    {
        Reader.Wait();
        _model.SetDeadlineAt(PollMode.Read, _model.Now + nanoseconds);

        _model.Advance(0);
        Assert.Equal(0, Reader.Freed);
        Assert.InRange(_model.Wheel.NextDue(), _model.Now + nanoseconds, _model.Now + DescriptorModel.Millisecond);
        _model.Advance(1);

        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void Moving_a_deadline_to_later_does_not_touch_the_wheel_and_to_earlier_asks_for_it_once()
    {
        Assert.True(Descriptor.SetDeadline(PollMode.Read, _model.Now + 100).MustSyncWheel);
        Assert.False(Descriptor.SetDeadline(PollMode.Read, _model.Now + 50).MustSyncWheel);
        Descriptor.SyncWheel();

        Assert.False(Descriptor.SetDeadline(PollMode.Read, _model.Now + 200).MustSyncWheel);
        Assert.False(Descriptor.SetDeadline(PollMode.Write, _model.Now + 50).MustSyncWheel);
        Assert.True(Descriptor.SetDeadline(PollMode.Write, _model.Now + 49).MustSyncWheel);
    }

    [Fact]
    public void NP074_Deadlines_of_two_threads_and_the_wheel_never_free_a_waiter_twice_or_for_nothing()
    {
        const int Times = 200;
        PollDescriptor[] descriptors = [.. Enumerable.Range(0, 50).Select(index => new PollDescriptor(index, _model.Wheel))];
        SilentWaiter[] readers = new SilentWaiter[descriptors.Length];
        ReadyList ready = new();
        int seed = Seed.Next();
        Random here = new(seed);
        Random there = new(seed + 1);
        long now = _model.Now;

        Race.Run(
            StressScale.Rounds(300),
            prepare: () =>
            {
                for (int index = 0; index < descriptors.Length; index++)
                {
                    descriptors[index].Open(_model.Socket);
                    readers[index] = new SilentWaiter();
                    Assert.True(descriptors[index].TryPark(PollMode.Read, readers[index], out _));
                }
            },
            here: () =>
            {
                for (int time = 0; time < Times; time++)
                {
                    descriptors[here.Next(descriptors.Length)].SyncWheel();
                    now += here.NextInt64(DescriptorModel.Millisecond);
                    _model.Wheel.Advance(now, ready);
                }
            },
            there: () =>
            {
                for (int time = 0; time < Times; time++)
                {
                    long value = there.Next(10) == 0 ? 0 : Volatile.Read(ref now) + there.NextInt64(20 * DescriptorModel.Millisecond);
                    PollMode mode = (PollMode)there.Next(1, 4);
                    descriptors[there.Next(descriptors.Length)].SetDeadline(mode, value).Schedule();
                }
            },
            check: () =>
            {
                while (ready.TryTake(out IPollWaiter? waiter, out PollSignals signals))
                {
                    waiter.Resume(signals);
                }
                for (int index = 0; index < descriptors.Length; index++)
                {
                    int freed = readers[index].Resumed + readers[index].Scheduled;
                    Assert.Equal(descriptors[index].HasReader ? 0 : 1, freed);
                    descriptors[index].Evict();
                    descriptors[index].SyncWheel();
                    descriptors[index].Release();
                }

                Assert.Equal(0, _model.Wheel.Count);
            });
    }

    [Fact]
    public void The_time_left_is_null_without_a_deadline_and_zero_past_it()
    {
        Assert.Null(Descriptor.TimeLeft(PollMode.Read, _model.Now));

        _model.SetDeadline(PollMode.Read, 50);
        Assert.Equal(TimeSpan.FromMilliseconds(50), Descriptor.TimeLeft(PollMode.Read, _model.Now));
        Assert.Null(Descriptor.TimeLeft(PollMode.Write, _model.Now));

        _model.Advance(20);
        Assert.Equal(TimeSpan.FromMilliseconds(30), Descriptor.TimeLeft(PollMode.Read, _model.Now));
        _model.Advance(40);
        Assert.Equal(TimeSpan.Zero, Descriptor.TimeLeft(PollMode.Read, _model.Now));
    }

    [Fact]
    public void A_mailbox_that_waits_in_both_directions_is_signalled_once_with_both_deadlines()
    {
        SilentWaiter mailbox = new();
        Descriptor.Arm(PollMode.Read, mailbox);
        Descriptor.Arm(PollMode.Write, mailbox);
        _model.SetDeadline(PollMode.Both, 10);

        _model.Advance(10);

        Assert.Equal(1, mailbox.Resumed);
        Assert.Equal(PollSignals.ReadDeadline | PollSignals.WriteDeadline, mailbox.Signals);
    }

    [Fact]
    public void A_time_that_is_set_in_a_turn_counts_from_its_end()
    {
        Assert.True(_model.SetTime(PollMode.Read, 50));
        Assert.False(_model.SetTime(PollMode.Read, 40));
        Reader.Wait();
        _model.Advance(45);
        Assert.Equal(TimeSpan.FromMilliseconds(40), Descriptor.TimeLeft(PollMode.Read, _model.Now));
        _model.EndTurn();

        _model.Advance(39.999);
        Assert.Equal(0, Reader.Freed);
        _model.Advance(0.001);

        Assert.Equal(1, Reader.Freed);
        Assert.True(Descriptor.Info.IsReadExpired);
        Assert.True(_model.SetTime(PollMode.Both, 50));
        Assert.False(Descriptor.Info.IsReadExpired);
    }

    [Theory]
    [InlineData("cleared")]
    [InlineData("past")]
    [InlineData("moved")]
    [InlineData("closed")]
    [InlineData("reopened")]
    public void What_comes_in_the_same_turn_after_a_time_was_set_holds_at_its_end(string what)
    {
        _model.SetTime(PollMode.Read, 50);
        switch (what)
        {
            case "cleared":
                _model.ClearDeadline(PollMode.Read);
                break;
            case "past":
                _model.SetDeadline(PollMode.Read, -1);
                break;
            case "moved":
                _model.SetDeadline(PollMode.Read, 10);
                break;
            default:
                _model.Evict();
                if (what == "reopened")
                {
                    _model.Reopen(new ScriptedSocket());
                }

                break;
        }

        _model.EndTurn();

        Assert.Equal(what == "moved" ? 1 : 0, _model.Wheel.Count);
        _model.Advance(9);
        Assert.Equal(what == "past", Descriptor.Info.IsReadExpired);
        _model.Advance(1);
        Assert.Equal(what is "past" or "moved", Descriptor.Info.IsReadExpired);
    }

    [Fact]
    public void A_firing_in_a_turn_leaves_alone_what_counts_from_its_end()
    {
        _model.SetDeadline(PollMode.Both, 10);
        Reader.Wait();
        Writer.Wait();
        _model.SetTime(PollMode.Read, 1);

        _model.Advance(10);
        Assert.Equal((0, 1), (Reader.Freed, Writer.Freed));

        _model.EndTurn();
        _model.Advance(1);
        Assert.Equal(1, Reader.Freed);
    }

    [Fact]
    public void A_moment_from_the_turn_s_end_fires_though_it_passes_before_the_wheel_has_heard_of_it()
    {
        // The node is armed in the turn, for the writer alone.
        _model.SetTime(PollMode.Read, 1);
        _model.SetDeadline(PollMode.Write, 50);
        Reader.Wait();

        // Somebody else's news for the wheel is on its way to the poller, and so long in the queue that all of it passes.
        Assert.True(Descriptor.SetDeadline(PollMode.Write, _model.Now + (49 * DescriptorModel.Millisecond)).MustSyncWheel);
        _model.EndTurn();
        _model.Advance(60);
        _model.Advance(1);

        Assert.Equal(1, Reader.Freed);
        Assert.True(Descriptor.Info.IsReadExpired);
        Assert.True(Descriptor.Info.IsWriteExpired);
        Descriptor.SyncWheel();
        Assert.Equal(0, _model.Wheel.Count);
    }

    [Fact]
    public void Whatever_is_set_in_turns_and_between_them_fires_in_its_time_and_never_before()
    {
        Random random = new(Seed.Next());
        PollMode[] modes = [PollMode.Read, PollMode.Write];

        // By direction: the moment, in nanoseconds, which is now for what has expired; 0 for none; and what counts from the turn's end.
        long[] moments = new long[2];
        long[] times = new long[2];
        for (int step = 0; step < StressScale.Rounds(20_000); step++)
        {
            int at = random.Next(2);
            double milliseconds = random.Next(1, 30) / 2.0;
            switch (random.Next(5))
            {
                case 0:
                    _model.SetTime(modes[at], milliseconds);
                    (moments[at], times[at]) = (0, (long)(milliseconds * DescriptorModel.Millisecond));
                    break;
                case 1:
                    _model.SetDeadline(modes[at], milliseconds);
                    (moments[at], times[at]) = (_model.Now + (long)(milliseconds * DescriptorModel.Millisecond), 0);
                    break;
                case 2:
                    _model.ClearDeadline(modes[at]);
                    (moments[at], times[at]) = (0, 0);
                    break;
                default:
                    _model.EndTurn();
                    for (int index = 0; index < 2; index++)
                    {
                        (moments[index], times[index]) = (times[index] > 0 ? _model.Now + times[index] : moments[index], 0);
                    }

                    _model.Advance(random.Next(8));
                    break;
            }

            // A node that came up for what was moved is armed anew, a millisecond later at the earliest.
            bool[] expired = [Descriptor.Info.IsReadExpired, Descriptor.Info.IsWriteExpired];
            for (int index = 0; index < 2; index++)
            {
                long late = moments[index] is var moment and not 0 ? _model.Now - moment : -1;
                Assert.True(late >= 0 || !expired[index], $"step {step}: early by {-late} ns");
                Assert.True(late < 2 * DescriptorModel.Millisecond || expired[index], $"step {step}: late by {late} ns");
                moments[index] = expired[index] ? _model.Now : moments[index];
            }
        }
    }

    [Fact]
    public void NP134_Data_and_deadline_in_one_turn_give_the_readiness_to_the_waiter()
    {
        _model.SetDeadline(PollMode.Read, 10);
        Reader.Wait();

        _model.Event(PollEventFlags.Read);
        _model.Advance(10);
        _model.Run();

        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(PollResult.DeadlineExceeded, Descriptor.Prepare(PollMode.Read));
    }
}
