using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Connections;

/// <content>
/// Limits of its rates. A gate that is closed holds reading back as a suspension does, or output as a peer does that takes nothing; the wheel
/// opens it.
/// </content>
internal partial class Connection
{
    /// <summary>How fast it may be; null for as fast as it can. Setting it begins with full buckets. The poller's thread.</summary>
    internal RateLimits? RateLimits
    {
        get => _cold?.Limits;
        set
        {
            ActorPoller home = CheckThread();
            value?.Validate();
            if (_phase == ConnectionPhase.Closed || IsBroken || (value is null && _cold is null))
            {
                return;
            }

            CancelLimits();
            ColdState cold = Cold;
            cold.Limits = value;
            cold.Inbound = value is { Inbound: not null } or { SharedInbound: not null } ? new InboundGate(this, value.Inbound, value.SharedInbound) : null;
            cold.Outbound = value is { Outbound: not null } or { SharedOutbound: not null }
                ? new OutboundGate(this, value.Outbound, value.SharedOutbound, OutputBytes)
                : null;

            // What the last limits held back goes on.
            TakeATurn(home);
            if (_output is not null)
            {
                FlushLater(home);
            }
        }
    }

    private bool IsThrottled => _cold is { Inbound.IsClosed: true };

    /// <summary>There are tokens for output again. Between turns.</summary>
    internal void OutputMayGoOn()
    {
        if (_phase != ConnectionPhase.Closed)
        {
            WriteQueued(Home);
        }
    }

    private void CancelLimits()
    {
        if (_cold is { } cold)
        {
            cold.Inbound?.Cancel();
            cold.Outbound?.Cancel();
            cold.Inbound = null;
            cold.Outbound = null;
            cold.Limits = null;
        }
    }
}
