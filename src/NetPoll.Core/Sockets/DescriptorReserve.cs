using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>One descriptor kept back, so that a listener out of descriptors can still tell a client that it is not served.</summary>
/// <remarks>
/// Without it the client's connection would wait in the queue, open as far as the client knows, until a descriptor is free. One user at a
/// time.
/// </remarks>
internal sealed class DescriptorReserve : IDisposable
{
    private readonly PollPlatform _platform;
    private IDisposable? _reserved;

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

    public void Dispose()
    {
        _reserved?.Dispose();
        _reserved = null;
    }
}
