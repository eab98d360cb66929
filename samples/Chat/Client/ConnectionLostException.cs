namespace Chat.Client;

/// <summary>The conversation cannot go on; the message is the one line for the user.</summary>
internal sealed class ConnectionLostException : Exception
{
    public ConnectionLostException(string message, Exception? cause = null, bool mayReturn = false)
        : base(message, cause) => MayReturn = mayReturn;

    /// <summary>Another attempt may succeed: nobody ended the conversation on purpose.</summary>
    public bool MayReturn { get; }
}
