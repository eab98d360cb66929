using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Connections;

/// <content>Streams among the output: what is sent later waits behind them, and they wait for the peer.</content>
internal partial class Connection
{
    /// <summary>Sends what a stream gives, in order with everything else. The poller's thread.</summary>
    /// <returns>Ends when the system has taken everything, or with what kept it from that.</returns>
    internal Task SendStream(Func<Stream> open, bool isOurs, long? length, CancellationToken cancellation)
    {
        ActorPoller home = CheckThread();
        if (length is { } bytes)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(bytes, nameof(length));
        }

        OutputSource source = new(this, open, isOurs, length, cancellation);
        if (cancellation.IsCancellationRequested)
        {
            source.Finish(new OperationCanceledException(cancellation));
        }
        else if (!IsWritable)
        {
            source.Lost();
        }
        else
        {
            Uncork(home);
            Output(home).Append(source, home.Poller.Now);
            CountMessageSent(home, size: 0);
            source.Start();
            FlushLater(home);
        }

        return source.Task;
    }

    /// <summary>As <see cref="SendStream"/>, of a file.</summary>
    internal Task SendFile(string path, long offset, long? length, CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        return SendStream(
            () => new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan) { Position = offset },
            isOurs: true,
            length,
            cancellation);
    }

    /// <summary>A stream has something to send, or will not have any more. Between turns.</summary>
    internal void SourceReady()
    {
        if (_phase != ConnectionPhase.Closed)
        {
            WriteQueued(Home);
        }
    }

    /// <summary>A stream failed or was given up: what waits behind it may go on.</summary>
    internal void RemoveSource(OutputSource source)
    {
        _output?.Remove(source, BytesSent);
        SourceEnded();
    }

    // Puts what the first stream has read before it, or takes it out at its end.
    private bool TryPull(ActorPoller home, PendingOutput output)
    {
        OutputSource source = output.FirstSource!;
        if (source.TryTake(out byte[] piece, out int length))
        {
            output.InsertFirst(piece, length, home.Poller.Now, BytesSent);
            home.Extension.OutputBudget.Take(length);
            home.Traffic.QueuedBytes += length;
            _cold?.Outbound?.AddFirst(length);
            return true;
        }

        if (source.IsAtEnd)
        {
            output.Remove(source, BytesSent);
            source.Finish(failure: null);
            SourceEnded();
            return true;
        }

        return false;
    }
}
