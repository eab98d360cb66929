using System.Text;

namespace NetPoll.Actors.Tests.Frames;

/// <summary>Each kind of framing with each of its options, by name, and frames that it can carry.</summary>
internal static class EveryFraming
{
    /// <summary>Bytes of each frame of the framing with fixed size.</summary>
    public const int FixedSize = 7;

    private static readonly Dictionary<string, Func<int, Framing>> Makers = Make();

    public static IEnumerable<string> Names => Makers.Keys;

    /// <summary>A framing of this name; of fixed size it has that as its limit.</summary>
    public static Framing Of(string name, int maxLength = 1000) => Makers[name](maxLength);

    /// <summary>Whether frames of any length, up to the limit, can be sent.</summary>
    public static bool HasAnyLength(string name) => name != "fixed size";

    /// <summary>A frame that the framing can carry, with bytes that look like its delimiters wherever that is possible.</summary>
    public static byte[] Frame(string name, Random random, int length)
    {
        byte[] frame = new byte[HasAnyLength(name) ? length : FixedSize];
        byte[] alphabet = name switch
        {
            "lines" => "a\r"u8.ToArray(),
            "delimiter of 1" => "ab"u8.ToArray(),
            "delimiter of 4" => "\r\n"u8.ToArray(),
            "delimiter that overlaps" => "ab"u8.ToArray(),
            _ => [0, 1, (byte)'\n', 0x7F, 0x80, 0xFF],
        };
        for (int index = 0; index < frame.Length; index++)
        {
            frame[index] = alphabet[random.Next(alphabet.Length)];
        }

        // By the definition, not by the framing's own check: the first place of the delimiter is where the frame ends.
        string delimiter = Delimiter(name);
        for (int clash; (clash = FirstPlace(frame, delimiter)) < frame.Length;)
        {
            frame[Math.Min(clash + delimiter.Length, frame.Length) - 1] = (byte)'z';
        }

        if (name == "lines" && frame is [.., (byte)'\r'])
        {
            frame[^1] = (byte)'z';
        }

        return frame;
    }

    private static int FirstPlace(byte[] frame, string delimiter) =>
        delimiter.Length == 0 ? frame.Length : (Encoding.Latin1.GetString(frame) + delimiter).IndexOf(delimiter, StringComparison.Ordinal);

    private static string Delimiter(string name) => name switch
    {
        "lines" => "\n",
        "delimiter of 1" => "\0",
        "delimiter of 4" => "\r\n\r\n",
        "delimiter that overlaps" => "aba",
        _ => "",
    };

    private static Dictionary<string, Func<int, Framing>> Make()
    {
        Dictionary<string, Func<int, Framing>> makers = new()
        {
            ["lines"] = static max => Framing.Lines(max),
            ["delimiter of 1"] = static max => Framing.DelimitedBy([0], max),
            ["delimiter of 4"] = static max => Framing.DelimitedBy("\r\n\r\n"u8, max),
            ["delimiter that overlaps"] = static max => Framing.DelimitedBy("aba"u8, max),
            ["fixed size"] = static _ => Framing.FixedSize(FixedSize),
        };
        foreach (LengthPrefix prefix in Enum.GetValues<LengthPrefix>())
        {
            foreach (LengthCounts counts in Enum.GetValues<LengthCounts>())
            {
                makers[$"{prefix} counts {counts}"] = max => Framing.LengthPrefixed(prefix, max, counts);
            }
        }

        return makers;
    }
}
