using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Chat.Domain;

/// <summary>What names and texts may look like. The sentences that it answers with name the value and the limit.</summary>
public sealed class ChatRules
{
    /// <summary>Who is spoken to about one's own name, by those who have no requests for that. Nobody can be called so.</summary>
    public const string NameService = "NickServ";

    /// <summary>A refused value is quoted up to this many characters: an error must not carry a megabyte back.</summary>
    private const int LongestQuote = 40;

    /// <summary>What names in IRC have besides letters and digits; those of rooms do not.</summary>
    private const string PersonCharacters = "[]\\^`{|}";

    private const int ShortestPassword = 8;
    private const int LongestPassword = 256;

    private readonly ChatOptions _options;

    public ChatRules(ChatOptions options)
    {
        options.Validate();
        _options = options;
    }

    /// <summary>Whether two spellings are the same person: what is equal here is one name.</summary>
    public static string NameKey(string name) => name.ToUpperInvariant();

    /// <summary>Whether a person may have the name; if not, why.</summary>
    public bool IsName(string name, [NotNullWhen(false)] out string? error)
    {
        if (NameKey(name) == NameKey(NameService))
        {
            error = $"the name '{name}' is the server's own";
            return false;
        }

        return IsIdentifier("name", name, _options.MaxNameLength, PersonCharacters, out error);
    }

    /// <summary>
    /// The one spelling by which a room is known, whatever case a request used: rooms are looked up by it, possibly on another
    /// machine, so it depends on nothing but the name.
    /// </summary>
    public bool TryGetRoom(string room, [NotNullWhen(true)] out string? canonical, [NotNullWhen(false)] out string? error)
    {
        if (IsIdentifier("room name", room, _options.MaxRoomNameLength, "", out error))
        {
            canonical = room.ToLowerInvariant();
            return true;
        }

        canonical = null;
        return false;
    }

    /// <summary>Whether the text may be said; if not, why.</summary>
    public bool IsText(string text, [NotNullWhen(false)] out string? error) => IsText("text", text, _options.MaxTextBytes, out error);

    /// <summary>Whether it may be a room's topic; an empty one takes the topic away.</summary>
    public bool IsTopic(string topic, [NotNullWhen(false)] out string? error)
    {
        error = null;
        return topic.Length == 0 || IsText("topic", topic, _options.MaxTopicBytes, out error);
    }

    /// <summary>Whether a sender may give a message this id; an empty one is none.</summary>
    public bool IsMessageId(string id, [NotNullWhen(false)] out string? error)
    {
        if (id.Length > _options.MaxMessageIdLength)
        {
            error = $"a message id of {id.Length} characters exceeds the limit of {_options.MaxMessageIdLength}";
            return false;
        }

        if (id.AsSpan().IndexOfAnyExceptInRange('!', '~') is >= 0 and int at)
        {
            error = $"the message id '{Quote(id)}' contains U+{(int)id[at]:X4}; expected visible ASCII characters";
            return false;
        }

        error = null;
        return true;
    }

    /// <summary>Whether it may be a password; it is not quoted.</summary>
    public static bool IsPassword(string password, [NotNullWhen(false)] out string? error)
    {
        error = password.Length is >= ShortestPassword and <= LongestPassword ? null
            : $"a password of {password.Length} characters is refused; expected {ShortestPassword} to {LongestPassword}";
        return error is null;
    }

    private static bool IsText(string what, string text, int maxBytes, [NotNullWhen(false)] out string? error)
    {
        int bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes == 0)
        {
            error = $"a {what} must not be empty; expected 1 to {maxBytes} bytes";
            return false;
        }

        if (bytes > maxBytes)
        {
            error = $"a {what} of {bytes} bytes exceeds the limit of {maxBytes}";
            return false;
        }

        foreach (Rune rune in text.EnumerateRunes())
        {
            // Control characters would reach into a terminal, line separators into whatever reads a line at a time.
            if (Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator)
            {
                error = $"a {what} must not contain the control character {CodePoint(rune)}";
                return false;
            }
        }

        error = null;
        return true;
    }

    /// <summary>Letters, digits, '-', '_', '.'; the first a letter or digit: no blank, so a name is a word in every door's syntax.</summary>
    private static bool IsIdentifier(
        string what, string value, int maxLength, string alsoAllowed, [NotNullWhen(false)] out string? error)
    {
        if (value.Length == 0)
        {
            error = $"a {what} must not be empty; expected 1 to {maxLength} characters";
            return false;
        }

        int length = 0;
        foreach (Rune rune in value.EnumerateRunes())
        {
            bool allowed = Rune.IsLetterOrDigit(rune)
                || (length > 0 && (rune.Value is '-' or '_' or '.' || IsMark(rune)))
                || (rune.IsAscii && alsoAllowed.Contains((char)rune.Value, StringComparison.Ordinal));
            if (!allowed)
            {
                error = $"the {what} '{Quote(value)}' contains {Show(rune)}{(length == 0 ? " in front" : "")}; expected letters, digits, "
                    + $"'-', '_' and '.', beginning with a letter or digit{(alsoAllowed.Length > 0 ? $"; {alsoAllowed} are allowed as well" : "")}";
                return false;
            }

            length++;
        }

        if (length > maxLength)
        {
            error = $"the {what} '{Quote(value)}' has {length} characters; the limit is {maxLength}";
            return false;
        }

        error = null;
        return true;
    }

    private static bool IsMark(Rune rune)
        => Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    private static string Show(Rune rune) => rune.Value is > 0x20 and < 0x7f ? $"'{rune}'" : CodePoint(rune);

    private static string CodePoint(Rune rune) => $"U+{rune.Value:X4}";

    /// <summary>The value, fit to be shown: shortened, and control characters replaced.</summary>
    public static string Quote(string value)
    {
        var quoted = new StringBuilder();
        int length = 0;
        foreach (Rune rune in value.EnumerateRunes())
        {
            if (length++ == LongestQuote)
            {
                return quoted.Append("...").ToString();
            }

            quoted.Append(Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator ? Rune.ReplacementChar : rune);
        }

        return quoted.ToString();
    }
}
