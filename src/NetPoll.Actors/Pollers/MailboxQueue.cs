using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Actors.Pollers;

/// <summary>Messages of one mailbox, first in, first out: many producers, one consumer; holds nothing while empty.</summary>
/// <remarks>A mutable part of one mailbox: never copied.</remarks>
internal struct MailboxQueue
{
    private Node? _incoming;
    // Word     null | the newest message.
    // Writers  any thread pushes (CAS); the mailbox's turn takes all (Exchange).
    // Race     a push against the end of a turn.
    // Order    push: CAS here, then CAS the mailbox's status. end of turn: Exchange the status to idle, then look here. Both are full
    //          fences, so at least one side sees the other. See PollerMailbox.
    // Proof    PollerMailboxTests.

    // What was taken and turned round, oldest first. The turn's alone.
    private Node? _outgoing;
    private int _count;

    internal readonly bool IsEmpty => _outgoing is null && Volatile.Read(in _incoming) is null;

    /// <summary>Messages that wait. Any thread; a moment old.</summary>
    internal readonly int Count => Math.Max(0, Volatile.Read(in _count));

    internal void Enqueue(object message)
    {
        Node node = new(message);
        Interlocked.Increment(ref _count);
        Node? head;
        do
        {
            head = Volatile.Read(ref _incoming);
            node.Next = head;
        }
        while (!ReferenceEquals(Interlocked.CompareExchange(ref _incoming, node, head), head));
    }

    /// <summary>Takes the oldest message. The turn only.</summary>
    internal bool TryDequeue([NotNullWhen(true)] out object? message)
    {
        if (_outgoing is null && Volatile.Read(ref _incoming) is not null)
        {
            TurnRound();
        }

        if (_outgoing is not { } node)
        {
            message = null;
            return false;
        }

        _outgoing = node.Next;
        Interlocked.Decrement(ref _count);
        message = node.Message;
        return true;
    }

    private void TurnRound()
    {
        Node? newest = Interlocked.Exchange(ref _incoming, null);
        while (newest is not null)
        {
            Node? next = newest.Next;
            newest.Next = _outgoing;
            _outgoing = newest;
            newest = next;
        }
    }

    private sealed class Node
    {
        internal object Message { get; }
        internal Node? Next { get; set; }

        internal Node(object message) => Message = message;
    }
}
