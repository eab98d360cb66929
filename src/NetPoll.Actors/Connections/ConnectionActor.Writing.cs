using NetPoll.Actors.Connections;

namespace NetPoll.Actors;

/// <content>What is sent, and what becomes of it.</content>
public abstract partial class ConnectionActor
{
    /// <summary>Payloads that were dropped over the connection's life, and their bytes; see <see cref="ConnectionOptions.SlowConsumerPolicy"/>.</summary>
    protected DroppedOutput DroppedOutput => Do(static connection => connection.Dropped);

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

    /// <summary>Payloads were dropped because the peer takes too little; see <see cref="ConnectionOptions.SlowConsumerPolicy"/>.</summary>
    /// <param name="dropped">What was dropped since this was last called. Told soon, but not for each payload.</param>
    /// <remarks>Now there is little room to tell the peer of the gap; <see cref="OnWritesResumed"/> is a good time for that.</remarks>
    protected virtual void OnOutputDropped(DroppedOutput dropped)
    {
    }

    /// <summary>How fast the connection may be; null, the default, for as fast as it can. Setting it begins with full buckets.</summary>
    protected RateLimits? RateLimits
    {
        get => Connection.RateLimits;
        set => Do(value, static (connection, value) => connection.RateLimits = value);
    }

    /// <summary>
    /// Sends bytes. In this connection's callbacks, and after their awaits (<see cref="ConnectionScheduling.ThreadPool"/>: on any thread, and
    /// waits for the poller if that is a MiB behind); ignored after a close.
    /// </summary>
    /// <param name="bytes">Copied, or taken by the system, when this returns.</param>
    /// <exception cref="InvalidOperationException">The caller is not on the connection's poller, where its callbacks run.</exception>
    protected void Send(ReadOnlySpan<byte> bytes) => Connection.Send(bytes);

    /// <summary>Sends a shared payload; the caller keeps his reference. See <see cref="Send(ReadOnlySpan{byte})"/>.</summary>
    protected void Send(SharedPayload payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Connection.Send(payload);
    }

    /// <summary>Sends what a stream gives, in its place: what is sent later waits behind it.</summary>
    /// <remarks>
    /// Read on the thread pool, so it may block, and no faster than the peer takes it: two pieces of 64 KiB are in memory at most. What others
    /// send meanwhile, groups too, waits behind it and is bounded as always; a stream that gives nothing for long holds it up until
    /// <paramref name="cancellation"/>. A close sends it to its end first. If the task does not succeed, the peer has got a part of the stream: as a
    /// rule there is nothing left but to abort.
    /// </remarks>
    /// <param name="stream">The caller's, who leaves it alone until the task has ended, and disposes it.</param>
    /// <param name="length">How many bytes of it, 0 or more; null for all until its end.</param>
    /// <param name="cancellation">Gives it up where it is; the task ends when a read that is under way has.</param>
    /// <returns>Ends when the system has taken everything.</returns>
    /// <exception cref="IOException">The connection ended first, the stream failed, or it ended before its <paramref name="length"/> (<see cref="EndOfStreamException"/>).</exception>
    /// <exception cref="InvalidOperationException">The caller is not on the connection's poller.</exception>
    protected Task SendStreamAsync(Stream stream, long? length = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Do(connection => connection.SendStream(() => stream, isOurs: false, length, cancellation));
    }

    /// <summary>Sends a file or a part of it; see <see cref="SendStreamAsync"/>. It is opened and closed on the thread pool.</summary>
    /// <param name="path">The file.</param>
    /// <param name="offset">Where to begin, 0 or more.</param>
    /// <param name="length">How many bytes, 0 or more; null for all to the end.</param>
    /// <param name="cancellation">Gives it up where it is.</param>
    protected Task SendFileAsync(string path, long offset = 0, long? length = null, CancellationToken cancellation = default) =>
        Do(connection => connection.SendFile(path, offset, length, cancellation));

    /// <summary>Waits until the system has taken everything that was sent so far; what is sent later is not waited for.</summary>
    /// <remarks>
    /// That is the back-pressure of the peer: whoever awaits this sends no faster than the peer reads. It says nothing about what has arrived
    /// at the peer. Awaited in <see cref="OnMessage"/> it holds this connection's other messages up, but nothing that is sent.
    /// </remarks>
    /// <param name="cancellation">Ends the wait; what was sent stays sent.</param>
    /// <returns>A task, completed already when the system takes everything at once.</returns>
    /// <exception cref="IOException">The connection ended first.</exception>
    /// <exception cref="InvalidOperationException">The caller is not on the connection's poller.</exception>
    protected ValueTask FlushAsync(CancellationToken cancellation = default)
    {
        if (Connection.TryFlush())
        {
            return default;
        }

        FlushTask flush = new(Connection);
        Do(flush, static (connection, flush) => connection.Flush(flush));
        return new ValueTask(flush.Task.WaitAsync(cancellation));
    }
}
