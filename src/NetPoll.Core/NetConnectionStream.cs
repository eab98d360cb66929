using NetPoll.Core.Scheduling;

namespace NetPoll.Core;

/// <summary>What a stream can be made of.</summary>
internal interface IByteStream : IAsyncDisposable, IDisposable
{
    bool CanRead { get; }

    bool CanWrite { get; }

    bool CanTimeout { get; }

    ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Waits until a read will not wait.</summary>
    ValueTask WaitReadableAsync(CancellationToken cancellationToken);

    void SetReadDeadline(Deadline deadline);

    void SetWriteDeadline(Deadline deadline);
}

/// <summary>A connection or a descriptor as a stream, so that <c>SslStream</c> and <c>StreamReader</c> work on it.</summary>
/// <remarks>
/// A read into an empty buffer waits until something is there, as .NET's own network stream does. The timeouts are deadlines that are set
/// anew for each operation. The blocking forms must not be used on a poller's thread.
/// </remarks>
internal sealed class NetConnectionStream : Stream
{
    private readonly IByteStream _connection;
    private int _readTimeout = Timeout.Infinite;
    private int _writeTimeout = Timeout.Infinite;
    private volatile bool _isDisposed;

    internal NetConnectionStream(IByteStream connection) => _connection = connection;

    public override bool CanRead => !_isDisposed && _connection.CanRead;

    public override bool CanWrite => !_isDisposed && _connection.CanWrite;

    public override bool CanSeek => false;

    public override bool CanTimeout => _connection.CanTimeout;

    public override int ReadTimeout
    {
        get => _readTimeout;
        set
        {
            CheckTimeout(value);
            if (value == Timeout.Infinite && _readTimeout != Timeout.Infinite)
            {
                // The last read's deadline would end a later read.
                _connection.SetReadDeadline(Deadline.None);
            }

            _readTimeout = value;
        }
    }

    public override int WriteTimeout
    {
        get => _writeTimeout;
        set
        {
            CheckTimeout(value);
            if (value == Timeout.Infinite && _writeTimeout != Timeout.Infinite)
            {
                _connection.SetWriteDeadline(Deadline.None);
            }

            _writeTimeout = value;
        }
    }

    public override long Length => throw new NotSupportedException("This stream has no length.");

    public override long Position
    {
        get => throw new NotSupportedException("This stream has no position.");
        set => throw new NotSupportedException("This stream has no position.");
    }

    public override void Flush()
    {
        // Nothing is held back.
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readTimeout != Timeout.Infinite)
        {
            _connection.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(_readTimeout)));
        }

        return buffer.IsEmpty ? WaitAsync(cancellationToken) : _connection.ReadAsync(buffer, cancellationToken);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_writeTimeout != Timeout.Infinite)
        {
            _connection.SetWriteDeadline(Deadline.After(TimeSpan.FromMilliseconds(_writeTimeout)));
        }

        return _connection.WriteAsync(buffer, cancellationToken);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count)
    {
        ThrowOnPoller();
        return ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        ThrowOnPoller();
        WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("This stream cannot seek.");

    public override void SetLength(long value) => throw new NotSupportedException("This stream has no length.");

    public override async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        await _connection.DisposeAsync().BackToPoller();
        await base.DisposeAsync().BackToPoller();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _isDisposed = true;
            _connection.Dispose();
        }

        base.Dispose(disposing);
    }

    private static void CheckTimeout(int value)
    {
        if (value is <= 0 and not Timeout.Infinite)
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, "Expected milliseconds above 0, or Timeout.Infinite.");
        }
    }

    private static void ThrowOnPoller()
    {
        if (Poller.Current is { } poller)
        {
            throw new InvalidOperationException($"A blocking read or write on the thread of {poller} would wait for itself: use the asynchronous form.");
        }
    }

    private async ValueTask<int> WaitAsync(CancellationToken cancellationToken)
    {
        await _connection.WaitReadableAsync(cancellationToken).BackToPoller();
        return 0;
    }
}
