namespace NetPoll.Core.Backends;

/// <summary>What a system must supply so that it can be polled: a porter writes this and <see cref="PollableSocket"/>, nothing above.</summary>
/// <remarks>Edge-triggered, or emulated by <see cref="Arm"/>. Go: the list of functions that opens <c>runtime/netpoll.go</c>.</remarks>
internal interface IPollBackend : IDisposable
{
    /// <summary>The backend's name as the start line shows it.</summary>
    string Name { get; }

    /// <summary>
    /// Watches both directions until closed; the present state counts as an edge, which may be reported before this returns.
    /// Any thread. Go: <c>netpollopen</c>.
    /// </summary>
    IoResult Open(PollableSocket socket, PollToken token);

    /// <summary>
    /// Stops watching. Events already collected may still carry the token. Any thread. Go: <c>netpollclose</c>.
    /// </summary>
    IoResult Close(PollableSocket socket, PollToken token);

    /// <summary>Whether readiness must be asked for, each time, by <see cref="Arm"/> and <see cref="ArmHangup"/>.</summary>
    bool NeedsArming => false;

    /// <summary>
    /// Asks for the next readiness of a direction; does nothing where edges come by themselves. Any thread. Go: <c>netpollarm</c>, <c>resume</c>.
    /// </summary>
    void Arm(PollableSocket socket, PollToken token, PollMode mode);

    /// <summary>
    /// Takes back what was armed last for a direction: who waited has given up, or is done. It may still be told. Any thread, before the next
    /// <see cref="Arm"/> of the direction.
    /// </summary>
    void Disarm(PollableSocket socket, PollToken token, PollMode mode)
    {
    }

    /// <summary>
    /// Asks to be told of a hang-up or an error while nobody waits to read; does nothing where edges come by themselves. The poller's thread.
    /// </summary>
    void ArmHangup(PollableSocket socket, PollToken token)
    {
    }

    /// <summary>Collects events, and takes back a wake-up if there was one. The poller's thread only. Go: <c>netpoll</c>.</summary>
    /// <param name="events">Room for the events.</param>
    /// <param name="timeoutMilliseconds">Below 0: until an event or a wake-up; 0: do not block; else at most so long.</param>
    /// <returns>Events written; 0 after a timeout, a wake-up or a signal. A fatal error throws.</returns>
    int Wait(Span<PollEvent> events, int timeoutMilliseconds);

    /// <summary>Makes the current or else the next <see cref="Wait"/> return. Any thread; never blocks. Go: <c>netpollBreak</c>.</summary>
    void Wake();

    /// <summary>Whether the number is one of the backend's own. Any thread. Go: <c>netpollIsPollDescriptor</c>.</summary>
    bool Owns(int fileDescriptor);
}
