namespace Chat.Domain;

/// <summary>Keeps one session from saying too much: so many at once, so many a second on average, and a pause for those who overdo it.</summary>
internal sealed class FloodGate
{
    private readonly ChatOptions _options;
    private readonly TimeProvider _time;
    private double _credit;
    private long _lastTimestamp;
    private long _closedUntil;

    public FloodGate(ChatOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _credit = options.FloodBurst;
        _lastTimestamp = time.GetTimestamp();
        _closedUntil = _lastTimestamp;
    }

    /// <summary>Lets one request through, or says how long there is to wait.</summary>
    public bool TryPass(out TimeSpan wait)
    {
        long now = _time.GetTimestamp();
        _credit = Math.Min(
            _options.FloodBurst, _credit + (_time.GetElapsedTime(_lastTimestamp, now).TotalSeconds * _options.FloodRate));
        _lastTimestamp = now;
        if (now < _closedUntil)
        {
            wait = _time.GetElapsedTime(now, _closedUntil);
            return false;
        }

        if (_credit >= 1)
        {
            _credit--;
            wait = TimeSpan.Zero;
            return true;
        }

        _closedUntil = now + (long)(_options.FloodCoolDown.TotalSeconds * _time.TimestampFrequency);
        wait = _options.FloodCoolDown;
        return false;
    }
}
