using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Listening;

/// <summary>Says farewell to a peer that is not served: sends it, ends our side, and waits shortly for the peer to end its own.</summary>
/// <remarks>
/// Closing at once would turn into a reset if the peer has sent something already, and a reset can cost it the farewell. Without a
/// farewell there is nothing to lose, and the socket is closed at once. The poller's thread only.
/// </remarks>
internal sealed class RefusedPeer : WatchedSocket
{
    // What a peer that ignores our end may still send.
    private const int MaxDiscarded = 64 * 1024;
    private const int MaxReads = 16;

    // Refused peers must not hold the descriptors that the served ones need: more than so many are closed without waiting.
    private const int MaxLingering = 64;

    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(1);

    private readonly Admission _admission;
    private int _discarded;

    private RefusedPeer(ActorPoller home, PollableSocket socket, Admission admission)
        : base(home, socket) => _admission = admission;

    /// <summary>Sends the farewell as far as the system takes it at once, and sees to the end of the socket.</summary>
    internal static void Dismiss(ActorPoller home, PollableSocket socket, ReadOnlySpan<byte> farewell, Admission admission)
    {
        bool isTold = !farewell.IsEmpty && socket.Write(farewell).IsSuccess && socket.Shutdown(PollMode.Write).IsSuccess;
        if (!isTold || admission.LingeringPeers >= MaxLingering)
        {
            _ = socket.Close();
            return;
        }

        new RefusedPeer(home, socket, admission).Begin();
    }

    /// <inheritdoc/>
    protected override void OnReadable()
    {
        ForgetReadiness();
        for (int reads = 0; reads < MaxReads; reads++)
        {
            IoResult result = Socket.Read(Home.ReadScratch);
            if (result.WouldBlock)
            {
                WaitReadable();
                return;
            }

            _discarded += result.Count;
            if (result.Count == 0 || _discarded > MaxDiscarded)
            {
                End();
                return;
            }
        }

        ComeAgain();
    }

    /// <inheritdoc/>
    protected override void OnTimePassed() => End();

    /// <inheritdoc/>
    protected override void OnPollerStopped() => End();

    private void Begin()
    {
        if (!Watch().IsSuccess)
        {
            _ = Socket.Close();
            return;
        }

        _admission.LingeringPeers++;
        RemindAfter(LingerTime);
        OnReadable();
    }

    private void End()
    {
        _admission.LingeringPeers--;
        Unwatch();
        _ = Socket.Close();
    }
}
