using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <content>Connecting.</content>
internal sealed partial class NetFd
{
    /// <summary>Connects. Go: <c>netFD.connect</c>.</summary>
    /// <param name="poller">Where the connection will live.</param>
    /// <param name="platform">Makes the socket.</param>
    /// <param name="remote">Whom to connect to.</param>
    /// <param name="local">The address to come from, or null.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="cancellationToken">When to give up earlier.</param>
    /// <returns>The descriptor, with no deadline on it; or why there is none, and then nothing is left open.</returns>
    internal static async ValueTask<(OperationOutcome Outcome, NetFd? Fd)> ConnectAsync(
        Poller poller, PollPlatform platform, IPEndPoint remote, IPEndPoint? local, Deadline deadline, CancellationToken cancellationToken)
    {
        // Before any packet is sent.
        if (deadline.Resolve(poller.Clock) < 0)
        {
            return (OperationOutcome.From(PollResult.DeadlineExceeded), null);
        }

        IoResult begun = platform.Connect(remote, local, out PollableSocket? socket);
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
            outcome = await new ConnectOperation(fd).Begin(cancellationToken);
            _ = fd.SetDeadline(PollMode.Write, Deadline.None);
        }

        if (outcome.IsSuccess && IsSelfConnected(socket!))
        {
            // Nobody listens, and the system chose the very port that was asked for as ours: a socket that talks to itself.
            outcome = OperationOutcome.From(IoResult.Refused);
        }

        if (!outcome.IsSuccess)
        {
            await fd!.CloseAsync();
            return (outcome, null);
        }

        fd!.RefreshLocalEndPoint();
        return (outcome, fd);
    }

    /// <summary>Looks at the connection attempt.</summary>
    internal IoResult FinishConnect() => _socket.FinishConnect();

    private static bool IsSelfConnected(PollableSocket socket) =>
        socket.LocalEndPoint is { } local && socket.RemoteEndPoint is { } remote && local.Equals(remote);

    private void RefreshLocalEndPoint() => LocalEndPoint = _socket.LocalEndPoint;
}
