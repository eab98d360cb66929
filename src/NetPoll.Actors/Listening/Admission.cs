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

    /// <summary>Refused peers whose end is awaited.</summary>
    internal int LingeringPeers { get; set; }

    /// <summary>Takes a new socket over.</summary>
    /// <returns>The error that kept it from being watched, after which accepting more makes no sense for a while.</returns>
    internal IoResult Receive(PollableSocket socket)
    {
        if (!_listener.TryEnter())
        {
            Refuse(socket, RefusalReason.TooManyConnections);
            return IoResult.Success;
        }

        return Admit(socket, socket.RemoteEndPoint);
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

    private IoResult Admit(PollableSocket socket, IPEndPoint? remoteEndPoint)
    {
        IConnectionOwner owner = _listener;
        if (_listener.Addresses is { } addresses && remoteEndPoint is not null)
        {
            if (addresses.TryEnter(remoteEndPoint.Address, _listener.Clock.Nanoseconds, out NetworkUse[]? uses) is { } reason)
            {
                _listener.Leave();
                Refuse(socket, reason);
                return IoResult.Success;
            }

            owner = uses is null ? _listener : new LimitedConnectionOwner(_listener, addresses, uses);
        }

        return Spawn(socket, owner);
    }

    private IoResult Spawn(PollableSocket socket, IConnectionOwner owner)
    {
        SocketSetup.Prepare(socket, owner.ConnectionOptions);
        try
        {
            IoResult spawned = Connection.Spawn(_home, socket, owner, _listener.NextConnectionId());
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

    private void Refuse(PollableSocket socket, RefusalReason reason)
    {
        _listener.Refusals.Add(reason, socket.RemoteEndPoint, detail: null);
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
