using NetPoll.Core.Backends;

namespace NetPoll.Core.Interop;

/// <summary>What recvmmsg(2) and sendmmsg(2) take for one batch: made once, on memory that the collector never moves.</summary>
internal sealed unsafe class MessageVectors
{
    private readonly MessageVector[] _messages;
    private readonly IoVector[] _vectors;
    private readonly byte[] _names;

    internal MessageVectors(DatagramBatch batch)
    {
        _messages = GC.AllocateArray<MessageVector>(batch.Capacity, pinned: true);
        _vectors = GC.AllocateArray<IoVector>(batch.Capacity, pinned: true);
        _names = GC.AllocateArray<byte>(batch.Capacity * SocketAddressLayout.MaxSize, pinned: true);
        for (int index = 0; index < _messages.Length; index++)
        {
            // All of it is on the pinned heap: the addresses stay good.
            fixed (byte* start = batch.Slot(index))
            fixed (IoVector* vector = &_vectors[index])
            {
                vector->Start = start;
                _messages[index].Header.Vectors = vector;
                _messages[index].Header.VectorCount = 1;
            }
        }
    }

    /// <summary>Receives into the batch what is there.</summary>
    internal IoResult Receive(int descriptor, DatagramBatch batch)
    {
        fixed (byte* names = _names)
        {
            for (int index = 0; index < _messages.Length; index++)
            {
                _vectors[index].Length = (nuint)batch.MaxBytes;
                _messages[index].Header.Name = names + (index * SocketAddressLayout.MaxSize);
                _messages[index].Header.NameLength = SocketAddressLayout.MaxSize;
            }
        }

        int result;
        fixed (MessageVector* messages = _messages)
        {
            result = Libc.ReceiveMany(descriptor, messages, _messages.Length);
        }

        batch.Count = Math.Max(result, 0);
        for (int index = 0; index < batch.Count; index++)
        {
            int length = (int)_messages[index].Length;
            int nameLength = (int)Math.Min(_messages[index].Header.NameLength, SocketAddressLayout.MaxSize);
            CompactEndPoint from = SocketAddressLayout.ReadCompact(_names.AsSpan(index * SocketAddressLayout.MaxSize, nameLength));
            batch.Set(index, new ReceivedDatagram(Math.Min(length, batch.MaxBytes), new DatagramAddress(from), length > batch.MaxBytes));
        }

        return IoResult.From(result);
    }

    /// <summary>Sends from the batch, from a datagram on.</summary>
    internal IoResult Send(int descriptor, DatagramBatch batch, int start, bool asIPv6)
    {
        fixed (byte* names = _names)
        {
            for (int index = start; index < batch.Count; index++)
            {
                ReceivedDatagram datagram = batch[index];
                _vectors[index].Length = (nuint)datagram.Count;
                int offset = index * SocketAddressLayout.MaxSize;
                int length = datagram.From.IsEmpty ? 0 : SocketAddressLayout.Write(datagram.From.Compact, _names.AsSpan(offset), asIPv6);
                _messages[index].Header.Name = length == 0 ? null : names + offset;
                _messages[index].Header.NameLength = (uint)length;
            }
        }

        fixed (MessageVector* messages = _messages)
        {
            return IoResult.From(Libc.SendMany(descriptor, messages + start, batch.Count - start));
        }
    }
}
