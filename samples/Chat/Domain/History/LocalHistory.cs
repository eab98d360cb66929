using Proto;

namespace Chat.Domain;

/// <summary>The history of one machine.</summary>
internal sealed class LocalHistory : IHistory
{
    private readonly RootContext _sender;
    private readonly PID _history;

    public LocalHistory(RootContext sender, PID history)
    {
        _sender = sender;
        _history = history;
    }

    public void Tell(HistoryRequest request) => _sender.Send(_history, request);
}
