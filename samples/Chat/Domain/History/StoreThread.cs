using System.Collections.Concurrent;
using Proto.Mailbox;

namespace Chat.Domain;

/// <summary>The thread of one actor that blocks: a store's disk must keep no poller and no thread of the pool waiting.</summary>
internal sealed class StoreThread : IDispatcher, IDisposable
{
    private readonly BlockingCollection<Func<Task>> _turns = [];
    private readonly Thread _thread;

    public StoreThread()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "chat history" };
        _thread.Start();
    }

    public int Throughput => 1000;

    public void Schedule(Func<Task> runner) => _turns.Add(runner);

    /// <summary>Lets what was scheduled run, and ends the thread. The actor must have stopped.</summary>
    public void Dispose()
    {
        _turns.CompleteAdding();
        _thread.Join();
        _turns.Dispose();
    }

    private void Run()
    {
        foreach (Func<Task> turn in _turns.GetConsumingEnumerable())
        {
            turn().GetAwaiter().GetResult();
        }
    }
}
