using System.Net;
using System.Net.Sockets;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Support;

/// <summary>A group of its own and a listener on it.</summary>
internal sealed class NetListenerFixture : IAsyncDisposable
{
    private readonly TemporaryFolder? _folder;

    internal NetListenerFixture(int pollers = 1, Action<PollerOptions>? configure = null, AddressFamily family = AddressFamily.InterNetwork)
    {
        PollerOptions options = new() { PollerCount = pollers, Logger = Log };
        configure?.Invoke(options);
        Group = new PollerGroup(options);
        _folder = family == AddressFamily.Unix ? new TemporaryFolder() : null;
        Listener = NetListener.Listen(_folder is null ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint(_folder["socket"]), Group);
    }

    internal CapturedLog Log { get; } = new();

    internal PollerGroup Group { get; }

    internal NetListener Listener { get; }

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        await Group.DisposeAsync();
        _folder?.Dispose();
    }
}
