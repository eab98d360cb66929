using System.Net;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Sockets;

/// <summary>A reference-counted descriptor: closing it frees whoever waits, and its number lives until the last user has left.</summary>
/// <remarks>Any thread. Go: <c>internal/poll.FD</c>.</remarks>
internal sealed partial class NetFd : SharedFd, IDescriptorUser
{
    private readonly PollableSocket _socket;
    private readonly TaskCompletionSource _destroyed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Set by the one who detaches, while he holds a reference: whoever destroys comes after him.
    private bool _keepsSocket;

    private NetFd(Poller poller, PollableSocket socket, PollDescriptor descriptor)
    {
        Poller = poller;
        _socket = socket;
        Descriptor = descriptor;
        LocalEndPoint = socket.LocalEndPoint;
    }

    internal Poller Poller { get; }

    /// <summary>The public handle, which whoever waits keeps alive by this: only one that is forgotten and does not wait is collected.</summary>
    internal object? Owner { get; set; }

    internal PollDescriptor Descriptor { get; }

    internal EndPoint? LocalEndPoint { get; private set; }

    internal EndPoint? RemoteEndPoint => _socket.RemoteEndPoint;

    /// <summary>The system's number; somebody else's after the close.</summary>
    internal int Number => _socket.Descriptor;

    /// <inheritdoc/>
    public int OperationsInProgress => _mutex.LocksHeld;

    /// <summary>Takes a socket in. On an error the socket is still the caller's.</summary>
    internal static IoResult Open(Poller poller, PollableSocket socket, out NetFd? fd)
    {
        IoResult result = poller.Open(socket, out PollDescriptor? descriptor);
        fd = result.IsSuccess ? new NetFd(poller, socket, descriptor!) : null;
        if (fd is not null)
        {
            descriptor!.User = fd;
        }

        return result;
    }

    /// <summary>Takes a socket in at the group's next poller, or closes it.</summary>
    /// <exception cref="ObjectDisposedException">The group has stopped.</exception>
    internal static IoResult OpenOrClose(PollerGroup group, PollableSocket socket, out NetFd? fd)
    {
        fd = null;
        try
        {
            return Open(group.Choose(), socket, out fd);
        }
        finally
        {
            if (fd is null)
            {
                _ = socket.Close();
            }
        }
    }

    /// <summary>As the other form, for a socket that was adopted.</summary>
    /// <exception cref="IOException">The poller cannot watch it.</exception>
    internal static NetFd OpenOrClose(PollerGroup group, PollableSocket socket)
    {
        object? subject = socket.Name ?? (object?)socket.LocalEndPoint;
        IoResult result = OpenOrClose(group, socket, out NetFd? fd);
        return result.IsSuccess ? fd! : throw result.ToException($"watch {subject}");
    }

    /// <summary>
    /// Closes: later operations fail, waiting ones end with Closing. The task completes when the number is released, which the last user
    /// does; never waits by itself. Harmless when it is closed already. Go: <c>FD.Close</c>.
    /// </summary>
    internal Task CloseAsync()
    {
        if (_mutex.AddReferenceAndClose())
        {
            Poller.Evict(Descriptor);
            if (_mutex.RemoveReference())
            {
                Destroy();
            }
        }

        return _destroyed.Task;
    }

    /// <summary>Closes as <see cref="CloseAsync"/> does, but gives the open socket back, which no poller watches any more.</summary>
    /// <returns>The caller's from here on; null when somebody else has closed it.</returns>
    internal async Task<PollableSocket?> DetachAsync()
    {
        if (!_mutex.AddReferenceAndClose())
        {
            return null;
        }

        _keepsSocket = true;
        Poller.Evict(Descriptor);
        if (_mutex.RemoveReference())
        {
            Destroy();
        }

        await _destroyed.Task.ConfigureAwait(false);
        return _socket;
    }

    /// <summary>Sets a deadline. Go: <c>setDeadlineImpl</c>.</summary>
    /// <returns>Ready, or Closing when it is closed.</returns>
    internal PollResult SetDeadline(PollMode mode, Deadline deadline)
    {
        if (!_mutex.TryAddReference())
        {
            return PollResult.Closing;
        }

        Poller.SetDeadline(Descriptor, mode, deadline);
        RemoveReference();
        return PollResult.Ready;
    }

    /// <summary>How long until a direction's deadline.</summary>
    /// <returns>Ready, or Closing when it is closed: the descriptor may be somebody else's by then.</returns>
    internal PollResult TimeLeft(PollMode mode, out TimeSpan? left)
    {
        left = null;
        if (!_mutex.TryAddReference())
        {
            return PollResult.Closing;
        }

        left = Descriptor.TimeLeft(mode, Poller.Clock.Nanoseconds);
        RemoveReference();
        return PollResult.Ready;
    }

    /// <summary>Ends one direction.</summary>
    internal OperationOutcome Shutdown(PollMode mode) =>
        Use((Socket: _socket, mode), static call => call.Socket.Shutdown(call.mode));

    /// <summary>Reads an option.</summary>
    internal OperationOutcome GetOption(SocketSetting setting, out int value)
    {
        int found = 0;
        OperationOutcome outcome = Use(_socket, socket => socket.GetOption(setting, out found));
        value = found;
        return outcome;
    }

    /// <summary>Does something with the socket that is no read and no write, while it cannot be closed.</summary>
    internal OperationOutcome Use<TState>(TState state, Func<TState, IoResult> use)
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        try
        {
            return OperationOutcome.From(use(state));
        }
        finally
        {
            RemoveReference();
        }
    }

    /// <summary>Asks who the peer is.</summary>
    internal OperationOutcome GetPeerCredentials(out PeerCredentials? credentials)
    {
        PeerCredentials? found = null;
        OperationOutcome outcome = Use(_socket, socket =>
        {
            found = socket.PeerCredentials;
            return IoResult.Success;
        });
        credentials = found;
        return outcome;
    }

    /// <summary>Calls somebody with the system's number, which stays ours for the length of the call. Go: <c>FD.RawControl</c>.</summary>
    internal OperationOutcome RawControl(Action<int> control) => Use((Socket: _socket, control), static call =>
    {
        call.Socket.MayLinger();
        call.control(call.Socket.Descriptor);
        return IoResult.Success;
    });

    /// <summary>Sets an option.</summary>
    internal OperationOutcome SetOption(SocketSetting setting, int value) =>
        Use((Socket: _socket, setting, value), static call => call.Socket.SetOption(call.setting, call.value));

    internal Exception ToException(OperationOutcome outcome, string operation, long? bytesWritten = null) =>
        outcome.ToException(operation, Subject, bytesWritten);

    // What messages call it. An accepted Unix domain socket's peer mostly has no name: then ours says more.
    internal object? Subject => RemoteEndPoint is { } remote && remote.ToString() is { Length: > 0 } ? remote : LocalEndPoint ?? (object?)_socket.Name;

    // Once, by the last user. Unregistering comes before close(2), which is never retried.
    protected override void Destroy()
    {
        Poller.Release(Descriptor);
        if (!_keepsSocket && _socket.CloseBlocks)
        {
            // Not on a poller's thread, nor on the finalizer's.
            ThreadPool.UnsafeQueueUserWorkItem(static fd => fd.CloseSocket(), this, preferLocal: false);
            return;
        }

        CloseSocket();
    }

    private void CloseSocket()
    {
        if (!_keepsSocket)
        {
            _ = _socket.Close();
        }

        _destroyed.SetResult();
    }
}
