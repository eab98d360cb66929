using System.Buffers;

namespace NetPoll.Actors.Connections;

/// <summary>A stream whose bytes are sent in its place among the output: read on the thread pool, one piece ahead of the peer.</summary>
/// <remarks>
/// It stands in the queue as a mark at which writing stops. When the mark is first, the piece that was read is put before it and the next one
/// is begun; so two pieces are in memory at most, however large the stream and however slow the peer. The poller's thread, but for the reading.
/// </remarks>
internal sealed class OutputSource : IThreadPoolWorkItem
{
    /// <summary>Bytes of a piece at most.</summary>
    internal const int PieceSize = 64 * 1024;

    private readonly Connection _connection;
    private readonly Func<Stream> _open;
    private readonly bool _isOurs;
    private readonly bool _hasLength;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenRegistration _onCancelled;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Stream? _stream;
    private long _left;
    private byte[]? _piece;
    private int _pieceLength;
    private bool _isReading;
    private bool _isAtEnd;

    // What became of it, once that is known; the task ends when nobody reads the stream any more.
    private Exception? _failure;
    private bool _isOver;
    private Task _cancelling = Task.CompletedTask;

    /// <param name="connection">Whose output.</param>
    /// <param name="open">Gives the stream, on the thread pool.</param>
    /// <param name="isOurs">Whether to dispose it.</param>
    /// <param name="length">How many bytes of it; null for all.</param>
    /// <param name="cancellation">Ends it where it is.</param>
    internal OutputSource(Connection connection, Func<Stream> open, bool isOurs, long? length, CancellationToken cancellation)
    {
        _connection = connection;
        _open = open;
        _isOurs = isOurs;
        _hasLength = length is not null;
        _left = length ?? long.MaxValue;
        _cancellation = cancellation;
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _onCancelled = cancellation.UnsafeRegister(
            static state =>
            {
                OutputSource source = (OutputSource)state!;
                source._connection.Home.Poller.Post(() => source.End(new OperationCanceledException(source._cancellation)));
            },
            this);
    }

    /// <summary>Ends when the system has taken everything, or with what kept it from that.</summary>
    internal Task Task => _done.Task;

    /// <summary>Whether everything was given out.</summary>
    internal bool IsAtEnd => _isAtEnd && _piece is null;

    /// <summary>Begins to read.</summary>
    internal void Start()
    {
        if (_left == 0)
        {
            _isAtEnd = true;
            return;
        }

        _isReading = true;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Gives the piece that was read away, and begins to read the next.</summary>
    /// <param name="piece">Rented; the receiver gives it back.</param>
    /// <param name="length">How much of it.</param>
    /// <returns>False when none is there yet.</returns>
    internal bool TryTake(out byte[] piece, out int length)
    {
        piece = _piece!;
        length = _pieceLength;
        if (_piece is null)
        {
            return false;
        }

        _piece = null;
        if (!_isAtEnd)
        {
            Start();
        }

        return true;
    }

    /// <summary>Its place in the queue is gone with the connection.</summary>
    internal void Lost()
    {
        if (!_isOver)
        {
            Finish(new ConnectionLostException($"The connection to {_connection.Subject} ended before everything was sent."));
        }
    }

    /// <summary>Its mark has been taken out of the queue, in the end or before. Once.</summary>
    /// <param name="failure">Null when everything was sent.</param>
    internal void Finish(Exception? failure)
    {
        _isOver = true;
        _failure = failure;
        _onCancelled.Unregister();
        if (_isReading)
        {
            // Not here: what is registered with the token may block.
            _cancelling = _over.CancelAsync();
        }
        else
        {
            Complete();
        }
    }

    /// <inheritdoc/>
    void IThreadPoolWorkItem.Execute() => _ = ReadAsync();

    private async Task ReadAsync()
    {
        byte[] piece = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceSize, _left));
        int length = 0;
        Exception? failure = null;
        try
        {
            _stream ??= _open();
            length = await _stream.ReadAsync(piece.AsMemory(0, (int)Math.Min(piece.Length, Math.Min(PieceSize, _left))), _over.Token).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whoever awaits the sending gets it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            failure = exception;
        }

        _connection.Home.Poller.Post(() => Read(piece, length, failure));
    }

    private void Read(byte[] piece, int length, Exception? failure)
    {
        _isReading = false;
        if (_isOver || length == 0)
        {
            ArrayPool<byte>.Shared.Return(piece);
        }

        if (_isOver)
        {
            Complete();
        }
        else if (failure is not null)
        {
            End(failure);
        }
        else
        {
            _left -= length;
            _isAtEnd = length == 0 || _left == 0;
            if (length == 0 && _hasLength)
            {
                End(new EndOfStreamException($"The stream ended {_left} bytes before what was to be sent of it."));
                return;
            }

            if (length > 0)
            {
                _piece = piece;
                _pieceLength = length;
            }

            _connection.SourceReady();
        }
    }

    private void End(Exception failure)
    {
        if (!_isOver)
        {
            _connection.RemoveSource(this);
            Finish(failure);
            _connection.SourceReady();
        }
    }

    private void Complete()
    {
        if (_piece is { } piece)
        {
            _piece = null;
            ArrayPool<byte>.Shared.Return(piece);
        }

        _ = _cancelling.ContinueWith(
            static (_, over) => ((CancellationTokenSource)over!).Dispose(),
            _over,
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        if (_isOurs && _stream is not null)
        {
            // Closing a file may block.
            ThreadPool.UnsafeQueueUserWorkItem(static source => _ = source.DisposeAndTellAsync(), this, preferLocal: false);
        }
        else
        {
            Tell();
        }
    }

    private async Task DisposeAndTellAsync()
    {
        try
        {
            await _stream!.DisposeAsync().ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whoever awaits the sending gets it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _failure ??= exception;
        }

        Tell();
    }

    private void Tell()
    {
        switch (_failure)
        {
            case null:
                _done.SetResult();
                break;
            case OperationCanceledException when _cancellation.IsCancellationRequested:
                _done.SetCanceled(_cancellation);
                break;
            default:
                _done.SetException(_failure);
                break;
        }
    }
}
