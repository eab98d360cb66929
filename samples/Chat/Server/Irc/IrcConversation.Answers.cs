using System.Globalization;
using Chat.Domain;

namespace Chat.Server.Irc;

/// <summary>What the domain answers to this client alone.</summary>
internal sealed partial class IrcConversation
{
    /// <summary>Takes a message from the domain.</summary>
    public void Take(object message)
    {
        if (_session is null)
        {
            return;
        }

        _session.Observe(message);
        switch (message)
        {
            case NameClaimed when IsRegistered:
                IsClaiming = false;
                Welcome();
                break;
            case NameChanged changed:
                Output.Add($":{IrcLines.Source(changed.OldName)} NICK {changed.Person.Name}");
                break;
            case Refused refused:
                Refuse(refused);
                break;
            case PrivateMessage text:
                AddPrivate(text.From, Name, text.Kind, text.Text, text.Time, text.Id);
                break;
            case PrivateSent sent:
                Answer(sent);
                break;
            case Invited invited:
                Output.Add($":{IrcLines.Source(invited.By)} INVITE {Name} {IrcLines.Channel(invited.Room)}");
                break;
            case RoomEvent roomEvent:
                // About a room that it is not in.
                Append(new IrcRoomEvents(_options.ServerName, _capabilities).For(Name, roomEvent));
                break;
            case RoomList list:
                Answer(list);
                break;
            case RoomRestrictions restrictions:
                Answer(restrictions);
                break;
            case PersonFound found:
                Answer(found);
                break;
            case NamesFound found:
                Numeric(303, $":{string.Join(' ', found.Names)}");
                break;
            case PeopleListed listed:
                foreach (PersonDetails person in listed.People)
                {
                    AddWho(person);
                }

                Numeric(315, "* :End of /WHO list");
                break;
            case OperatorGranted:
                Numeric(381, ":You are now an IRC operator");
                Output.Add($":{IrcLines.Source(Name)} MODE {Name} :+o");
                break;
            case Done done:
                Confirm(done);
                break;
        }
    }

    private void AddPrivate(string from, string to, MessageKind kind, string text, DateTimeOffset time, string id)
        => Output.AddText(from, to, kind, text, IrcLines.Tags(_capabilities, time, id), IrcLines.Tags(_capabilities, time, ""));

    private void Append(IrcLines lines)
    {
        if (!lines.IsEmpty)
        {
            Output.AddAll(lines);
        }
    }

    private void Answer(PrivateSent sent)
    {
        if (_requests.Find(sent.RequestId) is not { } asked)
        {
            return;
        }

        // A notice brings no answer, lest two programs talk for ever.
        bool isNotice = asked.Message.Command == "NOTICE";
        if (sent.Away is { } away && !isNotice)
        {
            Numeric(301, $"{sent.To} :{away}");
        }

        if (_capabilities.HasFlag(IrcCapabilities.EchoMessage) && IrcText.Read(asked.Message[1], isNotice) is { } said)
        {
            AddPrivate(Name, sent.To, said.Kind, said.Text, sent.Time, sent.Id);
        }
    }

    private void Answer(RoomList list)
    {
        Numeric(321, "Channel :Users  Name");
        foreach (RoomSummary room in list.Rooms)
        {
            Numeric(322, $"{IrcLines.Channel(room.Room)} {room.Members} :{room.Topic}");
        }

        if (list.Rooms.Count < list.Total)
        {
            Tell($"There are {list.Total} channels, of which the {list.Rooms.Count} fullest are listed; LIST with its name tells of any");
        }

        Numeric(323, ":End of /LIST");
    }

    private void Answer(RoomRestrictions restrictions)
    {
        bool isMutes = _requests.Find(restrictions.RequestId)?.Message[1].EndsWith('q') == true;
        string channel = IrcLines.Channel(restrictions.Room);
        foreach (string target in isMutes ? restrictions.Muted : restrictions.Banned)
        {
            string mask = IrcLines.Mask(target);
            Numeric(isMutes ? 728 : 367, isMutes ? $"{channel} q {mask}" : $"{channel} {mask}");
        }

        Numeric(isMutes ? 729 : 368, isMutes ? $"{channel} q :End of channel mute list" : $"{channel} :End of channel ban list");
    }

    private void Answer(PersonFound found)
    {
        PersonDetails person = found.Details;
        switch (IrcRequests.QuestionOf(found.RequestId))
        {
            case IrcQuestion.Who:
                AddWho(person);
                Numeric(315, $"{person.Name} :End of /WHO list");
                break;
            case IrcQuestion.OthersMode:
                Numeric(502, ":Cannot change the mode of other users");
                break;
            case IrcQuestion.UserHost:
                Numeric(302, $":{person.Name}{(person.IsOperator ? "*" : "")}={(person.Away is null ? '+' : '-')}{person.Name}@chat");
                break;
            default:
                AddWhoIs(person);
                break;
        }
    }

    private void AddWho(PersonDetails person)
    {
        string flags = (person.Away is null ? "H" : "G") + (person.IsOperator ? "*" : "");
        Numeric(352, $"* {person.Name} {(person.Address.Length > 0 ? person.Address : "chat")} {_options.ServerName} {person.Name} {flags} :0 {person.Name}");
    }

    private void AddWhoIs(PersonDetails person)
    {
        string name = person.Name;
        Numeric(311, $"{name} {name} chat * :{name}");
        Output.AddWords($":{_options.ServerName} 319 {Name} {name} :", person.Rooms.Select(IrcLines.Channel));
        Numeric(312, $"{name} {_options.ServerName} :{_options.NetworkName}, by the door '{person.Door.Split('/')[0]}'");
        if (person.Away is { } away)
        {
            Numeric(301, $"{name} :{away}");
        }

        if (person.IsOperator)
        {
            Numeric(313, $"{name} :is an IRC operator");
        }

        if (person.IsRegistered)
        {
            Numeric(307, $"{name} :has identified for this nickname");
        }

        if (person.Address.Length > 0)
        {
            Numeric(378, $"{name} :is connecting from {person.Address}");
        }

        string since = person.Since.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        string idle = ((long)person.Idle.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        Numeric(317, $"{name} {idle} {since} :seconds idle, signon time");
        Numeric(318, $"{name} :End of /WHOIS list");
    }

    private void Confirm(Done done)
    {
        if (_requests.Find(done.RequestId) is not { } asked)
        {
            return;
        }

        switch (asked.Message.Command)
        {
            case "AWAY":
                bool isAway = asked.Target.Length > 0;
                Numeric(isAway ? 306 : 305, isAway ? ":You have been marked as being away" : ":You are no longer marked as being away");
                break;
            case "INVITE":
                Numeric(341, $"{asked.Message[0]} {asked.Message[1]}");
                break;
            case "MODE":
                Output.Add($":{IrcLines.Source(Name)} MODE {asked.Target} {asked.Message[1]} {asked.Message[2]}");
                break;
            case "PRIVMSG" or "NOTICE":
                Service("Your nickname is registered now: only those who know the password can have it.");
                break;
        }
    }

    /// <summary>What was refused, by the command's own number for that.</summary>
    private void Refuse(Refused refused)
    {
        if (_requests.Find(refused.RequestId) is not { } asked)
        {
            Tell(refused.Text);
            return;
        }

        string command = asked.Message.Command;
        if (command == "NICK")
        {
            IsClaiming = false;
            _nick = IsRegistered ? _nick : "";
        }

        // Programs answer notices with nothing, and so does the server.
        if (command != "NOTICE")
        {
            RefuseCommand(refused, command, asked.Message, asked.Target.Length > 0 ? Word(asked.Target) : "*");
        }
    }

    private void RefuseCommand(Refused refused, string command, IrcMessage message, string target)
    {
        IrcQuestion question = IrcRequests.QuestionOf(refused.RequestId);
        switch (refused.Reason)
        {
            case RefusalReason.InvalidName when command is "MODE":
                string why = $"{refused.Text}; a mask stands for a nickname or an address here";
                Numeric(696, $"{target} {message[1].TrimStart('+')} {Word(message[2])} :{why}");
                break;
            case RefusalReason.InvalidName:
                Numeric(432, $"{target} :{refused.Text}");
                break;
            case RefusalReason.NameTaken or RefusalReason.PasswordRequired:
                Numeric(433, $"{target} :{refused.Text}");
                break;
            case RefusalReason.WrongPassword when command is "NICK":
                Numeric(464, $":{refused.Text}");
                Numeric(433, $"{target} :{refused.Text}");
                break;
            case RefusalReason.WrongPassword when command is "OPER":
                Numeric(464, $":{refused.Text}");
                break;
            case RefusalReason.InvalidRoom:
                Numeric(403, $"{target} :{refused.Text}");
                break;
            case RefusalReason.NoSuchRoom when question is IrcQuestion.Who:
                Numeric(315, $"{target} :End of /WHO list");
                break;
            case RefusalReason.NoSuchRoom when question is IrcQuestion.Names:
                Numeric(366, $"{target} :End of /NAMES list");
                break;
            case RefusalReason.NoSuchRoom:
                Numeric(403, $"{target} :No such channel");
                break;
            case RefusalReason.NotInRoom when command is "PRIVMSG":
                Numeric(404, $"{target} :{refused.Text}");
                break;
            case RefusalReason.NotInRoom:
                Numeric(442, $"{target} :{refused.Text}");
                break;
            case RefusalReason.AlreadyInRoom when command is "INVITE":
                Numeric(443, $"{Word(message[0])} {target} :{refused.Text}");
                break;
            case RefusalReason.AlreadyInRoom:
                // Clients join again after a reconnect, and expect no answer.
                break;
            case RefusalReason.NoSuchPerson when command is "KICK":
                Numeric(441, $"{Word(message[1])} {target} :They are not on that channel");
                break;
            case RefusalReason.NoSuchPerson when question is IrcQuestion.Who:
                Numeric(315, $"{target} :End of /WHO list");
                break;
            case RefusalReason.NoSuchPerson when question is IrcQuestion.UserHost:
                Numeric(302, ":");
                break;
            case RefusalReason.NoSuchPerson:
                Numeric(401, $"{(command == "INVITE" ? Word(message[0]) : target)} :No such nick/channel");
                if (question is IrcQuestion.WhoIs)
                {
                    Numeric(318, $"{target} :End of /WHOIS list");
                }

                break;
            case RefusalReason.TooManyRooms:
                Numeric(405, $"{target} :{refused.Text}");
                break;
            case RefusalReason.Full:
                Numeric(471, $"{target} :{refused.Text}");
                break;
            case RefusalReason.Banned:
                Numeric(474, $"{target} :{refused.Text}");
                break;
            case RefusalReason.Muted or RefusalReason.InvalidText:
                Numeric(404, $"{target} :{refused.Text}");
                break;
            case RefusalReason.OperatorsOnly when command is "WHO":
                Numeric(315, $"{target} :End of /WHO list");
                break;
            case RefusalReason.OperatorsOnly when command is "MODE" && message[2].Length == 0:
                // Whom a room keeps out is not for everybody's eyes; clients ask for it whenever they join.
                Numeric(message[1].EndsWith('q') ? 729 : 368, $"{target} {(message[1].EndsWith('q') ? "q " : "")}:End of channel list");
                break;
            case RefusalReason.OperatorsOnly when target.StartsWith('#'):
                Numeric(482, $"{target} :{refused.Text}");
                break;
            case RefusalReason.OperatorsOnly:
                Numeric(481, $":{refused.Text}");
                break;
            case RefusalReason.TooFast or RefusalReason.Busy or RefusalReason.Unavailable:
                Numeric(263, $"{command} :{refused.Text}");
                break;
            default:
                Tell(refused.Text);
                break;
        }
    }
}
