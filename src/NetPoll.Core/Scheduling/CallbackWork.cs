namespace NetPoll.Core.Scheduling;

/// <summary>A callback posted to a poller by code that has no work object of its own.</summary>
internal sealed class CallbackWork : IPollerWork
{
    private readonly SendOrPostCallback _callback;
    private readonly object? _state;

    internal CallbackWork(SendOrPostCallback callback, object? state)
    {
        _callback = callback;
        _state = state;
    }

    public IPollerWork? Next { get; set; }

    public void Run() => _callback(_state);
}
