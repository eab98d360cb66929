using System.Diagnostics.CodeAnalysis;

namespace NetPoll.Actors.Pollers;

/// <summary>Messages of one mailbox, first in, first out: many producers, one consumer; holds nothing while empty.</summary>
/// <remarks>
/// A mutable part of one mailbox: never copied. Nodes are used again by the thread that emptied them, so that actors of one poller talk
/// to each other without allocating.
/// </remarks>
internal struct MailboxQueue
{
    // What a thread keeps at most: 8 KB.
    private const int MaxSpareNodes = 256;

    [ThreadStatic]
    private static Node? _spare;

    [ThreadStatic]
    private static int _spareCount;

    private Node? _incoming;
    // Word     null | the newest message.
    // Writers  any thread pushes (CAS); the mailbox's turn takes all (Exchange).
    // Race     a push against the end of a turn.
    //          A push that was held up may meet its head again after that has been taken, emptied and pushed anew: it is the head then.
    // Order    push: CAS here, then CAS the mailbox's status. end of turn: Exchange the status to idle, then look here. Both are full
    //          fences, so at least one side sees the other. See PollerMailbox.
    // Proof    PollerMailboxTests.

    // What was taken and turned round, oldest first. The turn's alone.
    private Node? _outgoing;

    internal readonly bool IsEmpty => _outgoing is null && Volatile.Read(in _incoming) is null;

    internal void Enqueue(object message)
    {
        Node node = Rent(message);
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
        message = node.Message!;
        Return(node);
        return true;
    }

    private static Node Rent(object message)
    {
        if (_spare is not { } node)
        {
            return new Node { Message = message };
        }

        _spare = node.Next;
        _spareCount--;
        node.Message = message;
        return node;
    }

    private static void Return(Node node)
    {
        // Or it would keep the message alive.
        node.Message = null;
        if (_spareCount < MaxSpareNodes)
        {
            node.Next = _spare;
            _spare = node;
            _spareCount++;
        }
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
        internal object? Message { get; set; }

        internal Node? Next { get; set; }
    }
}
