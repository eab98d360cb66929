namespace Chat.Domain;

/// <summary>The way to people by their names: the only one, so that the register may live on another machine.</summary>
public interface IPeople
{
    /// <summary>Hands a request on, in order per caller; the answer goes to the session. Any thread; never blocks.</summary>
    void Tell(PeopleRequest request);
}
