using System.Collections;
using System.CommandLine;
using Chat.Domain;

namespace Chat.Server;

/// <summary>Reads the options; an error is one line that names the option, the value and what was expected.</summary>
internal static partial class CommandLine
{
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

            ServerOptions options = Options(result);
            options.Validate();
            return (options, ExitCode.Success);
        }
        catch (FormatException exception)
        {
            error.WriteLine($"chat-server: {exception.Message}");
            return (null, ExitCode.Usage);
        }
        catch (ArgumentException exception)
        {
            // Options that do not go together; .NET adds the parameter's name, which is in the text already.
            error.WriteLine($"chat-server: {exception.Message.Replace($" (Parameter '{exception.ParamName}')", "", StringComparison.Ordinal)}");
            return (null, ExitCode.Usage);
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
            ? $"unknown argument '{result.UnmatchedTokens[0]}': "
                + Spelling.Expected(result.UnmatchedTokens[0], [.. Configurable.Select(static option => option.Name), Config.Name, HashPassword.Name])
            : result.Errors[0].Message;
    }
}
