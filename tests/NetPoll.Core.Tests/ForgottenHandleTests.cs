using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>A handle that its user forgot is closed and reported; one that waits is not forgotten.</summary>
public sealed class ForgottenHandleTests
{
    private const int ConnectionForgotten = 5;
    private const int ListenerForgotten = 6;
    private const int DescriptorForgotten = 11;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly CapturedLog _log = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_that_waits_for_nothing_is_closed_and_reported()
    {
        await using NetListenerFixture fixture = new(configure: options => options.Logger = _log);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        Forget(fixture.Listener);

        await Collected("the connection is reported", () => _log.Entries.Any(static entry => entry.Id == ConnectionForgotten));

        Assert.Equal(0, await peer.ReceiveAsync(new byte[1], SocketFlags.None, Cancellation).AsTask().WaitAsync(Limit, Cancellation));
        CapturedLog.Entry report = Assert.Single(_log.Entries, static entry => entry.Id == ConnectionForgotten);
        Assert.Contains(peer.LocalEndPoint!.ToString()!, report.Message, StringComparison.Ordinal);
        await Eventually.Equal("watched descriptors", 1, () => fixture.Group.Pollers[0].Snapshot().Monitored);
    }

    [Fact]
    public async Task A_listener_is_closed_and_reported_and_its_address_is_free()
    {
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Logger = _log });
        EndPoint endPoint = ForgetListener(group);

        await Collected("the listener is reported", () => _log.Entries.Any(static entry => entry.Id == ListenerForgotten));

        await Eventually.Equal("watched descriptors", 0, () => group.Pollers[0].Snapshot().Monitored);
        await using NetListener second = NetListener.Listen(endPoint, group);
        Assert.Equal(endPoint, second.LocalEndPoint);
    }

    [Fact]
    public async Task A_listener_and_a_connection_are_closed_also_when_the_log_throws()
    {
        CapturedLog log = new() { IsBroken = true };
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Logger = log });
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        ForgetListenerAndConnection(group, peer);

        await Collected("both are reported", () => log.Entries.Count(static entry => entry.Id is ConnectionForgotten or ListenerForgotten) == 2);

        await Eventually.Equal("watched descriptors", 0, () => group.Pollers[0].Snapshot().Monitored);
        Assert.Equal(0, await peer.ReceiveAsync(new byte[1], SocketFlags.None, Cancellation).AsTask().WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task A_pipe_s_end_and_a_file_are_closed_and_reported()
    {
        TestBackend.SkipOnPortable("The portable backend has none but sockets.");
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Logger = _log });
        await using NetDescriptor reader = ForgetWriterAndFile(group);

        await Collected("both are reported", () => _log.Entries.Count(static entry => entry.Id == DescriptorForgotten) == 2);

        Assert.Equal(0, await reader.ReadAsync(new byte[1]).AsTask().WaitAsync(Limit, Cancellation));
        Assert.Contains(_log.Entries, static entry => entry.Message.Contains("(/dev/null) was forgotten", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_connection_that_waits_lives_and_goes_on()
    {
        await using NetListenerFixture fixture = new(configure: options => options.Logger = _log);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        TaskCompletionSource<int> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ForgetWhileItWaits(fixture.Listener, seen);
        await Eventually.Equal("parked", 1, () => fixture.Group.Pollers[0].ParkedCount);

        for (int round = 0; round < 5; round++)
        {
            Collect();
        }

        Assert.DoesNotContain(_log.Entries, static entry => entry.Id == ConnectionForgotten);
        await peer.SendAsync(new byte[] { 42 }, SocketFlags.None, Cancellation);
        Assert.Equal(42, await seen.Task.WaitAsync(Limit, Cancellation));
    }

    [Fact]
    public async Task What_was_closed_is_not_reported()
    {
        await using NetListenerFixture fixture = new(configure: options => options.Logger = _log);
        using Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        WeakReference closed = await CloseAsync(fixture.Listener);

        await Collected("it is collected", () => !closed.IsAlive);

        Assert.DoesNotContain(_log.Entries, static entry => entry.Id is ConnectionForgotten or ListenerForgotten);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static NetDescriptor ForgetWriterAndFile(PollerGroup group)
    {
        _ = NetDescriptor.Adopt(File.OpenHandle("/dev/null"), group);
        return NetDescriptor.CreatePipe(group).Reader;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ForgetListenerAndConnection(PollerGroup group, Socket peer)
    {
        NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), group);
        peer.Connect(listener.LocalEndPoint);
        Forget(listener);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(NetListener listener)
    {
        NetConnection? connection;
        while (!listener.TryAccept(out connection))
        {
            Thread.Yield();
        }

        Assert.NotNull(connection!.LocalEndPoint);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ForgetWhileItWaits(NetListener listener, TaskCompletionSource<int> seen)
    {
        NetConnection? connection;
        while (!listener.TryAccept(out connection))
        {
            Thread.Yield();
        }

        _ = ReadOneAsync(connection!, seen);
    }

    private static async Task ReadOneAsync(NetConnection connection, TaskCompletionSource<int> seen)
    {
        byte[] buffer = new byte[1];
        await connection.ReadAsync(buffer);
        seen.SetResult(buffer[0]);
        await connection.CloseAsync();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static EndPoint ForgetListener(PollerGroup group) => NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), group).LocalEndPoint;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> CloseAsync(NetListener listener)
    {
        NetConnection connection = await listener.AcceptAsync();
        await connection.CloseAsync();
        return new WeakReference(connection);
    }

    private static Task Collected(string what, Func<bool> condition) => Eventually.True(what, () =>
    {
        Collect();
        return condition();
    });

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }
}
