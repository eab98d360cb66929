using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Making connections: to an address, to a name with several addresses, in time and not. After Go's dial_test.go and timeout_test.go.</summary>
public sealed class NetDialerTests : IAsyncDisposable
{
    private const string Host = "host.test";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    private readonly NetListenerFixture _fixture = new(pollers: 2);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private int Port => _fixture.Listener.LocalEndPoint.Port;

    public static TheoryData<double> TimeoutsInThePast => [-5, TimeSpan.MinValue.TotalSeconds, 0];

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task A_connection_is_made_and_carries_bytes()
    {
        Task<NetConnection> accept = _fixture.Listener.AcceptAsync().AsTask();
        await using NetConnection connection = await Dialer().ConnectAsync(_fixture.Listener.LocalEndPoint);
        await using NetConnection accepted = await accept.WaitAsync(Limit, Cancellation);

        Assert.Equal(_fixture.Listener.LocalEndPoint, connection.RemoteEndPoint);
        Assert.Equal(accepted.RemoteEndPoint, connection.LocalEndPoint);
        await connection.WriteAsync(new byte[] { 1, 2, 3 });
        byte[] buffer = new byte[8];
        Assert.Equal(3, await accepted.ReadAsync(buffer));
        Assert.Equal([1, 2, 3], buffer[..3]);
        Assert.True(connection.Fd.GetOption(SocketSetting.NoDelay, out int noDelay).IsSuccess);
        Assert.Equal(1, noDelay);
    }

    [Fact]
    public async Task It_comes_from_the_address_that_it_is_told()
    {
        NetDialer dialer = Dialer();
        dialer.LocalEndPoint = new IPEndPoint(IPAddress.Parse("127.0.0.5"), 0);

        await using NetConnection connection = await dialer.ConnectAsync(_fixture.Listener.LocalEndPoint);

        Assert.Equal(dialer.LocalEndPoint.Address, connection.LocalEndPoint!.Address);
    }

    [Fact]
    public async Task A_connection_that_a_poller_makes_lives_on_it()
    {
        foreach (Poller poller in _fixture.Group.Pollers)
        {
            await poller.RunAsync(async () =>
            {
                await using NetConnection connection = await Dialer().ConnectAsync(_fixture.Listener.LocalEndPoint);
                Assert.Same(poller, connection.Poller);
                Assert.True(poller.IsCurrent);
            });
        }
    }

    [Theory]
    [MemberData(nameof(TimeoutsInThePast))]
    public async Task NP060_A_timeout_in_the_past_fails_before_anything_is_sent(double seconds)
    {
        NetDialer dialer = Dialer();
        dialer.Timeout = seconds < -1e9 ? TimeSpan.MinValue : TimeSpan.FromSeconds(seconds);
        dialer.Resolver = static (_, _) => throw new InvalidOperationException("asked");

        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await dialer.ConnectAsync(_fixture.Listener.LocalEndPoint));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await dialer.ConnectAsync("127.0.0.1", Port));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await dialer.ConnectAsync(Host, Port));

        Assert.False(_fixture.Listener.TryAccept(out _));
    }

    [Fact]
    public async Task NP060_A_deadline_in_the_past_fails_before_anything_is_sent()
    {
        Deadline[] past = [Deadline.Past, Deadline.At(DateTimeOffset.MinValue), Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5))];
        foreach (Deadline deadline in past)
        {
            (OperationOutcome outcome, NetFd? fd) = await NetFd.ConnectAsync(
                _fixture.Group.Choose(), _fixture.Group.Platform, _fixture.Listener.LocalEndPoint, null, deadline, CancellationToken.None);

            Assert.Equal(PollResult.DeadlineExceeded, outcome.Poll);
            Assert.Null(fd);
        }

        Assert.False(_fixture.Listener.TryAccept(out _));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP060_A_connect_that_nobody_answers_ends_at_its_timeout_and_not_before(bool byAddress)
    {
        using FullListener full = await FullListener.OpenAsync(IPAddress.Loopback);
        NetDialer dialer = Dialer();
        dialer.Timeout = TimeSpan.FromMilliseconds(50);
        long start = TimeProvider.System.GetTimestamp();

        DeadlineExceededException failure = await Assert.ThrowsAsync<DeadlineExceededException>(() => (byAddress
            ? dialer.ConnectAsync(full.EndPoint).AsTask()
            : dialer.ConnectAsync("127.0.0.1", full.EndPoint.Port).AsTask()).WaitAsync(Limit, Cancellation));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= dialer.Timeout);
        Assert.Contains("127.0.0.1", failure.Message, StringComparison.Ordinal);
        Assert.Equal(1, _fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
    }

    [Fact]
    public async Task NP060_Of_a_timeout_and_a_token_the_earlier_one_counts()
    {
        using FullListener full = await FullListener.OpenAsync(IPAddress.Loopback);
        NetDialer dialer = Dialer();
        dialer.Timeout = TimeSpan.FromMilliseconds(50);
        using CancellationTokenSource late = new(Never);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => dialer.ConnectAsync(full.EndPoint, late.Token).AsTask().WaitAsync(Limit, Cancellation));

        dialer.Timeout = Never;
        foreach (bool byAddress in new[] { true, false })
        {
            using CancellationTokenSource early = new(50);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => (byAddress
                ? dialer.ConnectAsync(full.EndPoint, early.Token).AsTask()
                : dialer.ConnectAsync("127.0.0.1", full.EndPoint.Port, early.Token).AsTask()).WaitAsync(Limit, Cancellation));
        }
    }

    [Fact]
    public async Task NP060_A_look_up_that_never_ends_ends_at_the_timeout()
    {
        NetDialer dialer = Dialer();
        dialer.Timeout = TimeSpan.FromMilliseconds(50);
        dialer.Resolver = static (_, _) => new TaskCompletionSource<IPAddress[]>().Task;
        long start = TimeProvider.System.GetTimestamp();

        await Assert.ThrowsAsync<DeadlineExceededException>(() => dialer.ConnectAsync(Host, Port).AsTask().WaitAsync(Limit, Cancellation));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= dialer.Timeout);
    }

    [Fact]
    public async Task NP061_The_longest_timeout_of_all_is_no_timeout()
    {
        NetDialer dialer = Dialer();
        foreach (TimeSpan timeout in new[] { TimeSpan.MaxValue, TimeSpan.FromDays(50), Timeout.InfiniteTimeSpan })
        {
            dialer.Timeout = timeout;
            await using NetConnection byAddress = await dialer.ConnectAsync(_fixture.Listener.LocalEndPoint).AsTask().WaitAsync(Limit, Cancellation);
            await using NetConnection byName = await dialer.ConnectAsync("127.0.0.1", Port).AsTask().WaitAsync(Limit, Cancellation);
            Assert.Null(byAddress.TimeLeft(PollMode.Write));
            Assert.Null(byName.TimeLeft(PollMode.Write));
        }

        (OperationOutcome outcome, NetFd? fd) = await NetFd.ConnectAsync(
            _fixture.Group.Choose(), _fixture.Group.Platform, _fixture.Listener.LocalEndPoint, null, Deadline.At(DateTimeOffset.MaxValue), CancellationToken.None);
        Assert.True(outcome.IsSuccess);
        await fd!.CloseAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NP094_A_refusal_is_told_with_the_address_and_is_no_timeout(bool byAddress)
    {
        IPEndPoint closed = ClosedEndPoint();
        NetDialer dialer = Dialer();

        IOException failure = await Assert.ThrowsAsync<IOException>(() => (byAddress
            ? dialer.ConnectAsync(closed).AsTask()
            : dialer.ConnectAsync("127.0.0.1", closed.Port).AsTask()).WaitAsync(Limit, Cancellation));

        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        Assert.Contains(closed.ToString(), failure.Message, StringComparison.Ordinal);
        Assert.Equal(PollErrorClass.Refused, PollErrors.Classify(Errno.ECONNREFUSED));
        Assert.Equal(1, _fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
    }

    [Fact]
    public async Task NP095_A_wake_up_while_the_handshake_goes_on_is_not_taken_for_a_connection()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = world.Platform.Connecting;
        for (int spurious = 0; spurious < 3; spurious++)
        {
            socket.ConnectResults.Enqueue(IoResult.TryAgain);
        }

        Task<NetConnection> connect = new NetDialer { Group = world.Group }.ConnectAsync(new IPEndPoint(IPAddress.Loopback, 1)).AsTask();
        for (int spurious = 0; spurious < 3; spurious++)
        {
            await world.Asleep();
            world.Backend.Inject(socket, PollEventFlags.Write);
            await world.Asleep();
            Assert.False(connect.IsCompleted);
            Assert.Equal(2 - spurious, socket.ConnectResults.Count);
        }

        world.Backend.Inject(socket, PollEventFlags.Write);

        await (await connect.WaitAsync(Limit, Cancellation)).DisposeAsync();
        Assert.Equal(1, socket.CloseCalls);
    }

    [Theory]
    [InlineData(Libc.AF_INET)]
    [InlineData(Libc.AF_INET6)]
    [InlineData(Libc.AF_UNIX)]
    public void NP095_A_socket_without_an_error_and_without_a_peer_is_not_taken_for_a_connection(int family)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The socket is one of Linux's.");
        int descriptor = Libc.StreamSocket(family);
        Assert.True(descriptor >= 0);
        PollableSocket socket = family == Libc.AF_UNIX ? new UnixSocket(descriptor, remoteEndPoint: null) : new TcpSocket(descriptor, remoteEndPoint: null);

        // Nothing is wrong with it, and it counts as writable: it only has no peer.
        Assert.True(socket.Probe(PollMode.Write).IsSuccess);
        Assert.True(socket.FinishConnect().WouldBlock);
        _ = socket.Close();
    }

    [Fact]
    public async Task NP095_A_real_wake_up_of_a_socket_without_a_peer_is_waited_through()
    {
        TestBackend.SkipOnPortable("The portable backend is told of a connection's end, and does not look for it.");
        IPEndPoint remote = (IPEndPoint)_fixture.Listener.LocalEndPoint;
        int descriptor = Libc.StreamSocket(Libc.AF_INET);
        Poller poller = _fixture.Group.Pollers[0];
        IoResult opened = NetFd.Open(poller, new TcpSocket(descriptor, remote), out NetFd? fd);
        Assert.True(opened.IsSuccess);

        // The system reports it, as soon as it is watched, for what it is: nobody's, and therefore ready.
        await Eventually.True("the socket is reported as writable", () => DescriptorModel.WriteSlot(fd!.Descriptor).IsReady);
        Task<OperationOutcome> connect = new ConnectOperation(fd!).Begin(Cancellation).AsTask();
        Assert.False(connect.IsCompleted);
        Assert.False(DescriptorModel.WriteSlot(fd!.Descriptor).IsReady);

        byte[] address = new byte[SocketAddressLayout.MaxSize];
        int length = SocketAddressLayout.Write(remote, address);
        _ = Libc.Connect(descriptor, address.AsSpan(0, length));

        Assert.True((await connect.WaitAsync(Limit, Cancellation)).IsSuccess);
        await fd!.CloseAsync();
    }

    [Fact]
    public async Task NP095_An_attempt_that_fails_later_gives_its_socket_back()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = world.Platform.Connecting;
        socket.ConnectResults.Enqueue(IoResult.Failure(Errno.EHOSTUNREACH));
        Task<NetConnection> connect = new NetDialer { Group = world.Group }.ConnectAsync(new IPEndPoint(IPAddress.Loopback, 1)).AsTask();
        await world.Asleep();
        world.Backend.Inject(socket, PollEventFlags.Write | PollEventFlags.Read | PollEventFlags.Hangup | PollEventFlags.Error);

        IOException failure = await Assert.ThrowsAsync<IOException>(() => connect.WaitAsync(Limit, Cancellation));

        Assert.Equal(SocketError.HostUnreachable, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        Assert.Equal(1, socket.CloseCalls);
        Assert.Equal(0, world.Poller.Snapshot().Monitored);
    }

    [Fact]
    public async Task NP095_A_socket_that_cannot_be_watched_is_given_back()
    {
        await using ScriptedPoller world = new();
        world.Backend.FailOpen(Errno.ENOSPC);

        await Assert.ThrowsAsync<IOException>(() => new NetDialer { Group = world.Group }.ConnectAsync(new IPEndPoint(IPAddress.Loopback, 1)).AsTask().WaitAsync(Limit, Cancellation));

        Assert.Equal(1, world.Platform.Connecting.CloseCalls);
        Assert.Equal(0, world.Poller.Snapshot().Monitored);
    }

    [Fact]
    public async Task NP096_The_timeout_of_the_connect_is_no_deadline_of_the_connection()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = world.Platform.Connecting;
        NetDialer dialer = new() { Group = world.Group, Timeout = Never };
        Task<NetConnection> connect = dialer.ConnectAsync(new IPEndPoint(IPAddress.Loopback, 1)).AsTask();
        await world.Asleep();
        Assert.Equal(1, world.Poller.Snapshot().DeadlinesArmed);
        world.Backend.Inject(socket, PollEventFlags.Write);

        await using NetConnection connection = await connect.WaitAsync(Limit, Cancellation);

        Assert.Null(connection.TimeLeft(PollMode.Write));
        Assert.Equal(0, world.Poller.Snapshot().DeadlinesArmed);
    }

    [Fact]
    public async Task NP096_A_write_after_the_time_of_the_connect_s_deadline_succeeds()
    {
        NetDialer dialer = Dialer();
        dialer.Timeout = TimeSpan.FromSeconds(1);
        long start = TimeProvider.System.GetTimestamp();
        await using NetConnection connection = await dialer.ConnectAsync(_fixture.Listener.LocalEndPoint);
        await using NetConnection accepted = await _fixture.Listener.AcceptAsync();

        connection.SetReadDeadline(Deadline.After(dialer.Timeout));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await connection.ReadAsync(new byte[1]));

        Assert.True(TimeProvider.System.GetElapsedTime(start) > dialer.Timeout);
        await connection.WriteAsync(new byte[1]);
        Assert.Equal(1, await accepted.ReadAsync(new byte[1]));
    }

    [Fact]
    public async Task A_socket_that_would_be_connected_to_itself_is_refused()
    {
        IPEndPoint closed = ClosedEndPoint();
        NetDialer dialer = Dialer();
        dialer.LocalEndPoint = closed;

        IOException failure = await Assert.ThrowsAsync<IOException>(() => dialer.ConnectAsync(closed).AsTask().WaitAsync(Limit, Cancellation));

        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_cancelled_token_sends_nothing()
    {
        CancellationToken cancelled = new(canceled: true);
        NetDialer dialer = Resolving("127.0.0.1");

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await dialer.ConnectAsync(_fixture.Listener.LocalEndPoint, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await dialer.ConnectAsync("127.0.0.1", Port, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await dialer.ConnectAsync(Host, Port, cancelled));

        Assert.False(_fixture.Listener.TryAccept(out _));
    }

    [Theory]
    [InlineData("1.1.1.1", "1.1.1.1")]
    [InlineData("::1 ::2 1.1.1.1 ::3 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2 ::3")]
    [InlineData("1.1.1.1 2.2.2.2 3.3.3.3 ::1", "1.1.1.1 ::1 2.2.2.2 3.3.3.3")]
    [InlineData("::1 ::2", "::1 ::2")]
    public void Families_are_tried_in_turn_beginning_with_the_first_address_s(string addresses, string order)
    {
        List<IPAddress> interleaved = NetDialer.Interleave([.. addresses.Split(' ').Select(IPAddress.Parse)]);

        Assert.Equal(order, string.Join(' ', interleaved));
    }

    [Fact]
    public async Task An_address_that_refuses_gives_way_to_the_next_one_at_once()
    {
        NetDialer dialer = Resolving("127.0.0.2", "::1", "127.0.0.3", "127.0.0.1");
        dialer.FallbackDelay = Never;

        await using NetConnection connection = await dialer.ConnectAsync(Host, Port).AsTask().WaitAsync(Limit, Cancellation);

        Assert.Equal(_fixture.Listener.LocalEndPoint, connection.RemoteEndPoint);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(null)]
    public async Task An_address_that_does_not_answer_gets_company_after_the_delay_and_not_before(int? milliseconds)
    {
        using FullListener full = await FullListener.OpenAsync(IPAddress.Parse("127.0.0.4"), Port);
        NetDialer dialer = Resolving("127.0.0.4", "127.0.0.1");

        // By default a quarter of a second, as RFC 8305 recommends.
        dialer.FallbackDelay = milliseconds is { } given ? TimeSpan.FromMilliseconds(given) : dialer.FallbackDelay;
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds ?? 250), dialer.FallbackDelay);
        long start = TimeProvider.System.GetTimestamp();

        await using NetConnection connection = await dialer.ConnectAsync(Host, Port).AsTask().WaitAsync(Limit, Cancellation);

        // A delay and no deadline: .NET's timers count in coarse ticks and may be some milliseconds early by the finer clock.
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= dialer.FallbackDelay - TimeSpan.FromMilliseconds(10));
        Assert.Equal(_fixture.Listener.LocalEndPoint, connection.RemoteEndPoint);
        Assert.Equal(2, _fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
    }

    [Fact]
    public async Task An_IPv6_address_that_refuses_gives_way_to_IPv4()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "This system has no IPv6.");
        NetDialer dialer = Resolving("::1", "127.0.0.1");
        dialer.FallbackDelay = Never;

        await using NetConnection connection = await dialer.ConnectAsync(Host, Port).AsTask().WaitAsync(Limit, Cancellation);

        Assert.Equal(AddressFamily.InterNetwork, connection.RemoteEndPoint!.AddressFamily);
    }

    [Fact]
    public async Task A_dual_stack_listener_is_reached_by_either_family()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "This system has no IPv6.");
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.IPv6Any, 0), _fixture.Group);
        foreach (string address in new[] { "::1", "127.0.0.1" })
        {
            await using NetConnection connection = await Resolving(address).ConnectAsync(Host, listener.LocalEndPoint.Port).AsTask().WaitAsync(Limit, Cancellation);
            await using NetConnection accepted = await listener.AcceptAsync();

            Assert.Equal(IPAddress.Parse(address), connection.RemoteEndPoint!.Address);
            Assert.Equal(connection.LocalEndPoint!.Port, accepted.RemoteEndPoint!.Port);
        }
    }

    [Fact]
    public async Task When_all_addresses_refuse_the_first_failure_is_told_with_all_of_them()
    {
        NetDialer dialer = Resolving("127.0.0.2", "127.0.0.3");

        IOException failure = await Assert.ThrowsAsync<IOException>(() => dialer.ConnectAsync(Host, Port).AsTask().WaitAsync(Limit, Cancellation));

        Assert.Contains("127.0.0.2, 127.0.0.3", failure.Message, StringComparison.Ordinal);
        IOException first = Assert.IsType<IOException>(failure.InnerException);
        Assert.Contains("127.0.0.2", first.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(first.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_name_without_an_address_is_not_found()
    {
        SocketException failure = await Assert.ThrowsAsync<SocketException>(async () => await Resolving().ConnectAsync(Host, Port));

        Assert.Equal(SocketError.HostNotFound, failure.SocketErrorCode);
    }

    [Fact]
    public async Task When_no_address_answers_the_timeout_ends_all_attempts()
    {
        using FullListener full = await FullListener.OpenAsync(IPAddress.Parse("127.0.0.6"));
        using FullListener other = await FullListener.OpenAsync(IPAddress.Parse("127.0.0.7"), full.EndPoint.Port);
        NetDialer dialer = Resolving("127.0.0.6", "127.0.0.7");
        dialer.FallbackDelay = TimeSpan.FromMilliseconds(5);
        dialer.Timeout = TimeSpan.FromMilliseconds(60);

        await Assert.ThrowsAsync<DeadlineExceededException>(() => dialer.ConnectAsync(Host, full.EndPoint.Port).AsTask().WaitAsync(Limit, Cancellation));

        Assert.Equal(1, _fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
    }

    [Fact]
    public async Task Of_two_connections_that_are_made_the_second_is_closed()
    {
        await using NetListener any = NetListener.Listen(new IPEndPoint(IPAddress.Any, 0), _fixture.Group);
        for (int round = 0; round < StressScale.Rounds(50); round++)
        {
            NetDialer dialer = Resolving("127.0.0.2", "127.0.0.3");
            dialer.FallbackDelay = TimeSpan.Zero;

            await using NetConnection connection = await dialer.ConnectAsync(Host, any.LocalEndPoint.Port).AsTask().WaitAsync(Limit, Cancellation);

            await using NetConnection accepted = await any.AcceptAsync();
            if (any.TryAccept(out NetConnection? loser))
            {
                NetConnection[] both = [accepted, loser!];
                NetConnection lost = both.Single(one => !one.RemoteEndPoint!.Equals(connection.LocalEndPoint));
                try
                {
                    Assert.Equal(0, await lost.ReadAsync(new byte[1]).AsTask().WaitAsync(Limit, Cancellation));
                }
                catch (IOException)
                {
                    // Reset before it was accepted.
                }

                await loser!.DisposeAsync();
            }
        }

        await Eventually.Equal("watched descriptors", 2, () => _fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
    }

    [Fact]
    public async Task What_is_no_host_or_port_is_refused()
    {
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await Dialer().ConnectAsync(null!));
        await Assert.ThrowsAsync<ArgumentException>(async () => await Dialer().ConnectAsync(string.Empty, 1));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await Dialer().ConnectAsync(Host, 0));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await Dialer().ConnectAsync(Host, 65_536));
    }

    [Fact]
    public async Task A_name_that_cannot_be_looked_up_is_named_with_the_system_s_error()
    {
        NetDialer dialer = Dialer();
        dialer.Resolver = static (_, _) => throw new SocketException((int)SocketError.TryAgain);

        SocketException failure = await Assert.ThrowsAsync<SocketException>(async () => await dialer.ConnectAsync(Host, 80));

        Assert.Equal(SocketError.TryAgain, failure.SocketErrorCode);
        Assert.Contains($"look up '{Host}'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_race_is_cancelled_by_the_caller_s_token()
    {
        using CancellationTokenSource cancel = new();
        NetDialer dialer = Dialer();
        dialer.Resolver = static (_, token) => Task.Delay(Timeout.Infinite, token).ContinueWith(static _ => Array.Empty<IPAddress>(), token);
        Task connecting = dialer.ConnectAsync(Host, 80, cancel.Token).AsTask();
        await cancel.CancelAsync();

        OperationCanceledException failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);

        Assert.Equal(cancel.Token, failure.CancellationToken);
    }

    private static IPEndPoint ClosedEndPoint()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    private NetDialer Dialer() => new() { Group = _fixture.Group };

    private NetDialer Resolving(params string[] addresses) => new()
    {
        Group = _fixture.Group,
        Resolver = (host, _) =>
        {
            Assert.Equal(Host, host);
            return Task.FromResult<IPAddress[]>([.. addresses.Select(IPAddress.Parse)]);
        },
    };
}
