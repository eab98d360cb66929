using System.Collections.Concurrent;
using System.Net;
using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Tests;

/// <summary>One answer to a read.</summary>
internal delegate IoResult ReadStep(Span<byte> buffer);

/// <summary>One answer to a write.</summary>
internal delegate IoResult WriteStep(ReadOnlySpan<byte> buffer);

/// <summary>Operations by script: each call takes the next step; when there is none it takes the default.</summary>
internal sealed class ScriptedSocket : PollableSocket
{
    public const int WouldBlock = 11;

    private readonly ConcurrentQueue<ReadStep> _reads = new();
    private readonly ConcurrentQueue<WriteStep> _writes = new();
    private readonly ConcurrentQueue<(int Error, PollableSocket? Socket)> _accepts = new();
    private readonly List<byte> _written = [];
    private IPEndPoint _remote = new(IPAddress.Loopback, 2);
    private int _readCalls;
    private int _writeCalls;
    private int _acceptCalls;
    private int _closeCalls;

    /// <summary>What a read answers when the script has ended: that it would block.</summary>
    public ReadStep DefaultRead { get; set; } = static _ => IoResult.Failure(WouldBlock);

    /// <summary>What a write answers when the script has ended: that everything was taken.</summary>
    public WriteStep DefaultWrite { get; set; } = static buffer => IoResult.Bytes(buffer.Length);

    public int ReadCalls => Volatile.Read(ref _readCalls);

    public int WriteCalls => Volatile.Read(ref _writeCalls);

    public int AcceptCalls => Volatile.Read(ref _acceptCalls);

    /// <summary>Runs in an accept that brings something, before it returns.</summary>
    public Action? WhileAccepting { get; set; }

    public int CloseCalls => Volatile.Read(ref _closeCalls);

    /// <summary>All bytes that were taken, in order.</summary>
    public byte[] Written
    {
        get
        {
            lock (_written)
            {
                return [.. _written];
            }
        }
    }

    internal override int Descriptor => -1;

    internal override IPEndPoint? LocalEndPoint { get; } = new(IPAddress.Loopback, 1);

    internal override IPEndPoint? RemoteEndPoint => _remote;

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => _remote = endPoint;

    /// <summary>A read that finds these bytes.</summary>
    public ScriptedSocket ThenReads(params byte[] bytes) => ThenReads(buffer =>
    {
        bytes.CopyTo(buffer);
        return IoResult.Bytes(bytes.Length);
    });

    /// <summary>A read that fails; <see cref="WouldBlock"/> for nothing there.</summary>
    public ScriptedSocket ThenReadFails(int error) => ThenReads(_ => IoResult.Failure(error));

    public ScriptedSocket ThenReads(ReadStep step)
    {
        _reads.Enqueue(step);
        return this;
    }

    /// <summary>A write that takes at most so many bytes, whatever is offered.</summary>
    public ScriptedSocket ThenTakes(int count)
    {
        _writes.Enqueue(buffer => IoResult.Bytes(Math.Min(count, buffer.Length)));
        return this;
    }

    public ScriptedSocket ThenWriteFails(int error) => ThenWrites(_ => IoResult.Failure(error));

    public ScriptedSocket ThenWrites(WriteStep step)
    {
        _writes.Enqueue(step);
        return this;
    }

    public ScriptedSocket ThenAccepts(PollableSocket socket)
    {
        _accepts.Enqueue((0, socket));
        return this;
    }

    public ScriptedSocket ThenAcceptFails(params ReadOnlySpan<int> errors)
    {
        foreach (int error in errors)
        {
            _accepts.Enqueue((error, null));
        }

        return this;
    }

    internal override IoResult Read(Span<byte> buffer)
    {
        Interlocked.Increment(ref _readCalls);
        return _reads.TryDequeue(out ReadStep? step) ? step(buffer) : DefaultRead(buffer);
    }

    internal override IoResult Write(ReadOnlySpan<byte> buffer)
    {
        Interlocked.Increment(ref _writeCalls);
        IoResult result = _writes.TryDequeue(out WriteStep? step) ? step(buffer) : DefaultWrite(buffer);
        lock (_written)
        {
            _written.AddRange(buffer[..Math.Min(result.Count, buffer.Length)]);
        }

        return result;
    }

    /// <summary>How many buffers each vectored write was given, in order.</summary>
    public ConcurrentQueue<int> VectorCounts { get; } = new();

    /// <summary>One write of all of them, one behind the other.</summary>
    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        VectorCounts.Enqueue(buffers.Length);
        List<byte> joined = [];
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            joined.AddRange(buffer.Span);
        }

        return Write(joined.ToArray());
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        Interlocked.Increment(ref _acceptCalls);
        if (!_accepts.TryDequeue(out (int Error, PollableSocket? Socket) step))
        {
            accepted = null;
            return IoResult.Failure(WouldBlock);
        }

        WhileAccepting?.Invoke();
        accepted = step.Socket;
        return step.Error == 0 ? IoResult.Success : IoResult.Failure(step.Error);
    }

    internal override IoResult Shutdown(PollMode mode) => IoResult.Success;

    /// <summary>What the end of a connection attempt answers, in turn; a success when the script has ended.</summary>
    public Queue<IoResult> ConnectResults { get; } = new();

    internal override IoResult FinishConnect() => ConnectResults.TryDequeue(out IoResult result) ? result : IoResult.Success;

    internal override IoResult Probe(PollMode mode) => IoResult.TryAgain;

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        value = 0;
        return IoResult.Success;
    }

    internal override IoResult SetOption(SocketSetting setting, int value) => IoResult.Success;

    internal override IoResult Close() => Interlocked.Increment(ref _closeCalls) == 1
        ? IoResult.Success
        : throw new InvalidOperationException("The socket was closed twice.");
}
