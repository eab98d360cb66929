namespace NetPoll.Core.Backends;

/// <summary>A socket's seat at a portable backend: where its completions leave what they found, until the poller takes it.</summary>
/// <remarks>
/// Made by every open and gone with the close, so that what comes too late carries the old token, or goes to the old backend, and is
/// nobody's. It is the node of the backend's queue itself: nothing is allocated to tell of an event.
/// </remarks>
internal sealed class PortableWatch
{
    private readonly PortableBackend _backend;
    private bool _isClosed;

    private int _news;
    // Word     what has happened since the poller last looked: PortableNews; not 0 from the push on until the poller takes it.
    // Writers  any thread adds (Or); the poller's thread takes all (Exchange).
    // Race     news that come while the node is still in the queue, or just as it is taken out of it.
    // Order    Only who turns 0 into something pushes, so the node is in the queue at most once, and its link is touched by nobody else
    //          until the poller has taken the news. The poller reads the link before that.
    // Proof    PortableBackendTests.

    internal PortableWatch(PortableBackend backend, PortableHandle socket, PollToken token)
    {
        _backend = backend;
        Socket = socket;
        Token = token;
    }

    internal PortableHandle Socket { get; }

    internal PollToken Token { get; }

    /// <summary>The next in the queue. Whoever has the node.</summary>
    internal PortableWatch? Next { get; set; }

    /// <summary>Whether the backend looks after it because no completion can tell. The poller's thread.</summary>
    internal bool IsInWriteLooks { get; set; }

    /// <inheritdoc cref="IsInWriteLooks"/>
    internal bool IsInHangupLooks { get; set; }

    /// <summary>Whether the socket left the backend: nothing is told any more. Any thread.</summary>
    internal bool IsClosed => Volatile.Read(ref _isClosed);

    internal bool IsAt(PortableBackend backend) => ReferenceEquals(_backend, backend);

    internal void Close() => Volatile.Write(ref _isClosed, true);

    /// <summary>Adds news, and wakes the poller. Any thread; allocates nothing.</summary>
    internal void Report(PortableNews news)
    {
        if (news != PortableNews.None && Interlocked.Or(ref _news, (int)news) == 0)
        {
            _backend.Push(this);
        }
    }

    /// <summary>Takes what has happened. The poller's thread, after it took the node out of the queue.</summary>
    internal PortableNews Take() => (PortableNews)Interlocked.Exchange(ref _news, 0);
}

/// <summary>What a completion, or an arming, leaves for the poller.</summary>
[Flags]
internal enum PortableNews
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>As <see cref="PollEventFlags.Read"/>.</summary>
    Read = PollEventFlags.Read,

    /// <summary>As <see cref="PollEventFlags.Write"/>.</summary>
    Write = PollEventFlags.Write,

    /// <summary>As <see cref="PollEventFlags.ReadHangup"/>.</summary>
    ReadHangup = PollEventFlags.ReadHangup,

    /// <summary>As <see cref="PollEventFlags.Error"/>.</summary>
    Error = PollEventFlags.Error,

    /// <summary>What is an event.</summary>
    Events = Read | Write | ReadHangup | Error,

    /// <summary>Not an event: somebody waits for room to write, which the poller has to look for.</summary>
    LookForRoom = 0x100,

    /// <summary>Not an event: somebody wants to know of a reset though unread bytes stand before it.</summary>
    LookForReset = 0x200,
}
