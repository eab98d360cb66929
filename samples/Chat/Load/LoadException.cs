namespace Chat.Load;

/// <summary>The clients cannot get in; the message is the one line for the user.</summary>
internal sealed class LoadException : Exception
{
    public LoadException(string message)
        : base(message)
    {
    }
}
