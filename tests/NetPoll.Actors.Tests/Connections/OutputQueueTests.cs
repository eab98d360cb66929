using NetPoll.Actors.Connections;
using NetPoll.Actors.Tests.Support;
using NetPoll.Core.Backends;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

public sealed class OutputQueueTests
{
    private readonly ScriptedTransport _transport = new();
    private readonly OutputQueue _queue = new();

    [Fact]
    public void Small_pieces_leave_with_one_call()
    {
        for (int number = 0; number < 100; number++)
        {
            _queue.Append([(byte)number], now: 0);
        }

        Assert.Equal(100, _queue.Bytes);
        Assert.True(_queue.WriteOnce(_transport).IsSuccess);

        Assert.Equal(Enumerable.Range(0, 100).Select(static number => (byte)number), _transport.Written);
        Assert.Equal(1, _transport.Calls);
        Assert.Equal(1, _transport.MostBuffers);
        Assert.True(_queue.IsEmpty);
        Assert.Equal(0, _queue.Bytes);
    }

    [Fact]
    public void Bytes_and_payloads_keep_their_order_and_leave_with_one_call()
    {
        using SharedPayload payload = SharedPayload.Copy("payload"u8);
        _queue.Append("before "u8, now: 0);
        _queue.Append(payload, now: 0);
        _queue.Append(" after"u8, now: 0);

        _queue.WriteOnce(_transport);

        Assert.Equal("before payload after"u8, _transport.Written);
        Assert.Equal(3, _transport.MostBuffers);
    }

    [Fact]
    public void What_is_taken_in_part_goes_on_where_it_stopped()
    {
        using SharedPayload payload = SharedPayload.Copy("world"u8);
        _queue.Append("hello "u8, now: 0);
        _queue.Append(payload, now: 0);
        _transport.Takes = static _ => 1;

        for (int left = 10; left >= 0; left--)
        {
            Assert.Equal(1, _queue.WriteOnce(_transport).Count);
            Assert.Equal(left, _queue.Bytes);
        }

        Assert.Equal("hello world"u8, _transport.Written);
        Assert.True(_queue.IsEmpty);
    }

    [Fact]
    public void A_full_buffer_and_an_error_leave_everything_where_it_is()
    {
        _queue.Append("hello"u8, now: 0);
        _transport.Takes = static _ => -1;

        Assert.True(_queue.WriteOnce(_transport).WouldBlock);
        Assert.Equal(5, _queue.Bytes);
        _transport.Takes = static offered => offered;
        _queue.WriteOnce(_transport);

        Assert.Equal("hello"u8, _transport.Written);
    }

    [Fact]
    public void What_is_appended_behind_a_part_that_was_sent_comes_after_it()
    {
        _queue.Append("hello"u8, now: 0);
        _transport.Takes = static _ => 2;
        _queue.WriteOnce(_transport);
        _transport.Takes = static offered => offered;

        _queue.Append(" world"u8, now: 0);
        _queue.WriteOnce(_transport);

        Assert.Equal("hello world"u8, _transport.Written);
    }

    [Fact]
    public void Many_payloads_leave_in_calls_of_sixteen_buffers()
    {
        for (int number = 0; number < 40; number++)
        {
            using SharedPayload payload = SharedPayload.Copy([(byte)number]);
            _queue.Append(payload, now: 0);
        }

        while (!_queue.IsEmpty)
        {
            _queue.WriteOnce(_transport);
        }

        Assert.Equal(Enumerable.Range(0, 40).Select(static number => (byte)number), _transport.Written);
        Assert.Equal(16, _transport.MostBuffers);
        Assert.Equal(3, _transport.Calls);
    }

    [Fact]
    public void A_payload_is_held_until_its_last_byte_is_taken()
    {
        SharedPayload payload = SharedPayload.Copy("ab"u8);
        _queue.Append(payload, now: 0);
        payload.Dispose();
        _transport.Takes = static _ => 1;

        _queue.WriteOnce(_transport);
        Assert.Equal(2, payload.Memory.Length);
        _queue.WriteOnce(_transport);

        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
    }

    [Fact]
    public void Clearing_gives_everything_back_and_the_queue_can_be_used_again()
    {
        SharedPayload payload = SharedPayload.Copy("ab"u8);
        _queue.Append("x"u8, now: 0);
        _queue.Append(payload, now: 0);
        _queue.Append(payload, now: 0);
        payload.Dispose();
        _transport.Takes = static _ => 2;
        _queue.WriteOnce(_transport);

        _queue.Clear();
        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
        Assert.True(_queue.IsEmpty);
        Assert.Equal(0, _queue.Bytes);
        _transport.Takes = static offered => offered;
        _queue.Append("yz"u8, now: 0);
        _queue.WriteOnce(_transport);

        Assert.Equal("xayz"u8, _transport.Written);
    }

    [Fact]
    public void Nothing_is_not_queued()
    {
        using SharedPayload nothing = SharedPayload.Copy([]);
        _queue.Append(ReadOnlySpan<byte>.Empty, now: 0);
        _queue.Append(nothing, now: 0);

        Assert.True(_queue.IsEmpty);
    }

    [Fact]
    public void The_oldest_payload_is_dropped_and_what_was_sent_of_in_part_is_not()
    {
        using SharedPayload first = SharedPayload.Copy("first "u8);
        using SharedPayload second = SharedPayload.Copy("second "u8);
        SharedPayload third = SharedPayload.Copy("third "u8);
        _queue.Append(first, now: 0);
        _queue.Append("bytes "u8, now: 0);
        _queue.Append(second, now: 0);
        _queue.Append(third, now: 0);
        third.Dispose();
        _transport.Takes = static _ => 2;
        _queue.WriteOnce(_transport);
        _transport.Takes = static offered => offered;

        Assert.Equal(7, _queue.DropOldest(out long before, out _));
        Assert.Equal("rst bytes ".Length, before);
        Assert.Equal(6, _queue.DropOldest(out _, out _));
        Assert.Throws<ObjectDisposedException>(() => third.Memory);
        Assert.Equal(0, _queue.DropOldest(out _, out _));
        Assert.Equal("rst bytes ".Length, _queue.Bytes);
        _queue.WriteOnce(_transport);

        Assert.Equal("first bytes "u8, _transport.Written);
    }

    [Fact]
    public void Whatever_is_dropped_between_whatever_writes_the_rest_comes_out_in_order()
    {
        Random random = new(Seed.Next());
        List<(byte[] Bytes, bool IsPayload)> model = [];
        List<SharedPayload> payloads = [];
        List<byte> expected = [];
        int sentOfFirst = 0;
        _transport.Takes = offered => random.Next(1, offered + 1);

        for (int round = 0; round < 20_000; round++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    byte[] bytes = new byte[random.Next(1, 50)];
                    random.NextBytes(bytes);
                    bool isPayload = random.Next(3) != 0;
                    model.Add((bytes, isPayload));
                    if (isPayload)
                    {
                        SharedPayload payload = SharedPayload.Copy(bytes);
                        _queue.Append(payload, now: 0);
                        payload.Dispose();
                        payloads.Add(payload);
                    }
                    else
                    {
                        _queue.Append(bytes, now: 0);
                    }

                    break;
                case 2 when model.Count > 0:
                    bool isOldest = random.Next(2) == 0;
                    int whole = sentOfFirst > 0 ? 1 : 0;
                    int index = isOldest ? model.FindIndex(whole, static unit => unit.IsPayload) : model.FindLastIndex(static unit => unit.IsPayload);
                    index = index < whole ? -1 : index;
                    int dropped = isOldest ? _queue.DropOldest(out long before, out _) : _queue.DropNewest(out before, out _);
                    Assert.Equal(index < 0 ? 0 : model[index].Bytes.Length, dropped);
                    if (index >= 0)
                    {
                        Assert.Equal(model.Take(index).Sum(static unit => unit.Bytes.Length) - sentOfFirst, before);
                        model.RemoveAt(index);
                    }

                    break;
                case 3 when model.Count > 0:
                    int written = _queue.WriteOnce(_transport).Count;
                    while (written > 0)
                    {
                        int left = Math.Min(written, model[0].Bytes.Length - sentOfFirst);
                        expected.AddRange(model[0].Bytes.AsSpan(sentOfFirst, left));
                        written -= left;
                        sentOfFirst += left;
                        if (sentOfFirst == model[0].Bytes.Length)
                        {
                            model.RemoveAt(0);
                            sentOfFirst = 0;
                        }
                    }

                    break;
            }

            Assert.Equal(model.Sum(static unit => unit.Bytes.Length) - sentOfFirst, _queue.Bytes);
        }

        Assert.True(expected.ToArray().AsSpan().SequenceEqual(_transport.Written));
        _queue.Clear();
        Assert.All(payloads, static payload => Assert.Throws<ObjectDisposedException>(() => payload.Memory));
    }

    [Fact]
    public void Any_mix_under_any_partial_writes_comes_out_as_it_went_in()
    {
        Random random = new(Seed.Next());
        List<byte> expected = [];
        List<SharedPayload> payloads = [];
        _transport.Takes = offered => random.Next(4) switch
        {
            0 => -1,
            1 => random.Next(1, Math.Min(offered, 10) + 1),
            2 => offered,
            _ => random.Next(1, offered + 1),
        };

        for (int round = 0; round < 5_000; round++)
        {
            if (random.Next(5) < 2)
            {
                byte[] bytes = new byte[random.Next(6) == 0 ? random.Next(40_000) : random.Next(300)];
                random.NextBytes(bytes);
                expected.AddRange(bytes);
                if (random.Next(2) == 0)
                {
                    _queue.Append(bytes, now: 0);
                }
                else
                {
                    SharedPayload payload = SharedPayload.Copy(bytes);
                    _queue.Append(payload, now: 0);
                    payload.Dispose();
                    payloads.Add(payload);
                }
            }
            else if (!_queue.IsEmpty)
            {
                IoResult result = _queue.WriteOnce(_transport);
                Assert.True(result.IsSuccess || result.WouldBlock);
            }

            Assert.Equal(expected.Count, _queue.Bytes + _transport.WrittenLength);
        }

        _transport.Takes = static offered => offered;
        while (!_queue.IsEmpty)
        {
            _queue.WriteOnce(_transport);
        }

        Assert.True(expected.ToArray().AsSpan().SequenceEqual(_transport.Written));
        Assert.All(payloads, static payload => Assert.Throws<ObjectDisposedException>(() => payload.Memory));
    }
}
