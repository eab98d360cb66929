using System.Net;
using Chat.Domain;
using Chat.Protocol;

namespace Chat.Server;

/// <summary>Where the server listens, and its limits. The chat's own limits, for every door alike, are in <see cref="Chat"/>.</summary>
internal sealed class ServerOptions
{
    /// <summary>Bytes of a name in a list of members beyond its characters: tag and length.</summary>
    private const int NameOverheadBytes = 3;

    private const int MaxBytesPerCharacter = 4;

    /// <summary>The address to listen on. Default: this machine only.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port, 0 to 65535; 0 lets the system choose. Default 7000.</summary>
    public int Port { get; init; } = ChatProtocol.DefaultPort;

    /// <summary>The port for IRC clients, 0 to 65535; 0 lets the system choose. Default null: none are let in.</summary>
    public int? IrcPort { get; init; }

    /// <summary>What the server calls itself to IRC clients: a word with a dot. Default "chat.local".</summary>
    public string IrcName { get; init; } = "chat.local";

    /// <summary>How many of a room's last messages IRC clients are told when they join: 0 to 10,000. Default 50.</summary>
    public int IrcHistory { get; init; } = 50;

    /// <summary>The folder in which history and accounts are kept; null, the default, keeps them in memory only.</summary>
    public string? Data { get; init; }

    /// <summary>What people read first, in lines. Default nothing.</summary>
    public string MessageOfTheDay { get; init; } = "";

    /// <summary>The port of a page with the figures, for Prometheus, on this machine only; null, the default, for none.</summary>
    public int? MetricsPort { get; init; }

    /// <summary>How often a line with the most important figures is logged: 1 s to 1 day, or 0, the default here, for never.</summary>
    public TimeSpan StatusInterval { get; init; } = TimeSpan.Zero;

    /// <summary>Poller threads, 1 to 256. Default: one per core that the process may use.</summary>
    public int Pollers { get; init; } = Environment.ProcessorCount;

    /// <summary>Connections by all doors together: 1 to 10,000,000. Default 20,000.</summary>
    public int MaxConnections { get; init; } = 20_000;

    /// <summary>Connections from one address: 1 to 10,000,000. Default 500.</summary>
    public int MaxConnectionsPerAddress { get; init; } = 500;

    /// <summary>
    /// How long a connection may take until it has a name: 1 ms to 1 hour. Default 30 s. Whatever comes in that time, half a frame or a
    /// byte now and then, does not prolong it.
    /// </summary>
    public TimeSpan RegistrationTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long nothing may come from a person: 2 ms to 1 day. Default 90 s. After half of it the server asks for a sign of life.
    /// </summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a connection may take nothing of what waits for it: 1 ms to 1 hour. Default 30 s. Then it is cut off.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Bytes that may wait for one connection, up to 1 GiB. Default 2 MiB; more, and it is cut off. A list of the members of a full room
    /// and a replay must fit. What a room tells everybody waits once, however many it waits for.
    /// </summary>
    public int MaxOutputBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>How long the server waits at its end until everybody has taken their goodbye: 0 to 1 hour. Default 5 s.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The limits of the chat.</summary>
    public ChatOptions Chat { get; init; } = new();

    /// <summary>Throws when a value is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and its range.</exception>
    public void Validate()
    {
        Chat.Validate();
        Require(Port is >= 0 and <= 65_535, nameof(Port), Port, "0 to 65535");
        Require(IrcPort is null or (>= 0 and <= 65_535), nameof(IrcPort), IrcPort ?? -1, "0 to 65535");
        Require(MetricsPort is null or (>= 1 and <= 65_535), nameof(MetricsPort), MetricsPort ?? -1, "1 to 65535");
        Require(IrcHistory is >= 0 and <= 10_000, nameof(IrcHistory), IrcHistory, "0 to 10000");
        Require(
            IrcName.Length is >= 3 and <= 63 && IrcName.Contains('.', StringComparison.Ordinal)
                && IrcName.All(static letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-'),
            nameof(IrcName),
            $"'{IrcName}'",
            "3 to 63 letters, digits, '-' and '.', one '.' at least");
        Require(Pollers is >= 1 and <= 256, nameof(Pollers), Pollers, "1 to 256");
        Require(MaxConnections is >= 1 and <= 10_000_000, nameof(MaxConnections), MaxConnections, "1 to 10000000");
        Require(
            MaxConnectionsPerAddress is >= 1 and <= 10_000_000, nameof(MaxConnectionsPerAddress), MaxConnectionsPerAddress, "1 to 10000000");
        Require(IsWithin(RegistrationTimeout, 1, TimeSpan.FromHours(1)), nameof(RegistrationTimeout), RegistrationTimeout, "1 ms to 1 hour");
        Require(IsWithin(IdleTimeout, 2, TimeSpan.FromDays(1)), nameof(IdleTimeout), IdleTimeout, "2 ms to 1 day");
        Require(IsWithin(WriteTimeout, 1, TimeSpan.FromHours(1)), nameof(WriteTimeout), WriteTimeout, "1 ms to 1 hour");
        Require(IsWithin(DrainTimeout, 0, TimeSpan.FromHours(1)), nameof(DrainTimeout), DrainTimeout, "0 to 1 hour");
        Require(
            StatusInterval == TimeSpan.Zero || IsWithin(StatusInterval, 1000, TimeSpan.FromDays(1)),
            nameof(StatusInterval),
            StatusInterval,
            "0, or 1 s to 1 day");

        long longestList = (long)Chat.MaxMembersPerRoom * ((Chat.MaxNameLength * MaxBytesPerCharacter) + NameOverheadBytes);
        Require(
            MaxOutputBytes > longestList + Chat.ReplayBytes && MaxOutputBytes <= 1 << 30,
            nameof(MaxOutputBytes),
            MaxOutputBytes,
            $"more than {longestList + Chat.ReplayBytes} (the members of a full room, and a replay), up to {1 << 30}");
    }

    private static bool IsWithin(TimeSpan value, int leastMilliseconds, TimeSpan most)
        => value >= TimeSpan.FromMilliseconds(leastMilliseconds) && value <= most;

    private static void Require(bool holds, string option, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{option} is {value}; expected {expected}.", option);
        }
    }
}
