using System.Collections.Concurrent;
using System.Diagnostics.Tracing;

namespace NetPoll.Actors.Tests.Support;

/// <summary>What the thread that made it takes from and gives back to the array pools, as the runtime tells it.</summary>
internal sealed class PoolLog : EventListener
{
    private const int BufferRented = 1;
    private const int BufferReturned = 3;

    private readonly int _thread = Environment.CurrentManagedThreadId;

    /// <summary>The buffers by their numbers, in order.</summary>
    public ConcurrentQueue<int> Rented { get; } = new();

    public ConcurrentQueue<int> Returned { get; } = new();

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "System.Buffers.ArrayPoolEventSource")
        {
            EnableEvents(eventSource, EventLevel.Verbose);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (Environment.CurrentManagedThreadId != _thread || eventData.Payload is not [int buffer, ..])
        {
            return;
        }

        switch (eventData.EventId)
        {
            case BufferRented:
                Rented.Enqueue(buffer);
                break;
            case BufferReturned:
                Returned.Enqueue(buffer);
                break;
        }
    }
}
