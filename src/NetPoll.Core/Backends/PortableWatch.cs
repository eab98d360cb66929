using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>A socket's seat at a portable backend: what ties the completions of one stay to the poller of that stay.</summary>
/// <remarks>
/// Made by every open and gone with the close, so that what comes too late carries the old token, or goes to the old backend, and is
/// nobody's.
/// </remarks>
internal sealed class PortableWatch
{
    private readonly PortableBackend _backend;
    private PortableLook _forRoom;
    private PortableLook _forReset;
    private bool _isClosed;

    internal PortableWatch(PortableBackend backend, PortableHandle socket, PollToken token)
    {
        _backend = backend;
        Socket = socket;
        Token = token;
    }

    internal PortableHandle Socket { get; }

    internal PollToken Token { get; }

    /// <summary>Whether the socket left the backend: nothing is told any more. Any thread.</summary>
    internal bool IsClosed => Volatile.Read(ref _isClosed);

    /// <summary>Whether and how the backend looks after it because no completion can tell. The poller's thread.</summary>
    internal ref PortableLook Look(SelectMode mode) => ref mode == SelectMode.SelectWrite ? ref _forRoom : ref _forReset;

    internal bool IsAt(PortableBackend backend) => ReferenceEquals(_backend, backend);

    internal void Close() => Volatile.Write(ref _isClosed, true);

    /// <summary>Tells the poller. Any thread.</summary>
    internal void Report(PortableNews news)
    {
        if (news != PortableNews.None)
        {
            _backend.Push(this, news);
        }
    }
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

    /// <summary>What the poller has to look for.</summary>
    LookFor = LookForRoom | LookForReset,
}
