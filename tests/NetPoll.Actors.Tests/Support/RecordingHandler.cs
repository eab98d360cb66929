using System.Collections.Concurrent;
using System.Threading.Channels;
using Proto;
using Proto.Mailbox;

namespace NetPoll.Actors.Tests.Support;

/// <summary>A plain actor that handles connections: it keeps what it is told, and does what its test says.</summary>
internal sealed class RecordingHandler : IActor
{
    private readonly Channel<object> _events = Channel.CreateUnbounded<object>();
    private readonly ConcurrentQueue<object> _all = new();

    /// <summary>What it does with an event, besides keeping it.</summary>
    public Action<IContext, object>? OnEvent { get; set; }

    public PID Pid { get; private set; } = null!;

    /// <summary>Every event of connections so far.</summary>
    public IReadOnlyList<object> All => [.. _all];

    /// <summary>Bytes of the last connection that sent some.</summary>
    public int BytesReceived => _all.OfType<Received>().Sum(static received => received.Bytes.Length);

    public RecordingHandler Spawn(ActorSystem system)
    {
        Pid = system.Root.Spawn(Props.FromProducer(() => this));
        return this;
    }

    /// <summary>The next event, which must be of this kind.</summary>
    public async Task<T> Next<T>()
    {
        object next = await _events.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().Soon();
        return next is T expected ? expected : throw new InvalidOperationException($"Expected {typeof(T).Name}, but the next event is {next}.");
    }

    /// <summary>Bytes until there are so many; every event up to then must be bytes.</summary>
    public async Task<byte[]> NextBytes(int count)
    {
        List<byte> bytes = [];
        while (bytes.Count < count)
        {
            bytes.AddRange((await Next<Received>()).Bytes.Span);
        }

        return [.. bytes];
    }

    public Task ReceiveAsync(IContext context)
    {
        if (context.Message is { } message and not (SystemMessage or InfrastructureMessage or Started or Stopping or Stopped))
        {
            _all.Enqueue(message);
            OnEvent?.Invoke(context, message);
            _events.Writer.TryWrite(message);
        }

        return Task.CompletedTask;
    }
}
