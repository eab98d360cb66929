using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Listeners, dialers and connections over Unix domain sockets: paths and abstract names.</summary>
public sealed class UnixDomainSocketTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly PollerGroup _group = new(new PollerOptions { PollerCount = 2 });

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private UnixDomainSocketEndPoint Path => new(_folder["socket"]);

    private NetDialer Dialer => new() { Group = _group, Timeout = Limit };

    public async ValueTask DisposeAsync()
    {
        await _group.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_listener_and_a_dialer_meet_at_a_path_or_a_name(bool isAbstract)
    {
        UnixDomainSocketEndPoint endPoint = isAbstract ? new UnixDomainSocketEndPoint($"\0netpoll-{Guid.NewGuid():N}") : Path;
        await using NetListener listener = NetListener.Listen(endPoint, _group);
        await using NetConnection client = await Dialer.ConnectAsync(endPoint);
        await using NetConnection server = await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation);

        await client.WriteAsync("ping"u8.ToArray());
        byte[] buffer = new byte[16];
        int count = await server.ReadAsync(buffer);
        await server.WriteAsync(buffer.AsMemory(0, count));
        count = await client.ReadAsync(buffer);
        client.CloseWrite();

        Assert.Equal("ping"u8.ToArray(), buffer[..count]);
        Assert.Equal(0, await server.ReadAsync(buffer));
        Assert.Equal(endPoint, listener.LocalEndPoint);
        Assert.Equal(endPoint, client.RemoteEndPoint);
        Assert.Equal(endPoint, server.LocalEndPoint);

        // A client that was not bound has no name.
        Assert.Equal("", server.RemoteEndPoint!.ToString());
        Assert.Equal(AddressFamily.Unix, server.RemoteEndPoint.AddressFamily);
    }

    [Fact]
    public async Task A_client_may_come_from_a_path_of_its_own_which_goes_with_it()
    {
        await using NetListener listener = NetListener.Listen(Path, _group);
        UnixDomainSocketEndPoint own = new(_folder["client"]);
        NetDialer dialer = Dialer;
        dialer.LocalEndPoint = own;

        NetConnection client = await dialer.ConnectAsync(Path);
        await using NetConnection server = await listener.AcceptAsync();

        Assert.Equal(own, server.RemoteEndPoint);
        Assert.True(File.Exists(_folder["client"]));
        await client.CloseAsync();
        Assert.False(File.Exists(_folder["client"]));
    }

    [Fact]
    public async Task A_path_goes_when_its_listener_is_closed_and_can_be_listened_on_again()
    {
        for (int round = 0; round < 3; round++)
        {
            NetListener listener = NetListener.Listen(Path, _group);
            Assert.True(File.Exists(_folder["socket"]));

            await listener.CloseAsync();

            Assert.False(File.Exists(_folder["socket"]));
        }
    }

    [Fact]
    public async Task A_path_whose_listener_is_gone_is_replaced()
    {
        LeaveStale(_folder["socket"]);
        await ConnectIsRefused();

        await using NetListener listener = NetListener.Listen(Path, _group);
        await using NetConnection client = await Dialer.ConnectAsync(Path);

        Assert.NotNull(await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_path_that_somebody_listens_on_is_in_use_and_he_goes_on()
    {
        using Socket other = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        other.Bind(Path);
        other.Listen(1);

        // The second finds the queue full of the first one's probe: somebody who is busy is there, too.
        for (int attempt = 0; attempt < 4; attempt++)
        {
            IOException failure = Assert.Throws<IOException>(() => NetListener.Listen(Path, _group));

            Assert.Contains(_folder["socket"], failure.Message, StringComparison.Ordinal);
            Assert.Contains("somebody listens there", failure.Message, StringComparison.Ordinal);
            Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        }

        using Socket accepted = await other.AcceptAsync(Cancellation);
        await using NetListener ours = NetListener.Listen(new UnixDomainSocketEndPoint(_folder["ours"]), _group);
        Assert.Throws<IOException>(() => NetListener.Listen(ours.LocalEndPoint, _group));
    }

    [Theory]
    [InlineData("file", "a regular file")]
    [InlineData("folder", "a folder")]
    [InlineData("link", "no socket")]
    public void What_is_no_socket_is_never_removed(string kind, string described)
    {
        string path = _folder["socket"];
        switch (kind)
        {
            case "file":
                File.WriteAllText(path, "precious");
                break;
            case "folder":
                Directory.CreateDirectory(path);
                break;
            default:
                LeaveStale(_folder["elsewhere"]);
                File.CreateSymbolicLink(path, _folder["elsewhere"]);
                break;
        }

        IOException failure = Assert.Throws<IOException>(() => NetListener.Listen(Path, _group));

        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
        Assert.Contains(described, failure.Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(path) || File.Exists(path) || new FileInfo(path).LinkTarget is not null);
        Assert.True(kind != "file" || File.ReadAllText(path) == "precious");
        Assert.True(kind != "link" || File.Exists(_folder["elsewhere"]));
    }

    [Fact]
    public async Task Of_many_who_find_the_same_stale_path_one_gets_it_and_can_be_reached()
    {
        for (int round = 0; round < 50; round++)
        {
            LeaveStale(_folder["socket"]);
            using Barrier start = new(4);
            Task<NetListener?>[] starters = [.. Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait(Cancellation);
                    try
                    {
                        return NetListener.Listen(Path, _group);
                    }
                    catch (IOException)
                    {
                        return null;
                    }
                },
                Cancellation,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default))];

            NetListener?[] results = await Task.WhenAll(starters).WaitAsync(Limit, Cancellation);

            NetListener winner = Assert.Single(results, static listener => listener is not null)!;
            await using NetConnection client = await Dialer.ConnectAsync(Path);
            await client.WriteAsync("you?"u8.ToArray());
            Assert.True(await IsReachedAsync(winner), "Who won the path is not who is reached by it.");
            await winner.CloseAsync();
        }
    }

    [Fact]
    public async Task A_path_that_became_somebody_else_s_is_left_to_him()
    {
        NetListener first = NetListener.Listen(Path, _group);
        File.Delete(_folder["socket"]);
        await using NetListener second = NetListener.Listen(Path, _group);

        await first.CloseAsync();

        await using NetConnection client = await Dialer.ConnectAsync(Path);
        Assert.NotNull(await second.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public void A_path_that_is_too_long_is_refused_with_its_length()
    {
        ArgumentException failure = Assert.ThrowsAny<ArgumentException>(
            () => NetListener.Listen(new UnixDomainSocketEndPoint(_folder[new string('x', 200)]), _group));

        Assert.Contains("length", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_nothing_is_or_nobody_listens_an_attempt_fails_and_names_the_path()
    {
        IOException missing = await Assert.ThrowsAsync<IOException>(() => Dialer.ConnectAsync(Path).AsTask());
        LeaveStale(_folder["socket"]);
        IOException stale = await ConnectIsRefused();

        Assert.Contains(_folder["socket"], missing.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressNotAvailable, Assert.IsType<SocketException>(missing.InnerException).SocketErrorCode);
        Assert.Contains(_folder["socket"], stale.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_attempt_at_a_full_queue_waits_until_there_is_room_or_its_time_is_over()
    {
        await using NetListener listener = NetListener.Listen(Path, _group, backlog: 1);
        List<NetConnection> queued = [];
        NetDialer hasty = new() { Group = _group, Timeout = TimeSpan.FromMilliseconds(50) };
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (queued.Count < 16)
            {
                queued.Add(await hasty.ConnectAsync(Path));
            }
        });
        using CancellationTokenSource cancelled = new();
        Task<NetConnection> withdrawn = Dialer.ConnectAsync(Path, cancelled.Token).AsTask();
        Task<NetConnection> patient = Dialer.ConnectAsync(Path).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => withdrawn.WaitAsync(Limit, Cancellation));
        Assert.False(patient.IsCompleted);

        List<NetConnection> accepted = [];
        while (accepted.Count < queued.Count + 1)
        {
            accepted.Add(await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation));
        }

        queued.Add(await patient.WaitAsync(Limit, Cancellation));
        foreach (NetConnection connection in queued.Concat(accepted))
        {
            await connection.DisposeAsync();
        }
    }

    [Fact]
    public async Task Both_sides_know_the_other_s_process_and_TCP_knows_none()
    {
        await using NetListener listener = NetListener.Listen(Path, _group);
        NetConnection client = await Dialer.ConnectAsync(Path);
        await using NetConnection server = await listener.AcceptAsync();
        await using Loopback tcp = await Loopback.ConnectAsync();
        string[] ids = (await File.ReadAllLinesAsync("/proc/self/status", Cancellation)).Where(static line => line.StartsWith("Uid:", StringComparison.Ordinal) || line.StartsWith("Gid:", StringComparison.Ordinal)).ToArray();

        PeerCredentials expected = new(Environment.ProcessId, Effective(ids[0]), Effective(ids[1]));
        Assert.Equal(expected, server.PeerCredentials);
        Assert.Equal(expected, client.PeerCredentials);
        Assert.Null(tcp.Connection.PeerCredentials);
        await client.CloseAsync();
        Assert.Throws<ObjectDisposedException>(() => client.PeerCredentials);

        static uint Effective(string line) => uint.Parse(line.Split('\t')[2], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task What_only_TCP_needs_does_no_harm()
    {
        await using NetListener listener = NetListener.Listen(Path, _group);
        await using NetConnection client = await Dialer.ConnectAsync(Path);
        await using NetConnection server = await listener.AcceptAsync();

        client.SetNoDelay(true);
        client.SetNoDelay(false);
        client.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3));
        client.SetKeepAlive(null);
        client.SetUserTimeout(TimeSpan.FromSeconds(5));
        client.SetLinger(TimeSpan.Zero);
        client.SetSendBuffer(64 * 1024);
        client.SetReceiveBuffer(64 * 1024);

        await client.WriteAsync("x"u8.ToArray());
        Assert.Equal(1, await server.ReadAsync(new byte[8]));
    }

    [Fact]
    public async Task End_points_that_do_not_go_together_and_unknown_kinds_are_mistakes()
    {
        NetDialer mixed = Dialer;
        mixed.LocalEndPoint = new IPEndPoint(IPAddress.Loopback, 0);

        ArgumentException failure = await Assert.ThrowsAsync<ArgumentException>(() => mixed.ConnectAsync(Path).AsTask());
        Assert.Contains(nameof(UnixDomainSocketEndPoint), failure.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => NetListener.Listen(new DnsEndPoint("localhost", 80), _group));
    }

    [Fact]
    public async Task A_host_and_port_in_one_end_point_connect_as_two_arguments_do()
    {
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), _group);

        await using NetConnection client = await Dialer.ConnectAsync(new DnsEndPoint("127.0.0.1", listener.LocalEndPoint.Port));

        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
    }

    [Fact]
    public async Task What_was_sent_with_a_descriptor_and_what_was_sent_behind_it_both_arrive()
    {
        await using NetListener listener = NetListener.Listen(Path, _group);
        using Socket peer = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await peer.ConnectAsync(Path, Cancellation);
        await using NetConnection server = await listener.AcceptAsync();
        byte[] buffer = new byte[64];
        Task<int> first = server.ReadAsync(buffer).AsTask();
        await Eventually.True("the reader waits", () => server.Fd.Descriptor.HasReader);

        // Held on its poller, so that both are there when it looks: the system ends the first read behind the descriptor, short.
        using ManualResetEventSlim go = new();
        server.Poller.Post(() => go.Wait(Cancellation));
        DescriptorPassing.Send(peer, "with"u8, (int)peer.Handle);
        await peer.SendAsync("behind"u8.ToArray(), Cancellation);
        go.Set();
        StringBuilder received = new(Encoding.ASCII.GetString(buffer, 0, await first.WaitAsync(Limit, Cancellation)));
        while (received.Length < "withbehind".Length)
        {
            int count = await server.ReadAsync(buffer).AsTask().WaitAsync(Limit, Cancellation);
            received.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }

        Assert.Equal("withbehind", received.ToString());
    }

    // The path of a server that was killed.
    private static void LeaveStale(string path)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path + "~"));
        socket.Listen(1);

        // .NET would remove the path with the socket.
        File.Move(path + "~", path);
    }

    private async Task<IOException> ConnectIsRefused()
    {
        IOException failure = await Assert.ThrowsAsync<IOException>(() => Dialer.ConnectAsync(Path).AsTask());
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        return failure;
    }

    // Those who tried the path and lost are in the queue as well, and have ended.
    private static async Task<bool> IsReachedAsync(NetListener listener)
    {
        while (listener.TryAccept(out NetConnection? connection))
        {
            await using NetConnection accepted = connection!;
            if (await accepted.ReadAsync(new byte[8]).AsTask().WaitAsync(Limit, Cancellation) == 4)
            {
                return true;
            }
        }

        return false;
    }
}
