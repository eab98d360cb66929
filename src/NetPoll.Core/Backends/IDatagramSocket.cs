using System.Net;

namespace NetPoll.Core.Backends;

/// <summary>What a socket for datagrams can, besides what every <see cref="PollableSocket"/> can. Nothing here blocks.</summary>
internal interface IDatagramSocket
{
    /// <summary>Takes one datagram out of the queue.</summary>
    IoResult ReceiveFrom(Span<byte> buffer, out ReceivedDatagram datagram);

    /// <summary>Sends one datagram.</summary>
    /// <param name="payload">Its bytes, perhaps none.</param>
    /// <param name="to">Whom to send to; empty for a connected socket's peer.</param>
    IoResult SendTo(ReadOnlySpan<byte> payload, DatagramAddress to);

    /// <summary>Takes what is in the queue, as far as there is room, and replaces what the batch holds.</summary>
    /// <remarks>
    /// Fewer than there was room for means that the queue is empty, or that an error stands behind them, which the next call tells; only a
    /// connected socket has such errors.
    /// </remarks>
    /// <returns>How many datagrams, 1 or more; or the error.</returns>
    IoResult ReceiveBatch(DatagramBatch batch);

    /// <summary>Sends the datagrams of a batch in order, as far as the system takes them.</summary>
    /// <returns>How many, 1 or more; or the error of the first.</returns>
    IoResult SendBatch(DatagramBatch batch, int start);

    /// <summary>Sets an option.</summary>
    IoResult SetDatagramSetting(DatagramSetting setting, int value);

    /// <summary>Joins or leaves a multicast group.</summary>
    IoResult ChangeMembership(IPAddress group, int interfaceIndex, bool join);
}

/// <summary>The options that datagrams have.</summary>
internal enum DatagramSetting
{
    /// <summary>1: may send to broadcast addresses.</summary>
    Broadcast,

    /// <summary>How many routers a multicast datagram may pass, 0 to 255.</summary>
    MulticastTimeToLive,

    /// <summary>1: what is sent to a group comes back to members on this machine.</summary>
    MulticastLoopback,

    /// <summary>The index of the interface that multicast leaves by; 0 for the system's choice.</summary>
    MulticastInterface,
}
