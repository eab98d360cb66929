using System.Globalization;
using NetPoll.Actors.Pollers;
using Proto;

namespace NetPoll.Actors;

/// <summary>On which poller an actor is to live; asked at each spawn.</summary>
public sealed class PollerChoice
{
    private readonly Func<ActorSystem, ActorPoller> _choose;

    /// <summary>A rule of the caller's.</summary>
    internal PollerChoice(Func<ActorSystem, ActorPoller> choose) => _choose = choose;

    /// <summary>One poller after the other, those left out that were told to drain (<see cref="DrainPoller"/>) or have failed.</summary>
    public static PollerChoice RoundRobin { get; } = new(static system => system.NetPoll().NextHomeInTurn());

    /// <summary>The poller that watches the fewest descriptors, those left out that were told to drain or have failed; of several, one after the other.</summary>
    public static PollerChoice LeastLoaded { get; } = new(static system => system.NetPoll().LeastLoadedHome());

    /// <summary>The poller on whose thread the actor is spawned, as by another actor that lives there.</summary>
    /// <remarks>On any other thread the spawn throws <see cref="InvalidOperationException"/>.</remarks>
    public static PollerChoice Current { get; } = new(static system =>
        ActorPoller.OfCurrentThread is { } home && ReferenceEquals(home.Extension.System, system)
            ? home
            : throw new InvalidOperationException(
                $"{nameof(PollerChoice)}.{nameof(Current)} was asked for on the thread '{Thread.CurrentThread.Name}', which is none of this system's pollers: spawn from code that runs on a poller, or choose {nameof(RoundRobin)}."));

    /// <summary>The poller of that number.</summary>
    /// <param name="index">From 0 to the number of pollers minus 1; a higher one makes the spawn throw <see cref="ArgumentOutOfRangeException"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">Below 0.</exception>
    public static PollerChoice At(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new PollerChoice(system =>
        {
            ActorPoller[] homes = system.NetPoll().Homes;
            return index < homes.Length
                ? homes[index]
                : throw new ArgumentOutOfRangeException(
                    nameof(index),
                    index,
                    string.Create(CultureInfo.InvariantCulture, $"This system has {homes.Length} pollers, counted from 0."));
        });
    }

    /// <summary>The same poller for all that has this number, as the hash of a user or a room, so that they meet on one thread.</summary>
    /// <param name="hash">Any number. A poller that was told to drain, or has failed, is not left out.</param>
    public static PollerChoice ByHash(int hash) => new(system =>
    {
        ActorPoller[] homes = system.NetPoll().Homes;
        return homes[(uint)hash % (uint)homes.Length];
    });

    internal ActorPoller Choose(ActorSystem system) => _choose(system);
}
