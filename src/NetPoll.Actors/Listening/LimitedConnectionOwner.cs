using NetPoll.Actors.Connections;
using Proto;

namespace NetPoll.Actors.Listening;

/// <summary>A listener, as one connection that counts under address limits sees it: gives back what the connection holds of them.</summary>
/// <remarks>Only such connections pay for it.</remarks>
internal sealed class LimitedConnectionOwner : IConnectionOwner
{
    private readonly ListenerActor _listener;
    private readonly AddressTable _addresses;
    private readonly NetworkUse[] _uses;

    internal LimitedConnectionOwner(ListenerActor listener, AddressTable addresses, NetworkUse[] uses)
    {
        _listener = listener;
        _addresses = addresses;
        _uses = uses;
    }

    /// <inheritdoc/>
    public ActorSystem System => _listener.System;

    /// <inheritdoc/>
    public string Id => _listener.Id;

    /// <inheritdoc/>
    public Func<PID, PID>? HandlerOf => _listener.HandlerOf;

    /// <inheritdoc/>
    public Props Props => _listener.Props;

    /// <inheritdoc/>
    public ConnectionOptions ConnectionOptions => _listener.ConnectionOptions;

    /// <inheritdoc/>
    public void ConnectionClosed()
    {
        _addresses.Leave(_uses, _listener.Clock.Nanoseconds);
        _listener.ConnectionClosed();
    }
}
