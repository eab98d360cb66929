using Proto;

namespace NetPoll.Actors;

/// <summary>How an actor system gets its pollers.</summary>
public static class ActorSystemExtensions
{
    /// <summary>Starts NetPoll in this system. Once per system.</summary>
    /// <param name="system">The system.</param>
    /// <param name="options">Null for the defaults: one poller per core.</param>
    /// <returns>The system.</returns>
    /// <exception cref="InvalidOperationException">It has been started in this system already.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend that was asked for does not run on this system.</exception>
    public static ActorSystem WithNetPoll(this ActorSystem system, NetPollOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(system);
        if (system.Extensions.Get<NetPollExtension>() is not null)
        {
            throw new InvalidOperationException("NetPoll has been started in this actor system already.");
        }

#pragma warning disable CA2000 // The actor system's from here on.
        system.Extensions.Register(new NetPollExtension(system, options ?? new NetPollOptions()));
#pragma warning restore CA2000
        return system;
    }

    /// <summary>The system's NetPoll.</summary>
    /// <exception cref="InvalidOperationException">It was not started.</exception>
    public static NetPollExtension NetPoll(this ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        return system.Extensions.Get<NetPollExtension>()
            ?? throw new InvalidOperationException($"This actor system has no NetPoll: call {nameof(WithNetPoll)}() when it is made.");
    }
}
