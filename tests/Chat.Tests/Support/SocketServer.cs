using System.Net;
using System.Net.Sockets;
using Chat.Domain;
using Chat.Server.Protobuf;
using Proto;
using Wire = Chat.Protocol;

namespace Chat.Tests.Support;

/// <summary>The real domain behind a door of the simplest kind: an actor and two loops per connection, on System.Net.Sockets.</summary>
internal sealed class SocketServer : IDoor, IAsyncDisposable
{
    private readonly ActorSystem _system = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ChatDomain _chat;
    private readonly Task _accepting;

    public SocketServer()
    {
        _chat = ChatDomain.Start(_system, new ChatOptions { FloodBurst = 1_000_000 }, [this]);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Name => "sockets";

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public IRoomAudience CreateAudience(string room) => new Audience(_system);

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        await _chat.StopAsync();
        await _system.ShutdownAsync();
        await _system.DisposeAsync();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            TcpClient client;
            try
            {
                client = await _listener.AcceptTcpClientAsync();
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }

            PID pid = _system.Root.Spawn(Props.FromProducer(() => new ConnectionActor(_chat, Name, client)));
            _ = ReadAsync(client, pid);
        }
    }

    private async Task ReadAsync(TcpClient client, PID pid)
    {
        var reader = new Wire.FrameReader<Wire.ClientFrame>(
            client.GetStream(), Wire.ClientFrame.Parser, Wire.ChatProtocol.MaxClientFrameBytes);
        try
        {
            while (await reader.ReadAsync(CancellationToken.None) is { } frame)
            {
                _system.Root.Send(pid, frame);
            }
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or ObjectDisposedException)
        {
            // The connection is over, whatever ended it.
        }

        _system.Root.Stop(pid);
    }

    private sealed class ConnectionActor : IActor
    {
        private readonly ChatDomain _chat;
        private readonly string _door;
        private readonly TcpClient _client;
        private Session? _session;

        public ConnectionActor(ChatDomain chat, string door, TcpClient client)
        {
            _chat = chat;
            _door = door;
            _client = client;
        }

        public async Task ReceiveAsync(IContext context)
        {
            switch (context.Message)
            {
                case Started:
                    _session = new Session(_chat, context.Self, _door);
                    break;
                case Wire.ClientFrame frame when Requests.Take(_session!, frame) is { } answer:
                    await SendAsync(answer);
                    break;
                case Wire.ServerFrame frame:
                    await SendAsync(frame);
                    break;
                case Stopping:
                    _session!.End();
                    _client.Dispose();
                    break;
                case InfrastructureMessage:
                    break;
                case { } message:
                    _session!.Observe(message);
                    if (Frames.FromMessage(message, _chat.Options, "") is { } translated)
                    {
                        await SendAsync(translated);
                    }

                    break;
            }
        }

        private async Task SendAsync(Wire.ServerFrame frame)
        {
            try
            {
                await _client.GetStream().WriteAsync(Wire.FrameEncoding.ToFrame(frame));
                if (frame.BodyCase == Wire.ServerFrame.BodyOneofCase.Goodbye)
                {
                    _client.Client.Shutdown(SocketShutdown.Send);
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
            {
                // The reader ends the connection.
            }
        }
    }

    private sealed class Audience : IRoomAudience
    {
        private readonly RootContext _sender;
        private readonly HashSet<PID> _sessions = [];

        public Audience(ActorSystem system) => _sender = new RootContext(system);

        public void Join(Person person, Joined welcome)
        {
            _sessions.Add(person.Session);
            SendTo(person, welcome);
        }

        public void Leave(Person person, RoomEvent? farewell)
        {
            _sessions.Remove(person.Session);
            if (farewell is not null)
            {
                SendTo(person, farewell);
            }
        }

        public void Publish(RoomEvent roomEvent, Person? except)
        {
            Wire.ServerFrame frame = Frames.From(roomEvent);
            foreach (PID session in _sessions)
            {
                if (!session.Equals(except?.Session))
                {
                    _sender.Send(session, frame);
                }
            }
        }

        public void SendTo(Person person, RoomEvent roomEvent) => _sender.Send(person.Session, Frames.From(roomEvent));

        public void Dispose() => _sessions.Clear();
    }
}
