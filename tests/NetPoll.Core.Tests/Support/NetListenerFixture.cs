using System.Net;

namespace NetPoll.Core.Tests.Support;

/// <summary>A group of its own and a listener on it.</summary>
internal sealed class NetListenerFixture : IAsyncDisposable
{
    internal NetListenerFixture(int pollers = 1, Action<PollerOptions>? configure = null)
    {
        PollerOptions options = new() { PollerCount = pollers, Logger = Log };
        configure?.Invoke(options);
        Group = new PollerGroup(options);
        Listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), Group);
    }

    internal CapturedLog Log { get; } = new();

    internal PollerGroup Group { get; }

    internal NetListener Listener { get; }

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        await Group.DisposeAsync();
    }
}
