using Proto;

namespace NetPoll.Hosting;

/// <summary>The actor system of a host that brings none: made when it is first asked for, shut down by us.</summary>
internal sealed class OwnActorSystem
{
    private ActorSystem? _system;

    internal ActorSystem Start() => _system ??= new ActorSystem();

    /// <summary>Shuts it down, if it is there. After NetPoll: Proto.Actor's shutdown stops no actor, and none is heard after it.</summary>
    internal Task StopAsync() => _system?.ShutdownAsync() ?? Task.CompletedTask;
}
