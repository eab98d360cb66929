namespace Chat.Client;

/// <summary>The server did not give the name; the message is the one line for the user.</summary>
internal sealed class NameRefusedException : Exception
{
    public NameRefusedException(string message, bool mayPass)
        : base(message) => MayPass = mayPass;

    /// <summary>Somebody has the name; after a lost connection that may be the own dead one, for a while.</summary>
    public bool MayPass { get; }
}
