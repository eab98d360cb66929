namespace NetPoll.Actors;

/// <summary>How the length before a frame is written.</summary>
public enum LengthPrefix
{
    /// <summary>One byte: up to 255.</summary>
    OneByte,

    /// <summary>Two bytes, the high one first (network order): up to 65,535.</summary>
    BigEndian16,

    /// <summary>Two bytes, the low one first: up to 65,535.</summary>
    LittleEndian16,

    /// <summary>Four bytes, the highest first (network order).</summary>
    BigEndian32,

    /// <summary>Four bytes, the lowest first.</summary>
    LittleEndian32,

    /// <summary>One to five bytes of seven bits each, the lowest first; the high bit says that another follows. Protobuf's delimited messages.</summary>
    Varint,
}

/// <summary>What the length before a frame is the length of.</summary>
public enum LengthCounts
{
    /// <summary>The frame alone.</summary>
    Frame,

    /// <summary>The frame and the length itself.</summary>
    PrefixAndFrame,
}
