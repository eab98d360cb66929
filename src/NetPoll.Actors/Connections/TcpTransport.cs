using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Connections;

/// <summary>Plain TCP.</summary>
internal sealed class TcpTransport : IConnectionTransport
{
    private readonly PollableSocket _socket;

    internal TcpTransport(PollableSocket socket) => _socket = socket;

    public IoResult TryRead(Span<byte> buffer) => _socket.Read(buffer);

    public IoResult TryWrite(ReadOnlySpan<byte> buffer) => _socket.Write(buffer);

    public IoResult TryWriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => _socket.WriteVectored(buffers);

    // The same two questions that end a connection attempt: the error that the socket holds, and whether it has a peer.
    public IoResult CheckPeer() => _socket.FinishConnect();

    public IoResult ShutdownWrite() => _socket.Shutdown(PollMode.Write);

    public void Close(bool reset)
    {
        if (reset)
        {
            _ = _socket.SetOption(SocketSetting.LingerSeconds, 0);
        }

        _ = _socket.Close();
    }
}
