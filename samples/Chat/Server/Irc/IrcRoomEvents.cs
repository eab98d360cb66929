using System.Diagnostics;
using System.Globalization;
using Chat.Domain;

namespace Chat.Server.Irc;

/// <summary>From the domain to lines: what a room tells those who understand the same.</summary>
internal sealed class IrcRoomEvents
{
    private readonly string _server;
    private readonly IrcCapabilities _capabilities;

    public IrcRoomEvents(string server, IrcCapabilities capabilities)
    {
        _server = server;
        _capabilities = capabilities;
    }

    /// <summary>An event as everybody gets it.</summary>
    public IrcLines ForAll(RoomEvent roomEvent)
    {
        var lines = new IrcLines();
        string channel = IrcLines.Channel(roomEvent.Room);
        switch (roomEvent)
        {
            case RoomMessage message:
                AddMessage(lines, message);
                break;
            case Presence presence:
                AddPresence(lines, channel, presence);
                break;
            case Renamed renamed:
                lines.Add($":{IrcLines.Source(renamed.OldName)} NICK {renamed.NewName}");
                break;
            case TopicChanged changed:
                lines.Add($":{IrcLines.Source(changed.Topic.By)} TOPIC {channel} :{changed.Topic.Text}");
                break;
            case RestrictionChanged changed:
                lines.Add($":{IrcLines.Source(changed.By)} MODE {channel} {Mode(changed.Action)} {IrcLines.Mask(changed.Target)}");
                break;
        }

        return lines;
    }

    /// <summary>An answer or event as one of the members gets it.</summary>
    public IrcLines For(string name, RoomEvent roomEvent)
    {
        var lines = new IrcLines();
        string channel = IrcLines.Channel(roomEvent.Room);
        switch (roomEvent)
        {
            case Joined joined:
                lines.Add($":{IrcLines.Source(name)} JOIN {channel}");
                if (joined.Topic is { } topic)
                {
                    AddTopic(lines, name, channel, topic);
                }

                AddNames(lines, name, channel, joined.Members);
                AddReplay(lines, joined);
                break;
            case Left left:
                lines.Add($":{IrcLines.Source(name)} PART {channel}{Trailing(left.Reason)}");
                break;
            case Kicked kicked:
                lines.Add(Kick(channel, kicked.By, name, kicked.Reason));
                break;
            case RoomClosed closed:
                lines.Add($":{_server} KICK {channel} {name} :{closed.Reason}");
                break;
            case Said said when _capabilities.HasFlag(IrcCapabilities.EchoMessage) && !said.IsRepetition:
                AddMessage(lines, said.Message);
                break;
            case RoomMembers members:
                AddMembers(lines, name, channel, members);
                break;
            case TopicChanged:
                return ForAll(roomEvent);
        }

        return lines;
    }

    private void AddMembers(IrcLines lines, string name, string channel, RoomMembers members)
    {
        switch (IrcRequests.QuestionOf(members.RequestId))
        {
            case IrcQuestion.Who:
                var away = members.Away.ToHashSet();
                var operators = members.Operators.ToHashSet();
                foreach (string member in members.Members)
                {
                    string flags = (away.Contains(member) ? "G" : "H") + (operators.Contains(member) ? "*" : "");
                    lines.Add($":{_server} 352 {name} {channel} {member} chat {_server} {member} {flags} :0 {member}");
                }

                lines.Add($":{_server} 315 {name} {channel} :End of /WHO list");
                break;
            case IrcQuestion.Mode:
                lines.Add($":{_server} 324 {name} {channel} +n");
                break;
            case IrcQuestion.Topic when members.Topic is { } topic:
                AddTopic(lines, name, channel, topic);
                break;
            case IrcQuestion.Topic:
                lines.Add($":{_server} 331 {name} {channel} :No topic is set");
                break;
            default:
                AddNames(lines, name, channel, members.Members);
                break;
        }
    }

    private void AddTopic(IrcLines lines, string name, string channel, Topic topic)
    {
        lines.Add($":{_server} 332 {name} {channel} :{topic.Text}");
        string time = topic.Time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        lines.Add($":{_server} 333 {name} {channel} {topic.By} {time}");
    }

    private void AddNames(IrcLines lines, string name, string channel, IReadOnlyList<string> members)
    {
        lines.AddWords($":{_server} 353 {name} = {channel} :", members);
        lines.Add($":{_server} 366 {name} {channel} :End of /NAMES list");
    }

    /// <summary>There is no gap to tell of: IRC clients cannot say what they have seen, and get the last messages, whatever was before.</summary>
    private void AddReplay(IrcLines lines, Joined joined)
    {
        foreach (RoomMessage message in joined.Replay)
        {
            // A client that knows no times would show it as said now.
            bool withTime = _capabilities.HasFlag(IrcCapabilities.ServerTime);
            string text = withTime ? message.Text : $"[{message.Time.UtcDateTime.ToString("HH:mm", CultureInfo.InvariantCulture)}] {message.Text}";
            AddMessage(lines, message with { Text = text });
        }
    }

    private void AddMessage(IrcLines lines, RoomMessage message)
    {
        lines.AddText(
            message.From,
            IrcLines.Channel(message.Room),
            message.Kind,
            message.Text,
            IrcLines.Tags(_capabilities, message.Time, $"{message.Room}-{message.Sequence}"),
            IrcLines.Tags(_capabilities, message.Time, ""));
    }

    /// <summary>Not who is away: rooms do not know why, and the capability away-notify, which is not offered, promises that.</summary>
    private static void AddPresence(IrcLines lines, string channel, Presence presence)
    {
        foreach (Departure departure in presence.Departed)
        {
            string reason = Trailing(departure.Reason);
            lines.Add(departure switch
            {
                { KickedBy: { } by } => Kick(channel, by, departure.Name, departure.Reason),
                { Exit.IsOwnWish: true } => $":{IrcLines.Source(departure.Name)} QUIT :{IrcLines.OwnWish(departure.Reason)}",
                { Exit: not null } => $":{IrcLines.Source(departure.Name)} QUIT{reason}",
                _ => $":{IrcLines.Source(departure.Name)} PART {channel}{reason}",
            });
        }

        foreach (string name in presence.Arrived)
        {
            lines.Add($":{IrcLines.Source(name)} JOIN {channel}");
        }
    }

    private static string Mode(ModerationAction action) => action switch
    {
        ModerationAction.Ban => "+b",
        ModerationAction.Unban => "-b",
        ModerationAction.Mute => "+q",
        ModerationAction.Unmute => "-q",
        _ => throw new UnreachableException($"No mode is changed by {action}."),
    };

    private static string Trailing(string? reason) => reason is null ? "" : $" :{reason}";

    /// <summary>For those who gave no reason their name stands, as in other servers.</summary>
    private static string Kick(string channel, string by, string name, string? reason)
        => $":{IrcLines.Source(by)} KICK {channel} {name} :{(string.IsNullOrEmpty(reason) ? by : reason)}";
}
