namespace Chat.Client;

/// <summary>The conversation cannot go on; the message is the one line for the user.</summary>
internal sealed class ConnectionLostException : Exception
{
    public ConnectionLostException(string message, Exception? cause = null)
        : base(message, cause)
    {
    }
}
