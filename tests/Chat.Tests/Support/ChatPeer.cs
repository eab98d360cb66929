using System.Net;
using System.Net.Sockets;
using Chat.Protocol;

namespace Chat.Tests.Support;

/// <summary>A client whose frames the test sends and reads itself, by System.Net.Sockets; it may send bytes that are none.</summary>
internal sealed class ChatPeer : IDisposable
{
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly FrameReader<ServerFrame> _reader;
    private ulong _lastId;

    private ChatPeer(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new FrameReader<ServerFrame>(_stream, ServerFrame.Parser, ChatProtocol.MaxServerFrameBytes);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A connection that has said nothing yet.</summary>
    /// <param name="port">The server's.</param>
    /// <param name="receiveBuffer">Bytes that the system may keep for it; 0 for the usual.</param>
    public static async Task<ChatPeer> Connect(int port, int receiveBuffer = 0)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBuffer > 0)
        {
            socket.ReceiveBufferSize = receiveBuffer;
        }

        await socket.ConnectAsync(IPAddress.Loopback, port, Cancellation);
        return new ChatPeer(socket);
    }

    /// <summary>Somebody who has the name.</summary>
    public static async Task<ChatPeer> Named(int port, string name)
    {
        ChatPeer peer = await Connect(port);
        Assert.Equal(name, (await peer.Hello(name)).Welcome?.Name);
        return peer;
    }

    /// <summary>Somebody who has the name and is in the room.</summary>
    public static async Task<ChatPeer> InRoom(int port, string name, string room)
    {
        ChatPeer peer = await Named(port, name);
        Assert.Equal(room, (await peer.Join(room)).Joined?.Room);
        return peer;
    }

    public Task<ServerFrame> Hello(string name)
        => Request(new ClientFrame { Hello = new Hello { ProtocolVersion = ChatProtocol.Version, Name = name, Client = "test" } });

    public Task<ServerFrame> Join(string room) => Request(new ClientFrame { Join = new Join { Room = room } });

    /// <summary>Sends a request and returns its answer; events before it are skipped.</summary>
    public async Task<ServerFrame> Request(ClientFrame frame)
    {
        ulong id = await Send(frame);
        return await Read(answer => answer.ReplyTo == id);
    }

    /// <summary>Says something; the answer is read by others.</summary>
    /// <returns>The request's id.</returns>
    public Task<ulong> Say(string room, string text) => Send(new ClientFrame { Say = new Say { Room = room, Text = text } });

    /// <summary>Sends a frame, with an id of its own if it is a request.</summary>
    public async Task<ulong> Send(ClientFrame frame)
    {
        if (frame.BodyCase != ClientFrame.BodyOneofCase.Pong)
        {
            frame.Id = ++_lastId;
        }

        await SendBytes(frame.ToFrame());
        return frame.Id;
    }

    /// <summary>Sends bytes; a server that does not take them any more is no failure.</summary>
    public async Task SendBytes(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes, Cancellation);
        }
        catch (IOException)
        {
            // What the server said before it closed is to be read.
        }
    }

    /// <summary>The next frame; null at the end of the stream.</summary>
    public async Task<ServerFrame?> Read()
        => await _reader.ReadAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

    /// <summary>The next frame of which this is true; the others are skipped.</summary>
    public async Task<ServerFrame> Read(Func<ServerFrame, bool> which)
    {
        while (true)
        {
            ServerFrame? frame = await Read();
            Assert.NotNull(frame);
            if (which(frame))
            {
                return frame;
            }
        }
    }

    /// <summary>Waits for the Goodbye, behind which the stream must end; returns its reason.</summary>
    public async Task<string> ReadGoodbye()
    {
        ServerFrame goodbye = await Read(static frame => frame.BodyCase == ServerFrame.BodyOneofCase.Goodbye);
        Assert.Null(await Read());
        return goodbye.Goodbye.Reason;
    }

    /// <summary>Waits for the end of the connection, however it comes; what is still read is thrown away.</summary>
    public async Task ReadToEnd()
    {
        try
        {
            while (await Read() is not null)
            {
            }
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException)
        {
            // A reset, perhaps in the middle of a frame.
        }
    }

    /// <summary>Ends in a reset, as the system does for a process that is killed with bytes unread.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    public void Dispose() => _stream.Dispose();
}
