using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>Keeps to what the server's flood control allows, so that a script may write as fast as it likes.</summary>
/// <remarks>
/// The server counts when requests arrive, which may be much later than they were sent, and many at once. So only half of what it takes at
/// once is spent by time, and the other half is what may be unanswered: together they are never more. One caller waits at a time.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore has no handle unless it is asked for one, and late answers may still release it.")]
internal sealed class Pacer
{
    // Two clocks never agree: a little less than is allowed.
    private const double Margin = 0.95;

    private readonly SemaphoreSlim _answered = new(0);
    private double _burst;
    private double _rate;
    private double _credit;
    private long _lastTimestamp;
    private int _unanswered;

    /// <summary>Takes the limits of a connection that has just been made; a server that tells none has none.</summary>
    public void Use(Limits limits)
    {
        _burst = Math.Max(1, limits.FloodBurst / 2.0);
        _rate = limits.FloodRate * Margin;
        _credit = _burst;
        _lastTimestamp = Stopwatch.GetTimestamp();
    }

    /// <summary>Waits until the request may be sent. Then <see cref="Answered"/> must follow.</summary>
    public async ValueTask WaitAsync(ClientFrame request, CancellationToken cancellation)
    {
        if (!Counts(request))
        {
            return;
        }

        while (_rate > 0 && Volatile.Read(ref _unanswered) >= (int)_burst)
        {
            await _answered.WaitAsync(cancellation);
        }

        Refill();
        if (_rate > 0 && _credit < 1)
        {
            await Task.Delay(TimeSpan.FromSeconds((1 - _credit) / _rate), cancellation);
            Refill();
        }

        _credit--;
        Interlocked.Increment(ref _unanswered);
    }

    /// <summary>The request has its answer, or will have none. Any thread.</summary>
    public void Answered(ClientFrame request)
    {
        if (Counts(request))
        {
            Interlocked.Decrement(ref _unanswered);
            _answered.Release();
        }
    }

    private static bool Counts(ClientFrame request) => request.BodyCase is ClientFrame.BodyOneofCase.Say
        or ClientFrame.BodyOneofCase.SendPrivate or ClientFrame.BodyOneofCase.SetTopic or ClientFrame.BodyOneofCase.SetAway
        or ClientFrame.BodyOneofCase.ChangeName or ClientFrame.BodyOneofCase.Leave or ClientFrame.BodyOneofCase.Invite or ClientFrame.BodyOneofCase.Register
        or ClientFrame.BodyOneofCase.BecomeOperator;

    private void Refill()
    {
        long now = Stopwatch.GetTimestamp();
        _credit = Math.Min(_burst, _credit + (Stopwatch.GetElapsedTime(_lastTimestamp, now).TotalSeconds * _rate));
        _lastTimestamp = now;
    }
}
