using Proto;

namespace Chat.Domain;

/// <summary>Somebody who has a name, and where they can be reached.</summary>
/// <param name="Name">The name, as they spell it.</param>
/// <param name="Session">The actor that is their connection; what is meant for them alone is sent to it.</param>
/// <param name="Door">The name of the <see cref="IDoor"/> that the session came in by.</param>
public sealed record Person(string Name, PID Session, string Door);
