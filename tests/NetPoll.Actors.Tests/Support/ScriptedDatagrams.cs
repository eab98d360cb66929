using System.Collections.Concurrent;
using System.Net;
using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Tests.Support;

/// <summary>A datagram socket by script: what comes, what is taken, and what fails is the test's to say. It keeps what was sent.</summary>
internal sealed class ScriptedDatagrams : PollableSocket, IDatagramSocket
{
    public const int WouldBlock = 11;
    public const int NoNetwork = 101;
    public const int Refused = 111;

    private readonly ConcurrentQueue<Step> _incoming = new();
    private readonly ConcurrentQueue<string> _sent = new();
    private readonly ConcurrentQueue<int> _sendErrors = new();
    private int _batches;
    private int _receives;

    public static IPEndPoint Address { get; } = new(IPAddress.Loopback, 9);

    /// <summary>Whether the system has room.</summary>
    public bool HasRoom { get; set; } = true;

    /// <summary>How many of a batch are taken at most.</summary>
    public int MostPerCall { get; set; } = int.MaxValue;

    /// <summary>What a receive answers when the script has ended, as an errno.</summary>
    public int EndOfScript { get; set; } = WouldBlock;

    public string[] Sent => [.. _sent];

    /// <summary>How many calls sent something.</summary>
    public int Batches => Volatile.Read(ref _batches);

    public int Receives => Volatile.Read(ref _receives);

    public bool IsClosed { get; private set; }

    public IPEndPoint? Remote { get; init; }

    internal override int Descriptor => -1;

    internal override PollKind Kind => PollKind.Datagram;

    internal override IPEndPoint? LocalEndPoint { get; } = new(IPAddress.Loopback, 1);

    internal override IPEndPoint? RemoteEndPoint => Remote;

    public void Comes(string text) => _incoming.Enqueue(new Step(text, 0));

    public void ComesError(int error) => _incoming.Enqueue(new Step(string.Empty, error));

    /// <summary>The next sends fail, one errno each.</summary>
    public void FailSends(params ReadOnlySpan<int> errors)
    {
        foreach (int error in errors)
        {
            _sendErrors.Enqueue(error);
        }
    }

    public IoResult ReceiveFrom(Span<byte> buffer, out ReceivedDatagram datagram) => throw new NotSupportedException();

    public IoResult SendTo(ReadOnlySpan<byte> payload, DatagramAddress to)
    {
        IoResult result = Begin();
        if (!result.IsSuccess)
        {
            return result;
        }

        _sent.Enqueue(System.Text.Encoding.UTF8.GetString(payload));
        Interlocked.Increment(ref _batches);
        return IoResult.Bytes(payload.Length);
    }

    public IoResult ReceiveBatch(DatagramBatch batch)
    {
        Interlocked.Increment(ref _receives);
        batch.Count = 0;
        while (batch.Count < batch.Capacity && _incoming.TryPeek(out Step step))
        {
            if (step.Error != 0)
            {
                if (batch.Count > 0)
                {
                    break;
                }

                _incoming.TryDequeue(out _);
                return IoResult.Failure(step.Error);
            }

            _incoming.TryDequeue(out _);
            batch.Add(System.Text.Encoding.UTF8.GetBytes(step.Text), new DatagramAddress(Address));
        }

        return batch.Count > 0 ? IoResult.Bytes(batch.Count) : IoResult.Failure(EndOfScript);
    }

    public IoResult SendBatch(DatagramBatch batch, int start)
    {
        IoResult result = Begin();
        if (!result.IsSuccess)
        {
            return result;
        }

        int count = Math.Min(batch.Count - start, MostPerCall);
        for (int index = start; index < start + count; index++)
        {
            _sent.Enqueue(System.Text.Encoding.UTF8.GetString(batch.Payload(index).Span));
        }

        Interlocked.Increment(ref _batches);
        return IoResult.Bytes(count);
    }

    public IoResult SetDatagramSetting(DatagramSetting setting, int value) => IoResult.Success;

    public IoResult ChangeMembership(IPAddress group, int interfaceIndex, bool join) => IoResult.Success;

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => throw new NotSupportedException();

    internal override IoResult Read(Span<byte> buffer) => throw new NotSupportedException();

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => throw new NotSupportedException();

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => throw new NotSupportedException();

    internal override IoResult Accept(out PollableSocket? accepted) => throw new NotSupportedException();

    internal override IoResult Shutdown(PollMode mode) => IoResult.Success;

    internal override IoResult FinishConnect() => IoResult.Success;

    internal override IoResult Probe(PollMode mode) => IoResult.TryAgain;

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        value = 0;
        return IoResult.Success;
    }

    internal override IoResult SetOption(SocketSetting setting, int value) => IoResult.Success;

    internal override IoResult Close()
    {
        Assert.False(IsClosed, "The socket was closed twice.");
        IsClosed = true;
        return IoResult.Success;
    }

    private IoResult Begin()
    {
        Assert.False(IsClosed, "Sent through a closed socket.");
        return !HasRoom ? IoResult.TryAgain : _sendErrors.TryDequeue(out int error) ? IoResult.Failure(error) : IoResult.Success;
    }

    private readonly record struct Step(string Text, int Error);
}
