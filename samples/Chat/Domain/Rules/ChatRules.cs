using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Chat.Domain;

/// <summary>What names and texts may look like. The sentences that it answers with name the value and the limit.</summary>
public sealed class ChatRules
{
    /// <summary>A refused value is quoted up to this many characters: an error must not carry a megabyte back.</summary>
    private const int LongestQuote = 40;

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
        => IsIdentifier("name", name, _options.MaxNameLength, out error);

    /// <summary>
    /// The one spelling by which a room is known, whatever case a request used: rooms are looked up by it, possibly on another
    /// machine, so it depends on nothing but the name.
    /// </summary>
    public bool TryGetRoom(string room, [NotNullWhen(true)] out string? canonical, [NotNullWhen(false)] out string? error)
    {
        if (IsIdentifier("room name", room, _options.MaxRoomNameLength, out error))
        {
            canonical = room.ToLowerInvariant();
            return true;
        }

        canonical = null;
        return false;
    }

    /// <summary>Whether the text may be said; if not, why.</summary>
    public bool IsText(string text, [NotNullWhen(false)] out string? error)
    {
        int bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes == 0)
        {
            error = $"a text must not be empty; expected 1 to {_options.MaxTextBytes} bytes";
            return false;
        }

        if (bytes > _options.MaxTextBytes)
        {
            error = $"a text of {bytes} bytes exceeds the limit of {_options.MaxTextBytes}";
            return false;
        }

        foreach (Rune rune in text.EnumerateRunes())
        {
            // Control characters would reach into a terminal, line separators into whatever reads a line at a time.
            if (Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator)
            {
                error = $"a text must not contain the control character {CodePoint(rune)}";
                return false;
            }
        }

        error = null;
        return true;
    }

    /// <summary>Letters, digits, '-', '_', '.'; the first a letter or digit: no blank, so a name is a word in every door's syntax.</summary>
    private static bool IsIdentifier(string what, string value, int maxLength, [NotNullWhen(false)] out string? error)
    {
        if (value.Length == 0)
        {
            error = $"a {what} must not be empty; expected 1 to {maxLength} characters";
            return false;
        }

        int length = 0;
        foreach (Rune rune in value.EnumerateRunes())
        {
            bool allowed = Rune.IsLetterOrDigit(rune) || (length > 0 && (rune.Value is '-' or '_' or '.' || IsMark(rune)));
            if (!allowed)
            {
                error = $"the {what} '{Quote(value)}' contains {Show(rune)}{(length == 0 ? " in front" : "")}; expected letters, digits, "
                    + "'-', '_' and '.', beginning with a letter or digit";
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
