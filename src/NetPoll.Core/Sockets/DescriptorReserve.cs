using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>One descriptor kept back, so that a listener out of descriptors can still tell a client that it is not served.</summary>
/// <remarks>
/// Without it the client's connection would wait in the queue, open as far as the client knows, until a descriptor is free. Any thread: the
/// accepts of one listener may run out of descriptors together, and it may be closed meanwhile.
/// </remarks>
internal sealed class DescriptorReserve : IDisposable
{
    private readonly PollPlatform _platform;
    private readonly Lock _gate = new();
    private IDisposable? _reserved;
    private bool _isDisposed;

    internal DescriptorReserve(PollPlatform platform)
    {
        _platform = platform;
        _reserved = platform.ReserveDescriptor();
    }

    /// <summary>Gives the reserve up for one accept, whose connection is closed at once, and takes it back.</summary>
    /// <param name="accept">Takes one connection from the listener's queue.</param>
    /// <returns>Whether a connection was shed.</returns>
    internal bool TryShed(Func<PollableSocket?> accept)
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                return false;
            }

            if (_reserved is null)
            {
                _reserved = _platform.ReserveDescriptor();
                return false;
            }

            _reserved.Dispose();
            PollableSocket? accepted = accept();
            _ = accepted?.Close();
            _reserved = _platform.ReserveDescriptor();
            return accepted is not null;
        }
    }

    /// <summary>Gives the reserve up for good. Harmless when it is.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _reserved?.Dispose();
            _reserved = null;
        }
    }
}
