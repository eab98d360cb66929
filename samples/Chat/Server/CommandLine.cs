using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Chat.Server;

/// <summary>Reads the command line; an error is one line that names the option, the value and what was expected.</summary>
internal static class CommandLine
{
    private const string Any = "any";

    private static readonly ServerOptions Defaults = new();

    private static readonly Option<IPAddress> Host = new("--host")
    {
        Description = "The address to listen on: one of this machine's, or 'any' for all of them.",
        DefaultValueFactory = static _ => Defaults.Address,
        CustomParser = Address,
    };

    private static readonly Option<int> Port = new("--port")
    {
        Description = "The port to listen on; 0 lets the system choose.",
        DefaultValueFactory = static _ => Defaults.Port,
        CustomParser = static result => Number(result, 0, 65_535),
    };

    private static readonly Option<int> Pollers = new("--pollers")
    {
        Description = "Poller threads; one per core unless told otherwise.",
        DefaultValueFactory = static _ => Defaults.Pollers,
        CustomParser = static result => Number(result, 1, 256),
    };

    private static readonly Option<int> RegistrationTimeout = new("--registration-timeout")
    {
        Description = "Seconds until a connection must have a name.",
        DefaultValueFactory = static _ => (int)Defaults.RegistrationTimeout.TotalSeconds,
        CustomParser = static result => Number(result, 1, 3600),
    };

    private static readonly Option<int> IdleTimeout = new("--idle-timeout")
    {
        Description = "Seconds that nothing may come from a person; the server asks for a sign of life after half of them.",
        DefaultValueFactory = static _ => (int)Defaults.IdleTimeout.TotalSeconds,
        CustomParser = static result => Number(result, 1, 86_400),
    };

    private static readonly Option<int> DrainTimeout = new("--drain-timeout")
    {
        Description = "Seconds that people may take to receive the goodbye when the server stops.",
        DefaultValueFactory = static _ => (int)Defaults.DrainTimeout.TotalSeconds,
        CustomParser = static result => Number(result, 0, 3600),
    };

    private static readonly Option[] All = [Host, Port, Pollers, RegistrationTimeout, IdleTimeout, DrainTimeout];

    /// <summary>The options, or else the code to exit with: after <c>--help</c>, or after the error has been told.</summary>
    public static (ServerOptions? Options, ExitCode Exit) Read(string[] arguments, TextWriter output, TextWriter error)
    {
        var command = new RootCommand("A chat server: people join with the client beside it.");
        foreach (Option option in All)
        {
            command.Add(option);
        }

        ParseResult result = command.Parse(arguments);
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

        return (
            new ServerOptions
            {
                Address = result.GetRequiredValue(Host),
                Port = result.GetRequiredValue(Port),
                Pollers = result.GetRequiredValue(Pollers),
                RegistrationTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(RegistrationTimeout)),
                IdleTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(IdleTimeout)),
                DrainTimeout = TimeSpan.FromSeconds(result.GetRequiredValue(DrainTimeout)),
            },
            ExitCode.Success);
    }

    // The first error only: one wrong word is often several to the parser.
    private static string? Error(ParseResult result)
    {
        if (result.Errors.Count == 0)
        {
            return null;
        }

        return result.UnmatchedTokens.Count > 0
            ? $"unknown argument '{result.UnmatchedTokens[0]}': expected {string.Join(", ", All.Select(static option => option.Name))} or --help"
            : result.Errors[0].Message;
    }

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
