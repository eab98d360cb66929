using System.Net;
using NetPoll.Core.Backends;
using NetPoll.Core.Descriptors;

namespace NetPoll.Core.Sockets;

/// <summary>A reference-counted descriptor: closing it frees whoever waits, and its number lives until the last user has left.</summary>
/// <remarks>Any thread. Go: <c>internal/poll.FD</c>.</remarks>
internal sealed partial class NetFd : IDescriptorUser
{
    private readonly PollableSocket _socket;
    private readonly TaskCompletionSource _destroyed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FdMutex _mutex;

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
    internal TimeSpan? TimeLeft(PollMode mode) => Descriptor.TimeLeft(mode, Poller.Clock.Nanoseconds);

    /// <summary>Ends one direction.</summary>
    internal OperationOutcome Shutdown(PollMode mode)
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        IoResult result = _socket.Shutdown(mode);
        RemoveReference();
        return OperationOutcome.From(result);
    }

    /// <summary>Reads an option.</summary>
    internal OperationOutcome GetOption(SocketSetting setting, out int value)
    {
        value = 0;
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        IoResult result = _socket.GetOption(setting, out value);
        RemoveReference();
        return OperationOutcome.From(result);
    }

    /// <summary>Asks who the peer is.</summary>
    internal OperationOutcome GetPeerCredentials(out PeerCredentials? credentials)
    {
        credentials = null;
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        credentials = _socket.PeerCredentials;
        RemoveReference();
        return OperationOutcome.From(IoResult.Success);
    }

    /// <summary>Calls somebody with the system's number, which stays ours for the length of the call. Go: <c>FD.RawControl</c>.</summary>
    internal OperationOutcome RawControl(Action<int> control)
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        try
        {
            control(_socket.Descriptor);
        }
        finally
        {
            RemoveReference();
        }

        return OperationOutcome.From(IoResult.Success);
    }

    /// <summary>Sets an option.</summary>
    internal OperationOutcome SetOption(SocketSetting setting, int value)
    {
        if (!_mutex.TryAddReference())
        {
            return OperationOutcome.From(PollResult.Closing);
        }

        IoResult result = _socket.SetOption(setting, value);
        RemoveReference();
        return OperationOutcome.From(result);
    }

    internal Exception ToException(OperationOutcome outcome, string operation, long? bytesWritten = null) =>
        outcome.ToException(operation, NamedEndPoint, bytesWritten);

    // An accepted Unix domain socket's peer mostly has no name: then ours says more.
    internal EndPoint? NamedEndPoint => RemoteEndPoint is { } remote && remote.ToString() is { Length: > 0 } ? remote : LocalEndPoint;

    /// <summary>Leaves a direction's lock; the last user of a closed descriptor destroys it here.</summary>
    internal void Unlock(PollMode mode)
    {
        if (_mutex.Unlock(mode))
        {
            Destroy();
        }
    }

    /// <summary>Takes a direction's lock, after those who came before.</summary>
    /// <returns>False when the descriptor is closed.</returns>
    private async ValueTask<bool> LockAsync(PollMode mode, CancellationToken cancellationToken)
    {
        while (true)
        {
#pragma warning disable CA2000 // The semaphore is the mutex's.
            switch (_mutex.TryLockOrEnqueue(mode, out SemaphoreSlim? turn))
#pragma warning restore CA2000
            {
                case LockAttempt.Held:
                    return true;
                case LockAttempt.Closed:
                    return false;
                default:
                    await WaitForTurn(turn!, mode, cancellationToken);
                    break;
            }
        }
    }

    private async ValueTask WaitForTurn(SemaphoreSlim turn, PollMode mode, CancellationToken cancellationToken)
    {
        try
        {
            await turn.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _mutex.LeaveQueue(mode);
            throw;
        }
    }

    private void RemoveReference()
    {
        if (_mutex.RemoveReference())
        {
            Destroy();
        }
    }

    // Once, by the last user. Unregistering comes before close(2), which is never retried.
    private void Destroy()
    {
        Poller.Release(Descriptor);
        if (!_keepsSocket)
        {
            _ = _socket.Close();
        }

        _destroyed.SetResult();
    }
}
