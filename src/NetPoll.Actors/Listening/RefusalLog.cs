using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Actors.Diagnostics;
using NetPoll.Core.Deadlines;

namespace NetPoll.Actors.Listening;

/// <summary>Counts refusals by reason and reports them, at most once a second for each reason: whoever attacks does not fill the log.</summary>
/// <remarks>Any poller's thread. A count that is not reported yet is part of the next report.</remarks>
internal sealed class RefusalLog
{
    private const long Pause = 1_000_000_000;

    private readonly Lock _gate = new(); // Guards the entries.
    private readonly Entry[] _entries = new Entry[Enum.GetValues<RefusalReason>().Length];
    private readonly ILogger _logger;
    private readonly PollerClock _clock;
    private readonly string _listener;

    internal RefusalLog(string listener, ILogger logger, PollerClock clock)
    {
        _listener = listener;
        _logger = logger;
        _clock = clock;
    }

    internal RefusalCounts Counts
    {
        get
        {
            lock (_gate)
            {
                return new RefusalCounts(Array.ConvertAll(_entries, static entry => entry.Count));
            }
        }
    }

    /// <summary>Counts one that was reported already.</summary>
    internal void Count(RefusalReason reason)
    {
        lock (_gate)
        {
            _entries[(int)reason].Count++;
            _entries[(int)reason].Reported++;
        }
    }

    /// <summary>Counts one and reports it, if it is time to.</summary>
    internal void Add(RefusalReason reason, EndPoint? remoteEndPoint, string? detail)
    {
        long unreported;
        lock (_gate)
        {
            ref Entry entry = ref _entries[(int)reason];
            entry.Count++;
            long now = _clock.Nanoseconds;
            if (entry.ReportedAt > 0 && now - entry.ReportedAt < Pause)
            {
                return;
            }

            unreported = entry.Count - entry.Reported;
            entry.Reported = entry.Count;
            entry.ReportedAt = now;
        }

        if (detail is null)
        {
            Log.Refused(_logger, _listener, unreported, reason, remoteEndPoint);
        }
        else
        {
            Log.RefusedInDetail(_logger, _listener, unreported, reason, remoteEndPoint, detail);
        }
    }

    private struct Entry
    {
        internal long Count;
        internal long Reported;
        internal long ReportedAt;
    }
}
