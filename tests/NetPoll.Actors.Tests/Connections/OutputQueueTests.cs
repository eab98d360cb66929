using NetPoll.Actors.Connections;
using NetPoll.Core.Backends;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>What waits to be sent leaves in order, whatever the system takes of it.</summary>
public sealed class OutputQueueTests
{
    [Fact]
    public void Bytes_and_payloads_leave_in_order_under_any_partial_writes()
    {
        Random random = new(Seed.Next());
        for (int round = 0; round < 30; round++)
        {
            OutputQueue queue = default;
            Taker taker = new(random);
            List<byte> expected = [];
            List<SharedPayload> payloads = [];
            for (int step = 0; step < 40; step++)
            {
                byte[] bytes = new byte[random.Next(random.Next(2) == 0 ? 50 : 40_000)];
                random.NextBytes(bytes);
                expected.AddRange(bytes);
                if (random.Next(3) == 0)
                {
                    SharedPayload payload = SharedPayload.Copy(bytes);
                    payloads.Add(payload);
                    queue.Append(payload);
                    payload.Dispose();
                }
                else
                {
                    queue.Append(bytes);
                }

                if (random.Next(2) == 0 && !queue.IsEmpty)
                {
                    queue.WriteOnce(taker);
                }

                Assert.Equal(expected.Count, taker.Taken.Count + queue.Bytes);
            }

            while (!queue.IsEmpty)
            {
                queue.WriteOnce(taker);
            }

            Assert.Equal(expected, taker.Taken);
            Assert.Equal(0, queue.Bytes);
            Assert.All(payloads, static payload => Assert.Throws<ObjectDisposedException>(() => payload.Memory));
        }
    }

    [Fact]
    public void Clearing_gives_every_payload_back()
    {
        OutputQueue queue = default;
        SharedPayload payload = SharedPayload.Copy(new byte[100]);
        queue.Append("before"u8);
        queue.Append(payload);
        queue.Append(payload);
        payload.Dispose();

        queue.Clear();

        Assert.True(queue.IsEmpty);
        Assert.Equal(0, queue.Bytes);
        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
    }

    /// <summary>Takes a random part of what is offered.</summary>
    private sealed class Taker : IConnectionTransport
    {
        private readonly Random _random;

        internal Taker(Random random) => _random = random;

        internal List<byte> Taken { get; } = [];

        public IoResult TryRead(Span<byte> buffer) => IoResult.TryAgain;

        public IoResult TryWrite(ReadOnlySpan<byte> buffer)
        {
            int count = Math.Min(buffer.Length, 1 + _random.Next(60_000));
            Taken.AddRange(buffer[..count]);
            return IoResult.Bytes(count);
        }

        public IoResult TryWriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
        {
            int limit = 1 + _random.Next(100_000);
            int count = 0;
            foreach (ReadOnlyMemory<byte> buffer in buffers)
            {
                int part = Math.Min(buffer.Length, limit - count);
                Taken.AddRange(buffer.Span[..part]);
                count += part;
            }

            return IoResult.Bytes(count);
        }

        public IoResult ShutdownWrite() => IoResult.Success;

        public void Close(bool reset)
        {
        }
    }
}
