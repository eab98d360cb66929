namespace NetPoll.Core.Sockets;

/// <summary>How long an acceptor that is out of descriptors or buffers waits before it tries again: 5 ms, doubling up to 1 s.</summary>
/// <remarks>A mutable part of one acceptor: never copied. Go: the back-off of <c>http.Server.Serve</c>.</remarks>
internal struct AcceptBackoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Last = TimeSpan.FromSeconds(1);

    private TimeSpan _last;

    /// <summary>What the next failure waits for.</summary>
    internal readonly TimeSpan Delay => _last == TimeSpan.Zero ? First : _last * 2 < Last ? _last * 2 : Last;

    /// <summary>A failure has been waited for.</summary>
    internal void Lengthen() => _last = Delay;

    /// <summary>Something was accepted, or nothing waited: the next failure is a first one again.</summary>
    internal void Reset() => _last = TimeSpan.Zero;
}
