using System.Runtime.CompilerServices;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests.Descriptors;

/// <summary>The way of a waiter through the list: added, taken, perhaps kept, continued, and gone.</summary>
public sealed class ReadyListTests
{
    private readonly ReadyList _list = new();
    private readonly SilentWaiter[] _waiters = [.. Enumerable.Range(0, 8).Select(static _ => new SilentWaiter())];

    [Fact]
    public void Waiters_come_out_in_order_with_their_signals()
    {
        _list.Add(_waiters[0], PollSignals.Readable);
        _list.Add(_waiters[1], PollSignals.Writable | PollSignals.Hangup);

        Assert.True(_list.TryTake(out IPollWaiter? first, out PollSignals firstSignals));
        Assert.True(_list.TryTake(out IPollWaiter? second, out PollSignals secondSignals));
        Assert.False(_list.TryTake(out IPollWaiter? none, out PollSignals noSignals));

        Assert.Equal<IPollWaiter?>([_waiters[0], _waiters[1], null], [first, second, none]);
        Assert.Equal([PollSignals.Readable, PollSignals.Writable | PollSignals.Hangup, PollSignals.None], [firstSignals, secondSignals, noSignals]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0 1 2 3 4 5 6 7")]
    [InlineData("0 1 2")]
    [InlineData("5 6 7")]
    [InlineData("1 3 4 7")]
    [InlineData("0 2 4 6")]
    [InlineData("7")]
    public void Kept_ones_go_on_in_order_whoever_lies_between_them(string kept)
    {
        AddAll();

        TakeAll(kept);

        Assert.Equal(kept, ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Theory]
    [InlineData("0 1 2", "3 4 5 6 7")]
    [InlineData("1", "3 7")]
    [InlineData("", "4 6")]
    [InlineData("0 2", "")]
    [InlineData("2", "4 5")]
    public void A_second_batch_of_the_same_list_goes_on_by_itself(string first, string second)
    {
        AddAll();

        TakeAll(first, atMost: 3);
        Assert.Equal(first, ContinueAll());
        Assert.False(_list.IsEmpty);
        TakeAll(second);

        Assert.Equal(second, ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Fact]
    public void What_was_kept_goes_on_after_a_batch_that_came_in_between()
    {
        AddAll();
        TakeAll("0 2", atMost: 4);
        Assert.Equal(0, ContinueOne());

        TakeAll("5 7");

        Assert.Equal("2 5 7", ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Fact]
    public void The_list_is_as_new_when_it_was_worked_off()
    {
        for (int round = 0; round < 100; round++)
        {
            AddAll();
            TakeAll("1 2 5");
            Assert.Equal("1 2 5", ContinueAll());
            Assert.True(_list.IsEmpty);
            Assert.False(_list.TryTake(out _, out _));
            Assert.False(_list.TryContinue(out _));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1_000)]
    public void One_that_is_in_hand_can_be_kept_after_others_were_added(int added)
    {
        _list.Add(_waiters[0], PollSignals.Readable);
        _list.Add(_waiters[1], PollSignals.Readable);
        Take(0);
        Take(1);
        for (int index = 0; index < added; index++)
        {
            _list.Add(_waiters[2 + (index % 6)], PollSignals.Readable);
        }

        Assert.Same(_waiters[1], _list.InHand);
        Assert.True(_list.TryKeep(_waiters[1]));
        for (int index = 0; index < added; index++)
        {
            Take(2 + (index % 6));
        }

        Assert.False(_list.TryTake(out _, out _));
        Assert.Equal("1", ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Fact]
    public void One_that_is_added_while_others_go_on_comes_with_the_next_batch()
    {
        _list.Add(_waiters[0], PollSignals.Readable);
        _list.Add(_waiters[1], PollSignals.Readable);
        TakeAll("0 1");
        Assert.Equal(0, ContinueOne());
        _list.Add(_waiters[2], PollSignals.Readable);

        Assert.Equal("1", ContinueAll());

        Assert.False(_list.IsEmpty);
        TakeAll("2");
        Assert.Equal("2", ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Fact]
    public void Nobody_is_kept_but_who_is_in_hand()
    {
        Assert.False(_list.TryKeep(_waiters[0]));
        AddAll();
        Assert.False(_list.TryKeep(_waiters[0]));

        Take(0);
        Take(1);

        Assert.False(_list.TryKeep(_waiters[0]));
        Assert.False(_list.TryKeep(_waiters[2]));
        Assert.True(_list.TryKeep(_waiters[1]));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("1")]
    public void Nobody_is_kept_twice(string kept)
    {
        _list.Add(_waiters[0], PollSignals.Readable);
        _list.Add(_waiters[1], PollSignals.Readable);

        // The helper keeps: once more must be refused.
        TakeAll(kept, andThen: waiter => Assert.False(_list.TryKeep(waiter)));

        Assert.Equal(kept, ContinueAll());
    }

    [Theory]
    [InlineData("0 1")]
    [InlineData("1 3")]
    public void Nobody_is_kept_who_goes_on(string kept)
    {
        AddAll();
        TakeAll(kept);

        while (_list.TryContinue(out IPollWaiter? waiter))
        {
            Assert.Same(waiter, _list.InHand);
            Assert.False(_list.TryKeep(waiter));
        }

        Assert.True(_list.IsEmpty);
    }

    [Fact]
    public void Nobody_is_kept_when_all_came_back()
    {
        _list.Add(_waiters[0], PollSignals.Readable);
        TakeAll("");

        Assert.False(_list.TryKeep(_waiters[0]));
        Assert.False(_list.TryContinue(out _));
    }

    [Fact]
    public void The_list_tells_who_is_in_hand_and_nobody_when_he_came_back()
    {
        Assert.Null(_list.InHand);
        AddAll();
        Assert.Null(_list.InHand);

        for (int index = 0; index < _waiters.Length; index++)
        {
            Take(index);
            Assert.Same(_waiters[index], _list.InHand);
            Assert.Equal(index % 3 == 1, index % 3 == 1 && _list.TryKeep(_waiters[index]));
            Assert.Same(_waiters[index], _list.InHand);
        }

        Assert.False(_list.TryTake(out _, out _));
        Assert.Null(_list.InHand);
        foreach (int index in (int[])[1, 4, 7])
        {
            Assert.Equal(index, ContinueOne());
            Assert.Same(_waiters[index], _list.InHand);
        }

        Assert.False(_list.TryContinue(out _));
        Assert.Null(_list.InHand);
    }

    [Fact]
    public void The_list_is_empty_when_nobody_is_left_to_be_resumed_or_to_go_on()
    {
        Assert.True(_list.IsEmpty);
        _list.Add(_waiters[0], PollSignals.Readable);
        Assert.False(_list.IsEmpty);

        TakeAll("0");

        Assert.False(_list.IsEmpty);
        Assert.Equal("0", ContinueAll());
        Assert.True(_list.IsEmpty);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Who_came_back_is_not_kept_alive(bool isFirstKept, bool isSecondKept)
    {
        WeakReference[] waiters = TakeAndContinue(isFirstKept, isSecondKept);

        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.All(waiters, static waiter => Assert.False(waiter.IsAlive));
        GC.KeepAlive(_list);
    }

    [Fact]
    public void Who_came_back_is_not_kept_alive_while_the_batch_goes_on()
    {
        WeakReference waiter = TakeFirstOfTwo();

        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.False(waiter.IsAlive);
        Assert.Same(_waiters[0], _list.InHand);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference[] TakeAndContinue(bool isFirstKept, bool isSecondKept)
    {
        SilentWaiter[] waiters = [new(), new()];
        _list.Add(waiters[0], PollSignals.Readable);
        _list.Add(waiters[1], PollSignals.Readable);
        Assert.True(_list.TryTake(out _, out _));
        Assert.True(!isFirstKept || _list.TryKeep(waiters[0]));
        Assert.True(_list.TryTake(out _, out _));
        Assert.True(!isSecondKept || _list.TryKeep(waiters[1]));
        Assert.False(_list.TryTake(out _, out _));
        while (_list.TryContinue(out _))
        {
        }

        return [.. waiters.Select(static waiter => new WeakReference(waiter))];
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference TakeFirstOfTwo()
    {
        SilentWaiter first = new();
        _list.Add(first, PollSignals.Readable);
        _list.Add(_waiters[0], PollSignals.Readable);
        Assert.True(_list.TryTake(out _, out _));
        Take(0);
        return new WeakReference(first);
    }

    private void AddAll() => Array.ForEach(_waiters, waiter => _list.Add(waiter, PollSignals.Readable));

    private void Take(int expected)
    {
        Assert.True(_list.TryTake(out IPollWaiter? waiter, out _));
        Assert.Same(_waiters[expected], waiter);
    }

    // As a poller's batch: resumes, and keeps those that the test names.
    private void TakeAll(string kept, int atMost = int.MaxValue, Action<IPollWaiter>? andThen = null)
    {
        int[] toKeep = [.. kept.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
        for (int left = atMost; left > 0 && _list.TryTake(out IPollWaiter? waiter, out _); left--)
        {
            if (toKeep.Contains(Array.IndexOf(_waiters, waiter)))
            {
                Assert.True(_list.TryKeep(waiter));
                andThen?.Invoke(waiter);
            }
        }
    }

    private int ContinueOne()
    {
        Assert.True(_list.TryContinue(out IPollWaiter? waiter));
        return Array.IndexOf(_waiters, waiter);
    }

    private string ContinueAll()
    {
        List<int> continued = [];
        while (_list.TryContinue(out IPollWaiter? waiter))
        {
            continued.Add(Array.IndexOf(_waiters, waiter));
        }

        return string.Join(' ', continued);
    }
}
