using System.Net;
using System.Text;
using NetPoll.Actors.Listening;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>The PROXY header, byte for byte: what is one, what is none, and from which byte on that is known.</summary>
public sealed class ProxyHeaderTests
{
    private const int Limit = 4096;

    private static readonly byte[] Signature = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    /// <summary>Headers, and whom they name; empty for nobody.</summary>
    public static TheoryData<string, byte[], string> Headers => new()
    {
        { "v1 TCP4", Text("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), "192.0.2.7:56324" },
        { "v1 TCP4, shortest", Text("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0" },
        { "v1 TCP4, longest", Text("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535" },
        { "v1 TCP6", Text("PROXY TCP6 2001:db8::1 ::1 4124 443\r\n"), "[2001:db8::1]:4124" },
        {
            "v1 TCP6, longest",
            Text("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        },
        { "v1 TCP6, an IPv4 address written as IPv6", Text("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "[::ffff:192.0.2.7]:1" },
        { "v1 UNKNOWN", Text("PROXY UNKNOWN\r\n"), string.Empty },
        { "v1 UNKNOWN with words", Text("PROXY UNKNOWN whatever 1 2 3 and more\r\n"), string.Empty },
        { "v1 UNKNOWN, 107 bytes", Text("PROXY UNKNOWN " + new string('x', 91) + "\r\n"), string.Empty },
        { "v2 TCP over IPv4", Binary(0x21, 0x11, Inet), "192.0.2.7:56324" },
        { "v2 TCP over IPv6", Binary(0x21, 0x21, Inet6), "[2001:db8::1]:4124" },
        { "v2 with TLVs", Binary(0x21, 0x11, [.. Inet, 0x04, 0, 3, 1, 2, 3, 0x01, 0, 2, (byte)'h', (byte)'2']), "192.0.2.7:56324" },
        { "v2 at the limit", Binary(0x21, 0x11, [.. Inet, .. new byte[Limit - 28]]), "192.0.2.7:56324" },
        { "v2 LOCAL", Binary(0x20, 0x00, []), string.Empty },
        { "v2 LOCAL with addresses and any family", Binary(0x20, 0xFF, Inet), string.Empty },
        { "v2 UNSPEC", Binary(0x21, 0x00, []), string.Empty },
        { "v2 UNSPEC with bytes", Binary(0x21, 0x00, new byte[7]), string.Empty },
        { "v2 datagrams over IPv4", Binary(0x21, 0x12, Inet), string.Empty },
        { "v2 Unix sockets", Binary(0x21, 0x31, new byte[216]), string.Empty },
    };

    /// <summary>What is no header, the number of bytes after which that is known, and a word of the reason.</summary>
    public static TheoryData<byte[], int, string> NoHeaders => new()
    {
        { Text("GET / HTTP/1.1\r\n\r\n"), 1, "neither version" },
        { Text("\0\0\0\0"), 1, "neither version" },
        { Text("PROXYTCP4 192.0.2.7 198.51.100.1 1 2\r\n"), 6, "neither version" },
        { Text("proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n"), 1, "neither version" },
        { Text("PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n"), 10, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n"), 8, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n"), 7, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY UNKNOWNS\r\n"), 16, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY \r\n"), 8, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY TCP4\r\n"), 12, "TCP4, TCP6, UNKNOWN" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n"), 38, "line feed" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r \n"), 39, "carriage return" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n"), 37, "3 words" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n"), 41, "5 words" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n"), 40, "5 words" },
        { Text("PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n"), 40, "5 words" },
        { Text("PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n"), 37, "no IPv4 address" },
        { Text("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n"), 41, "no IPv4 address" },
        { Text("PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n"), 40, "no IPv4 address" },
        { Text("PROXY TCP4 0x7f.0.0.1 198.51.100.1 1 2\r\n"), 40, "no IPv4 address" },
        { Text("PROXY TCP4 192.0.2.7 ::1 1 2\r\n"), 30, "no IPv4 address" },
        { Text("PROXY TCP6 192.0.2.7 ::1 1 2\r\n"), 30, "no IPv6 address" },
        { Text("PROXY TCP6 [::1] ::1 1 2\r\n"), 26, "no IPv6 address" },
        { Text("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), 30, "no IPv6 address" },
        { Text("PROXY TCP6 ::1 :: 1 2 1 2\r\n"), 27, "6 words" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n"), 43, "no number from 0 to 65535" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n"), 40, "no number from 0 to 65535" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 02\r\n"), 40, "no number from 0 to 65535" },
        { Text("PROXY TCP4 192.0.2.7 198.51.100.1 1 99999999999\r\n"), 49, "no number from 0 to 65535" },
        { Text("PROXY UNKNOWN " + new string('x', 200)), 107, "within 107 bytes" },
        { Text("PROXY UNKNOWN " + new string('x', 92) + "\r\n"), 107, "within 107 bytes" },
        { Text("PROXY UNKNOWN " + new string('x', 93) + "\r\n"), 107, "within 107 bytes" },
        { [.. Signature[..11], 0x0B, 0x21, 0x11], 12, "neither version" },
        { Binary(0x11, 0x11, Inet), 13, "version and command are 11" },
        { Binary(0x22, 0x11, Inet), 13, "version and command are 22" },
        { Binary(0x21, 0x41, Inet), 14, "family and protocol are 41" },
        { Binary(0x21, 0x13, Inet), 14, "family and protocol are 13" },
        { Binary(0x21, 0x11, Inet[..11]), 16, "11 bytes of the 12" },
        { Binary(0x21, 0x21, Inet6[..35]), 16, "35 bytes of the 36" },
        { Binary(0x21, 0x11, []), 16, "0 bytes of the 12" },
        { Binary(0x21, 0x11, [.. Inet, .. new byte[Limit - 27]]), 16, $"header has {Limit + 1} bytes" },
        { Binary(0x20, 0x00, new byte[65535]), 16, "header has 65551 bytes" },
    };

    private static byte[] Inet => [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];

    private static byte[] Inet6 =>
    [
        .. IPAddress.Parse("2001:db8::1").GetAddressBytes(), .. IPAddress.IPv6Loopback.GetAddressBytes(), 0x10, 0x1C, 0x01, 0xBB,
    ];

    [Theory]
    [MemberData(nameof(Headers))]
    public void A_header_is_complete_at_its_last_byte_and_not_before_whatever_follows(string what, byte[] header, string source)
    {
        byte[] bytes = [.. header, .. "\r\nPROXY and more"u8];
        for (int length = 0; length <= bytes.Length; length++)
        {
            ProxyHeader parsed = ProxyHeader.Parse(bytes.AsSpan(0, length), Limit);
            if (length < header.Length)
            {
                Assert.True(parsed.State == ProxyHeaderState.Incomplete, $"{what}: {parsed.State} at {length} of {header.Length} bytes ({parsed.Problem})");
                continue;
            }

            Assert.True(parsed.State == ProxyHeaderState.Complete, $"{what}: {parsed.State} at {length} of {header.Length} bytes ({parsed.Problem})");
            Assert.Equal(header.Length, parsed.Length);
            Assert.Equal(source, parsed.Source?.ToString() ?? string.Empty);
            Assert.Null(parsed.Problem);
        }
    }

    [Theory]
    [MemberData(nameof(NoHeaders))]
    public void What_is_none_is_invalid_from_the_byte_on_that_shows_it(byte[] bytes, int knownAt, string reason)
    {
        for (int length = 0; length <= bytes.Length; length++)
        {
            ProxyHeader parsed = ProxyHeader.Parse(bytes.AsSpan(0, length), Limit);
            string where = $"{Encoding.Latin1.GetString(bytes[..Math.Min(bytes.Length, 60)])}: {parsed.State} at {length}";
            Assert.True(parsed.State == (length < knownAt ? ProxyHeaderState.Incomplete : ProxyHeaderState.Invalid), where);
            if (length >= knownAt)
            {
                Assert.Contains(reason, parsed.Problem, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Every_byte_of_a_fixed_part_matters()
    {
        byte[] good = Binary(0x21, 0x11, Inet);
        for (int place = 0; place < 13; place++)
        {
            for (int value = 0; value < 256; value++)
            {
                byte[] bytes = [.. good];
                bytes[place] = (byte)value;
                bool isHeader = value == good[place] || (place == 12 && value == 0x20);
                Assert.Equal(isHeader ? ProxyHeaderState.Complete : ProxyHeaderState.Invalid, ProxyHeader.Parse(bytes, Limit).State);
            }
        }
    }

    [Fact]
    public void All_families_are_known_or_refused_as_the_specification_says()
    {
        for (int family = 0; family < 256; family++)
        {
            ProxyHeader parsed = ProxyHeader.Parse(Binary(0x21, (byte)family, new byte[216]), Limit);
            bool isDefined = family >> 4 <= 3 && (family & 0xF) <= 2;
            Assert.Equal(isDefined ? ProxyHeaderState.Complete : ProxyHeaderState.Invalid, parsed.State);
            Assert.Equal(family is 0x11 or 0x21, parsed.Source is not null);
        }
    }

    [Fact]
    public void Random_changes_of_headers_are_answered_and_never_throw()
    {
        Random random = new(Seed.Next());
        byte[][] good = [.. Headers.Select(static row => row.Data.Item2)];
        for (int round = 0; round < 100_000; round++)
        {
            byte[] bytes = [.. good[random.Next(good.Length)]];
            for (int change = random.Next(4); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            ProxyHeader parsed = ProxyHeader.Parse(bytes.AsSpan(0, random.Next(bytes.Length + 1)), Limit);

            Assert.Equal(parsed.State == ProxyHeaderState.Invalid, parsed.Problem is not null);
            Assert.InRange(parsed.Length, 0, bytes.Length);
        }
    }

    private static byte[] Text(string text) => Encoding.Latin1.GetBytes(text);

    private static byte[] Binary(byte command, byte family, byte[] rest) =>
        [.. Signature, command, family, (byte)(rest.Length >> 8), (byte)rest.Length, .. rest];
}
