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

    /// <summary>What is called, for the one who asks what held a thread: a delegate that the callback only passes on to, as that of an action.</summary>
    public override string ToString() => _state is Delegate called ? NameOf(called) : $"{NameOf(_callback)}({_state})";

    public void Run() => _callback(_state);

    private static string NameOf(Delegate called) => $"{called.Method.DeclaringType}.{called.Method.Name}";
}
