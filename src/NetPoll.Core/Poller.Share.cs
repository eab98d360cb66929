namespace NetPoll.Core;

/// <content>
/// Each piece of work has a share of the thread. Awaiting gives the thread away only where there is something to wait for, so code whose
/// operations are always done at once, as with a peer that floods it, would hold the thread for ever. When its share is used up, the next
/// operation is queued instead and begins when the others have had their turn.
/// </content>
public sealed partial class Poller
{
    /// <summary>Bytes that one piece of work may move without waiting, and that one attempt of a write moves.</summary>
    internal const int BytesPerShare = 256 * 1024;

    /// <summary>Operations that one piece of work may do without waiting.</summary>
    internal const int OperationsPerShare = 16;

    // What the work that runs has left of its share. The poller's thread.
    private int _operationsLeft;
    private long _bytesLeft;

    /// <summary>Whether the caller runs on this poller's thread and has used up its share, so that it must queue. Any thread.</summary>
    internal bool IsShareSpent => IsCurrent && HasSpentShare;

    private bool HasSpentShare => _operationsLeft <= 0 || _bytesLeft <= 0;

    /// <summary>Counts an operation that was done without waiting, if the caller runs on this poller's thread. Any thread.</summary>
    internal void Spend(long bytes)
    {
        if (IsCurrent)
        {
            _operationsLeft--;
            _bytesLeft -= bytes;
        }
    }

    private void BeginShare()
    {
        _operationsLeft = OperationsPerShare;
        _bytesLeft = BytesPerShare;
    }
}
