namespace Chat.Server.Irc;

/// <summary>What a question to the domain is to be answered as: several commands ask the same.</summary>
internal enum IrcQuestion
{
    Names,
    Who,
    Topic,
    Mode,
    WhoIs,
    UserHost,
    OthersMode,
    Other,
}

/// <summary>What a client asked the domain and may yet be refused, by the ids of the requests.</summary>
/// <remarks>
/// IRC knows no such ids, but a refusal must name the command's own words. Most answers go by a room and not by here, so there is no
/// end to wait for: the last ones are remembered. The question is in the id, for those who see nothing else.
/// </remarks>
internal sealed class IrcRequests
{
    private const int Remembered = 256;
    private const int QuestionBits = 4;

    private readonly (ulong Id, IrcMessage Message, string Target)[] _last = new (ulong, IrcMessage, string)[Remembered];
    private ulong _count;

    /// <summary>The question that an id was made for.</summary>
    public static IrcQuestion QuestionOf(ulong id) => (IrcQuestion)(id & ((1 << QuestionBits) - 1));

    /// <summary>An id for a request.</summary>
    /// <param name="message">The command that makes it.</param>
    /// <param name="target">The channel or name that it is about, as the client wrote it; empty for none.</param>
    /// <param name="question">What it is to be answered as.</param>
    public ulong Add(IrcMessage message, string target = "", IrcQuestion question = IrcQuestion.Other)
    {
        ulong id = (++_count << QuestionBits) | (uint)question;
        _last[_count % Remembered] = (id, message, target);
        return id;
    }

    /// <summary>The command and target of an id; null if that was long ago.</summary>
    public (IrcMessage Message, string Target)? Find(ulong id)
    {
        (ulong found, IrcMessage message, string target) = _last[(id >> QuestionBits) % Remembered];
        return found == id ? (message, target) : null;
    }
}
