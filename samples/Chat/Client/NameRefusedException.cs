namespace Chat.Client;

/// <summary>The server did not give the name; the message is the one line for the user.</summary>
internal sealed class NameRefusedException : Exception
{
    public NameRefusedException(string message)
        : base(message)
    {
    }
}
