using Microsoft.Extensions.Logging;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Datagrams;
using NetPoll.Actors.Diagnostics;
using NetPoll.Actors.Groups;
using NetPoll.Actors.Listening;
using NetPoll.Core;
using NetPoll.Core.Scheduling;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Pollers;

/// <summary>What the actor layer keeps for one poller: its scratch memory, its connections, and who has output left to send.</summary>
/// <remarks>Everything but the references that never change belongs to the poller's thread.</remarks>
internal sealed class ActorPoller : IPollerWork
{
    /// <summary>Bytes that one read takes at most, and that a turn's small writes gather in.</summary>
    internal const int ScratchSize = 64 * 1024;

    // More of them, and one that has grown, are left to the garbage collector.
    private const int MaxIdleOutputs = 1024;

    private readonly List<Connection> _toFlush = [];
    private readonly Dictionary<int, DatagramScratch> _datagramScratches = [];

    // Linked, the last one first: a stack would check the type of each that it takes back.
    private PendingOutput? _idleOutput;
    private int _idleOutputs;
    private bool _isFlushQueued;
    private bool _isDraining;
    private int _onTheirWay;

    internal ActorPoller(NetPollExtension extension, Poller poller)
    {
        Extension = extension;
        Poller = poller;
        Groups = new GroupTable();
        Handlers = new HandlerTable(this);
        GroupCommands = new GroupCommands(this);
        poller.Layer = this;
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    internal NetPollExtension Extension { get; }

    internal Poller Poller { get; }

    internal ILogger Logger => Extension.Logger;

    /// <summary>The actor that is this poller.</summary>
    internal PID Pid { get; set; } = null!;

    /// <summary>Where reads land. Shared by all connections: its bytes are the next connection's as soon as a handler has returned.</summary>
    internal byte[] ReadScratch { get; } = GC.AllocateUninitializedArray<byte>(ScratchSize, pinned: true);

    /// <summary>Where small writes gather until <see cref="Flush"/>: each connection's in one piece, behind one another.</summary>
    internal byte[] WriteScratch { get; } = GC.AllocateUninitializedArray<byte>(ScratchSize, pinned: true);

    /// <summary>How much of <see cref="WriteScratch"/> is taken.</summary>
    internal int WriteScratchUsed { get; set; }

    /// <summary>The poller that the caller runs on; null on every other thread.</summary>
    internal static ActorPoller? OfCurrentThread => Poller.Current?.Layer as ActorPoller;

    /// <summary>The connection whose turn runs.</summary>
    internal Connection? Current { get; set; }

    /// <summary>What its connections have moved.</summary>
    internal Traffic Traffic { get; } = new();

    /// <summary>What its datagram sockets have moved.</summary>
    internal DatagramTraffic Datagrams { get; } = new();

    /// <summary>The connections that live here.</summary>
    internal ConnectionList Connections { get; } = new();

    /// <summary>The members of groups that live here.</summary>
    internal GroupTable Groups { get; }

    /// <summary>The plain actors that handle connections here.</summary>
    internal HandlerTable Handlers { get; }

    /// <summary>What their publishers have ordered.</summary>
    internal GroupCommands GroupCommands { get; }

    /// <summary>Descriptors that it watches, and connections on their way to it. Any thread; a moment old.</summary>
    internal int Load => Poller.Monitored + Volatile.Read(ref _onTheirWay);

    /// <summary>Connections that are on their way here from other pollers. Any thread.</summary>
    internal LiveCount Arrivals { get; } = new();

    /// <summary>Whether it takes no new connections, for good. Any thread.</summary>
    internal bool IsDraining => Volatile.Read(ref _isDraining);

    /// <summary>Whether it is a place for newcomers: it was not told to drain, and its poller has not failed. Any thread.</summary>
    internal bool TakesNewcomers => !IsDraining && !Poller.IsEnding;

    /// <summary>The time as a timer takes it: longer than its 49 days is as good as for ever.</summary>
    internal static TimeSpan ForTimer(TimeSpan time) => time.TotalMilliseconds < uint.MaxValue ? time : Timeout.InfiniteTimeSpan;

    /// <summary>
    /// Stops accepting here, tells every connection (<c>OnShutdown</c>), waits until all have ended or the time is over, and resets the rest.
    /// On the poller, and so does what follows its awaits. May be called again while it runs: the shortest time counts.
    /// </summary>
    /// <returns>How many were reset.</returns>
    internal async Task<int> DrainAsync(TimeSpan time)
    {
        Volatile.Write(ref _isDraining, true);
        await Extension.StopAcceptingOnAsync(this);

        // Marked first, waited for second: from here on no connection leaves for here.
        Interlocked.MemoryBarrier();
        await Arrivals.WhenNoneAsync();
        foreach (Connection connection in Connections.ToArray())
        {
            connection.RequestShutdown();
        }

        try
        {
            await WhenEmptyAsync().WaitAsync(ForTimer(time), Poller.TimeProvider);
        }
        catch (TimeoutException)
        {
            Log.PollerDrainTimedOut(Logger, Connections.Count, Poller.Name, time);
        }

        Connection[] late = Connections.ToArray();
        foreach (Connection connection in late)
        {
            connection.Abandon(CloseReason.Shutdown);
        }

        await WhenEmptyAsync();
        return late.Length;
    }

    /// <summary>Counts in what another thread sends here, before it arrives: or all of a batch would be sent to whom it finds emptiest.</summary>
    internal void Expect() => Interlocked.Increment(ref _onTheirWay);

    /// <summary>It has arrived.</summary>
    internal void Arrived() => Interlocked.Decrement(ref _onTheirWay);

    /// <summary>Runs something on the poller's thread. Any thread; the task has its end, or what it threw.</summary>
    internal Task RunAsync(Action action)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Poller.Post(() =>
        {
            try
            {
                action();
                done.SetResult();
            }
#pragma warning disable CA1031 // Whoever awaits the task gets it.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                done.SetException(exception);
            }
        });
        return done.Task;
    }

    /// <summary>
    /// A turn whose handlers may have awaited is over: awaits of what runs next are nobody's, and what the handlers left in async-local values
    /// is not seen by other actors.
    /// </summary>
    internal void LeaveContext()
    {
        SynchronizationContext.SetSynchronizationContext(Poller.Context);
        Poller.ResetExecutionContext();
    }

    /// <summary>The connection got output: it is sent with that of the others when the turns of this batch have run.</summary>
    internal void FlushLater(Connection connection)
    {
        Poller.AssertCurrent();
        _toFlush.Add(connection);
        if (!_isFlushQueued)
        {
            _isFlushQueued = true;
            Poller.Post(this);
        }
    }

    /// <summary>Sends what gathered, and so makes room in the scratch.</summary>
    internal void Flush()
    {
        for (int index = 0; index < _toFlush.Count; index++)
        {
            _toFlush[index].FlushQueued();
        }

        _toFlush.Clear();
        WriteScratchUsed = 0;
    }

    /// <summary>The scratch of all sockets whose datagrams may be so long.</summary>
    internal DatagramScratch DatagramScratchOf(int maxBytes)
    {
        Poller.AssertCurrent();
        if (!_datagramScratches.TryGetValue(maxBytes, out DatagramScratch? scratch))
        {
            scratch = new DatagramScratch(Poller, maxBytes);
            _datagramScratches.Add(maxBytes, scratch);
        }

        return scratch;
    }

    /// <summary>An empty queue for a connection whose output must wait.</summary>
    internal PendingOutput RentOutput(Connection owner)
    {
        PendingOutput? output = _idleOutput;
        if (output is null)
        {
            output = new PendingOutput();
        }
        else
        {
            _idleOutput = output.NextIdle;
            output.NextIdle = null;
            _idleOutputs--;
        }

        output.Owner = owner;
        return output;
    }

    /// <summary>Takes an empty queue back.</summary>
    /// <param name="output">Its renter touches it no more.</param>
    /// <param name="isFree">Whether nothing that is on its way knows it, so that it may be rented again.</param>
    internal void ReturnOutput(PendingOutput output, bool isFree)
    {
        output.Owner = null;
        if (isFree && _idleOutputs < MaxIdleOutputs && !output.HasGrown)
        {
            output.NextIdle = _idleOutput;
            _idleOutput = output;
            _idleOutputs++;
        }
    }

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        _isFlushQueued = false;
        Flush();
    }

    // One source for all who wait, as long as it is open.
    private Task WhenEmptyAsync()
    {
        if (Connections.Count == 0)
        {
            return Task.CompletedTask;
        }

        if (Connections.Emptied is not { Task.IsCompleted: false })
        {
            Connections.Emptied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return Connections.Emptied.Task;
    }
}
