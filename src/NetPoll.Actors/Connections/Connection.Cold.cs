using NetPoll.Actors.Groups;
using Proto.Context;

namespace NetPoll.Actors.Connections;

/// <content>What most connections never have, in an object that is made when the first of it is needed: an idle connection weighs less.</content>
internal partial class Connection
{
    private ColdState? _cold;

    /// <summary>The groups it belongs to, a list.</summary>
    internal GroupMembership? Memberships
    {
        get => _cold?.Memberships;
        set
        {
            if (value is not null || _cold is not null)
            {
                Cold.Memberships = value;
            }
        }
    }

    /// <summary>What was dropped over the connection's life. The poller's thread.</summary>
    internal DroppedOutput Dropped => _cold?.Dropped ?? default;

    /// <summary>What serves the watchers of a connection that is no actor.</summary>
    private protected ActorContext? Watched
    {
        get => _cold?.Watched;
        set => Cold.Watched = value;
    }

    // As much as was demanded has been delivered.
    private bool IsDemandMet => _cold is { Demand: 0 };

    private ColdState Cold => _cold ??= new ColdState();

    // The end that was asked for, and is not carried out or not told yet.
    private PendingClose? Pending
    {
        get => _cold?.Pending;
        set
        {
            if (value is not null || _cold is not null)
            {
                Cold.Pending = value;
            }
        }
    }

    private sealed class ColdState
    {
        private DroppedOutput _told;

        internal GroupMembership? Memberships { get; set; }

        internal ActorContext? Watched { get; set; }

        /// <summary>
        /// What the handler has asked for and not been given, in messages or in bytes; without end unless it gets on demand only.
        /// </summary>
        internal long Demand { get; set; } = long.MaxValue;

        internal bool DemandsBytes { get; set; }

        /// <summary>The handler was told that the read deadline has passed, and neither moved nor cleared it: no bytes until it does.</summary>
        internal bool IsReadDeadlineReported { get; set; }

        internal bool AllowsReading => Demand > 0 && !IsReadDeadlineReported && Inbound is not { IsClosed: true };

        internal IdleReminder? Idle { get; set; }

        internal PendingClose? Pending { get; set; }

        internal ClosingState? Closing { get; set; }

        /// <summary>The handler was told that the peer's end waits behind what is held back.</summary>
        internal bool IsHangupTold { get; set; }

        /// <summary>The peer is gone, and what it sent before is being delivered.</summary>
        internal BrokenState? Broken { get; set; }

        /// <summary>The deadlines of its phases.</summary>
        internal PhaseTimer? Phase { get; set; }

        /// <summary>How fast it may be, and the gates that keep it so; null where there is no limit.</summary>
        internal RateLimits? Limits { get; set; }

        internal InboundGate? Inbound { get; set; }

        internal OutboundGate? Outbound { get; set; }

        /// <summary>How its peer is asked for signs of life.</summary>
        internal HeartbeatTimer? Heartbeat { get; set; }

        /// <summary>What its last handler threw, until the next one has its place.</summary>
        internal Exception? RestartedBy { get; set; }

        /// <summary>Where it is to move, or moves.</summary>
        internal MoveState? Move { get; set; }

        internal DroppedOutput Dropped { get; private set; }

        internal void CountDropped(int payloads, long bytes) => Dropped = new DroppedOutput(Dropped.Payloads + payloads, Dropped.Bytes + bytes);

        /// <summary>What was dropped since this was last asked.</summary>
        /// <returns>False when that is nothing.</returns>
        internal bool TakeUntold(out DroppedOutput untold)
        {
            untold = new DroppedOutput(Dropped.Payloads - _told.Payloads, Dropped.Bytes - _told.Bytes);
            _told = Dropped;
            return untold.Payloads != 0;
        }
    }
}
