using System.Collections;
using System.Text;
using System.Text.Json;

namespace Chat.Server;

/// <summary>Options that do not stand on the command line: from a file and from the environment, as further arguments.</summary>
/// <remarks>
/// An option <c>--irc-port</c> is <c>IrcPort</c> in the section <c>Chat</c> of the file, and <c>CHAT_IRC_PORT</c> in the environment. The
/// command line goes before the environment, and that before the file.
/// </remarks>
internal static class Configuration
{
    private const string DefaultFile = "appsettings.json";
    private const string Section = "Chat";
    private const string Prefix = "CHAT_";

    /// <summary>The arguments, and those that were given elsewhere and not among them.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="known">The options that there are, as on the command line.</param>
    /// <param name="environment">Names and values.</param>
    /// <param name="folder">Where the file is looked for, unless the command line names one.</param>
    /// <exception cref="FormatException">Names the file or variable, the value and what was expected.</exception>
    public static string[] Complete(string[] arguments, IReadOnlyCollection<string> known, IDictionary environment, string folder)
    {
        List<string> complete = [.. arguments];
        HashSet<string> given = [.. arguments.Where(static argument => argument.StartsWith("--", StringComparison.Ordinal))
            .Select(static argument => argument.Split('=')[0])];
        Add(complete, given, FromEnvironment(known, environment));
        Add(complete, given, FromFile(arguments, known, folder));
        return [.. complete];
    }

    private static void Add(List<string> complete, HashSet<string> given, IEnumerable<(string Option, string Value)> found)
    {
        (string Option, string Value)[] news = [.. found.Where(option => !given.Contains(option.Option))];
        foreach ((string option, string value) in news)
        {
            complete.Add(option);
            complete.Add(value);
            given.Add(option);
        }
    }

    private static IEnumerable<(string Option, string Value)> FromEnvironment(IReadOnlyCollection<string> known, IDictionary environment)
        => from option in known
           let value = environment[Prefix + option[2..].Replace('-', '_').ToUpperInvariant()] as string
           where !string.IsNullOrEmpty(value)
           select (option, value);

    private static IEnumerable<(string Option, string Value)> FromFile(
        string[] arguments, IReadOnlyCollection<string> known, string folder)
    {
        int at = Array.IndexOf(arguments, "--config");
        string path = at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : Path.Combine(folder, DefaultFile);
        if (!File.Exists(path))
        {
            return at < 0 ? [] : throw new FormatException($"--config '{path}': there is no such file");
        }

        try
        {
            var how = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
            using JsonDocument document = JsonDocument.Parse(File.ReadAllText(path), how);
            return document.RootElement.TryGetProperty(Section, out JsonElement section) ? [.. FromSection(section, known, path)] : [];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"{path} cannot be read: {exception.Message}", exception);
        }
    }

    private static IEnumerable<(string Option, string Value)> FromSection(JsonElement section, IReadOnlyCollection<string> known, string path)
    {
        foreach (JsonProperty property in section.EnumerateObject())
        {
            string option = known.FirstOrDefault(option => Key(option).Equals(property.Name, StringComparison.OrdinalIgnoreCase))
                ?? throw new FormatException(
                    $"{path} has '{property.Name}' in '{Section}': {Spelling.Expected(property.Name, [.. known.Select(Key)])}");
            JsonElement[] values = property.Value.ValueKind == JsonValueKind.Array ? [.. property.Value.EnumerateArray()] : [property.Value];
            foreach (JsonElement value in values)
            {
                yield return value.ValueKind is JsonValueKind.String or JsonValueKind.Number
                    ? (option, value.ToString())
                    : throw new FormatException(
                        $"{path} has for '{property.Name}' {value.GetRawText()}: expected a text, a number, or several of them in []");
            }
        }
    }

    private static string Key(string option)
    {
        var key = new StringBuilder();
        foreach (string word in option[2..].Split('-'))
        {
            key.Append(char.ToUpperInvariant(word[0])).Append(word.AsSpan(1));
        }

        return key.ToString();
    }
}
