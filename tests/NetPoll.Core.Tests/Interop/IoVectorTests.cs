using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests.Interop;

public sealed class IoVectorTests : IDisposable
{
    private readonly TcpPair _pair = new();
    private readonly TcpSocket _socket;

    public IoVectorTests() => _socket = new TcpSocket(_pair.Descriptor, null);

    public void Dispose() => _pair.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(1024)]
    public void Buffers_are_sent_in_order_and_empty_ones_are_skipped(int count)
    {
        ReadOnlyMemory<byte>[] buffers = [.. Enumerable.Range(0, count).Select(static index => Buffer(index, size: index % 3))];
        byte[] expected = [.. buffers.SelectMany(static buffer => buffer.ToArray())];

        int sent = _socket.WriteVectored(buffers).Count;

        Assert.Equal(expected.Length, sent);
        Assert.Equal(expected, Receive(sent));
    }

    [Fact]
    public void NP087_Three_thousand_buffers_take_three_calls_of_at_most_1024_vectors()
    {
        ReadOnlyMemory<byte>[] buffers = [.. Enumerable.Range(0, 3_000).Select(static index => Buffer(index, size: index % 7 == 0 ? 0 : 3))];
        byte[] expected = [.. buffers.SelectMany(static buffer => buffer.ToArray())];
        List<byte> received = [];
        ReadOnlySpan<ReadOnlyMemory<byte>> rest = buffers;
        int calls = 0;

        while (received.Count < expected.Length)
        {
            IoResult result = _socket.WriteVectored(rest);
            Assert.InRange(result.Count, 1, 3 * Libc.IOV_MAX);
            calls++;
            received.AddRange(Receive(result.Count));
            int taken = result.Count;
            while (!rest.IsEmpty && taken >= rest[0].Length)
            {
                taken -= rest[0].Length;
                rest = rest[1..];
            }

            Assert.Equal(0, taken);
        }

        Assert.Equal(expected, received);
        Assert.Equal(3, calls);
    }

    [Fact]
    public void Empty_buffers_do_not_count_as_vectors()
    {
        ReadOnlyMemory<byte>[] buffers = new ReadOnlyMemory<byte>[2 * Libc.IOV_MAX];
        buffers[^1] = new byte[] { 42 };

        Assert.Equal(1, _socket.WriteVectored(buffers).Count);
        Assert.Equal([42], Receive(1));
    }

    [Fact]
    public void Nothing_to_send_is_0()
    {
        Assert.Equal(0, _socket.WriteVectored([]).Count);
        Assert.Equal(0, _socket.WriteVectored(new ReadOnlyMemory<byte>[3]).Count);
        Assert.True(_socket.WriteVectored([]).IsSuccess);
    }

    private static ReadOnlyMemory<byte> Buffer(int index, int size)
    {
        byte[] bytes = new byte[size];
        bytes.AsSpan().Fill((byte)index);
        return bytes;
    }

    private byte[] Receive(int count)
    {
        byte[] bytes = new byte[count];
        int received = 0;
        while (received < count)
        {
            received += _pair.Peer.Receive(bytes, received, count - received, SocketFlags.None);
        }

        return bytes;
    }
}
