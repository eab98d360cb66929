using System.Net;
using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Tests.Support;

/// <summary>A transport that takes what the script says, and keeps it.</summary>
internal sealed class ScriptedTransport : IConnectionTransport
{
    private readonly List<byte> _written = [];

    /// <summary>How many of the offered bytes are taken; below 0 a full buffer.</summary>
    public Func<int, int> Takes { get; set; } = static offered => offered;

    public byte[] Written => [.. _written];

    public int WrittenLength => _written.Count;

    public int Calls { get; private set; }

    /// <summary>The most buffers that one call was given.</summary>
    public int MostBuffers { get; private set; }

    public EndPoint? LocalEndPoint => null;

    public EndPoint? RemoteEndPoint => null;

    public PeerCredentials? PeerCredentials => null;

    public IoResult TryRead(Span<byte> buffer) => IoResult.TryAgain;

    public IoResult TryWrite(ReadOnlySpan<byte> buffer) => Write([buffer.ToArray()]);

    public IoResult TryWriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        List<byte[]> copies = [];
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            Assert.False(buffer.IsEmpty);
            copies.Add(buffer.ToArray());
        }

        return Write(copies);
    }

    public IoResult CheckPeer() => IoResult.Success;

    public IoResult ShutdownWrite() => IoResult.Success;

    public void Close(bool reset)
    {
    }

    private IoResult Write(List<byte[]> buffers)
    {
        Calls++;
        MostBuffers = Math.Max(MostBuffers, buffers.Count);
        byte[] offered = [.. buffers.SelectMany(static buffer => buffer)];
        int taken = Takes(offered.Length);
        if (taken < 0)
        {
            return IoResult.TryAgain;
        }

        _written.AddRange(offered.AsSpan(0, taken));
        return IoResult.Bytes(taken);
    }
}
