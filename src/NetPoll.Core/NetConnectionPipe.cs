using System.IO.Pipelines;
using NetPoll.Core.Scheduling;

namespace NetPoll.Core;

/// <summary>A connection as a pair of pipes, by .NET's own pipes over the stream; reading holds no buffer while nothing is there.</summary>
internal sealed class NetConnectionPipe : IDuplexPipe
{
    internal NetConnectionPipe(NetConnection connection)
    {
        HalfClosedStream stream = new(connection);
        Input = PipeReader.Create(stream.Reader, new StreamPipeReaderOptions(useZeroByteReads: true));
        Output = PipeWriter.Create(stream.Writer);
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    // Closes the connection when both pipes are complete, and sends the FIN when the writer is.
    private sealed class HalfClosedStream
    {
        private readonly NetConnection _connection;
        private int _open = 2;

        internal HalfClosedStream(NetConnection connection)
        {
            _connection = connection;
            Reader = new Half(this, isWriter: false);
            Writer = new Half(this, isWriter: true);
        }

        internal Stream Reader { get; }

        internal Stream Writer { get; }

        private void Close(bool isWriter)
        {
            if (Interlocked.Decrement(ref _open) == 0)
            {
                _connection.Dispose();
                return;
            }

            if (isWriter)
            {
                try
                {
                    _connection.CloseWrite();
                }
                catch (IOException)
                {
                    // The peer has reset the connection: it needs no FIN any more.
                }
                catch (ObjectDisposedException)
                {
                    // Somebody has closed it meanwhile.
                }
            }
        }

        // Without the FIN: the peer would take what it has for all there is.
        private void Reset()
        {
            try
            {
                _connection.SetLinger(TimeSpan.Zero);
            }
            catch (IOException)
            {
                // It is broken: the peer sees no end.
            }
            catch (ObjectDisposedException)
            {
                // Somebody has closed it meanwhile.
            }

            _connection.Dispose();
        }

        private sealed class Half : Stream
        {
            private readonly HalfClosedStream _parent;
#pragma warning disable CA2213 // A view of the connection, which is closed when both halves are.
            private readonly NetConnectionStream _inner;
#pragma warning restore CA2213
            private readonly bool _isWriter;
            private Task _writing = Task.CompletedTask;
            private int _isClosed;

            internal Half(HalfClosedStream parent, bool isWriter)
            {
                _parent = parent;
                _inner = new NetConnectionStream(parent._connection);
                _isWriter = isWriter;
            }

            public override bool CanRead => !_isWriter;

            public override bool CanWrite => _isWriter;

            public override bool CanSeek => false;

            public override long Length => _inner.Length;

            public override long Position
            {
                get => _inner.Position;
                set => _inner.Position = value;
            }

            public override void Flush() => _inner.Flush();

            public override Task FlushAsync(CancellationToken cancellationToken) => _inner.FlushAsync(cancellationToken);

            public override int Read(byte[] buffer, int offset, int count) => _inner.Read(buffer, offset, count);

            public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
                _inner.ReadAsync(buffer, cancellationToken);

            public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
                _inner.ReadAsync(buffer, offset, count, cancellationToken);

            // Only the writer's Complete calls it, for what was not flushed. Where it must not block, the end follows the bytes in its time.
            public override void Write(byte[] buffer, int offset, int count)
            {
                if (Poller.Current is null)
                {
                    _inner.Write(buffer, offset, count);
                    return;
                }

                // A copy: the pipe takes its memory back when this returns.
                _writing = WriteAfterAsync(_writing, buffer.AsMemory(offset, count).ToArray());
            }

            public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
                _inner.WriteAsync(buffer, cancellationToken);

            public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
                _inner.WriteAsync(buffer, offset, count, cancellationToken);

            public override long Seek(long offset, SeekOrigin origin) => _inner.Seek(offset, origin);

            public override void SetLength(long value) => _inner.SetLength(value);

            protected override void Dispose(bool disposing)
            {
                if (disposing && Interlocked.Exchange(ref _isClosed, 1) == 0)
                {
                    if (_writing.IsCompletedSuccessfully)
                    {
                        _parent.Close(_isWriter);
                    }
                    else
                    {
                        _ = CloseAfterAsync(_writing);
                    }
                }

                base.Dispose(disposing);
            }

            private async Task WriteAfterAsync(Task before, ReadOnlyMemory<byte> bytes)
            {
                await before.BackToPoller();
                await _inner.WriteAsync(bytes).BackToPoller();
            }

            private async Task CloseAfterAsync(Task writing)
            {
                try
                {
                    await writing.BackToPoller();
                }
                catch (Exception exception) when (exception is IOException or DeadlineExceededException or ObjectDisposedException)
                {
                    _parent.Reset();
                    return;
                }

                _parent.Close(_isWriter);
            }
        }
    }
}
