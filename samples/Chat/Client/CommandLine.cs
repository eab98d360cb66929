using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>Reads the command line; each error names the option, the value and what was expected.</summary>
internal static class CommandLine
{
    private const int MaxTimeoutSeconds = 3600;
    private const int MaxHistory = 10_000;
    private const int MaxReconnectSeconds = 86_400;

    private static readonly Option<string> Name = new("--name")
    {
        HelpName = "NAME",
        Description = "The name to have in the chat.",
        Required = true,
        CustomParser = NotEmpty,
    };

    private static readonly Option<string> Host = new("--host")
    {
        HelpName = "HOST",
        Description = "The server's name or address.",
        DefaultValueFactory = static _ => "127.0.0.1",
        CustomParser = NotEmpty,
    };

    private static readonly Option<int> Port = new("--port")
    {
        HelpName = "N",
        Description = "The server's port.",
        DefaultValueFactory = static _ => ChatProtocol.DefaultPort,
        CustomParser = static result => Number(result, 1, 65535),
    };

    private static readonly Option<string> Room = new("--room")
    {
        HelpName = "ROOM",
        Description = "The room to join at the start.",
        DefaultValueFactory = static _ => "lobby",
        CustomParser = NotEmpty,
    };

    private static readonly Option<int> Timeout = new("--timeout")
    {
        HelpName = "SECONDS",
        Description = "Seconds that the server may take to accept the connection or to answer.",
        DefaultValueFactory = static _ => 30,
        CustomParser = static result => Number(result, 1, MaxTimeoutSeconds),
    };

    private static readonly Option<int?> History = new("--history")
    {
        HelpName = "N",
        Description = "How many of a room's last messages to show; 20 on a terminal unless told otherwise, none in plain mode.",
        CustomParser = static result => Number(result, 0, MaxHistory),
    };

    private static readonly Option<int?> Reconnect = new("--reconnect")
    {
        HelpName = "SECONDS",
        Description = "Seconds that a lost connection is tried to be had again; 600 on a terminal unless told otherwise, 0 in plain mode.",
        CustomParser = static result => Number(result, 0, MaxReconnectSeconds),
    };

    private static readonly Option<string?> PasswordFile = new("--password-file")
    {
        HelpName = "FILE",
        Description = "A file whose first line is the name's password, if the name is registered.",
    };

    private static readonly Option<bool> Plain = new("--plain")
    {
        Description = "Lines in, one line out per event, as when the input or output is not a terminal.",
    };

    /// <summary>The options, or else the code to exit with: after <c>--help</c>, or after the error has been told.</summary>
    public static (ClientOptions? Options, ExitCode Exit) Read(string[] arguments, TextWriter output, TextWriter error)
    {
        var command = new RootCommand("Chats from a terminal, or from a script when the input is none.")
        {
            Name, Host, Port, Room, Timeout, Plain, History, Reconnect, PasswordFile,
        };
        ParseResult result = command.Parse(arguments);
        if (result.Action is not null && result.Errors.Count == 0)
        {
            result.Invoke(new InvocationConfiguration { Output = output, Error = error });
            return (null, ExitCode.Success);
        }

        if (result.Errors.Count > 0)
        {
            error.WriteLine($"chat: {result.Errors[0].Message}");
            return (null, ExitCode.Usage);
        }

        if (!TryReadPassword(result.GetValue(PasswordFile), error, out string password))
        {
            return (null, ExitCode.Usage);
        }

        return (
            new ClientOptions(
                result.GetRequiredValue(Name),
                result.GetRequiredValue(Host),
                result.GetRequiredValue(Port),
                result.GetRequiredValue(Room),
                result.GetValue(Plain),
                TimeSpan.FromSeconds(result.GetRequiredValue(Timeout)))
            {
                Password = password,
                History = result.GetValue(History),
                Reconnect = result.GetValue(Reconnect) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            },
            ExitCode.Success);
    }

    private static bool TryReadPassword(string? path, TextWriter error, out string password)
    {
        password = "";
        try
        {
            password = path is null ? "" : File.ReadLines(path).FirstOrDefault("");
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            error.WriteLine($"chat: {PasswordFile.Name} '{path}': {exception.Message}");
            return false;
        }
    }

    private static string? NotEmpty(ArgumentResult result)
    {
        string value = result.Tokens[0].Value;
        if (string.IsNullOrWhiteSpace(value))
        {
            result.AddError($"{OptionOf(result)} '{value}': expected at least one character");
        }

        return value;
    }

    private static int Number(ArgumentResult result, int lowest, int highest)
    {
        string value = result.Tokens[0].Value;
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= lowest && number <= highest)
        {
            return number;
        }

        result.AddError($"{OptionOf(result)} '{value}': expected a whole number from {lowest} to {highest}");
        return 0;
    }

    private static string OptionOf(ArgumentResult result) => ((OptionResult)result.Parent!).Option.Name;
}
