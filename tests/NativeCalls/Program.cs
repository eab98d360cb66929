using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;
using NetPoll.NativeCalls;
using Proto;

// Uses the library on the backend that the command line names, from end to end, and prints the native libraries that it reached for.
// The runtime asks before it binds a native function, even one that is compiled into the code of its caller: nothing gets past this.
ConcurrentBag<string> calls = [];
foreach (System.Reflection.Assembly assembly in new[] { typeof(PollerGroup).Assembly, typeof(NetPollExtension).Assembly })
{
    NativeLibrary.SetDllImportResolver(assembly, (library, _, _) =>
    {
        calls.Add(library);
        return 0;
    });
}

PollBackend backend = Enum.Parse<PollBackend>(args[0]);
await Core(backend);
await Unix(backend);
await Datagrams(backend);
await Actors(backend);
await ActorsThatMove(backend);
await DatagramActors(backend);
foreach (string library in calls.Distinct())
{
    Console.WriteLine($"native: {library}");
}

Console.WriteLine("done");

static async Task Core(PollBackend backend)
{
    await using PollerGroup group = new(new PollerOptions { PollerCount = 2, Backend = backend, Logger = new ConsoleLogger() });
    await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), group);
    NetDialer dialer = new() { Group = group, Timeout = TimeSpan.FromSeconds(20), LocalEndPoint = new IPEndPoint(IPAddress.Loopback, 0) };
    Task<NetConnection> accepting = listener.AcceptAsync().AsTask();
    await using NetConnection client = await dialer.ConnectAsync("127.0.0.1", listener.LocalEndPoint.Port);
    await using NetConnection server = await accepting;
    client.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(5), 3));
    client.SetNoDelay(true);
    client.SetSendBuffer(16 * 1024);
    client.SetReceiveBuffer(16 * 1024);
    client.SetLinger(null);
    client.RawControl(static _ => { });

    // More than fits, so that the writer waits for room.
    byte[] much = new byte[8 * 1024 * 1024];
    Task writing = client.WriteAsync(much).AsTask();
    byte[] buffer = new byte[64 * 1024];
    for (long read = 0; read < much.Length;)
    {
        read += await server.ReadAsync(buffer);
    }

    await writing;
    await client.WriteVectoredAsync(new ReadOnlyMemory<byte>[] { "a"u8.ToArray(), "b"u8.ToArray() });
    await server.WaitReadableAsync();
    await server.WaitWritableAsync();
    _ = server.TryRead(buffer, out _);
    server.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(5)));
    await Expect<DeadlineExceededException>(async () => await server.ReadAsync(buffer));
    server.SetReadDeadline(Deadline.None);
    client.CloseWrite();
    await server.ReadAsync(buffer);
    foreach (Poller poller in group.Pollers)
    {
        _ = poller.Snapshot();
        _ = poller.DumpWaiters();
    }

    _ = group.IsPollDescriptor(3);
    server.SetLinger(TimeSpan.Zero);
    await server.CloseAsync();
    await Expect<IOException>(async () => await client.ReadAsync(buffer));
    IPEndPoint nobody = (IPEndPoint)listener.LocalEndPoint;
    await listener.CloseAsync();
    await Expect<IOException>(async () => await dialer.ConnectAsync(nobody));
}

static async Task Unix(PollBackend backend)
{
    DirectoryInfo folder = Directory.CreateTempSubdirectory("netpoll-");
    try
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Backend = backend, Logger = new ConsoleLogger() });
        UnixDomainSocketEndPoint endPoint = new(Path.Combine(folder.FullName, "socket"));
        UnixDomainSocketEndPoint own = new(Path.Combine(folder.FullName, "client"));
        using (Socket dead = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(own);
            dead.Listen(1);

            // .NET would remove the path with the socket.
            File.Move($"{own}", $"{endPoint}");
        }

        // Replaces what is stale, and not what is alive.
        await using NetListener listener = NetListener.Listen(endPoint, group);
        await Expect<IOException>(() => NetListener.Listen(endPoint, group).CloseAsync());
        NetDialer dialer = new() { Group = group, Timeout = TimeSpan.FromSeconds(20), LocalEndPoint = own };
        await using NetConnection client = await dialer.ConnectAsync(endPoint);
        await client.WriteAsync("hello"u8.ToArray());
        byte[] buffer = new byte[16];
        int received = 0;
        while (received < 5)
        {
            // Behind the one who found that somebody listens.
            await using NetConnection server = await listener.AcceptAsync();
            received += await server.ReadAsync(buffer);
            _ = server.PeerCredentials;
            _ = server.LocalEndPoint;
            server.SetNoDelay(true);
        }

        await listener.CloseAsync();
    }
    finally
    {
        folder.Delete(recursive: true);
    }
}

static async Task Datagrams(PollBackend backend)
{
    await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Backend = backend, Logger = new ConsoleLogger() });
    IPEndPoint anyPort = new(IPAddress.Loopback, 0);
    await using NetDatagramSocket server = NetDatagramSocket.Bind(anyPort, group);
    await using NetDatagramSocket client = NetDatagramSocket.Connect(server.LocalEndPoint, anyPort, group);
    DatagramBatch batch = new(4);
    batch.Add("a"u8);
    batch.Add("b"u8);
    await client.SendBatchAsync(batch);
    byte[] buffer = new byte[16];
    ReceivedDatagram received = await server.ReceiveAsync(buffer);
    await server.SendAsync(buffer.AsMemory(0, received.Count), received.From);
    await server.ReceiveBatchAsync(batch);
    await client.ReceiveAsync(buffer);
    server.SetBroadcast(true);
    server.SetMulticastTimeToLive(1);
    server.SetMulticastLoopback(true);
    server.SetMulticastInterface(Loopback());
    server.JoinGroup(Team(), Loopback());
    server.LeaveGroup(Team(), Loopback());
    server.SetReceiveBuffer(64 * 1024);
    server.SetReadDeadline(Deadline.After(TimeSpan.FromMilliseconds(5)));
    await Expect<DeadlineExceededException>(async () => await server.ReceiveAsync(buffer));
}

static async Task Actors(PollBackend backend)
{
    ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
    {
        Pollers = new PollerOptions { PollerCount = 2, Backend = backend, Logger = new ConsoleLogger() },
        Logger = new ConsoleLogger(),
    });
    Listener listener = await system.NetPoll().ListenAsync("echo", new IPEndPoint(IPAddress.Loopback, 0), static () => new Echo());
    List<Socket> peers = [];
    for (int number = 0; number < 8; number++)
    {
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        peers.Add(peer);
        await peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("hello"u8.ToArray());
        byte[] answer = new byte[5];
        for (int count = 0; count < answer.Length;)
        {
            count += await peer.ReceiveAsync(answer.AsMemory(count));
        }
    }

    TaskCompletionSource closed = new();
    _ = await system.NetPoll().ConnectAsync(listener.EndPoint, () => new Caller(closed));
    await closed.Task;
    peers.ForEach(static peer => peer.Dispose());
    await system.NetPoll().ShutdownAsync(TimeSpan.FromSeconds(10));
}

// At a path, with a core for each poller: who is there, a handler that fails and gets a successor, a move, a group, and a poller that drains.
static async Task ActorsThatMove(PollBackend backend)
{
    DirectoryInfo folder = Directory.CreateTempSubdirectory("netpoll-");
    try
    {
        ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
        {
            Pollers = new PollerOptions { PollerCount = 2, Backend = backend, PinToCores = true, Logger = new ConsoleLogger() },
            Logger = new ConsoleLogger(),
        });
        NetPollExtension netPoll = system.NetPoll();
        TaskCompletionSource<(PID Pid, PeerCredentials? Peer)> guest = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Listener listener = await netPoll.ListenAsync(
            "guests",
            new UnixDomainSocketEndPoint(Path.Combine(folder.FullName, "socket")),
            () => new Guest(guest),
            new ListenerOptions { Connections = new ConnectionOptions { Restart = new RestartPolicy() } });
        Channel<string> heard = Channel.CreateUnbounded<string>();
        PID visitor = await netPoll.ConnectAsync(listener.EndPoint, () => new Visitor(heard.Writer));
        (PID Pid, PeerCredentials? Peer) there = await guest.Task;
        Require(!OperatingSystem.IsLinux() || there.Peer?.ProcessId == Environment.ProcessId, "its credentials");

        system.Root.Send(visitor, "fail");
        Require(await heard.Reader.ReadAsync() == "restarted", "the successor");

        // One of both pollers is another one than it is on.
        foreach (PID poller in netPoll.Pollers)
        {
            await system.Root.RequestAsync<ConnectionMoved>(there.Pid, new MoveConnection(poller), CancellationToken.None);
            system.Root.Send(visitor, "hello");
            Require(await heard.Reader.ReadAsync() == "hello", "the echo after the move");
        }

        ConnectionGroup group = new(system, "room");
        Require(group.Join(there.Pid), "the member");
        using (SharedPayload payload = SharedPayload.Copy("to all\n"u8))
        {
            group.Publish(payload);
        }

        Require(await heard.Reader.ReadAsync() == "to all", "what was published");
        await system.Root.RequestAsync<PollerDrained>(netPoll.Pollers[0], new DrainPoller(TimeSpan.FromSeconds(1)), CancellationToken.None);
        await netPoll.ShutdownAsync(TimeSpan.FromSeconds(10));
    }
    finally
    {
        folder.Delete(recursive: true);
    }
}

// Every option, a socket with an actor for each peer, a connected one, and a group.
static async Task DatagramActors(PollBackend backend)
{
    ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions
    {
        Pollers = new PollerOptions { PollerCount = 2, Backend = backend, Logger = new ConsoleLogger() },
        Logger = new ConsoleLogger(),
    });
    NetPollExtension netPoll = system.NetPoll();
    Channel<string> heard = Channel.CreateUnbounded<string>();
    DatagramOptions options = new()
    {
        ShareAddress = true,
        Broadcast = true,
        MulticastGroups = { Team() },
        MulticastInterface = Loopback(),
        MulticastTimeToLive = 0,
        MulticastLoopback = true,
        ReceiveBufferBytes = 64 * 1024,
        SendBufferBytes = 64 * 1024,
    };
    DatagramSocket team = await netPoll.BindDatagramsAsync("team", new IPEndPoint(IPAddress.Any, 0), () => new DatagramListener(heard.Writer), options);
    system.Root.Send(team.Pid, new SendDatagram("to the team"u8.ToArray(), new DatagramAddress(new IPEndPoint(Team(), team.LocalEndPoint.Port))));
    Require(await heard.Reader.ReadAsync() == "to the team", "the group's datagram");

    DatagramSocket peers = await netPoll.BindDatagramsAsync("peers", new IPEndPoint(IPAddress.Loopback, 0), static _ => new DatagramEcho());
    DatagramSocket client = await netPoll.ConnectDatagramsAsync(peers.LocalEndPoint, () => new DatagramListener(heard.Writer));
    system.Root.Send(client.Pid, new SendDatagram("to the peer"u8.ToArray()));
    Require(await heard.Reader.ReadAsync() == "to the peer", "the echo");
    await netPoll.ShutdownAsync(TimeSpan.FromSeconds(10));
}

static IPAddress Team() => IPAddress.Parse("239.255.77.78");

static int Loopback() => NetworkInterface.GetAllNetworkInterfaces()
    .First(static one => one.NetworkInterfaceType == NetworkInterfaceType.Loopback).GetIPProperties().GetIPv4Properties().Index;

static void Require(bool holds, string what)
{
    if (!holds)
    {
        throw new InvalidOperationException($"Expected {what}.");
    }
}

static async Task Expect<TException>(Func<Task> action)
    where TException : Exception
{
    try
    {
        await action();
    }
    catch (TException)
    {
        return;
    }

    throw new InvalidOperationException($"Expected a {typeof(TException).Name}.");
}

namespace NetPoll.NativeCalls
{
    internal sealed class Echo : ConnectionActor
    {
        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            Send(bytes);
            return bytes.Length;
        }
    }

    /// <summary>Sends more than fits, and closes when all of it has come back.</summary>
    internal sealed class Caller(TaskCompletionSource closed) : ConnectionActor
    {
        private const int Much = 300_000;

        private int _received;

        protected override void OnConnected() => Send(new byte[Much]);

        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            _received += bytes.Length;
            if (_received == Much)
            {
                Close();
            }

            return bytes.Length;
        }

        protected override void OnClosed(ConnectionClosed reason) => closed.SetResult();
    }

    /// <summary>Answers with what it is told, fails over one word, and its successor says so.</summary>
    internal sealed class Guest(TaskCompletionSource<(PID Pid, PeerCredentials? Peer)> connected) : LineConnectionActor
    {
        protected override void OnConnected() => connected.SetResult((Context.Self, PeerCredentials));

        protected override void OnRestarted(Exception failure) => SendFrame("restarted"u8);

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            if (line.SequenceEqual("fail"u8))
            {
                throw new InvalidOperationException("On purpose.");
            }

            SendFrame(line);
            return Task.CompletedTask;
        }
    }

    /// <summary>Says what it is sent, and passes on what it hears.</summary>
    internal sealed class Visitor(ChannelWriter<string> heard) : LineConnectionActor
    {
        protected override Task OnMessage(object message)
        {
            SendFrame(Encoding.UTF8.GetBytes((string)message));
            return Task.CompletedTask;
        }

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            heard.TryWrite(Encoding.UTF8.GetString(line));
            return Task.CompletedTask;
        }
    }

    /// <summary>Passes on what it hears.</summary>
    internal sealed class DatagramListener(ChannelWriter<string> heard) : DatagramActor
    {
        protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) => heard.TryWrite(Encoding.UTF8.GetString(bytes));
    }

    /// <summary>A peer's actor, which sends back what it gets.</summary>
    internal sealed class DatagramEcho : IActor
    {
        public Task ReceiveAsync(IContext context)
        {
            if (context.Message is Datagram datagram)
            {
                context.Send(datagram.Socket, new SendDatagram(datagram.Bytes, datagram.From));
            }

            return Task.CompletedTask;
        }
    }

    internal sealed class ConsoleLogger : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Console.WriteLine(formatter(state, exception));
    }
}
