using System.Text;
using Chat.Domain;

namespace Chat.Server.Irc;

/// <summary>The commands of those who have their name.</summary>
internal sealed partial class IrcConversation
{
    private const int MaxTargets = 4;

    /// <summary>Bytes of a reason or topic that surely fit into a line. What is longer is cut, as clients expect it.</summary>
    private const int MaxReasonBytes = 300;

    /// <summary>Who is spoken to about one's own account, as in other networks.</summary>
    private const string NickServ = ChatRules.NameService;

    // How many parameters a command needs at least.
    private static readonly Dictionary<string, int> Needed = new()
    {
        ["JOIN"] = 1,
        ["PART"] = 1,
        ["TOPIC"] = 1,
        ["INVITE"] = 2,
        ["KICK"] = 2,
        ["MODE"] = 1,
        ["OPER"] = 2,
        ["KILL"] = 1,
        ["USERHOST"] = 1,
        ["ISON"] = 1,
    };

    private Session Session => _session!;

    private int MaxTopicBytes => Math.Min(MaxReasonBytes, _chat.Options.MaxTopicBytes);

    private void Execute(IrcMessage message)
    {
        if (Needed.TryGetValue(message.Command, out int needed)
            && (message.Parameters.Count < needed || message.Parameters.Take(needed).Any(static parameter => parameter.Length == 0)))
        {
            NotEnough(message);
            return;
        }

        switch (message.Command)
        {
            case "NICK":
                Rename(message);
                break;
            case "JOIN" or "PART" when Targets(message).Length == 0:
                NotEnough(message);
                break;
            case "JOIN" when message[0] == "0":
                // From times when that was how to leave everywhere.
                foreach (string room in Session.Rooms.ToArray())
                {
                    Ask(message, IrcLines.Channel(room), id => Session.Leave(id, room));
                }

                break;
            case "JOIN":
                foreach (string channel in Targets(message))
                {
                    InRoom(message, channel, (id, room) => Session.Join(id, room, new Replay(_options.HistoryOnJoin)));
                }

                break;
            case "PART":
                foreach (string channel in Targets(message))
                {
                    InRoom(message, channel, (id, room) => Session.Leave(id, room, IrcText.Plain(message[1])));
                }

                break;
            case "PRIVMSG" or "NOTICE":
                Speak(message);
                break;
            case "TOPIC" when message.Parameters.Count == 1:
                InRoom(message, message[0], Session.Who, IrcQuestion.Topic);
                break;
            case "TOPIC":
                InRoom(message, message[0], (id, room) => Session.SetTopic(id, room, IrcText.Plain(message[1], MaxTopicBytes)));
                break;
            case "NAMES" when message[0].StartsWith('#'):
                InRoom(message, message[0].Split(',')[0], Session.Who, IrcQuestion.Names);
                break;
            case "NAMES":
                Numeric(366, $"{Word(message[0])} :End of /NAMES list");
                break;
            case "LIST":
                string[] listed = Targets(message);
                Ask(message, message[0], id => Session.ListRooms(
                    id, listed.Length == 0 ? null : listed.Where(static channel => channel.StartsWith('#')).Select(static channel => channel[1..])));
                break;
            case "WHO":
                Who(message);
                break;
            case "WHOIS":
                // With two parameters the first is a server.
                string whom = message.Parameters.Count > 1 ? message[1] : message[0];
                if (whom.Length == 0)
                {
                    Numeric(431, ":No nickname given");
                    break;
                }

                Ask(message, whom, id => Session.WhoIs(id, whom), IrcQuestion.WhoIs);
                break;
            case "WHOWAS" when message[0].Length == 0:
                Numeric(431, ":No nickname given");
                break;
            case "WHOWAS":
                Numeric(406, $"{Word(message[0])} :There was no such nickname");
                Numeric(369, $"{Word(message[0])} :End of WHOWAS");
                break;
            case "USERHOST":
                foreach (string name in message.Parameters.SelectMany(static parameter => parameter.Split(' ')).Take(5))
                {
                    Ask(message, name, id => Session.WhoIs(id, name), IrcQuestion.UserHost);
                }

                break;
            case "ISON":
                string[] names = [.. message.Parameters.SelectMany(static parameter => parameter.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
                Ask(message, message[0], id => Session.FindNames(id, names));
                break;
            case "AWAY":
                string text = IrcText.Plain(message[0], MaxReasonBytes);
                Ask(message, text, id => Session.SetAway(id, text.Length == 0 ? null : text));
                break;
            case "INVITE":
                InRoom(message, message[1], (id, room) => Session.Invite(id, room, message[0]));
                break;
            case "KICK":
                InRoom(message, message[0], (id, room) =>
                    Session.Moderate(id, room, ModerationAction.Kick, message[1], IrcText.Plain(message[2], MaxReasonBytes)));
                break;
            case "MODE":
                Mode(message);
                break;
            case "OPER":
                Ask(message, message[0], id => Session.BecomeOperator(id, message[0], message[1]));
                break;
            case "KILL":
                Ask(message, message[0], id => Session.Kill(id, message[0], IrcText.Plain(message[1])));
                break;
            case "DIE":
                Ask(message, "", Session.Drain);
                break;
            case "TAGMSG" when _capabilities.HasFlag(IrcCapabilities.MessageTags):
                // Nothing but tags, none of which is passed on (CLIENTTAGDENY).
                break;
            case "MOTD":
                MessageOfTheDay();
                break;
            case "LUSERS":
                Users();
                break;
            case "VERSION":
                Numeric(351, $"{IrcOptions.Version} {_options.ServerName} :");
                break;
            case "TIME":
                Numeric(391, $"{_options.ServerName} :{IrcLines.Time(TimeProvider.System.GetUtcNow())}");
                break;
            default:
                Numeric(421, $"{Word(message.Command)} :Unknown command");
                break;
        }
    }

    private void Rename(IrcMessage message)
    {
        if (message[0].Length == 0)
        {
            Numeric(431, ":No nickname given");
        }
        else if (message[0] != Name)
        {
            Ask(message, message[0], id => Session.ChangeName(id, message[0]));
        }
    }

    private void Speak(IrcMessage message)
    {
        bool isNotice = message.Command == "NOTICE";
        string[] targets = Targets(message);
        if (targets.Length == 0 && !isNotice)
        {
            Numeric(411, $":No recipient given ({message.Command})");
        }
        else if (message[1].Length == 0 && !isNotice)
        {
            Numeric(412, ":No text to send");
        }
        else if (targets.Length > MaxTargets && !isNotice)
        {
            Numeric(407, $"{Word(targets[MaxTargets])} :Too many targets; the limit is {MaxTargets}");
        }
        else if (IrcText.Read(message[1], isNotice) is { } said)
        {
            foreach (string target in targets.Take(MaxTargets))
            {
                SpeakTo(message, target, said.Text, said.Kind);
            }
        }
        else if (!isNotice)
        {
            Numeric(404, $"{Word(targets[0])} :CTCP requests are not passed on");
        }
    }

    private void SpeakTo(IrcMessage message, string target, string text, MessageKind kind)
    {
        if (target.StartsWith('#'))
        {
            InRoom(message, target, (id, room) => Session.Say(id, room, text, kind));
        }
        else if (target.Equals(NickServ, StringComparison.OrdinalIgnoreCase))
        {
            Account(message, text);
        }
        else
        {
            Ask(message, target, id => Session.SendPrivate(id, target, text, kind));
        }
    }

    private static string[] Targets(IrcMessage message) => message[0].Split(',', StringSplitOptions.RemoveEmptyEntries);

    private void Account(IrcMessage message, string text)
    {
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        switch (words.Length > 0 ? words[0].ToUpperInvariant() : "")
        {
            case "REGISTER" when words.Length >= 2:
                Ask(message, NickServ, id => Session.Register(id, words[1]));
                break;
            case "IDENTIFY" when words.Length == 3:
                Ask(message, NickServ, id => Session.ChangeName(id, words[1], words[2]));
                break;
            default:
                Service("REGISTER <password> keeps your nickname for you; IDENTIFY <nickname> <password> gives you a registered one. "
                    + "To come in with it, give its password as the server's (PASS).");
                break;
        }
    }

    /// <summary>What NickServ says.</summary>
    private void Service(string text) => Output.Add($":{NickServ}!{NickServ}@{_options.ServerName} NOTICE {Name} :{text}");

    private void Who(IrcMessage message)
    {
        string mask = message[0];
        if (mask.StartsWith('#'))
        {
            InRoom(message, mask, Session.Who, IrcQuestion.Who);
        }
        else if (mask.Length == 0 || mask.Contains('*', StringComparison.Ordinal))
        {
            // Everybody is for operators.
            Ask(message, mask, Session.ListPeople, IrcQuestion.Who);
        }
        else
        {
            Ask(message, mask, id => Session.WhoIs(id, mask), IrcQuestion.Who);
        }
    }

    private void Mode(IrcMessage message)
    {
        string target = message[0];
        if (!target.StartsWith('#'))
        {
            OwnMode(message, target);
            return;
        }

        string change = message[1];
        string mask = message[2];
        if (change.Length == 0)
        {
            InRoom(message, target, Session.Who, IrcQuestion.Mode);
        }
        else if (mask.Length == 0 && change.TrimStart('+') is "b" or "q")
        {
            InRoom(message, target, Session.ListRestrictions);
        }
        else if (mask.Length == 0 && Action(change) is not null)
        {
            NotEnough(message);
        }
        else if (Action(change) is { } action)
        {
            InRoom(message, target, (id, room) => Session.Moderate(id, room, action, IrcText.Target(mask), ""));
        }
        else
        {
            string unknown = change.TrimStart('+', '-');
            Numeric(472, $"{Word(unknown.Length > 0 ? unknown[..1] : change)} :is not a mode that can be changed here; b and q are, one at a time");
        }
    }

    private static ModerationAction? Action(string change) => change switch
    {
        "+b" or "b" => ModerationAction.Ban,
        "-b" => ModerationAction.Unban,
        "+q" or "q" => ModerationAction.Mute,
        "-q" => ModerationAction.Unmute,
        _ => null,
    };

    private void OwnMode(IrcMessage message, string target)
    {
        if (!target.Equals(Name, StringComparison.OrdinalIgnoreCase))
        {
            // Nobody's but one's own; whose it is must be found to tell one who is here from one who is not.
            Ask(message, target, id => Session.WhoIs(id, target), IrcQuestion.OthersMode);
        }
        else if (message[1].Length == 0)
        {
            Numeric(221, Session.Person!.IsOperator ? "+o" : "+");
        }
        else if (message[1].Trim('+', '-', 'i', 'w').Length > 0)
        {
            Numeric(501, ":Unknown mode flag");
        }
        else
        {
            // Everybody is as good as invisible here: only those who know a name, or are in the same room, find it.
            Output.Add($":{IrcLines.Source(Name)} MODE {Name} :{message[1]}");
        }
    }

    private void NotEnough(IrcMessage message) => Numeric(461, $"{message.Command} :Not enough parameters");

    /// <summary>Asks about a channel, by the domain's name of it.</summary>
    private void InRoom(IrcMessage message, string channel, Func<ulong, string, Refused?> ask, IrcQuestion question = IrcQuestion.Other)
    {
        if (channel.StartsWith('#'))
        {
            Ask(message, channel, id => ask(id, channel[1..]), question);
        }
        else
        {
            Numeric(403, $"{Word(channel)} :No such channel");
        }
    }

    private void Ask(IrcMessage message, string target, Func<ulong, Refused?> ask, IrcQuestion question = IrcQuestion.Other)
    {
        if (ask(_requests.Add(message, target, question)) is { } refused)
        {
            Refuse(refused);
        }
    }
}

/// <summary>Texts as IRC clients write them.</summary>
internal static class IrcText
{
    private const char Control = '\u0001';
    private const string ActionStart = "\u0001ACTION ";

    /// <summary>What was said and how it is meant; null for a request from program to program.</summary>
    public static (string Text, MessageKind Kind)? Read(string text, bool isNotice)
    {
        if (text.StartsWith(ActionStart, StringComparison.Ordinal) && !isNotice)
        {
            return (Plain(text[ActionStart.Length..]), MessageKind.Action);
        }

        return text.StartsWith(Control) ? null : (Plain(text), isNotice ? MessageKind.Notice : MessageKind.Text);
    }

    /// <summary>The text without colours and the like, and as much of it as fits.</summary>
    public static string Plain(string text, int maxBytes)
    {
        string plain = Plain(text);
        return plain[..IrcLines.Fitting(plain, maxBytes)];
    }

    /// <summary>The text without colours and the like.</summary>
    public static string Plain(string text)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }

        var plain = new StringBuilder(text.Length);
        for (int at = 0; at < text.Length; at++)
        {
            if (text[at] == '\u0003')
            {
                at = AfterColour(text, at + 1) - 1;
            }
            else if (text[at] == '\t')
            {
                plain.Append(' ');
            }
            else if (!char.IsControl(text[at]))
            {
                plain.Append(text[at]);
            }
        }

        return plain.ToString();
    }

    /// <summary>
    /// Whom a ban's mask means: a nickname, which is everybody's user name as well, or an address. Empty if it means everybody: clients
    /// make masks of the host that they are shown, which is the same for all.
    /// </summary>
    public static string Target(string mask)
    {
        int at = mask.IndexOf('@', StringComparison.Ordinal);
        string host = at < 0 ? "*" : mask[(at + 1)..];
        string[] names = (at < 0 ? mask : mask[..at]).Split('!', 2);
        string nick = at >= 0 && names.Length == 1 ? "*" : names[0];
        string user = names[^1].TrimStart('*', '~');
        return nick.Trim('*').Length > 0 ? nick
            : user.Length > 0 ? user
            : host is "*" or IrcLines.Host ? ""
            : host;
    }

    /// <summary>Up to two digits, and after a comma up to two more.</summary>
    private static int AfterColour(string text, int at)
    {
        int end = Digits(text, at);
        if (end > at && end + 1 < text.Length && text[end] == ',' && char.IsAsciiDigit(text[end + 1]))
        {
            end = Digits(text, end + 1);
        }

        return end;
    }

    private static int Digits(string text, int at)
    {
        int end = at;
        while (end < text.Length && end < at + 2 && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        return end;
    }
}
