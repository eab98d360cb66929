using System.Runtime.CompilerServices;

namespace NetPoll.Core;

/// <summary>
/// Builds an <c>async Task</c> method that takes no execution context along from one await to the next:
/// <c>[AsyncMethodBuilder(typeof(PollerTaskMethodBuilder))]</c> on the method.
/// </summary>
/// <remarks>
/// For the loop that serves a connection and uses no async-locals. Neither those of its caller nor its own are kept for it: after an await it finds
/// what its thread happens to have, and what it sets there is left to whatever runs next on that thread. For that it costs less to wait: the runtime's
/// own builder looks for the execution context in thread-local storage at each await, also where <see cref="PollerOptions.FlowExecutionContext"/> is
/// off. In everything else it is as if it had been built by the runtime: where it goes on after an await is for what it awaits to say, which on a
/// poller's thread is that thread. Its members are the compiler's to call.
/// </remarks>
public struct PollerTaskMethodBuilder
{
    // The task and its end are the runtime's.
    private AsyncTaskMethodBuilder _task;
    private object? _box;

    /// <summary>The method's task.</summary>
    public Task Task => _task.Task;

    /// <summary>Makes one, for one call of the method.</summary>
    public static PollerTaskMethodBuilder Create() => new() { _task = AsyncTaskMethodBuilder.Create() };

    /// <summary>Runs the method up to its first wait. What it does to the caller's execution context does not last.</summary>
    public void Start<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine => _task.Start(ref stateMachine);

    /// <summary>Never called by a compiler that knows this type.</summary>
    public void SetStateMachine(IAsyncStateMachine stateMachine) => _task.SetStateMachine(stateMachine);

    /// <summary>Completes the task.</summary>
    public void SetResult() => _task.SetResult();

    /// <summary>Ends the task with an exception; an <see cref="OperationCanceledException"/> cancels it.</summary>
    public void SetException(Exception exception) => _task.SetException(exception);

    /// <summary>Lets the method go on when the awaiter has completed.</summary>
    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(GoOn(ref stateMachine));

    /// <inheritdoc cref="AwaitOnCompleted"/>
    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(GoOn(ref stateMachine));

    // Once the method has waited it lives in a box, and this builder, which is a part of it, with it.
    private Action GoOn<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine
    {
        if (_box is Box<TStateMachine> box)
        {
            return box.GoOn;
        }

        // What the copy must have, too, comes before it.
        _ = _task.Task;
        box = new Box<TStateMachine>();
        _box = box;
        box.StateMachine = stateMachine;
        return box.GoOn;
    }

    private sealed class Box<TStateMachine>
        where TStateMachine : IAsyncStateMachine
    {
        internal Box() => GoOn = MoveNext;

        internal Action GoOn { get; }

        internal TStateMachine? StateMachine;

        private void MoveNext() => StateMachine!.MoveNext();
    }
}
