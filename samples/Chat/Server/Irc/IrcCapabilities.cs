namespace Chat.Server.Irc;

/// <summary>What a client asked for beyond the lines that every client understands.</summary>
[Flags]
internal enum IrcCapabilities
{
    None = 0,

    /// <summary>Messages carry their time.</summary>
    ServerTime = 1,

    /// <summary>Messages carry their id.</summary>
    MessageTags = 2,

    /// <summary>The client gets its own messages as well.</summary>
    EchoMessage = 4,
}

/// <summary>The capabilities by the names that clients know.</summary>
internal static class IrcCapabilityNames
{
    private static readonly (string Name, IrcCapabilities Capability)[] Known =
    [
        ("echo-message", IrcCapabilities.EchoMessage),
        ("message-tags", IrcCapabilities.MessageTags),
        ("server-time", IrcCapabilities.ServerTime),
    ];

    /// <summary>All of them, as one parameter.</summary>
    public static string All { get; } = string.Join(' ', Known.Select(static known => known.Name));

    /// <summary>Those that are in a set, as one parameter.</summary>
    public static string Names(IrcCapabilities capabilities)
        => string.Join(' ', Known.Where(known => capabilities.HasFlag(known.Capability)).Select(static known => known.Name));

    /// <summary>What a set becomes when a client asks for these, each to have or, behind a '-', not to have; null if one is not known.</summary>
    public static IrcCapabilities? Change(IrcCapabilities capabilities, string asked)
    {
        foreach (string word in asked.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            bool isRemoved = word[0] == '-';
            (string Name, IrcCapabilities Capability) known = Known.FirstOrDefault(known => known.Name == (isRemoved ? word[1..] : word));
            if (known.Name is null)
            {
                return null;
            }

            capabilities = isRemoved ? capabilities & ~known.Capability : capabilities | known.Capability;
        }

        return capabilities;
    }
}
