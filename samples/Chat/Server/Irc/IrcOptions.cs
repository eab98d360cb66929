namespace Chat.Server.Irc;

/// <summary>What the server says of itself to IRC clients.</summary>
/// <param name="ServerName">The source of what the server says; a word.</param>
/// <param name="NetworkName">What the chat is called; a word.</param>
/// <param name="MessageOfTheDay">What people read first, in lines; empty for nothing.</param>
/// <param name="HistoryOnJoin">How many of a room's last messages those who come are told.</param>
/// <param name="Started">When.</param>
internal sealed record IrcOptions(string ServerName, string NetworkName, string MessageOfTheDay, int HistoryOnJoin, DateTimeOffset Started)
{
    /// <summary>The program and its version; a word.</summary>
    public const string Version = "netpoll-chat-0.1";
}
