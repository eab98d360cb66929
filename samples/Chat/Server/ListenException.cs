namespace Chat.Server;

/// <summary>A port cannot be listened on; the cause says why.</summary>
internal sealed class ListenException : IOException
{
    public ListenException(int port, IOException cause)
        : base(cause.Message, cause) => Port = port;

    public int Port { get; }
}
