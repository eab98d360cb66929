namespace Chat.Client;

/// <summary>What the command line said.</summary>
/// <param name="Name">The name to have in the chat.</param>
/// <param name="Host">The server's name or address.</param>
/// <param name="Port">The server's port, 1 to 65535.</param>
/// <param name="Room">The room to join at the start.</param>
/// <param name="Plain">Plain mode even on a terminal.</param>
/// <param name="Timeout">How long the server may take to accept a connection or to answer.</param>
internal sealed record ClientOptions(string Name, string Host, int Port, string Room, bool Plain, TimeSpan Timeout);
