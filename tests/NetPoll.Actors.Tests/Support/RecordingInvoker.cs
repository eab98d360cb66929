using System.Collections.Concurrent;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Support;

/// <summary>In the place of an actor context: keeps what a mailbox does, and checks that it never does two things at once.</summary>
internal sealed class RecordingInvoker : IMessageInvoker
{
    private readonly ConcurrentQueue<object> _seen = new();
    private int _isInside;
    private int _overlaps;

    public CancellationTokenSource? CancellationTokenSource { get; set; }

    /// <summary>What to do with a user message; nothing unless set.</summary>
    public Func<object, Task>? User { get; set; }

    public Func<SystemMessage, Task>? Infrastructure { get; set; }

    /// <summary>Everything in order: messages, and failures as <see cref="Failure"/>.</summary>
    public IReadOnlyList<object> Seen => [.. _seen];

    public int Count => _seen.Count;

    /// <summary>How often a message came while another was still being handled.</summary>
    public int Overlaps => Volatile.Read(ref _overlaps);

    public Task InvokeSystemMessageAsync(SystemMessage msg) => Handle(msg, Infrastructure is null ? null : () => Infrastructure(msg));

    public Task InvokeUserMessageAsync(object msg) => Handle(msg, User is null ? null : () => User(msg));

    public void EscalateFailure(Exception reason, object? message) => _seen.Enqueue(new Failure(reason, message));

    private Task Handle(object message, Func<Task>? handler)
    {
        if (Interlocked.Exchange(ref _isInside, 1) != 0)
        {
            Interlocked.Increment(ref _overlaps);
        }

        _seen.Enqueue(message);
        if (handler is null)
        {
            Volatile.Write(ref _isInside, 0);
            return Task.CompletedTask;
        }

        return Run();

        async Task Run()
        {
            try
            {
                await handler();
            }
            finally
            {
                Volatile.Write(ref _isInside, 0);
            }
        }
    }

    internal sealed record Failure(Exception Reason, object? Message);
}

/// <summary>A system message that only a recording invoker understands.</summary>
internal sealed record Note(string Text) : SystemMessage;
