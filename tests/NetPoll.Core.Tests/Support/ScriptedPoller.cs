using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Support;

/// <summary>A real poller on a scripted system.</summary>
internal sealed class ScriptedPoller : IAsyncDisposable
{
    internal ScriptedPoller(Action<PollerOptions>? configure = null)
    {
        PollerOptions options = new() { PollerCount = 1, Platform = Platform, Logger = Log };
        configure?.Invoke(options);
        Group = new PollerGroup(options);
        Poller = Group.Pollers[0];
    }

    internal ScriptedPlatform Platform { get; } = new();

    internal CapturedLog Log { get; } = new();

    internal PollerGroup Group { get; }

    internal Poller Poller { get; }

    internal ScriptedBackend Backend => Platform.Backend;

    public ValueTask DisposeAsync() => Group.DisposeAsync();

    internal NetFd Open(ScriptedSocket socket)
    {
        IoResult result = NetFd.Open(Poller, socket, out NetFd? fd);
        Assert.True(result.IsSuccess, result.ToString());
        return fd!;
    }

    /// <summary>Until the poller has done everything that it knows of and blocks.</summary>
    internal Task Asleep() => Eventually.True("the poller sleeps", () => Backend.IsAsleep);
}
