using System.Collections;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Chat.Domain;

namespace Chat.Server;

/// <summary>Reads the options; an error is one line that names the option, the value and what was expected.</summary>
internal static class CommandLine
{
    /// <summary>The folder of the history when none is named.</summary>
    public const string DefaultData = "chat-data";

    /// <summary>As <c>--data</c>: nothing is written.</summary>
    public const string InMemory = "memory";

    private const string Any = "any";
    private const int DefaultStatusSeconds = 300;

    private static readonly ServerOptions Defaults = new();

    private static readonly Option<IPAddress> Host = new("--host")
    {
        Description = "The address to listen on: one of this machine's, or 'any' for all of them.",
        DefaultValueFactory = static _ => Defaults.Address,
        CustomParser = Address,
    };

    private static readonly Option<int> Port = Number("--port", "The port to listen on; 0 lets the system choose.", Defaults.Port, 0, 65_535);

    private static readonly Option<int?> IrcPort = OptionalNumber("--irc-port", "The port for IRC clients; none are let in without it.", 0);

    private static readonly Option<string> IrcName = Text("--irc-name", "What the server calls itself to IRC clients.", Defaults.IrcName);

    private static readonly Option<int> IrcHistory = Number(
        "--irc-history", "How many of a room's last messages IRC clients are told when they join.", Defaults.IrcHistory, 0, 10_000);

    private static readonly Option<string> Data = Text(
        "--data", $"The folder for history and accounts; '{InMemory}' keeps them in memory only.", DefaultData);

    private static readonly Option<string?> Motd = new("--motd") { Description = "A file with what people read first." };

    private static readonly Option<int?> MetricsPort = OptionalNumber(
        "--metrics-port", "The port of a page with figures for Prometheus, on this machine only; no page without it.", 1);

    private static readonly Option<int> StatusInterval = Number(
        "--status-interval", "Seconds between two lines with the most important figures; 0 for none.", DefaultStatusSeconds, 0, 86_400);

    private static readonly Option<int> Pollers = Number("--pollers", "Poller threads; one per core unless told otherwise.", Defaults.Pollers, 1, 256);

    private static readonly Option<int> MaxConnections = Number(
        "--max-connections", "Connections that there may be.", Defaults.MaxConnections, 1, 10_000_000);

    private static readonly Option<int> MaxPerAddress = Number(
        "--max-connections-per-address", "Connections that there may be from one address.", Defaults.MaxConnectionsPerAddress, 1, 10_000_000);

    private static readonly Option<int> RegistrationTimeout = Number(
        "--registration-timeout", "Seconds until a connection must have a name.", (int)Defaults.RegistrationTimeout.TotalSeconds, 1, 3600);

    private static readonly Option<int> IdleTimeout = Number(
        "--idle-timeout",
        "Seconds that nothing may come from a person; the server asks for a sign of life after half of them.",
        (int)Defaults.IdleTimeout.TotalSeconds,
        1,
        86_400);

    private static readonly Option<int> DrainTimeout = Number(
        "--drain-timeout",
        "Seconds that people may take to receive the goodbye when the server stops.",
        (int)Defaults.DrainTimeout.TotalSeconds,
        0,
        3600);

    private static readonly Option<int> FloodBurst = Number(
        "--flood-burst", "Messages and the like that a person may send at once.", Defaults.Chat.FloodBurst, 1, 1_000_000);

    private static readonly Option<int> FloodRate = Number(
        "--flood-rate", "The same, per second on average.", (int)Defaults.Chat.FloodRate, 1, 1_000_000);

    private static readonly Option<int> FloodCoolDown = Number(
        "--flood-cooldown", "Seconds that all is refused of a person who sent more.", (int)Defaults.Chat.FloodCoolDown.TotalSeconds, 0, 3600);

    private static readonly Option<int> Replay = Number(
        "--replay", "Messages of a room that those who come back may be told.", Defaults.Chat.ReplayMessages, 1, 10_000);

    private static readonly Option<int> HistoryDays = Number(
        "--history-days", "Days that messages are kept.", (int)Defaults.Chat.HistoryAge.TotalDays, 1, 36_500);

    private static readonly Option<string[]> Operators = new("--operator")
    {
        Description = "NAME=HASH: somebody who may become operator, with the hash that --hash-password prints. More than once for several.",
        AllowMultipleArgumentsPerToken = false,
    };

    private static readonly Option<string?> Config = new("--config")
    {
        Description = "A file with options, in a section 'Chat' as in 'appsettings.json', which is read when it is in the working folder.",
    };

    private static readonly Option<bool> HashPassword = new("--hash-password")
    {
        Description = "Reads a password, a line of the input, prints its hash for --operator, and ends.",
    };

    private static readonly Option[] Configurable =
    [
        Host, Port, IrcPort, IrcName, IrcHistory, Data, Motd, MetricsPort, StatusInterval, Pollers, MaxConnections, MaxPerAddress,
        RegistrationTimeout, IdleTimeout, DrainTimeout, FloodBurst, FloodRate, FloodCoolDown, Replay, HistoryDays, Operators,
    ];

    /// <summary>The options, or else the code to exit with: after <c>--help</c>, or after the error has been told.</summary>
    public static (ServerOptions? Options, ExitCode Exit) Read(string[] arguments, TextReader input, TextWriter output, TextWriter error)
        => Read(arguments, new Hashtable(), "", input, output, error);

    /// <inheritdoc cref="Read(string[], TextReader, TextWriter, TextWriter)"/>
    /// <param name="arguments">The command line.</param>
    /// <param name="environment">Names and values.</param>
    /// <param name="folder">Where the file with options is looked for.</param>
    /// <param name="input">Where a password to hash is read from.</param>
    /// <param name="output">For help.</param>
    /// <param name="error">For errors.</param>
    public static (ServerOptions? Options, ExitCode Exit) Read(
        string[] arguments, IDictionary environment, string folder, TextReader input, TextWriter output, TextWriter error)
    {
        var command = new RootCommand("A chat server: people join with the client beside it, or with any IRC client.") { Config, HashPassword };
        foreach (Option option in Configurable)
        {
            command.Add(option);
        }

        try
        {
            string[] known = [.. Configurable.Select(static option => option.Name)];
            ParseResult result = command.Parse(Configuration.Complete(arguments, known, environment, folder));
            if (Error(result) is { } text)
            {
                error.WriteLine($"chat-server: {text}");
                return (null, ExitCode.Usage);
            }

            if (result.Action is not null)
            {
                result.Invoke(new InvocationConfiguration { Output = output, Error = error });
                return (null, ExitCode.Success);
            }

            if (result.GetValue(HashPassword))
            {
                output.WriteLine(Hash(input));
                return (null, ExitCode.Success);
            }

            return (Options(result), ExitCode.Success);
        }
        catch (FormatException exception)
        {
            error.WriteLine($"chat-server: {exception.Message}");
            return (null, ExitCode.Usage);
        }
    }

    private static ServerOptions Options(ParseResult result) => new()
    {
        Address = result.GetRequiredValue(Host),
        Port = result.GetRequiredValue(Port),
        IrcPort = result.GetValue(IrcPort),
        IrcName = result.GetRequiredValue(IrcName),
        IrcHistory = result.GetRequiredValue(IrcHistory),
        Data = result.GetRequiredValue(Data) is var data && data == InMemory ? null : data,
        MessageOfTheDay = ReadMotd(result.GetValue(Motd)),
        MetricsPort = result.GetValue(MetricsPort),
        StatusInterval = TimeSpan.FromSeconds(result.GetRequiredValue(StatusInterval)),
        Pollers = result.GetRequiredValue(Pollers),
        MaxConnections = result.GetRequiredValue(MaxConnections),
        MaxConnectionsPerAddress = result.GetRequiredValue(MaxPerAddress),
        RegistrationTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(RegistrationTimeout)),
        IdleTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(IdleTimeout)),
        DrainTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(DrainTimeout)),
        Chat = new ChatOptions
        {
            FloodBurst = result.GetRequiredValue(FloodBurst),
            FloodRate = result.GetRequiredValue(FloodRate),
            FloodCoolDown = TimeSpan.FromSeconds(result.GetRequiredValue(FloodCoolDown)),
            ReplayMessages = result.GetRequiredValue(Replay),
            HistoryAge = TimeSpan.FromDays(result.GetRequiredValue(HistoryDays)),
            Operators = ReadOperators(result.GetValue(Operators) ?? []),
        },
    };

    private static Dictionary<string, string> ReadOperators(string[] values)
    {
        Dictionary<string, string> operators = [];
        foreach (string value in values)
        {
            int at = value.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0 || !PasswordHash.IsHash(value[(at + 1)..]))
            {
                throw new FormatException($"{Operators.Name} '{ChatRules.Quote(value)}': expected NAME=HASH, the hash as --hash-password prints it");
            }

            operators[value[..at]] = value[(at + 1)..];
        }

        return operators;
    }

    private static string ReadMotd(string? path)
    {
        try
        {
            return path is null ? "" : File.ReadAllText(path).ReplaceLineEndings("\n").TrimEnd('\n');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"{Motd.Name} '{path}': {exception.Message}", exception);
        }
    }

    private static string Hash(TextReader input)
    {
        string password = input.ReadLine() ?? "";
        return ChatRules.IsPassword(password, out string? error) ? PasswordHash.Create(password) : throw new FormatException(error);
    }

    // The first error only: one wrong word is often several to the parser.
    private static string? Error(ParseResult result)
    {
        if (result.Errors.Count == 0)
        {
            return null;
        }

        return result.UnmatchedTokens.Count > 0
            ? $"unknown argument '{result.UnmatchedTokens[0]}': expected {string.Join(", ", Configurable.Select(static option => option.Name))}, "
                + "--config, --hash-password or --help"
            : result.Errors[0].Message;
    }

    private static Option<string> Text(string name, string description, string usual)
        => new(name) { Description = description, DefaultValueFactory = _ => usual };

    private static Option<int> Number(string name, string description, int usual, int least, int most) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => usual,
        CustomParser = result => Number(result, least, most),
    };

    private static Option<int?> OptionalNumber(string name, string description, int least) => new(name)
    {
        Description = description,
        CustomParser = result => Number(result, least, 65_535),
    };

    private static IPAddress Address(ArgumentResult result)
    {
        string value = result.Tokens[0].Value;
        if (value == Any)
        {
            return IPAddress.Any;
        }

        if (value == "localhost")
        {
            return IPAddress.Loopback;
        }

        // 'TryParse' takes the number 7 for 0.0.0.7.
        if (IPAddress.TryParse(value, out IPAddress? address)
            && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == value))
        {
            return address;
        }

        result.AddError($"{NameOf(result)} '{value}': expected an address of this machine, such as 127.0.0.1, or '{Any}'");
        return IPAddress.None;
    }

    private static int Number(ArgumentResult result, int least, int most)
    {
        string value = result.Tokens[0].Value;
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most)
        {
            return number;
        }

        result.AddError($"{NameOf(result)} '{value}': expected a whole number from {least} to {most}");
        return 0;
    }

    private static string NameOf(ArgumentResult result) => ((OptionResult)result.Parent!).Option.Name;
}
