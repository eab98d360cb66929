using System.Net;
using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core.Sockets;

/// <content>Connecting.</content>
internal sealed partial class NetFd
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    /// <summary>Connects. Go: <c>netFD.connect</c>.</summary>
    /// <param name="poller">Where the connection will live.</param>
    /// <param name="platform">Makes the socket.</param>
    /// <param name="remote">Whom to connect to.</param>
    /// <param name="local">The address to come from, or null.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="cancellationToken">When to give up earlier.</param>
    /// <returns>The descriptor, with no deadline on it; or why there is none, and then nothing is left open.</returns>
    internal static async ValueTask<(OperationOutcome Outcome, NetFd? Fd)> ConnectAsync(
        Poller poller, PollPlatform platform, EndPoint remote, EndPoint? local, Deadline deadline, CancellationToken cancellationToken)
    {
        // Before any packet is sent.
        long giveUpAt = deadline.Resolve(poller.Clock);
        if (giveUpAt < 0)
        {
            return (OperationOutcome.From(PollResult.DeadlineExceeded), null);
        }

        IoResult begun;
        PollableSocket? socket;
        TimeSpan pause = FirstPause;
        while ((begun = platform.ConnectStream(remote, local, out socket)).WouldBlock && socket is null)
        {
            // A Unix domain listener whose queue is full: nothing will tell when there is room again.
            OperationOutcome paused = await PauseConnectAsync(poller, pause, giveUpAt, cancellationToken).BackToPoller();
            if (!paused.IsSuccess)
            {
                return (paused, null);
            }

            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        if (!begun.IsSuccess && !begun.WouldBlock)
        {
            return (OperationOutcome.From(begun), null);
        }

        // Only now: a socket that is watched before it connects reports a hang-up that means nothing.
        IoResult opened = Open(poller, socket!, out NetFd? fd);
        if (!opened.IsSuccess)
        {
            _ = socket!.Close();
            return (OperationOutcome.From(opened), null);
        }

        OperationOutcome outcome = OperationOutcome.From(begun);
        if (begun.WouldBlock)
        {
            _ = fd!.SetDeadline(PollMode.Write, deadline);
            outcome = await new ConnectOperation(fd).Begin(cancellationToken).BackToPoller();
            _ = fd.SetDeadline(PollMode.Write, Deadline.None);
        }

        if (outcome.IsSuccess && IsSelfConnected(socket!))
        {
            // Nobody listens, and the system chose the very port that was asked for as ours: a socket that talks to itself.
            outcome = OperationOutcome.From(IoResult.Refused);
        }

        if (!outcome.IsSuccess)
        {
            await fd!.CloseAsync().BackToPoller();
            return (outcome, null);
        }

        fd!.RefreshLocalEndPoint();
        return (outcome, fd);
    }

    /// <summary>Looks at the connection attempt.</summary>
    internal IoResult FinishConnect() => _socket.FinishConnect();

    private static bool IsSelfConnected(PollableSocket socket) =>
        socket.LocalEndPoint is { } local && socket.RemoteEndPoint is { } remote && local.Equals(remote);

    private static async ValueTask<OperationOutcome> PauseConnectAsync(
        Poller poller, TimeSpan pause, long giveUpAt, CancellationToken cancellationToken)
    {
        // 0: never.
        if (giveUpAt > 0)
        {
            TimeSpan left = TimeSpan.FromTicks((giveUpAt - poller.Clock.Nanoseconds) / 100);
            if (left <= TimeSpan.Zero)
            {
                return OperationOutcome.From(PollResult.DeadlineExceeded);
            }

            pause = left < FirstPause ? FirstPause : left < pause ? left : pause;
        }

        try
        {
            await Task.Delay(pause, poller.TimeProvider, cancellationToken).BackToPoller();
            return OperationOutcome.From(IoResult.Success);
        }
        catch (OperationCanceledException)
        {
            return OperationOutcome.Cancelled;
        }
    }

    private void RefreshLocalEndPoint() => LocalEndPoint = _socket.LocalEndPoint;
}
