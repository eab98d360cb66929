using System.Buffers;
using System.Globalization;
using System.Text;
using Chat.Domain;

namespace Chat.Server.Irc;

/// <summary>Lines for a client, one after the other in one piece of memory.</summary>
/// <remarks>
/// A line has at most 512 bytes with its end, tags not counted; what is longer is cut between two characters. What would end a line
/// early is taken out, so that no text can bring a line of its own.
/// </remarks>
internal sealed class IrcLines
{
    /// <summary>Bytes of a line without its end.</summary>
    public const int MaxBytes = 510;

    /// <summary>What the addresses of people end with: where they come from is nobody's business.</summary>
    public const string Host = "chat";

    /// <summary>Bytes of a name as user name: of a longer one only a part, or no room would be left for a text behind two long names.</summary>
    private const int MaxUserBytes = 64;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>All of them.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    public bool IsEmpty => _bytes.WrittenCount == 0;

    /// <summary>Somebody, as the source of what they do.</summary>
    public static string Source(string name) => $"{name}!{name.AsSpan(0, Fitting(name, MaxUserBytes))}@{Host}";

    /// <summary>A room's name as channel.</summary>
    public static string Channel(string room) => $"#{room}";

    /// <summary>Whom a channel keeps out or silent, as a mask: somebody by their nickname, or whoever comes from an address.</summary>
    public static string Mask(string target)
        => target.Contains('.', StringComparison.Ordinal) || target.Contains(':', StringComparison.Ordinal) ? $"*!*@{target}" : $"{target}!*@*";

    /// <summary>What is told of those who quit: with a word in front, or they could have been killed, or lost their connection, by what they say.</summary>
    public static string OwnWish(string? reason) => $"Quit: {reason}";

    /// <summary>A time as the capability server-time writes it.</summary>
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>The tags that the client understands; empty if it understands none.</summary>
    public static string Tags(IrcCapabilities capabilities, DateTimeOffset time, string messageId)
    {
        bool withTime = capabilities.HasFlag(IrcCapabilities.ServerTime);
        bool withId = capabilities.HasFlag(IrcCapabilities.MessageTags) && messageId.Length > 0;
        return (withTime, withId) switch
        {
            (true, true) => $"@time={Time(time)};msgid={messageId} ",
            (true, false) => $"@time={Time(time)} ",
            (false, true) => $"@msgid={messageId} ",
            _ => "",
        };
    }

    /// <summary>One line.</summary>
    public IrcLines Add(string line) => Add("", line);

    /// <summary>One line, and its tags.</summary>
    public IrcLines Add(string tags, string line)
    {
        Write(tags, int.MaxValue);
        Write(line, MaxBytes);
        _bytes.Write("\r\n"u8);
        return this;
    }

    /// <summary>All lines of another one.</summary>
    public void AddAll(IrcLines lines) => _bytes.Write(lines.Bytes);

    /// <summary>Several words behind the same beginning, in as many lines as they need.</summary>
    public void AddWords(string start, IEnumerable<string> words)
    {
        var line = new StringBuilder(start);
        int bytes = Encoding.UTF8.GetByteCount(start);
        int length = bytes;
        foreach (string word in words)
        {
            int size = Encoding.UTF8.GetByteCount(word) + 1;
            if (length > bytes && length + size > MaxBytes)
            {
                Add(line.ToString(0, line.Length - 1));
                line.Clear().Append(start);
                length = bytes;
            }

            line.Append(word).Append(' ');
            length += size;
        }

        if (length > bytes)
        {
            Add(line.ToString(0, line.Length - 1));
        }
    }

    /// <summary>Something that somebody said: in several lines if one is too short for it.</summary>
    /// <param name="from">Who.</param>
    /// <param name="target">A channel or a name.</param>
    /// <param name="kind">How it is meant.</param>
    /// <param name="text">What.</param>
    /// <param name="tags">The first line's.</param>
    /// <param name="furtherTags">Those of the lines behind it: an id belongs to one line only, but the time is that of all.</param>
    public void AddText(string from, string target, MessageKind kind, string text, string tags, string furtherTags)
    {
        string command = kind == MessageKind.Notice ? "NOTICE" : "PRIVMSG";
        (string before, string after) = kind == MessageKind.Action ? ("\u0001ACTION ", "\u0001") : ("", "");
        string start = $":{Source(from)} {command} {target} :{before}";
        int room = MaxBytes - Encoding.UTF8.GetByteCount(start) - after.Length;
        for (int at = 0; at < text.Length;)
        {
            int length = Fitting(text.AsSpan(at), room);
            Add(tags, $"{start}{text.AsSpan(at, length)}{after}");
            at += length;
            tags = furtherTags;
        }
    }

    /// <summary>How many characters fit, at least one.</summary>
    public static int Fitting(ReadOnlySpan<char> text, int maxBytes)
    {
        int bytes = 0;
        int length = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > maxBytes && length > 0)
            {
                return length;
            }

            length += rune.Utf16SequenceLength;
        }

        return length;
    }

    private void Write(string text, int maxBytes)
    {
        Span<byte> buffer = stackalloc byte[4];
        int left = maxBytes;
        foreach (Rune rune in text.EnumerateRunes())
        {
            int size = rune.EncodeToUtf8(buffer);
            if (size > left)
            {
                return;
            }

            if (rune.Value is not ('\r' or '\n' or '\0'))
            {
                _bytes.Write(buffer[..size]);
                left -= size;
            }
        }
    }
}
