using System.Net;
using Chat.Server;
using Chat.Tests.Support;
using CommandLine = Chat.Server.CommandLine;

namespace Chat.Tests.Server;

public sealed class CommandLineTests
{
    [Fact]
    public void Nothing_said_means_this_machine_and_the_usual_port()
    {
        (ServerOptions? options, _) = CommandLine.Read([], TextReader.Null, TextWriter.Null, TextWriter.Null);

        Assert.NotNull(options);
        Assert.Equal((IPAddress.Loopback, 7000, Environment.ProcessorCount), (options.Address, options.Port, options.Pollers));
        options.Validate();
    }

    [Fact]
    public void Options_are_taken()
    {
        (ServerOptions? options, _) = CommandLine.Read(
            ["--port", "0", "--host", "any", "--pollers", "3", "--registration-timeout", "5", "--idle-timeout", "6", "--drain-timeout", "0"],
            TextReader.Null,
            TextWriter.Null,
            TextWriter.Null);

        Assert.NotNull(options);
        Assert.Equal((IPAddress.Any, 0, 3), (options.Address, options.Port, options.Pollers));
        Assert.Equal(
            (TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(6), TimeSpan.Zero),
            (options.RegistrationTimeout, options.IdleTimeout, options.DrainTimeout));
        options.Validate();
    }

    [Fact]
    public void Every_option_is_in_the_README()
    {
        using var help = new StringWriter();
        CommandLine.Read(["--help"], TextReader.Null, help, TextWriter.Null);
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "samples/Chat/README.md"));

        string[] options = [.. help.ToString().Split('\n').Select(line => line.Trim().Split(' ')[0]).Where(word => word.StartsWith("--", StringComparison.Ordinal))];

        Assert.InRange(options.Length, 30, 100);
        Assert.All(options.Except(["--version"]), option => Assert.Matches($"`{option}[ `]", readme));
    }

    [Theory]
    [InlineData("--port 65536", "chat-server: --port '65536': expected a whole number from 0 to 65535\n")]
    [InlineData("--port x", "chat-server: --port 'x': expected a whole number from 0 to 65535\n")]
    [InlineData("--pollers 0", "chat-server: --pollers '0': expected a whole number from 1 to 256\n")]
    [InlineData("--irc-name foo", "chat-server: IrcName is 'foo'; expected 3 to 63 letters, digits, '-' and '.', one '.' at least.\n")]
    [InlineData(
        "--max-people-per-room 15000",
        "chat-server: MaxOutputBytes is 2097152; expected more than 2227144 (the members of a full room, and a replay), up to 1073741824.\n")]
    [InlineData("--host 7", "chat-server: --host '7': expected an address of this machine, such as 127.0.0.1, or 'any'\n")]
    [InlineData("--host nowhere", "chat-server: --host 'nowhere': expected an address of this machine, such as 127.0.0.1, or 'any'\n")]
    [InlineData(
        "--prot 7",
        "chat-server: unknown argument '--prot': did you mean '--port'? '--help' tells all options\n")]
    [InlineData(
        "--frobnicate", "chat-server: unknown argument '--frobnicate': expected an option; '--help' tells which there are\n")]
    public void An_error_is_one_line_that_names_the_value_and_what_was_expected(string arguments, string expected)
    {
        using var error = new StringWriter();

        (ServerOptions? options, ExitCode exit) = CommandLine.Read(arguments.Split(' '), TextReader.Null, TextWriter.Null, error);

        Assert.Null(options);
        Assert.Equal(ExitCode.Usage, exit);
        Assert.Equal(expected, error.ToString());
    }
}
