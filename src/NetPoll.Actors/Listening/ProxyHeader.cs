using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NetPoll.Actors.Listening;

/// <summary>How far a PROXY header has come.</summary>
internal enum ProxyHeaderState
{
    /// <summary>What is there may be the beginning of one.</summary>
    Incomplete,

    /// <summary>It is all there.</summary>
    Complete,

    /// <summary>It is none, or a malformed or an oversized one.</summary>
    Invalid,
}

/// <summary>The header by which a proxy tells whose connection it passes on, in text (version 1) or binary (version 2).</summary>
/// <remarks>
/// The specification is HAProxy's <c>doc/proxy-protocol.txt</c>. Nothing is guessed: what is not exactly a header is invalid, and said to
/// be so at the first byte that shows it. TLVs are skipped, the optional checksum with them.
/// </remarks>
internal readonly ref struct ProxyHeader
{
    private const int SignatureLength = 12;
    private const int FixedLength = 16;
    private const int MaxTextLength = 107;
    private const int InetLength = 12;
    private const int Inet6Length = 36;
    private const string NoEnd = "its header has no end within 107 bytes";

    private ProxyHeader(ProxyHeaderState state, int length = 0, IPEndPoint? source = null, string? problem = null)
    {
        State = state;
        Length = length;
        Source = source;
        Problem = problem;
    }

    internal ProxyHeaderState State { get; }

    /// <summary>Bytes of a complete header.</summary>
    internal int Length { get; }

    /// <summary>Whose connection it is; null when the header names nobody whom this server could know.</summary>
    internal IPEndPoint? Source { get; }

    /// <summary>What is wrong with an invalid one.</summary>
    internal string? Problem { get; }

    private static ReadOnlySpan<byte> Signature => [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    private static ReadOnlySpan<byte> TextStart => "PROXY "u8;

    private static ProxyHeader Incomplete => new(ProxyHeaderState.Incomplete);

    /// <summary>Looks at the first bytes of a connection.</summary>
    /// <param name="bytes">All that has come.</param>
    /// <param name="maxLength">The longest header of version 2.</param>
    internal static ProxyHeader Parse(ReadOnlySpan<byte> bytes, int maxLength)
    {
        if (IsStartOf(bytes, Signature))
        {
            return bytes.Length < FixedLength ? ParsePartialBinary(bytes) : ParseBinary(bytes, maxLength);
        }

        return IsStartOf(bytes, TextStart) ? ParseText(bytes) : Invalid("it begins like neither version of a PROXY header");
    }

    private static bool IsStartOf(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> start)
    {
        int length = Math.Min(bytes.Length, start.Length);
        return bytes[..length].SequenceEqual(start[..length]);
    }

    private static ProxyHeader Invalid(string problem) => new(ProxyHeaderState.Invalid, problem: problem);

    private static ProxyHeader ParsePartialBinary(ReadOnlySpan<byte> bytes) =>
        CheckVersion(bytes) is { } problem ? Invalid(problem) : Incomplete;

    private static ProxyHeader ParseBinary(ReadOnlySpan<byte> bytes, int maxLength)
    {
        if (CheckVersion(bytes) is { } problem)
        {
            return Invalid(problem);
        }

        int rest = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        int length = FixedLength + rest;
        if (length > maxLength)
        {
            return Invalid($"its header has {length} bytes; {nameof(ProxyProtocolOptions)}.{nameof(ProxyProtocolOptions.MaxHeaderBytes)} is {maxLength}");
        }

        bool isLocal = (bytes[12] & 0x0F) == 0;
        byte family = bytes[13];
        int needed = isLocal ? 0 : family switch
        {
            0x11 => InetLength,
            0x21 => Inet6Length,
            _ => 0,
        };
        if (rest < needed)
        {
            return Invalid($"its addresses have {rest} bytes of the {needed} that family {family:X2} takes");
        }

        if (bytes.Length < length)
        {
            return Incomplete;
        }

        // Families that this listener cannot have connections of (Unix sockets, datagrams) name nobody, as UNSPEC does.
        ReadOnlySpan<byte> addresses = bytes[FixedLength..length];
        IPEndPoint? source = needed switch
        {
            InetLength => new IPEndPoint(new IPAddress(addresses[..4]), BinaryPrimitives.ReadUInt16BigEndian(addresses[8..])),
            Inet6Length => new IPEndPoint(new IPAddress(addresses[..16]), BinaryPrimitives.ReadUInt16BigEndian(addresses[32..])),
            _ => null,
        };
        return new ProxyHeader(ProxyHeaderState.Complete, length, source);
    }

    // Command and family have values that must not be sent; a receiver has to refuse them. Family and protocol of LOCAL are ignored.
    private static string? CheckVersion(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length <= SignatureLength)
        {
            return null;
        }

        byte command = bytes[SignatureLength];
        if (command is not (0x20 or 0x21))
        {
            return $"its version and command are {command:X2}; expected 20 or 21";
        }

        if (bytes.Length == SignatureLength + 1 || command == 0x20)
        {
            return null;
        }

        byte family = bytes[SignatureLength + 1];
        return family >> 4 > 3 || (family & 0x0F) > 2 ? $"its family and protocol are {family:X2}; expected digits up to 3 and 2" : null;
    }

    private static ProxyHeader ParseText(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> line = bytes[..Math.Min(bytes.Length, MaxTextLength)];
        int end = line.IndexOfAny((byte)'\r', (byte)'\n');
        if (end < 0)
        {
            return bytes.Length < MaxTextLength ? CheckPartialText(line) : Invalid(NoEnd);
        }

        if (line[end] == '\n')
        {
            return Invalid("a line feed comes without a carriage return");
        }

        if (end + 1 == MaxTextLength)
        {
            return Invalid(NoEnd);
        }

        if (end + 1 == bytes.Length)
        {
            return CheckPartialText(line[..end]);
        }

        return line[end + 1] == '\n' ? ParseLine(line[..end], end + 2) : Invalid("a carriage return comes without a line feed");
    }

    // A line that cannot become a header any more need not be waited for: its first word, and what may stand in the others.
    private static ProxyHeader CheckPartialText(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> rest = line.Length < TextStart.Length ? default : line[TextStart.Length..];
        return IsStartOf(rest, "UNKNOWN"u8) || IsStartOf(rest, "TCP4 "u8) || IsStartOf(rest, "TCP6 "u8)
            ? Incomplete
            : Invalid("its protocol is none of TCP4, TCP6, UNKNOWN");
    }

    private static ProxyHeader ParseLine(ReadOnlySpan<byte> line, int length)
    {
        ReadOnlySpan<byte> rest = line[TextStart.Length..];
        if (rest.SequenceEqual("UNKNOWN"u8) || rest.StartsWith("UNKNOWN "u8))
        {
            // What follows is for nobody to look at.
            return new ProxyHeader(ProxyHeaderState.Complete, length);
        }

        bool isIPv6 = rest.StartsWith("TCP6 "u8);
        if (!isIPv6 && !rest.StartsWith("TCP4 "u8))
        {
            return Invalid("its protocol is none of TCP4, TCP6, UNKNOWN");
        }

        string[] words = Encoding.Latin1.GetString(rest[5..]).Split(' ');
        if (words.Length != 4)
        {
            return Invalid($"it has {words.Length} words behind its protocol; expected two addresses and two ports, one blank between them");
        }

        AddressFamily family = isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        if (!TryReadAddress(words[0], family, out IPAddress? source) || !TryReadAddress(words[1], family, out _))
        {
            return Invalid($"one of its addresses is no {(isIPv6 ? "IPv6" : "IPv4")} address");
        }

        return TryReadPort(words[2], out int port) && TryReadPort(words[3], out _)
            ? new ProxyHeader(ProxyHeaderState.Complete, length, new IPEndPoint(source!, port))
            : Invalid("one of its ports is no number from 0 to 65535");
    }

    // .NET also reads numbers in hexadecimal, octal, and with parts left out, ports, brackets and scopes: none of these is a header's.
    private static bool TryReadAddress(string word, AddressFamily family, out IPAddress? address)
    {
        bool isPlain = family == AddressFamily.InterNetwork
            ? word.Count(static letter => letter == '.') == 3 && word.All(static letter => char.IsAsciiDigit(letter) || letter == '.')
            : word.All(static letter => char.IsAsciiHexDigit(letter) || letter is ':' or '.');
        address = null;
        return isPlain
            && IPAddress.TryParse(word, out address)
            && address.AddressFamily == family
            && (family == AddressFamily.InterNetworkV6 || address.ToString() == word);
    }

    private static bool TryReadPort(string word, out int port)
    {
        port = 0;
        return word.Length is > 0 and <= 5
            && (word.Length == 1 || word[0] != '0')
            && word.All(char.IsAsciiDigit)
            && int.TryParse(word, out port)
            && port <= IPEndPoint.MaxPort;
    }
}
