using Chat.Client;

namespace Chat.Tests.Client;

public sealed class CommandLineTests
{
    [Fact]
    public void A_name_is_enough()
    {
        (ClientOptions? options, _) = Read("--name", "ada");

        Assert.Equal(new ClientOptions("ada", "127.0.0.1", 7000, "lobby", Plain: false, TimeSpan.FromSeconds(30)), options);
    }

    [Fact]
    public void Every_option_is_taken()
    {
        (ClientOptions? options, _) = Read(
            "--name", "ada", "--host", "chat.example", "--port", "7001", "--room", "attic", "--timeout", "5", "--plain");

        Assert.Equal(new ClientOptions("ada", "chat.example", 7001, "attic", Plain: true, TimeSpan.FromSeconds(5)), options);
    }

    [Theory]
    [InlineData("Option '--name' is required.")]
    [InlineData("--name '': expected at least one character", "--name", "")]
    [InlineData("--port '0': expected a whole number from 1 to 65535", "--name", "ada", "--port", "0")]
    [InlineData("--port 'http': expected a whole number from 1 to 65535", "--name", "ada", "--port", "http")]
    [InlineData("--timeout '-1': expected a whole number from 1 to 3600", "--name", "ada", "--timeout", "-1")]
    [InlineData("Unrecognized command or argument '--bogus'.", "--name", "ada", "--bogus")]
    public void A_bad_value_is_named_with_what_was_expected(string expected, params string[] arguments)
    {
        using var error = new StringWriter();

        (ClientOptions? options, ExitCode exit) = CommandLine.Read(arguments, TextWriter.Null, error);

        Assert.Null(options);
        Assert.Equal(ExitCode.Usage, exit);
        Assert.Equal($"chat: {expected}{Environment.NewLine}", error.ToString());
    }

    private static (ClientOptions? Options, ExitCode Exit) Read(params string[] arguments)
        => CommandLine.Read(arguments, TextWriter.Null, TextWriter.Null);
}
