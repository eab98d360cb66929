using System.Net;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Listening;

/// <summary>Decides what becomes of a socket that an acceptor took: an actor gets it, or it is refused. The poller's thread only.</summary>
internal sealed class Admission
{
    private readonly ActorPoller _home;
    private readonly ListenerActor _listener;

    internal Admission(ActorPoller home, ListenerActor listener)
    {
        _home = home;
        _listener = listener;
    }

    /// <summary>The poller on which it admits.</summary>
    internal ActorPoller Home => _home;

    /// <summary>Connections whose PROXY header has not come yet.</summary>
    internal HashSet<ProxyPreamble> Waiting { get; } = [];

    /// <summary>Refused peers whose end is awaited.</summary>
    internal int LingeringPeers { get; set; }

    /// <summary>Whether the server or the poller stops.</summary>
    internal bool IsStopping => _home.Extension.IsStopping || _home.IsDraining;

    /// <summary>Takes a new socket over.</summary>
    /// <returns>The error that kept it from being watched, after which accepting more makes no sense for a while.</returns>
    internal IoResult Receive(PollableSocket socket)
    {
        if (!_listener.TryEnter())
        {
            Dismiss(socket, RefusalReason.TooManyConnections, detail: null);
            return IoResult.Success;
        }

        if (_listener.ProxyProtocol is not { } proxies)
        {
            // Without an address, as on a Unix domain socket, there is nothing to limit by.
            return Admit(socket, socket.RemoteEndPoint as IPEndPoint, received: default);
        }

        if (!proxies.Contains(socket.RemoteEndPoint))
        {
            Refuse(
                socket,
                RefusalReason.UntrustedProxy,
                socket.RemoteEndPoint is IPEndPoint ? "it is in none of the trusted networks" : "it came by no address, and Unix domain sockets are not trusted");
            return IoResult.Success;
        }

        return new ProxyPreamble(_home, socket, this, proxies.Options).Begin();
    }

    /// <summary>Gives a connection that was counted in its actor, unless the limits by address refuse it.</summary>
    /// <param name="socket">Taken over.</param>
    /// <param name="limited">By whose address it is limited; null for nobody's.</param>
    /// <param name="received">What was read behind a PROXY header: the handler's first bytes.</param>
    /// <inheritdoc cref="Receive" path="/returns"/>
    internal IoResult Admit(PollableSocket socket, IPEndPoint? limited, ReadOnlySpan<byte> received)
    {
        IConnectionOwner owner = _listener;
        if (_listener.Addresses is { } addresses && limited is not null)
        {
            if (addresses.TryEnter(limited.Address, _listener.Clock.Nanoseconds, out NetworkUse[]? uses) is { } reason)
            {
                Refuse(socket, reason, detail: null);
                return IoResult.Success;
            }

            owner = uses is null ? _listener : new LimitedConnectionOwner(_listener, addresses, uses);
        }

        return Spawn(socket, owner, received);
    }

    /// <summary>Refuses a connection that was counted in.</summary>
    internal void Refuse(PollableSocket socket, RefusalReason reason, string? detail)
    {
        Leave();
        Dismiss(socket, reason, detail);
    }

    /// <summary>Counts a connection out that got no actor.</summary>
    internal void Leave() => _listener.Leave();

    /// <summary>The server stops: whose PROXY header has not come is refused. Any thread.</summary>
    internal Task RefuseWaitingAsync() => _home.RunAsync(RefuseWaiting);

    private void RefuseWaiting()
    {
        foreach (ProxyPreamble waiting in Waiting.ToArray())
        {
            waiting.EndByShutdown();
        }
    }

    /// <summary>Out of descriptors: closes one connection that waits, with a farewell, so that its client knows.</summary>
    /// <param name="listening">The listener's socket.</param>
    /// <returns>Whether one waited.</returns>
    internal bool TryShed(PollableSocket listening) => _listener.Reserve.TryShed(() =>
    {
        if (listening.Accept(out PollableSocket? socket).IsSuccess)
        {
            RefusalReason reason = RefusalReason.OutOfDescriptors;
            _listener.Refusals.Add(reason, socket!.RemoteEndPoint, detail: null);
            _ = socket.Write(Farewell(new Refusal(reason, socket.RemoteEndPoint)).Span);
        }

        return socket;
    });

    private IoResult Spawn(PollableSocket socket, IConnectionOwner owner, ReadOnlySpan<byte> received)
    {
        SocketSetup.Prepare(socket, owner.ConnectionOptions);
        try
        {
            IoResult spawned = Connection.Spawn(_home, socket, owner, _listener.NextConnectionId(), received);
            if (!spawned.IsSuccess)
            {
                owner.ConnectionClosed();
                _listener.Refusals.Add(RefusalReason.OutOfDescriptors, socket.RemoteEndPoint, spawned.ToString());
                return spawned;
            }

            _listener.CountAccepted();
            return IoResult.Success;
        }
#pragma warning disable CA1031 // The user's factory threw: its connection is closed, and accepting goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.SpawnFailed(_home.Logger, exception, _listener.Id, socket.RemoteEndPoint);
            _listener.Refusals.Count(RefusalReason.FactoryFailed);
            return IoResult.Success;
        }
    }

    private void Dismiss(PollableSocket socket, RefusalReason reason, string? detail)
    {
        _listener.Refusals.Add(reason, socket.RemoteEndPoint, detail);
        RefusedPeer.Dismiss(_home, socket, Farewell(new Refusal(reason, socket.RemoteEndPoint)).Span, this);
    }

    private ReadOnlyMemory<byte> Farewell(Refusal refusal)
    {
        try
        {
            return _listener.Farewell?.Invoke(refusal) ?? default;
        }
#pragma warning disable CA1031 // The user's code: who is refused gets no farewell, and accepting goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.FarewellFailed(_home.Logger, exception, _listener.Id, refusal.Reason);
            return default;
        }
    }
}
