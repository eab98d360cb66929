namespace NetPoll.Actors;

/// <content>What is sent, and what becomes of it.</content>
public abstract partial class ConnectionActor
{
    /// <summary>
    /// More output waits than <see cref="ConnectionOptions.OutputHighWatermark"/>: the peer takes less than is sent to it. Nothing is received
    /// until <see cref="OnWritesResumed"/>; what others send to it, they should hold back, too.
    /// </summary>
    protected virtual void OnWritesSuspended()
    {
    }

    /// <summary>No more output waits than <see cref="ConnectionOptions.OutputLowWatermark"/>. Only ever after <see cref="OnWritesSuspended"/>.</summary>
    protected virtual void OnWritesResumed()
    {
    }

    /// <summary>Sends bytes. In this connection's callbacks, and after their awaits; ignored after a close.</summary>
    /// <param name="bytes">Copied, or taken by the system, when this returns.</param>
    /// <exception cref="InvalidOperationException">The caller is not on the connection's poller.</exception>
    protected void Send(ReadOnlySpan<byte> bytes) => Connection.Send(bytes);

    /// <summary>Sends a shared payload; the caller keeps his reference. See <see cref="Send(ReadOnlySpan{byte})"/>.</summary>
    protected void Send(SharedPayload payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Connection.Send(payload);
    }
}
