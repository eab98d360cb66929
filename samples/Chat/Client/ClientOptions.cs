namespace Chat.Client;

/// <summary>What the command line said.</summary>
/// <param name="Name">The name to have in the chat.</param>
/// <param name="Host">The server's name or address.</param>
/// <param name="Port">The server's port, 1 to 65535.</param>
/// <param name="Room">The room to join at the start.</param>
/// <param name="Plain">Plain mode even on a terminal.</param>
/// <param name="Timeout">How long the server may take to accept a connection or to answer.</param>
internal sealed record ClientOptions(string Name, string Host, int Port, string Room, bool Plain, TimeSpan Timeout)
{
    /// <summary>The name's password; empty if it has none.</summary>
    public string Password { get; init; } = "";

    /// <summary>How many of a room's last messages are asked for; null leaves it to the mode.</summary>
    public int? History { get; init; }

    /// <summary>How long a lost connection is tried to be had again; null leaves it to the mode.</summary>
    public TimeSpan? Reconnect { get; init; }

    /// <summary>The options with what a mode usually has, where nothing was said.</summary>
    public ClientOptions ForMode(int history, TimeSpan reconnect)
        => this with { History = History ?? history, Reconnect = Reconnect ?? reconnect };
}
