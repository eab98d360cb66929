namespace Chat.Protocol;

/// <summary>The numbers of <c>protos/chat.proto</c> that are not in its messages.</summary>
public static class ChatProtocol
{
    /// <summary>The version that this code speaks, in <see cref="Hello.ProtocolVersion"/>.</summary>
    public const uint Version = 1;

    /// <summary>The port that a server listens on and a client connects to when nothing else was said.</summary>
    public const int DefaultPort = 7000;

    /// <summary>Bytes of a <see cref="ClientFrame"/> at most, its length not counted: four times the longest text and then some.</summary>
    public const int MaxClientFrameBytes = 16 * 1024;

    /// <summary>Bytes of a <see cref="ServerFrame"/> at most: a full room's list of members is the longest.</summary>
    public const int MaxServerFrameBytes = 4 * 1024 * 1024;
}
