namespace NetPoll.Actors.Connecting;

/// <summary>How long a connector waits before its next attempt: doubling up to a limit, less a random part.</summary>
/// <remarks>A mutable part of one connector: never copied.</remarks>
internal struct Backoff
{
    private readonly TimeSpan _first;
    private readonly TimeSpan _max;
    private readonly double _jitter;
    private readonly Func<double> _chance;
    private TimeSpan _last;

    /// <param name="options">Validated.</param>
    /// <param name="chance">A number from 0 up to 1, another each time.</param>
    internal Backoff(ConnectorOptions options, Func<double> chance)
    {
        _first = options.FirstDelay;
        _max = options.MaxDelay;
        _jitter = options.Jitter;
        _chance = chance;
    }

    /// <summary>The wait after one more failure.</summary>
    internal TimeSpan Next()
    {
        _last = _last == TimeSpan.Zero ? _first : _last * 2 < _max ? _last * 2 : _max;
        return _last - (_last * (_jitter * _chance()));
    }

    /// <summary>Something succeeded: the next failure is a first one again.</summary>
    internal void Reset() => _last = TimeSpan.Zero;
}
