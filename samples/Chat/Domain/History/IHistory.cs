namespace Chat.Domain;

/// <summary>The way to what is kept: the only one, so that rooms on other machines may keep theirs in one place.</summary>
public interface IHistory
{
    /// <summary>Hands a request on, in order per caller. Any thread; never blocks.</summary>
    void Tell(HistoryRequest request);
}
