using Proto;

namespace Chat.Domain;

/// <summary>Somebody who has a name, and where they can be reached.</summary>
/// <param name="Name">The name, as they spell it.</param>
/// <param name="Session">The actor that is their connection; what is meant for them alone is sent to it.</param>
/// <param name="Door">The name of the <see cref="IDoor"/> that the session came in by.</param>
/// <param name="Address">Where they connect from, without the port; empty if that is not known.</param>
/// <param name="IsOperator">They have shown that they may moderate.</param>
public sealed record Person(string Name, PID Session, string Door, string Address = "", bool IsOperator = false);
