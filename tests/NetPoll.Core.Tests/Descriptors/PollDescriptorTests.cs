using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Descriptors;

/// <summary>The slots, the info and the life of a descriptor, without a poller: every event comes from the test.</summary>
public sealed class PollDescriptorTests
{
    private readonly DescriptorModel _model = new();

    private PollDescriptor Descriptor => _model.Descriptor;

    private WaitProbe Reader => _model.Reader;

    private WaitProbe Writer => _model.Writer;

    [Fact]
    public void NP001_A_wait_with_nothing_pending_parks()
    {
        Assert.True(Reader.Wait());

        Assert.Equal(1, _model.ParkedCount);
        Assert.Empty(Reader.Results);
        Assert.Equal(0, Reader.Freed);
    }

    [Fact]
    public void NP002_A_wait_after_a_readiness_completes_at_once_and_consumes_it()
    {
        _model.Event(PollEventFlags.Read);

        Assert.False(Reader.Wait());

        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(0, _model.ParkedCount);
        Assert.True(Reader.Wait());
    }

    [Fact]
    public void NP003_A_slot_is_binary_and_counts_nothing()
    {
        _model.Event(PollEventFlags.Read);
        _model.Event(PollEventFlags.Read);

        Assert.False(Reader.Wait());
        Assert.True(Reader.Wait());

        Assert.Equal([PollResult.Ready], Reader.Results);
    }

    [Fact]
    public void NP004_A_parked_reader_is_freed_once_by_a_readiness()
    {
        Reader.Wait();

        _model.Event(PollEventFlags.Read);
        _model.Event(PollEventFlags.Read);
        _model.Run();

        Assert.Equal(1, Reader.Freed);
        Assert.Equal(PollSignals.Readable, Reader.Signals);
        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(0, _model.ParkedCount);
        Assert.True(Reader.Wait());
    }

    [Fact]
    public void NP005_A_write_readiness_leaves_the_reader_parked_and_is_latched()
    {
        Reader.Wait();

        _model.Event(PollEventFlags.Write);

        Assert.Equal(0, Reader.Freed);
        Assert.False(Writer.Wait());
        Assert.Equal([PollResult.Ready], Writer.Results);
    }

    [Fact]
    public void NP005_One_event_with_both_modes_frees_reader_and_writer_once_each()
    {
        Reader.Wait();
        Writer.Wait();

        _model.Event(PollEventFlags.Read | PollEventFlags.Write);

        Assert.Equal(1, Reader.Freed);
        Assert.Equal(1, Writer.Freed);
        Assert.Equal(PollSignals.Readable, Reader.Signals);
        Assert.Equal(PollSignals.Writable, Writer.Signals);
    }

    [Fact]
    public void NP006_A_readiness_before_the_commit_keeps_the_waiter_from_parking()
    {
        PollSlot slot = default;
        slot.TakeReadyOrBeginWait();

        Assert.Null(slot.Unblock(ioReady: true));

        Assert.False(slot.TryCommit(Reader));
        Assert.False(slot.HasWaiter);
        Assert.True(slot.FinishWait());
    }

    [Theory]
    [InlineData(PollResult.DeadlineExceeded)]
    [InlineData(PollResult.Closing)]
    public void NP006_What_ends_a_wait_before_the_commit_keeps_the_waiter_from_parking(PollResult expected)
    {
        ref PollSlot slot = ref DescriptorModel.ReadSlot(_model.Descriptor);
        Assert.False(slot.TakeReadyOrBeginWait());

        if (expected == PollResult.Closing)
        {
            _model.Evict();
        }
        else
        {
            _model.SetDeadline(PollMode.Read, -1);
        }

        Assert.False(slot.TryCommit(Reader));
        Assert.Equal(0, _model.ParkedCount);
        Assert.False(slot.FinishWait());
        Assert.Equal(0, Reader.Freed);
        Assert.False(Reader.Wait());
        Assert.Equal([expected], Reader.Results);
    }

    [Fact]
    public void NP006_A_deadline_that_passes_before_the_commit_keeps_the_waiter_from_parking()
    {
        _model.SetDeadline(PollMode.Read, 10);
        ref PollSlot slot = ref DescriptorModel.ReadSlot(_model.Descriptor);
        Assert.False(slot.TakeReadyOrBeginWait());

        _model.Advance(10);

        Assert.False(slot.TryCommit(Reader));
        Assert.Equal(0, _model.ParkedCount);
        Assert.False(slot.FinishWait());
        Assert.False(Reader.Wait());
        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
    }

    [Theory]
    [InlineData(PollResult.DeadlineExceeded)]
    [InlineData(PollResult.Closing)]
    public void NP007_What_stands_in_the_way_is_seen_at_the_entry_of_a_wait(PollResult expected)
    {
        if (expected == PollResult.Closing)
        {
            _model.Evict();
        }
        else
        {
            _model.SetDeadline(PollMode.Read, -1);
        }

        Assert.False(Reader.Wait());

        Assert.Equal([expected], Reader.Results);
        Assert.Equal(0, _model.ParkedCount);
    }

    [Fact]
    public void NP008_A_deadline_after_the_readiness_took_the_waiter_changes_nothing()
    {
        Reader.Wait();
        _model.Event(PollEventFlags.Read);

        _model.SetDeadline(PollMode.Read, -1);
        _model.Run();

        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(1, Reader.Freed);
        Assert.False(Reader.Wait());
        Assert.Equal([PollResult.Ready, PollResult.DeadlineExceeded], Reader.Results);
    }

    [Fact]
    public void NP009_A_readiness_after_the_deadline_took_the_waiter_wins()
    {
        Reader.Wait();
        _model.SetDeadline(PollMode.Read, -1);

        _model.Event(PollEventFlags.Read);
        _model.Run();

        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(1, Reader.Freed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NP010_A_firing_that_is_taken_back_before_the_waiter_runs_never_happened(bool clear)
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();
        _model.Advance(50);
        Assert.Equal(1, Reader.Freed);

        _model.SetDeadlineAt(PollMode.Read, clear ? 0 : _model.Now + (100 * DescriptorModel.Millisecond));
        _model.Run();

        Assert.Empty(Reader.Results);
        Assert.Equal(1, _model.ParkedCount);

        _model.Event(PollEventFlags.Read);
        _model.Run();
        Assert.Equal([PollResult.Ready], Reader.Results);
    }

    [Fact]
    public void NP010_A_firing_that_is_moved_and_passes_again_is_told_once()
    {
        _model.SetDeadline(PollMode.Read, 50);
        Reader.Wait();
        _model.Advance(50);
        _model.SetDeadline(PollMode.Read, 100);

        _model.Advance(100);
        _model.Run();

        Assert.Equal([PollResult.DeadlineExceeded], Reader.Results);
        Assert.Equal(0, _model.ParkedCount);
    }

    [Fact]
    public void NP011_A_second_wait_in_the_same_mode_is_refused_and_leaves_the_first_alone()
    {
        Reader.Wait();
        WaitProbe second = new(Descriptor, PollMode.Read);

        InvalidOperationException refusal = Assert.Throws<InvalidOperationException>(() => second.Wait());

        Assert.Contains("Double wait", refusal.Message, StringComparison.Ordinal);
        _model.Event(PollEventFlags.Read);
        _model.Run();
        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(0, second.Freed);
    }

    [Fact]
    public void NP012_Reader_and_writer_wait_independently()
    {
        Assert.True(Reader.Wait());
        Assert.True(Writer.Wait());

        _model.Event(PollEventFlags.Write);
        _model.Run();

        Assert.Equal([PollResult.Ready], Writer.Results);
        Assert.Empty(Reader.Results);
        Assert.Equal(1, _model.ParkedCount);
    }

    [Fact]
    public void NP013_Preparing_forgets_an_old_readiness()
    {
        _model.Event(PollEventFlags.Read);

        Assert.Equal(PollResult.Ready, Descriptor.Prepare(PollMode.Read));

        Assert.True(Reader.Wait());
    }

    [Fact]
    public void NP014_Preparing_an_expired_direction_fails_and_keeps_the_readiness()
    {
        _model.Event(PollEventFlags.Read);
        _model.SetDeadline(PollMode.Read, -1);

        Assert.Equal(PollResult.DeadlineExceeded, Descriptor.Prepare(PollMode.Read));

        _model.ClearDeadline(PollMode.Read);
        Assert.False(Reader.Wait());
        Assert.Equal([PollResult.Ready], Reader.Results);
    }

    [Fact]
    public void NP014_Preparing_a_closing_descriptor_fails()
    {
        _model.Event(PollEventFlags.Read);
        _model.Evict();

        Assert.Equal(PollResult.Closing, Descriptor.Prepare(PollMode.Read));
        Assert.Equal(PollResult.Closing, Descriptor.Prepare(PollMode.Write));
    }

    [Fact]
    public void NP015_At_the_entry_of_a_wait_the_deadline_wins_and_the_readiness_is_kept()
    {
        _model.Event(PollEventFlags.Read);
        _model.SetDeadline(PollMode.Read, -1);

        Assert.False(Reader.Wait());
        _model.ClearDeadline(PollMode.Read);
        Assert.False(Reader.Wait());

        Assert.Equal([PollResult.DeadlineExceeded, PollResult.Ready], Reader.Results);
    }

    [Fact]
    public void NP016_A_waiter_runs_as_often_as_it_was_taken_whatever_the_order_of_events()
    {
        Random random = new(Seed.Next());
        for (int round = 0; round < StressScale.Rounds(1_000); round++)
        {
            DescriptorModel model = new();
            int taken = 0;
            for (int step = 0; step < 30; step++)
            {
                bool wasParked = model.Descriptor.HasReader;
                switch (random.Next(8))
                {
                    case 0:
                        model.SetDeadline(PollMode.Read, random.Next(-1, 5));
                        break;
                    case 1:
                        model.ClearDeadline(PollMode.Read);
                        break;
                    case 2:
                        model.Advance(random.Next(1, 5));
                        break;
                    case 3:
                        model.Event(PollEventFlags.Read);
                        break;
                    case 4:
                        model.Event(PollEventFlags.Write);
                        break;
                    case 5:
                        model.SetDeadline(PollMode.Both, random.Next(-1, 5));
                        break;
                    case 6 when !model.Reader.IsParked:
                        model.Reader.Wait();
                        continue;
                    default:
                        model.Run();
                        continue;
                }

                taken += wasParked && !model.Descriptor.HasReader ? 1 : 0;
                Assert.Equal(taken, model.Reader.Freed);
            }

            model.Run();
            Assert.Equal(taken, model.Reader.Freed);
            Assert.Equal(model.Reader.IsParked, model.Descriptor.HasReader);
        }
    }

    [Fact]
    public void NP018_Readiness_and_close_from_two_threads_free_a_parked_waiter_exactly_once()
    {
        PollDescriptor[] descriptors = Make(StressScale.Rounds(200_000));
        SilentWaiter[] waiters = [.. descriptors.Select(static _ => new SilentWaiter())];
        ReadyList ready = new();
        for (int index = 0; index < descriptors.Length; index++)
        {
            Assert.True(descriptors[index].TryPark(PollMode.Read, waiters[index], out _));
        }

        Race.Lockstep(
            descriptors.Length,
            here: index => descriptors[index].OnReady(PollEventFlags.Read, ready),
            there: index => descriptors[index].Evict().Schedule());

        while (ready.TryTake(out IPollWaiter? waiter, out PollSignals signals))
        {
            waiter.Resume(signals);
        }

        for (int index = 0; index < descriptors.Length; index++)
        {
            Assert.Equal(1, waiters[index].Resumed + waiters[index].Scheduled);
            Assert.True(descriptors[index].FinishWait(PollMode.Read), "The readiness came, before the close or after it.");
            descriptors[index].Release();
        }
    }

    [Fact]
    public void NP108_A_wait_that_races_a_close_never_stays_parked()
    {
        PollDescriptor[] descriptors = Make(StressScale.Rounds(200_000));
        SilentWaiter[] waiters = [.. descriptors.Select(static _ => new SilentWaiter())];
        bool[] parked = new bool[descriptors.Length];
        PollResult[] results = new PollResult[descriptors.Length];

        Race.Lockstep(
            descriptors.Length,
            here: index => parked[index] = descriptors[index].TryPark(PollMode.Write, waiters[index], out results[index]),
            there: index => descriptors[index].Evict().Schedule());

        for (int index = 0; index < descriptors.Length; index++)
        {
            Assert.Equal(parked[index] ? 1 : 0, waiters[index].Scheduled);
            Assert.False(descriptors[index].HasWriter);
            Assert.Equal(parked[index] ? PollResult.Ready : PollResult.Closing, results[index]);
            descriptors[index].Release();
        }
    }

    [Fact]
    public void NP108_A_mailbox_that_arms_while_its_descriptor_closes_is_always_told()
    {
        PollDescriptor[] descriptors = Make(StressScale.Rounds(200_000));
        SilentWaiter[] mailboxes = [.. descriptors.Select(static _ => new SilentWaiter())];
        PollSignals[] own = new PollSignals[descriptors.Length];

        Race.Lockstep(
            descriptors.Length,
            here: index => own[index] = descriptors[index].Arm(PollMode.Read, mailboxes[index]),
            there: index => descriptors[index].Evict().Schedule());

        for (int index = 0; index < descriptors.Length; index++)
        {
            Assert.False(descriptors[index].HasReader);
            Assert.Equal(1, mailboxes[index].Scheduled + (own[index] == PollSignals.Closed ? 1 : 0));
            descriptors[index].Release();
        }
    }

    [Fact]
    public void NP007_A_wait_that_races_an_expiry_never_stays_parked()
    {
        PollDescriptor[] descriptors = Make(StressScale.Rounds(200_000));
        SilentWaiter[] waiters = [.. descriptors.Select(static _ => new SilentWaiter())];
        bool[] parked = new bool[descriptors.Length];

        Race.Lockstep(
            descriptors.Length,
            here: index => parked[index] = descriptors[index].TryPark(PollMode.Read, waiters[index], out _),
            there: index => descriptors[index].SetDeadline(PollMode.Read, -1).Schedule());

        for (int index = 0; index < descriptors.Length; index++)
        {
            Assert.Equal(parked[index] ? 1 : 0, waiters[index].Scheduled);
            Assert.False(descriptors[index].HasReader);
        }
    }

    [Fact]
    public void NP021_Waits_of_a_warm_descriptor_allocate_nothing()
    {
        SilentWaiter waiter = new();
        ReadyList ready = new();

        long bytes = AllocationCounter.BytesOf(() =>
        {
            for (int round = 0; round < 1_000_000; round++)
            {
                Descriptor.TryPark(PollMode.Read, waiter, out _);
                Descriptor.OnReady(PollEventFlags.Read, ready);
                while (ready.TryTake(out _, out _))
                {
                }

                Descriptor.FinishWait(PollMode.Read);
            }
        });

        Assert.Equal(0, bytes);
    }

    [Fact]
    public void NP023_A_fresh_descriptor_has_a_number_and_no_bits()
    {
        Assert.NotEqual(0u, Descriptor.Info.Sequence);
        Assert.Equal((ulong)Descriptor.Info.Sequence, Descriptor.Info.Value);
    }

    [Theory]
    [InlineData(PollMode.Read, true, false)]
    [InlineData(PollMode.Write, false, true)]
    [InlineData(PollMode.Both, true, true)]
    public void NP023_A_deadline_in_the_past_sets_exactly_its_bits_until_it_is_changed(PollMode mode, bool read, bool write)
    {
        _model.SetDeadline(mode, -1);

        Assert.Equal(read, Descriptor.Info.IsReadExpired);
        Assert.Equal(write, Descriptor.Info.IsWriteExpired);

        _model.SetDeadline(mode, 10);
        Assert.False(Descriptor.Info.IsReadExpired || Descriptor.Info.IsWriteExpired);

        _model.SetDeadline(mode, -1);
        _model.ClearDeadline(mode);
        Assert.False(Descriptor.Info.IsReadExpired || Descriptor.Info.IsWriteExpired);
    }

    [Fact]
    public void NP023_Closing_is_published_and_frees_both_waiters_with_Closing()
    {
        Reader.Wait();
        Writer.Wait();

        _model.Evict();
        _model.Run();

        Assert.True(Descriptor.Info.IsClosing);
        Assert.Equal([PollResult.Closing], Reader.Results);
        Assert.Equal([PollResult.Closing], Writer.Results);
        Assert.Equal(PollSignals.Closed, Reader.Signals);
    }

    [Fact]
    public void NP024_Closing_comes_before_a_deadline_and_a_deadline_before_an_event_error()
    {
        Descriptor.SetEventError(true, 0);
        Assert.Equal(PollResult.NotPollable, Descriptor.CheckError(PollMode.Read));
        Assert.Equal(PollResult.Ready, Descriptor.CheckError(PollMode.Write));

        _model.SetDeadline(PollMode.Both, -1);
        Assert.Equal(PollResult.DeadlineExceeded, Descriptor.CheckError(PollMode.Read));
        Assert.Equal(PollResult.DeadlineExceeded, Descriptor.CheckError(PollMode.Write));

        _model.Evict();
        Assert.Equal(PollResult.Closing, Descriptor.CheckError(PollMode.Read));
        Assert.Equal(PollResult.Closing, Descriptor.CheckError(PollMode.Write));
    }

    [Fact]
    public void NP024_An_expired_direction_leaves_the_other_one_alone()
    {
        _model.SetDeadline(PollMode.Read, -1);

        Assert.Equal(PollResult.DeadlineExceeded, Descriptor.CheckError(PollMode.Read));
        Assert.Equal(PollResult.Ready, Descriptor.CheckError(PollMode.Write));
    }

    [Fact]
    public void NP025_An_event_that_is_nothing_but_an_error_frees_the_reader_with_Ready_and_refuses_later_waits()
    {
        Reader.Wait();

        _model.Event(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error | PollEventFlags.ErrorOnly);
        _model.Run();

        Assert.True(Descriptor.Info.HasEventError);
        Assert.Equal([PollResult.Ready], Reader.Results);
        Assert.Equal(PollResult.NotPollable, Descriptor.Prepare(PollMode.Read));
        Assert.Equal(PollResult.Ready, Descriptor.Prepare(PollMode.Write));
        Assert.False(Reader.Wait());
        Assert.Equal(PollResult.NotPollable, Reader.Results[^1]);

        _model.Event(PollEventFlags.Read);
        Assert.False(Descriptor.Info.HasEventError);
        Assert.Equal(PollResult.Ready, Descriptor.Prepare(PollMode.Read));
    }

    [Fact]
    public void NP026_An_event_error_for_another_tenant_changes_nothing()
    {
        Descriptor.SetEventError(true, Descriptor.Token.Sequence + 1);
        Assert.False(Descriptor.Info.HasEventError);

        Descriptor.SetEventError(true, Descriptor.Token.Sequence);
        Descriptor.SetEventError(false, Descriptor.Token.Sequence + 1);
        Assert.True(Descriptor.Info.HasEventError);
    }

    [Fact]
    public void NP027_A_new_tenant_begins_without_the_old_one_s_event_error_and_hang_up()
    {
        _model.Event(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error | PollEventFlags.ErrorOnly);
        Assert.False(Descriptor.IsHungUp);
        _model.Event(PollEventFlags.Read | PollEventFlags.ReadHangup);
        Assert.True(Descriptor.MayReadShort);
        Assert.True(Descriptor.IsHungUp);
        _model.Evict();

        _model.Reopen(new ScriptedSocket());

        Assert.Equal((ulong)Descriptor.Info.Sequence, Descriptor.Info.Value);
        Assert.False(Descriptor.MayReadShort);
        Assert.False(Descriptor.IsHungUp);
    }

    [Theory]
    [InlineData(PollEventFlags.Read | PollEventFlags.ReadHangup)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error)]
    public void NP031_A_hang_up_that_comes_late_does_not_reach_the_next_tenant(object flags)
    {
        uint former = Descriptor.Token.Sequence;
        _model.Evict();
        _model.Reopen(new ScriptedSocket());
        SilentWaiter watcher = new();
        Descriptor.WatchHangup(watcher);
        ReadyList ready = new();

        Descriptor.OnReady((PollEventFlags)flags, ready, former);
        Assert.False(Descriptor.IsHungUp);
        Assert.False(ready.TryTake(out _, out _));

        Descriptor.OnReady((PollEventFlags)flags, ready, Descriptor.Token.Sequence);
        Assert.Equal((PollEventFlags)flags != (PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error), Descriptor.IsHungUp);
        Assert.True(ready.TryTake(out IPollWaiter? told, out PollSignals signals));
        Assert.Same(watcher, told);
        Assert.Equal(PollSignals.Hangup, signals);
    }

    [Theory]
    [InlineData(PollEventFlags.Read, false, false)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Urgent, true, false)]
    [InlineData(PollEventFlags.Read | PollEventFlags.ReadHangup, true, true)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup, true, true)]
    public void What_was_seen_of_a_socket_at_one_poller_is_known_at_the_next(object flags, bool readsShort, bool isHungUp)
    {
        PollDescriptor next = Make(1)[0];
        _model.Event((PollEventFlags)flags);

        next.Inherit(Descriptor);
        Assert.Equal((readsShort, isHungUp), (next.MayReadShort, next.IsHungUp));

        // What the next one has seen itself by then, it does not lose.
        next.Inherit(Make(1)[0]);
        Assert.Equal((readsShort, isHungUp), (next.MayReadShort, next.IsHungUp));
    }

    [Fact]
    public void NP028_Releasing_changes_the_number_before_anybody_else_can_have_the_descriptor()
    {
        PollToken old = Descriptor.Token;
        _model.Evict();

        Descriptor.Release();

        Assert.NotEqual(old, Descriptor.Token);
        Assert.Equal(Descriptor.Token.Sequence, Descriptor.Info.Sequence);
    }

    [Fact]
    public void NP029_The_number_never_becomes_0_for_a_tenant()
    {
        DescriptorModel.Sequence(Descriptor) = uint.MaxValue;
        PollToken old = Descriptor.Token;
        _model.Evict();

        _model.Reopen(new ScriptedSocket());

        Assert.Equal(1u, Descriptor.Token.Sequence);
        Assert.Equal(1u, Descriptor.Info.Sequence);
        Assert.NotEqual(old, Descriptor.Token);
        Assert.NotEqual(PollToken.Wake, Descriptor.Token);
    }

    [Fact]
    public void NP030_A_published_deadline_and_an_event_error_from_two_threads_never_lose_each_other()
    {
        uint sequence = Descriptor.Token.Sequence;

        Race.Lockstep(
            StressScale.Rounds(500_000),
            here: round =>
            {
                bool isPast = (round & 1) == 0;
                Descriptor.SetDeadline(PollMode.Read, isPast ? -1 : 0);
                Assert.Equal(isPast, Descriptor.Info.IsReadExpired);
            },
            there: round =>
            {
                bool isError = (round & 1) == 0;
                Descriptor.SetEventError(isError, sequence);
                Assert.Equal(isError, Descriptor.Info.HasEventError);
            });
    }

    [Fact]
    public void NP031_A_readiness_that_comes_late_does_not_reach_the_next_tenant()
    {
        _model.Evict();
        _model.Event(PollEventFlags.Read | PollEventFlags.Write);

        _model.Reopen(new ScriptedSocket());

        Assert.True(Reader.Wait());
        Assert.True(Writer.Wait());
    }

    [Fact]
    public void NP032_Opening_a_descriptor_with_a_parked_waiter_throws()
    {
        Reader.Wait();

        Assert.Throws<PollerInvariantException>(() => Descriptor.Open(new ScriptedSocket()));

        Assert.True(Descriptor.HasReader);
    }

    [Fact]
    public void NP032_Releasing_a_descriptor_with_a_parked_waiter_throws()
    {
        Reader.Wait();
        _model.Evict();
        _model.Descriptor.FinishWait(PollMode.Read);
        ParkDespiteClosing();

        Assert.Throws<PollerInvariantException>(() => Descriptor.Release());

        Assert.True(Descriptor.HasReader);
        Assert.NotNull(Descriptor.Socket);
    }

    [Fact]
    public void NP032_Evicting_twice_throws()
    {
        _model.Evict();

        Assert.Throws<InvalidOperationException>(() => Descriptor.Evict());
    }

    [Fact]
    public void NP032_Releasing_without_evicting_throws()
    {
        Assert.Throws<PollerInvariantException>(() => Descriptor.Release());
    }

    [Fact]
    public void NP123_A_readiness_for_which_nobody_waits_is_latched_and_frees_nobody()
    {
        Reader.Wait();

        _model.Event(PollEventFlags.Read | PollEventFlags.Write);

        Assert.Equal(1, Reader.Freed);
        Assert.Equal(0, Writer.Freed);
        Assert.False(Writer.Wait());
        Assert.Equal([PollResult.Ready], Writer.Results);
    }

    [Theory]
    [InlineData(PollEventFlags.Read | PollEventFlags.ReadHangup)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup)]
    [InlineData(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error)]
    public void NP136_A_watcher_is_told_of_a_hang_up_without_being_parked(object flags)
    {
        SilentWaiter watcher = new();
        Descriptor.WatchHangup(watcher);

        _model.Event((PollEventFlags)flags);

        Assert.Equal(1, watcher.Resumed);
        Assert.Equal(PollSignals.Hangup, watcher.Signals);
        Assert.False(Reader.Wait());
    }

    [Fact]
    public void NP136_A_watcher_that_is_parked_as_well_is_told_once()
    {
        SilentWaiter watcher = new();
        Descriptor.WatchHangup(watcher);
        Assert.Equal(PollSignals.None, Descriptor.Arm(PollMode.Read, watcher));
        Assert.Equal(PollSignals.None, Descriptor.Arm(PollMode.Write, watcher));

        _model.Event(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup);

        Assert.Equal(1, watcher.Resumed);
        Assert.Equal(PollSignals.Readable | PollSignals.Writable | PollSignals.Hangup, watcher.Signals);
    }

    [Fact]
    public void NP129_An_armed_mailbox_is_signalled_once_by_two_edges()
    {
        SilentWaiter mailbox = new();
        Descriptor.Arm(PollMode.Read, mailbox);

        _model.Event(PollEventFlags.Read);
        _model.Event(PollEventFlags.Read);

        Assert.Equal(1, mailbox.Resumed);
        Assert.Equal(PollSignals.Readable, Descriptor.Arm(PollMode.Read, mailbox));
        Assert.Equal(PollSignals.None, Descriptor.Arm(PollMode.Read, mailbox));
    }

    [Fact]
    public void NP132_Arming_twice_is_as_once_and_another_waiter_is_refused()
    {
        SilentWaiter mailbox = new();
        Descriptor.Arm(PollMode.Read, mailbox);

        Assert.Equal(PollSignals.None, Descriptor.Arm(PollMode.Read, mailbox));
        Assert.Throws<InvalidOperationException>(() => Descriptor.Arm(PollMode.Read, new SilentWaiter()));
        Assert.Throws<InvalidOperationException>(() => Reader.Wait());
    }

    [Fact]
    public void A_mailbox_that_arms_what_it_cannot_wait_for_gets_the_reason_as_a_signal()
    {
        SilentWaiter mailbox = new();
        Descriptor.SetEventError(true, 0);
        Assert.Equal(PollSignals.Readable | PollSignals.Hangup, Descriptor.Arm(PollMode.Read, mailbox));

        _model.SetDeadline(PollMode.Both, -1);
        Assert.Equal(PollSignals.ReadDeadline, Descriptor.Arm(PollMode.Read, mailbox));
        Assert.Equal(PollSignals.WriteDeadline, Descriptor.Arm(PollMode.Write, mailbox));

        _model.Evict();
        Assert.Equal(PollSignals.Closed, Descriptor.Arm(PollMode.Read, mailbox));
        Assert.False(Descriptor.HasReader || Descriptor.HasWriter);
    }

    private PollDescriptor[] Make(int count)
    {
        PollDescriptor[] descriptors = new PollDescriptor[count];
        TimingWheel wheel = new(1);
        for (int index = 0; index < count; index++)
        {
            descriptors[index] = new PollDescriptor(index, wheel);
            descriptors[index].Open(_model.Socket);
        }

        return descriptors;
    }

    // Nobody can park on a closing descriptor, so the broken state is made through the mailbox form, step by step.
    private void ParkDespiteClosing()
    {
        Slot(Descriptor).TakeReadyOrArm(Reader);

        [System.Runtime.CompilerServices.UnsafeAccessor(System.Runtime.CompilerServices.UnsafeAccessorKind.Field, Name = "_read")]
        static extern ref PollSlot Slot(PollDescriptor descriptor);
    }
}
