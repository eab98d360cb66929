using NetPoll.Core.Descriptors;

namespace NetPoll.Actors.Datagrams;

/// <summary>The bits that a datagram socket's mailbox knows: those of its descriptor, and its own above them.</summary>
internal static class DatagramSignals
{
    internal const int Readable = (int)PollSignals.Readable;
    internal const int Writable = (int)PollSignals.Writable;
    internal const int Closed = (int)PollSignals.Closed;

    /// <summary>A turn left something to be received, or the handler wants datagrams again.</summary>
    internal const int LeftOver = 1 << 8;

    /// <summary>The handler is to be told of refusals, failures or drops.</summary>
    internal const int Notice = 1 << 9;

    /// <summary>The time that the handler asked for has come.</summary>
    internal const int Reminder = 1 << 10;
}

/// <summary>The one message by which a datagram socket's signals reach its actor; the bits themselves lie in the mailbox.</summary>
internal sealed class DatagramSignal
{
    internal static DatagramSignal Instance { get; } = new();
}
