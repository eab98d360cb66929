namespace Chat.Domain;

/// <summary>Who came, went, went away or came back since the members were last told. Each name at most once.</summary>
internal sealed class PresenceBatch
{
    private readonly HashSet<string> _names = [];
    private readonly List<string> _arrived = [];
    private readonly List<Departure> _departed = [];
    private readonly List<string> _away = [];
    private readonly List<string> _back = [];

    public bool IsEmpty => _names.Count == 0;

    /// <summary>Whether something is still to be told about the name: before more is said of it, the batch must go out.</summary>
    public bool Names(string name) => _names.Contains(name);

    public void Arrive(string name, bool isAway)
    {
        _names.Add(name);
        _arrived.Add(name);
        if (isAway)
        {
            _away.Add(name);
        }
    }

    public void Depart(Departure departure)
    {
        _names.Add(departure.Name);
        _departed.Add(departure);
    }

    public void ChangeAway(string name, bool isAway)
    {
        _names.Add(name);
        (isAway ? _away : _back).Add(name);
    }

    /// <summary>The event for all of it; the batch is empty again.</summary>
    public Presence Take(string room, long sequence)
    {
        var presence = new Presence(room, sequence, [.. _arrived], [.. _departed]) { Away = [.. _away], Back = [.. _back] };
        _names.Clear();
        _arrived.Clear();
        _departed.Clear();
        _away.Clear();
        _back.Clear();
        return presence;
    }
}
