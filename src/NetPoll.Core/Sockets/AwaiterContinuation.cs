using System.Threading.Tasks.Sources;

namespace NetPoll.Core.Sockets;

/// <summary>What the runtime's awaiters hand to a source of a <see cref="ValueTask"/> for a continuation that is an <see cref="Action"/>.</summary>
internal static class AwaiterContinuation
{
    /// <summary>Calls its argument, an <see cref="Action"/>. One delegate of the runtime's, so it can be told from all others by identity.</summary>
    internal static readonly Action<object?> InvokeAction = Find();

    private static Action<object?> Find()
    {
        Listener listener = new();
        new ValueTask(listener, 0).GetAwaiter().UnsafeOnCompleted(listener.Call);
        return listener.Heard is { } heard && listener.IsPassedOn ? heard : _ => throw new InvalidOperationException("Nobody's continuation.");
    }

    private sealed class Listener : IValueTaskSource
    {
        private object? _state;

        internal Listener() => Call = Nothing;

        internal Action Call { get; }

        internal Action<object?>? Heard { get; private set; }

        // Else this runtime wraps it in something of its own, and is left to call it.
        internal bool IsPassedOn => ReferenceEquals(_state, Call);

        public ValueTaskSourceStatus GetStatus(short token) => ValueTaskSourceStatus.Pending;

        public void GetResult(short token)
        {
        }

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        {
            Heard = continuation;
            _state = state;
        }

        private static void Nothing()
        {
        }
    }
}
