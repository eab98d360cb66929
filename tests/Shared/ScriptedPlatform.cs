using System.ComponentModel;
using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Tests;

/// <summary>An operating system by script: backends and sockets whose every answer a test decides. For <c>PollerOptions.Platform</c>.</summary>
internal sealed class ScriptedPlatform : PollPlatform
{
    private readonly Lock _gate = new();
    private readonly List<ScriptedBackend> _backends = [];

    /// <summary>The backends in the order of their pollers.</summary>
    public IReadOnlyList<ScriptedBackend> Backends
    {
        get
        {
            lock (_gate)
            {
                return [.. _backends];
            }
        }
    }

    /// <summary>The backend of a group with one poller.</summary>
    public ScriptedBackend Backend
    {
        get
        {
            lock (_gate)
            {
                return _backends[^1];
            }
        }
    }

    /// <summary>How many more backends are made before one fails; below 0: none fails.</summary>
    public int BackendsUntilFailure { get; set; } = -1;

    /// <summary>What the next <see cref="Listen"/> hands out.</summary>
    public ScriptedSocket Listener { get; set; } = new();

    /// <summary>What the next <see cref="Connect"/> hands out, and how it begins.</summary>
    public ScriptedSocket Connecting { get; set; } = new();

    /// <summary>How the next attempt to connect begins.</summary>
    public IoResult ConnectBegins { get; set; } = IoResult.TryAgain;

    /// <summary>What the next <see cref="OpenDatagram"/> hands out: an <see cref="IDatagramSocket"/>.</summary>
    public PollableSocket? Datagrams { get; set; }

    internal override long DescriptorLimit => long.MaxValue;

    internal override IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket)
    {
        socket = ConnectBegins.IsSuccess || ConnectBegins.WouldBlock ? Connecting : null;
        return ConnectBegins;
    }

    /// <summary>What a reserved descriptor is; none by default.</summary>
    public Func<IDisposable?> Reserve { get; set; } = static () => null;

    internal override IDisposable? ReserveDescriptor() => Reserve();

    internal override IPollBackend CreateBackend(int eventsPerWait)
    {
        lock (_gate)
        {
            if (BackendsUntilFailure == 0)
            {
                BackendsUntilFailure = -1;
                throw new Win32Exception(24, "The script lets this backend fail.");
            }

            BackendsUntilFailure--;
            ScriptedBackend backend = new();
            _backends.Add(backend);
            return backend;
        }
    }

    internal override IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener)
    {
        listener = Listener;
        return IoResult.Success;
    }

    internal override IoResult OpenDatagram(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? socket)
    {
        socket = Datagrams;
        return IoResult.Success;
    }
}
