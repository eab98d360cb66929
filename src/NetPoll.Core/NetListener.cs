using System.Net;
using NetPoll.Core.Backends;
using NetPoll.Core.Diagnostics;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>A TCP listener on a poller. Every member may be called from any thread.</summary>
/// <remarks>Go: <c>net.TCPListener</c>.</remarks>
public sealed class NetListener : IAsyncDisposable, IDisposable
{
    /// <summary>How many connections may wait to be accepted, unless told otherwise; the system caps it at its own limit.</summary>
    public const int DefaultBacklog = 4096;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(1);

    private readonly NetFd _fd;
    private readonly PollerGroup _group;

    private NetListener(NetFd fd, PollerGroup group)
    {
        _fd = fd;
        _group = group;
    }

    /// <summary>Where it listens, with the port that the system chose if none was given.</summary>
    public IPEndPoint LocalEndPoint => _fd.LocalEndPoint!;

    /// <summary>Begins to listen.</summary>
    /// <param name="endPoint">The address; port 0 lets the system choose.</param>
    /// <param name="group">Where the listener and its connections live; null for the default group.</param>
    /// <param name="backlog">How many connections may wait to be accepted, 1 or more.</param>
    /// <exception cref="IOException">The address is in use or not ours; the message names it.</exception>
    public static NetListener Listen(IPEndPoint endPoint, PollerGroup? group = null, int backlog = DefaultBacklog)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(backlog);
        group ??= PollerGroup.Default;
        group.Start();
        IoResult result = group.Platform.Listen(endPoint, backlog, sharePort: false, out PollableSocket? socket);
        NetFd? fd = null;
        if (result.IsSuccess)
        {
            result = NetFd.Open(group.Choose(), socket!, out fd);
            if (!result.IsSuccess)
            {
                _ = socket!.Close();
            }
        }

        return result.IsSuccess ? new NetListener(fd!, group) : throw OperationOutcome.From(result).ToException("listen on", endPoint);
    }

    /// <summary>Waits for a connection.</summary>
    /// <remarks>
    /// When the process or the system is out of descriptors or buffers it logs that and tries again by a timer until it succeeds. A
    /// connection that was accepted on a poller's thread lives on that poller, others are spread over the group.
    /// </remarks>
    /// <exception cref="DeadlineExceededException">The listener's deadline has passed; queued connections stay queued.</exception>
    /// <exception cref="ObjectDisposedException">The listener was closed.</exception>
    public async ValueTask<NetConnection> AcceptAsync()
    {
        TimeSpan delay = FirstRetry;
        while (true)
        {
            AcceptResult accepted = await _fd.AcceptAsync();
            OperationOutcome outcome = accepted.Outcome;
            if (outcome.IsSuccess)
            {
                outcome = OperationOutcome.From(NetFd.Open(_group.Choose(), accepted.Socket!, out NetFd? fd));
                if (outcome.IsSuccess)
                {
                    _ = fd!.SetOption(SocketSetting.NoDelay, 1);
                    return new NetConnection(fd);
                }

                // The new socket is given up, never the listener.
                _ = accepted.Socket!.Close();
            }

            if (outcome.Poll != PollResult.Ready || PollErrors.ClassifyAccept(outcome.Io.NativeError) != PollErrorClass.Resource)
            {
                throw outcome.ToException("accept on", LocalEndPoint);
            }

            // No edge will come for the connections that already wait: only a timer brings us back.
            Log.AcceptFailed(_fd.Poller.Logger, LocalEndPoint, outcome.Io.Error, outcome.Io.NativeError, delay);
            await Task.Delay(delay, _fd.Poller.TimeProvider);
            delay = delay * 2 < LastRetry ? delay * 2 : LastRetry;
        }
    }

    /// <summary>Sets when <see cref="AcceptAsync"/> stops waiting. Go: <c>TCPListener.SetDeadline</c>.</summary>
    /// <exception cref="ObjectDisposedException">The listener was closed.</exception>
    public void SetDeadline(Deadline deadline)
    {
        PollResult result = _fd.SetDeadline(PollMode.Read, deadline);
        if (result != PollResult.Ready)
        {
            throw OperationOutcome.From(result).ToException("set deadline of", LocalEndPoint);
        }
    }

    /// <summary>Ends waiting accepts as closed; completes when the address is free again. Harmless when closed.</summary>
    public Task CloseAsync() => _fd.CloseAsync();

    /// <summary>Begins to close and does not wait.</summary>
    public void Dispose() => _ = _fd.CloseAsync();

    /// <inheritdoc cref="CloseAsync"/>
    public ValueTask DisposeAsync() => new(_fd.CloseAsync());
}
