using System.Diagnostics;
using Chat.Protocol;

namespace Chat.Client;

/// <summary>Keeps to what the server's flood control allows, so that a script may write as fast as it likes.</summary>
/// <remarks>One caller at a time; the limits may change in between.</remarks>
internal sealed class Pacer
{
    // Two clocks never agree: a little less than is allowed.
    private const double Margin = 0.95;

    private double _burst;
    private double _rate;
    private double _credit;
    private long _lastTimestamp = Stopwatch.GetTimestamp();

    /// <summary>Takes the limits of a connection that has just been made; a server that tells none has none.</summary>
    public void Use(Limits limits)
    {
        _burst = Math.Max(1, limits.FloodBurst * Margin);
        _rate = limits.FloodRate * Margin;
        _credit = _burst;
        _lastTimestamp = Stopwatch.GetTimestamp();
    }

    /// <summary>Waits until the request may be sent.</summary>
    public async ValueTask WaitAsync(ClientFrame request, CancellationToken cancellation)
    {
        if (_rate <= 0 || !Counts(request))
        {
            return;
        }

        Refill();
        if (_credit < 1)
        {
            await Task.Delay(TimeSpan.FromSeconds((1 - _credit) / _rate), cancellation);
            Refill();
        }

        _credit--;
    }

    private static bool Counts(ClientFrame request) => request.BodyCase is ClientFrame.BodyOneofCase.Say
        or ClientFrame.BodyOneofCase.SendPrivate or ClientFrame.BodyOneofCase.SetTopic or ClientFrame.BodyOneofCase.SetAway
        or ClientFrame.BodyOneofCase.ChangeName or ClientFrame.BodyOneofCase.Invite or ClientFrame.BodyOneofCase.Register
        or ClientFrame.BodyOneofCase.BecomeOperator;

    private void Refill()
    {
        long now = Stopwatch.GetTimestamp();
        _credit = Math.Min(_burst, _credit + (Stopwatch.GetElapsedTime(_lastTimestamp, now).TotalSeconds * _rate));
        _lastTimestamp = now;
    }
}
