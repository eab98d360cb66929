using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

public sealed class NetListenerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("0.0.0.0", "127.0.0.1")]
    [InlineData("::1", "::1")]
    [InlineData("::", "::1")]
    [InlineData("::", "127.0.0.1")]
    public async Task It_listens_where_it_is_told_and_names_the_port(string listen, string connect)
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Parse(listen), 0), group);
        Assert.Equal(IPAddress.Parse(listen), listener.LocalEndPoint.Address);
        Assert.NotEqual(0, listener.LocalEndPoint.Port);
        using Socket peer = new(IPAddress.Parse(connect).AddressFamily, SocketType.Stream, ProtocolType.Tcp);

        await peer.ConnectAsync(new IPEndPoint(IPAddress.Parse(connect), listener.LocalEndPoint.Port), Cancellation);
        await using NetConnection connection = await listener.AcceptAsync();

        Assert.Equal(((IPEndPoint)peer.LocalEndPoint!).Port, connection.RemoteEndPoint!.Port);
    }

    [Fact]
    public async Task A_port_in_use_is_named_in_the_error()
    {
        await using NetListenerFixture fixture = new();

        IOException failure = Assert.Throws<IOException>(() => NetListener.Listen(fixture.Listener.LocalEndPoint, fixture.Group));

        Assert.Contains($"{fixture.Listener.LocalEndPoint}", failure.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        Assert.Equal(1, fixture.Group.Pollers[0].Snapshot().Monitored);
    }

    [Fact]
    public async Task A_closed_listener_s_address_is_free_at_once()
    {
        await using NetListenerFixture fixture = new();
        EndPoint endPoint = fixture.Listener.LocalEndPoint;

        await fixture.Listener.CloseAsync();
        await using NetListener second = NetListener.Listen(endPoint, fixture.Group);

        Assert.Equal(endPoint, second.LocalEndPoint);
    }

    [Fact]
    public async Task NP062_An_accept_past_its_deadline_fails_each_time_although_a_connection_is_queued()
    {
        await using NetListenerFixture fixture = new();
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        fixture.Listener.SetDeadline(Deadline.At(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(5)));

        for (int time = 0; time < 2; time++)
        {
            await Assert.ThrowsAsync<DeadlineExceededException>(async () => await fixture.Listener.AcceptAsync());
        }

        long start = TimeProvider.System.GetTimestamp();
        fixture.Listener.SetDeadline(Deadline.After(TimeSpan.FromMilliseconds(50)));
        int accepted = 0;
        await Assert.ThrowsAsync<DeadlineExceededException>(async () =>
        {
            while (true)
            {
                await using NetConnection connection = await fixture.Listener.AcceptAsync();
                accepted++;
            }
        });
        Assert.InRange(accepted, 0, 1);
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await fixture.Listener.AcceptAsync());
    }

    [Fact]
    public async Task NP063_An_accept_must_return_at_its_deadline()
    {
        await using NetListenerFixture fixture = new();
        fixture.Listener.SetDeadline(Deadline.None);
        fixture.Listener.SetDeadline(Deadline.After(TimeSpan.FromMilliseconds(10)));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => fixture.Listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP064_An_accept_whose_deadline_was_taken_back_must_not_return()
    {
        await using NetListenerFixture fixture = new();
        fixture.Listener.SetDeadline(Deadline.Past);
        fixture.Listener.SetDeadline(Deadline.None);
        Task<NetConnection> accept = fixture.Listener.AcceptAsync().AsTask();

        await Task.Delay(100, Cancellation);
        Assert.False(accept.IsCompleted);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        await using NetConnection connection = await accept.WaitAsync(Limit, Cancellation);

        Task<NetConnection> next = fixture.Listener.AcceptAsync().AsTask();
        await Eventually.True("the next accept waits", () => fixture.Group.Pollers[0].ParkedCount == 1);
        await fixture.Listener.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => next.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task NP093_Connections_that_died_in_the_queue_are_passed_over()
    {
        await using ScriptedPoller world = new();
        ScriptedSocket socket = new();
        world.Platform.Listener
            .ThenAcceptFails(Errno.ECONNABORTED, Errno.ECONNABORTED, Errno.EPROTO, Errno.ECONNRESET, Errno.ENETDOWN)
            .ThenAccepts(socket);
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);

        await using NetConnection connection = await listener.AcceptAsync();

        Assert.Same(socket, connection.Fd.Descriptor.Socket);
        Assert.Equal(6, world.Platform.Listener.AcceptCalls);
    }

    [Fact]
    public async Task NP093_Connections_that_died_are_passed_over_while_an_accept_waits()
    {
        await using ScriptedPoller world = new();
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        Task<NetConnection> accept = listener.AcceptAsync().AsTask();
        await world.Asleep();

        world.Platform.Listener.ThenAcceptFails(Errno.ECONNABORTED);
        world.Backend.Inject(world.Platform.Listener, PollEventFlags.Read);
        await world.Asleep();
        Assert.False(accept.IsCompleted);
        world.Platform.Listener.ThenAccepts(new ScriptedSocket());
        world.Backend.Inject(world.Platform.Listener, PollEventFlags.Read);

        await (await accept.WaitAsync(Limit, Cancellation)).DisposeAsync();
    }

    [Theory]
    [InlineData(Errno.EMFILE)]
    [InlineData(Errno.ENFILE)]
    [InlineData(Errno.ENOBUFS)]
    [InlineData(Errno.ENOMEM)]
    public async Task When_descriptors_run_out_it_tries_again_by_a_timer(int error)
    {
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        world.Platform.Listener.ThenAcceptFails(error, error).ThenAccepts(new ScriptedSocket());
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);

        Task<NetConnection> accept = listener.AcceptAsync().AsTask();
        Assert.False(accept.IsCompleted);
        Assert.Equal(1, world.Platform.Listener.AcceptCalls);
        time.Advance(TimeSpan.FromMilliseconds(4));
        Assert.Equal(1, world.Platform.Listener.AcceptCalls);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Eventually.True("it tried again", () => world.Platform.Listener.AcceptCalls == 2);
        await Eventually.True("it is there", () =>
        {
            time.Advance(TimeSpan.FromMilliseconds(1));
            return accept.IsCompleted;
        });

        await (await accept).DisposeAsync();
        Assert.Equal(2, world.Log.Entries.Count(static entry => entry.Level == LogLevel.Warning));
    }

    [Theory]
    [InlineData("close")]
    [InlineData("deadline")]
    [InlineData("deadline in a moment")]
    [InlineData("token")]
    [InlineData("stop")]
    public async Task What_ends_an_accept_ends_one_that_waits_for_descriptors_at_once(string what)
    {
        // The time stands still: the back-off does not end by itself.
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        world.Platform.Listener.ThenAcceptFails(Errno.EMFILE).ThenAccepts(new ScriptedSocket());
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        using CancellationTokenSource source = new();

        // A second one queues behind it, but not where it could have its turn before its token is heard.
        Task<NetConnection>[] accepts = [.. Enumerable.Range(0, what == "token" ? 1 : 2).Select(_ => listener.AcceptAsync(source.Token).AsTask())];
        await Eventually.True("it waits", () => world.Poller.ParkedCount == 1);

        switch (what)
        {
            case "close":
                await listener.CloseAsync().WaitAsync(Limit, Cancellation);
                break;
            case "deadline":
                listener.SetDeadline(Deadline.Past);
                break;
            case "deadline in a moment":
                listener.SetDeadline(Deadline.After(TimeSpan.FromMilliseconds(1)));
                time.Advance(TimeSpan.FromMilliseconds(1));
                break;
            case "token":
                await source.CancelAsync();
                break;
            default:
                await world.Group.DisposeAsync();
                break;
        }

        foreach (Task<NetConnection> accept in accepts)
        {
            Exception failure = await Assert.ThrowsAnyAsync<Exception>(() => accept.WaitAsync(Limit, Cancellation));
            Assert.True(
                what switch
                {
                    "token" => failure is OperationCanceledException canceled && canceled.CancellationToken == source.Token,
                    "close" or "stop" => failure is ObjectDisposedException,
                    _ => failure is DeadlineExceededException,
                },
                failure.ToString());
        }

        Assert.Equal(1, world.Platform.Listener.AcceptCalls);
    }

    [Fact]
    public async Task A_connection_that_comes_while_it_waits_for_descriptors_does_not_make_it_try_early()
    {
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        world.Platform.Listener.ThenAcceptFails(Errno.EMFILE).ThenAccepts(new ScriptedSocket());
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        Task<NetConnection> accept = listener.AcceptAsync().AsTask();

        for (int edge = 0; edge < 3; edge++)
        {
            await Eventually.True("it waits", () => world.Poller.ParkedCount == 1);
            world.Backend.Inject(world.Platform.Listener, PollEventFlags.Read);
            await world.Asleep();
        }

        await Eventually.True("it waits again", () => world.Poller.ParkedCount == 1);
        Assert.Equal(1, world.Platform.Listener.AcceptCalls);
        time.Advance(TimeSpan.FromMilliseconds(5));
        await (await accept.WaitAsync(Limit, Cancellation)).DisposeAsync();
    }

    [Fact]
    public async Task A_connection_that_cannot_be_watched_is_given_up_and_the_listener_lives()
    {
        FakeTimeProvider time = new();
        await using ScriptedPoller world = new(options => options.TimeProvider = time);
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        ScriptedSocket lost = new();
        ScriptedSocket next = new();
        world.Platform.Listener.ThenAccepts(lost).ThenAccepts(next);
        world.Backend.FailOpen(Errno.ENOSPC);

        Task<NetConnection> accept = listener.AcceptAsync().AsTask();
        await Eventually.True("it is there", () =>
        {
            time.Advance(TimeSpan.FromMilliseconds(1));
            return accept.IsCompleted;
        });

        Assert.Equal(1, lost.CloseCalls);
        await using NetConnection connection = await accept;
        Assert.Same(next, connection.Fd.Descriptor.Socket);
        Assert.Equal(0, world.Platform.Listener.CloseCalls);
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.Unix)]
    public async Task NP102_After_the_close_everything_is_refused(AddressFamily family)
    {
        await using NetListenerFixture fixture = new(family: family);
        await fixture.Listener.CloseAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await fixture.Listener.AcceptAsync());
        Assert.Throws<ObjectDisposedException>(() => fixture.Listener.SetDeadline(Deadline.None));
        await fixture.Listener.CloseAsync();
        fixture.Listener.Dispose();
    }

    [Fact]
    public async Task NP103_A_close_ends_the_accepts_that_wait()
    {
        await using NetListenerFixture fixture = new();
        Task<NetConnection>[] accepts = [.. Enumerable.Range(0, 3).Select(_ => fixture.Listener.AcceptAsync().AsTask())];
        await Eventually.True("one waits", () => fixture.Group.Pollers[0].ParkedCount == 1);

        await fixture.Listener.CloseAsync();

        foreach (Task<NetConnection> accept in accepts)
        {
            await Assert.ThrowsAsync<ObjectDisposedException>(() => accept.WaitAsync(Limit, Cancellation));
        }

        Assert.Equal(0, fixture.Group.Pollers[0].ParkedCount);
    }

    [Fact]
    public async Task Connections_are_spread_unless_a_poller_accepts_them_itself()
    {
        await using NetListenerFixture fixture = new(pollers: 2);
        List<Loopback> pairs = [];
        for (int index = 0; index < 8; index++)
        {
            pairs.Add(await Loopback.ConnectAsync(fixture.Listener));
        }

        Assert.Equal(2, pairs.Select(static pair => pair.Poller).Distinct().Count());
        foreach (Poller poller in fixture.Group.Pollers)
        {
            Task<NetConnection> accept = poller.RunAsync(async () => await fixture.Listener.AcceptAsync());
            using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
            await using NetConnection connection = await accept.WaitAsync(Limit, Cancellation);
            Assert.Same(poller, connection.Poller);
        }

        foreach (Loopback pair in pairs)
        {
            await pair.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_burst_of_connections_is_accepted_to_the_last()
    {
        await using NetListenerFixture fixture = new();
        Task<NetConnection>[] accepts = [.. Enumerable.Range(0, 100).Select(_ => fixture.Listener.AcceptAsync().AsTask())];
        Socket[] peers = [.. Enumerable.Range(0, 100).Select(static _ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))];
        await Task.WhenAll(peers.Select(peer => peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation).AsTask()));

        NetConnection[] connections = await Task.WhenAll(accepts).WaitAsync(Limit, Cancellation);

        Assert.Equal(
            peers.Select(static peer => ((IPEndPoint)peer.LocalEndPoint!).Port).Order(),
            connections.Select(static connection => connection.RemoteEndPoint!.Port).Order());
        foreach (NetConnection connection in connections)
        {
            await connection.DisposeAsync();
        }

        Array.ForEach(peers, static peer => peer.Dispose());
    }

    [Fact]
    public void What_cannot_be_listened_on_is_refused()
    {
        Assert.Throws<ArgumentNullException>(() => NetListener.Listen(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), backlog: 0));
    }

    [Fact]
    public async Task What_was_accepted_when_the_group_stopped_is_closed()
    {
        await using ScriptedPoller world = new();
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        ScriptedSocket accepted = new();
        world.Platform.Listener.ThenAccepts(accepted);

        // Between the system's accept and the choice of a poller.
        world.Platform.Listener.WhileAccepting = () => Assert.True(world.Group.DisposeAsync().AsTask().Wait(Limit));

        await Assert.ThrowsAsync<ObjectDisposedException>(() => listener.AcceptAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        Assert.Equal(1, accepted.CloseCalls);
    }
}
