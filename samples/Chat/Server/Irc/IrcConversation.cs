using Chat.Domain;
using Proto;

namespace Chat.Server.Irc;

/// <summary>One client's conversation: registration, commands, and the answers to them. It knows no connection.</summary>
/// <remarks>
/// What a room tells its members goes to the connection by <see cref="IrcAudience"/>, in order with the room's other events; all the
/// rest is collected in <see cref="Output"/>. Used in the connection's turns only.
/// </remarks>
internal sealed partial class IrcConversation
{
    private readonly ChatDomain _chat;
    private readonly IrcOptions _options;
    private readonly PID _self;
    private readonly string _address;
    private readonly IrcRequests _requests = new();

    // Until the client has its name.
    private string _nick = "";
    private string _password = "";
    private bool _hasUser;
    private bool _isNegotiating;

    private IrcCapabilities _capabilities;
    private Session? _session;

    public IrcConversation(ChatDomain chat, IrcOptions options, PID self, string address)
    {
        _chat = chat;
        _options = options;
        _self = self;
        _address = address;
    }

    /// <summary>What is to be sent.</summary>
    public IrcLines Output { get; private set; } = new();

    /// <summary>Why the connection is to be closed when the output is sent; null if it goes on.</summary>
    public string? Ending { get; private set; }

    /// <summary>The client has its name.</summary>
    public bool IsRegistered => _session?.Person is not null;

    /// <summary>The register looks whether the name is free: what the client sent behind it is not to be taken before the answer.</summary>
    public bool IsClaiming { get; private set; }

    private string Name => _session?.Person?.Name ?? "*";

    /// <summary>Takes the output; the next one is empty.</summary>
    public IrcLines TakeOutput()
    {
        IrcLines output = Output;
        Output = new IrcLines();
        return output;
    }

    /// <summary>Takes a line that the client sent.</summary>
    public void Take(string line)
    {
        if (IrcMessage.Parse(line) is not { } message)
        {
            return;
        }

        switch (message.Command)
        {
            case "CAP":
                Negotiate(message);
                break;
            case "PING" when message[0].Length == 0:
                Numeric(409, ":No origin specified");
                break;
            case "PING":
                Output.Add($":{_options.ServerName} PONG {_options.ServerName} :{message[0]}");
                break;
            case "PONG":
                break;
            case "QUIT":
                string reason = IrcText.Plain(message[0]);
                End(reason.Length > 0 ? $"Quit: {reason}" : "Quit", session => session.Quit(reason));
                break;
            case "ERROR":
                break;
            case "PASS" or "NICK" or "USER" when !IsRegistered:
                Register(message);
                break;
            case "PASS" or "USER":
                Numeric(462, ":You may not reregister");
                break;
            case var command when !IsRegistered:
                Numeric(451, $"{Word(command)} :You have not registered");
                break;
            default:
                Execute(message);
                break;
        }
    }

    /// <summary>Something that the client is to read, and that is no answer.</summary>
    public void Tell(string text) => Output.Add($":{_options.ServerName} NOTICE {Name} :{text}");

    /// <summary>Answers a line that is too long to be looked at.</summary>
    public void RefuseLine(string why) => Numeric(417, $":{why}");

    /// <summary>Ends the conversation: leaves everything, and says why.</summary>
    /// <param name="why">For the client, and for the log.</param>
    /// <param name="forOthers">For those who stay.</param>
    public void End(string why, string forOthers) => End(why, session => session.End(forOthers));

    /// <summary>The connection is over.</summary>
    public void Leave(string reason) => _session?.End(reason);

    private void End(string why, Action<Session> leave)
    {
        if (Ending is null)
        {
            Output.Add($"ERROR :Closing link: ({Name}) [{why}]");
            if (_session is not null)
            {
                leave(_session);
            }

            Ending = why;
        }
    }

    private void Register(IrcMessage message)
    {
        if (message[0].Length == 0)
        {
            Numeric(message.Command == "NICK" ? 431 : 461, message.Command == "NICK" ? ":No nickname given" : $"{message.Command} :Not enough parameters");
            return;
        }

        switch (message.Command)
        {
            case "PASS":
                _password = message[0];
                break;
            case "NICK":
                _nick = message[0];
                break;
            case "USER" when message.Parameters.Count < 4:
                Numeric(461, "USER :Not enough parameters");
                break;
            case "USER":
                _hasUser = true;
                break;
        }

        Claim();
    }

    private void Claim()
    {
        if (_nick.Length == 0 || !_hasUser || _isNegotiating || IsClaiming)
        {
            return;
        }

        _session ??= new Session(_chat, _self, IrcDoor.NameOf(_capabilities), _address);
        ulong id = _requests.Add(new IrcMessage("NICK", [_nick]), _nick);
        IsClaiming = true;
        if (_session.Claim(id, _nick, _password) is { } refused)
        {
            Refuse(refused);
        }
    }

    private void Negotiate(IrcMessage message)
    {
        string source = $":{_options.ServerName} CAP {Name}";
        switch (message[0].ToUpperInvariant())
        {
            case "LS":
                _isNegotiating |= !IsRegistered;
                Output.Add($"{source} LS :{IrcCapabilityNames.All}");
                break;
            case "LIST":
                Output.Add($"{source} LIST :{IrcCapabilityNames.Names(_capabilities)}");
                break;
            case "REQ":
                // By the capabilities the session is with those who get the same lines, for good.
                bool isLate = _session is not null;
                _isNegotiating |= !IsRegistered;
                if (!isLate && IrcCapabilityNames.Change(_capabilities, message[1]) is { } changed)
                {
                    _capabilities = changed;
                    Output.Add($"{source} ACK :{message[1]}");
                }
                else
                {
                    Output.Add($"{source} NAK :{message[1]}");
                }

                break;
            case "END":
                _isNegotiating = false;
                if (!IsRegistered)
                {
                    Claim();
                }

                break;
            case var command:
                Numeric(410, $"{Word(command)} :Invalid CAP command");
                break;
        }
    }

    private void Welcome()
    {
        IrcOptions options = _options;
        ChatOptions limits = _chat.Options;
        Numeric(1, $":Welcome to the {options.NetworkName} chat, {IrcLines.Source(Name)}");
        Numeric(2, $":Your host is {options.ServerName}, running {IrcOptions.Version}");
        Numeric(3, $":This server was started {IrcLines.Time(options.Started)}");
        Numeric(4, $"{options.ServerName} {IrcOptions.Version} io nqb");
        Numeric(5, $"CASEMAPPING=ascii CHANTYPES=# CHANMODES=bq,,,n PREFIX= NICKLEN={limits.MaxNameLength} "
            + $"CHANNELLEN={limits.MaxRoomNameLength + 1} TOPICLEN={MaxTopicBytes} NETWORK={options.NetworkName} "
            + ":are supported by this server");
        Numeric(5, $"CHANLIMIT=#:{limits.MaxRoomsPerSession} MODES=1 MAXTARGETS={MaxTargets} "
            + $"TARGMAX=JOIN:,PART:,PRIVMSG:{MaxTargets},NOTICE:{MaxTargets},KICK:1,WHOIS:1,NAMES:1,LIST: KICKLEN={MaxReasonBytes} "
            + $"AWAYLEN={MaxReasonBytes} CLIENTTAGDENY=* UTF8ONLY SAFELIST :are supported by this server");
        Users();
        MessageOfTheDay();
    }

    private void Users()
    {
        Numeric(251, $":There are {_chat.Figures.People} users and 0 invisible on 1 servers");
        Numeric(254, $"{_chat.Figures.Rooms} :channels formed");
        Numeric(255, $":I have {_chat.Figures.People} clients and 0 servers");
    }

    private void MessageOfTheDay()
    {
        if (_options.MessageOfTheDay.Length == 0)
        {
            Numeric(422, ":There is no message of the day");
            return;
        }

        Numeric(375, $":- {_options.ServerName} Message of the day -");
        foreach (string line in _options.MessageOfTheDay.Split('\n'))
        {
            Numeric(372, $":- {line}");
        }

        Numeric(376, ":End of /MOTD command");
    }

    /// <summary>An answer by number.</summary>
    private void Numeric(int number, string text) => Output.Add($":{_options.ServerName} {number:000} {Name} {text}");

    /// <summary>What a client sent, as a word in an answer: it must not look like several, or like the last parameter.</summary>
    private static string Word(string value)
    {
        string quoted = ChatRules.Quote(value).Replace(' ', '_').TrimStart(':');
        return quoted.Length == 0 ? "*" : quoted;
    }
}
