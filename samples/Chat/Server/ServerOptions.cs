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

    /// <summary>Poller threads, 1 to 256. Default: one per core that the process may use.</summary>
    public int Pollers { get; init; } = Environment.ProcessorCount;

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
    /// must fit. What a room tells everybody waits once, however many it waits for.
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
        Require(Pollers is >= 1 and <= 256, nameof(Pollers), Pollers, "1 to 256");
        Require(IsWithin(RegistrationTimeout, 1, TimeSpan.FromHours(1)), nameof(RegistrationTimeout), RegistrationTimeout, "1 ms to 1 hour");
        Require(IsWithin(IdleTimeout, 2, TimeSpan.FromDays(1)), nameof(IdleTimeout), IdleTimeout, "2 ms to 1 day");
        Require(IsWithin(WriteTimeout, 1, TimeSpan.FromHours(1)), nameof(WriteTimeout), WriteTimeout, "1 ms to 1 hour");
        Require(IsWithin(DrainTimeout, 0, TimeSpan.FromHours(1)), nameof(DrainTimeout), DrainTimeout, "0 to 1 hour");

        long longestList = (long)Chat.MaxMembersPerRoom * ((Chat.MaxNameLength * MaxBytesPerCharacter) + NameOverheadBytes);
        Require(
            MaxOutputBytes > longestList && MaxOutputBytes <= 1 << 30,
            nameof(MaxOutputBytes),
            MaxOutputBytes,
            $"more than {longestList} (the members of a full room), up to {1 << 30}");
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
