using System.Collections.Concurrent;
using System.Text;
using NetPoll.Actors;

namespace NetPoll.Hosting.Tests.Support;

/// <summary>What happened, in order, for all to write to.</summary>
internal sealed class Journal
{
    private readonly ConcurrentQueue<string> _entries = new();

    /// <summary>What holds up the disposal of tickets.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public IReadOnlyList<string> Entries => [.. _entries];

    public void Note(string what) => _entries.Enqueue(what);
}

/// <summary>A scoped service: it has a number, and notes when it is disposed.</summary>
internal sealed class Ticket : IAsyncDisposable
{
    private static int _last;
    private readonly Journal _journal;

    public Ticket(Journal journal) => _journal = journal;

    public int Number { get; } = Interlocked.Increment(ref _last);

    public async ValueTask DisposeAsync()
    {
        _journal.Note($"ticket {Number} is being disposed");
        await _journal.Gate;
        _journal.Note($"ticket {Number} disposed");
    }
}

/// <summary>Tells the number of its ticket, then echoes.</summary>
internal sealed class TicketConnection : ConnectionActor, IDisposable
{
    private readonly Ticket _ticket;
    private readonly Journal _journal;

    public TicketConnection(Ticket ticket, Journal journal)
    {
        _ticket = ticket;
        _journal = journal;
    }

    public void Dispose() => _journal.Note($"connection {_ticket.Number} disposed");

    protected override void OnConnected() => Send(Encoding.UTF8.GetBytes($"{_ticket.Number:000000}"));

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(bytes);
        return bytes.Length;
    }

    protected override void OnClosed(ConnectionClosed closed) => _journal.Note($"connection {_ticket.Number} closed: {closed.Reason}");
}

/// <summary>Takes nothing, and echoes.</summary>
internal sealed class EchoConnection : ConnectionActor
{
    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(bytes);
        return bytes.Length;
    }
}

/// <summary>Does not end when the server stops.</summary>
internal sealed class StubbornConnection : ConnectionActor
{
    private readonly Journal _journal;

    public StubbornConnection(Journal journal) => _journal = journal;

    protected override void OnConnected() => Send("here"u8);

    protected override void OnShutdown() => _journal.Note("told to stop");

    protected override void OnClosed(ConnectionClosed closed) => _journal.Note($"closed: {closed.Reason}");
}

/// <summary>Consumes nothing.</summary>
internal sealed class HoardingConnection : ConnectionActor
{
    private readonly Journal _journal;

    public HoardingConnection(Journal journal) => _journal = journal;

    protected override int OnReceived(ReadOnlySpan<byte> bytes) => 0;

    protected override void OnClosed(ConnectionClosed closed) => _journal.Note($"closed: {closed.Reason}");
}
