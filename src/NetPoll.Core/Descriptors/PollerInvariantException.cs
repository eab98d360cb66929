namespace NetPoll.Core.Descriptors;

/// <summary>A state that cannot be: going on could mix up two connections, so the poller that meets it stops, loudly.</summary>
/// <remarks>Go: <c>throw</c> of <c>runtime.netpoll</c>.</remarks>
internal sealed class PollerInvariantException : InvalidOperationException
{
    internal PollerInvariantException(string message)
        : base(message)
    {
    }
}
