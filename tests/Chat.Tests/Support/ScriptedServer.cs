using System.Net;
using System.Net.Sockets;
using Chat.Protocol;

namespace Chat.Tests.Support;

/// <summary>A server for one client at a time that says what the test says, by System.Net.Sockets.</summary>
internal sealed class ScriptedServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private TcpClient? _client;
    private FrameReader<ClientFrame>? _reader;

    public ScriptedServer() => _listener.Start();

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async Task Accept()
    {
        _client = await _listener.AcceptTcpClientAsync(Cancellation);
        _reader = new FrameReader<ClientFrame>(_client.GetStream(), ClientFrame.Parser, ChatProtocol.MaxClientFrameBytes);
    }

    /// <summary>The client's next frame, which must have this body; null stands for the end of the stream.</summary>
    public async Task<ClientFrame> Receive(ClientFrame.BodyOneofCase body)
    {
        ClientFrame? frame = await _reader!.ReadAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        Assert.NotNull(frame);
        Assert.Equal(body, frame.BodyCase);
        return frame;
    }

    /// <summary>Waits until the client has closed the connection, and nothing else came.</summary>
    public async Task ReceiveEnd()
        => Assert.Null(await _reader!.ReadAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation));

    public Task Send(ServerFrame frame) => SendBytes(frame.ToFrame());

    public async Task SendBytes(byte[] bytes) => await _client!.GetStream().WriteAsync(bytes, Cancellation);

    /// <summary>Welcomes the client and lets it into the room that it asks for first.</summary>
    public async Task Greet(Limits? limits = null)
    {
        await Accept();
        ClientFrame hello = await Receive(ClientFrame.BodyOneofCase.Hello);
        await Send(new ServerFrame
        {
            ReplyTo = hello.Id,
            Welcome = new Welcome { ProtocolVersion = 1, Name = hello.Hello.Name, Limits = limits },
        });
        ClientFrame join = await Receive(ClientFrame.BodyOneofCase.Join);
        await Send(new ServerFrame
        {
            ReplyTo = join.Id,
            Joined = new Joined { Room = join.Join.Room, Members = { hello.Hello.Name } },
        });
    }

    /// <summary>Closes the connection; with a reset instead of an end of stream if asked for.</summary>
    public void Hangup(bool reset = false)
    {
        if (reset)
        {
            // By the socket: closing the client would shut it down in order first.
            _client!.Client.LingerState = new LingerOption(true, 0);
            _client.Client.Dispose();
        }

        _client!.Close();
    }

    public void Dispose()
    {
        _client?.Dispose();
        _listener.Dispose();
    }
}
