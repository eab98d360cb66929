using System.CommandLine;
using System.Globalization;
using Chat.Protocol;

namespace Chat.Load;

/// <summary>Reads the command line; an error is one line that names the option, the value and what was expected.</summary>
internal static class CommandLine
{
    private static readonly Option<string> Host = new("--host")
    {
        HelpName = "HOST",
        Description = "The server's name or address.",
        DefaultValueFactory = static _ => "127.0.0.1",
    };

    private static readonly Option<int> Port = Number("--port", "The server's port.", ChatProtocol.DefaultPort, 1, 65_535);
    private static readonly Option<int> Clients = Number("--clients", "Connections, spread evenly over the rooms.", 100, 1, 100_000);
    private static readonly Option<int> Rooms = Number("--rooms", "Rooms.", 10, 1, 10_000);
    private static readonly Option<int> Duration = Number("--duration", "Seconds that they speak.", 30, 1, 86_400);
    private static readonly Option<int> Bytes = Number("--bytes", "Bytes of each text.", 64, 40, 4000);
    private static readonly Option<int> Seed = Number("--seed", "Decides who speaks when.", 1, 0, int.MaxValue);

    private static readonly Option<double> Rate = new("--rate")
    {
        HelpName = "RATE",
        Description = "Messages per second of each client, on average.",
        DefaultValueFactory = static _ => 0.2,
        CustomParser = static result =>
        {
            string value = result.Tokens[0].Value;
            if (double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double rate) && rate is > 0 and <= 1000)
            {
                return rate;
            }

            result.AddError($"--rate '{value}': expected a number above 0, up to 1000, such as 0.2");
            return 0;
        },
    };

    /// <summary>The options, or else the code to exit with: after <c>--help</c>, or after the error has been told.</summary>
    public static (LoadOptions? Options, ExitCode Exit) Read(string[] arguments, TextWriter output, TextWriter error)
    {
        var command = new RootCommand("Lets many clients chat on a server, and counts what arrives.")
        {
            Host, Port, Clients, Rooms, Rate, Duration, Bytes, Seed,
        };
        ParseResult result = command.Parse(arguments);
        if (result.Errors.Count > 0)
        {
            error.WriteLine($"chat-load: {result.Errors[0].Message}");
            return (null, ExitCode.Usage);
        }

        if (result.Action is not null)
        {
            result.Invoke(new InvocationConfiguration { Output = output, Error = error });
            return (null, ExitCode.Success);
        }

        return (
            new LoadOptions(
                result.GetRequiredValue(Host),
                result.GetRequiredValue(Port),
                result.GetRequiredValue(Clients),
                result.GetRequiredValue(Rooms),
                result.GetRequiredValue(Rate),
                TimeSpan.FromSeconds(result.GetRequiredValue(Duration)),
                result.GetRequiredValue(Bytes),
                result.GetRequiredValue(Seed)),
            ExitCode.Success);
    }

    private static Option<int> Number(string name, string description, int usual, int least, int most) => new(name)
    {
        HelpName = "N",
        Description = description,
        DefaultValueFactory = _ => usual,
        CustomParser = result =>
        {
            string value = result.Tokens[0].Value;
            if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most)
            {
                return number;
            }

            result.AddError($"{name} '{value}': expected a whole number from {least} to {most}");
            return 0;
        },
    };
}
