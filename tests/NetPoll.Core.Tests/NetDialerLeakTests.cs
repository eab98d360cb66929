using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>Whatever becomes of attempts to connect, no descriptor stays open.</summary>
[Collection(Alone.Name)]
public sealed class NetDialerLeakTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NP094_Attempts_that_are_refused_unanswered_timed_out_or_cancelled_leave_no_descriptor_behind()
    {
        int before = ProcessDescriptors.Sockets;
        Random random = new(Seed.Next());
        await using (NetListenerFixture fixture = new(pollers: 2))
        {
            int port = fixture.Listener.LocalEndPoint.Port;
            using FullListener full = await FullListener.OpenAsync(IPAddress.Parse("127.0.0.9"), port);
            IPAddress[] candidates = [.. "127.0.0.1 127.0.0.2 127.0.0.9 127.0.0.1 ::1".Split(' ').Select(IPAddress.Parse)];
            using CancellationTokenSource end = new();
            Task accepting = Accept(fixture.Listener, end.Token);
            int warm = ProcessDescriptors.Sockets;
            int made = 0;
            for (int round = 0; round < StressScale.Rounds(200); round++)
            {
                NetDialer dialer = new()
                {
                    Group = fixture.Group,
                    FallbackDelay = TimeSpan.FromMilliseconds(random.Next(3)),
                    Timeout = TimeSpan.FromMilliseconds(random.Next(1, 20)),
                    Resolver = (_, _) => Task.FromResult(random.GetItems(candidates, random.Next(1, 5))),
                };
                using CancellationTokenSource source = new();
                if (random.Next(3) == 0)
                {
                    source.CancelAfter(random.Next(5));
                }

                try
                {
                    await using NetConnection connection = await dialer.ConnectAsync("host.test", port, source.Token).AsTask().WaitAsync(Limit, Cancellation);
                    made++;
                }
                catch (Exception exception) when (exception is OperationCanceledException or DeadlineExceededException
                    or IOException)
                {
                    // As the script wills.
                }
            }

            Assert.True(made > 0, "No attempt succeeded: the test shows nothing.");
            await Eventually.Equal("watched descriptors", 1, () => fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
            await ProcessDescriptors.NoMoreSocketsThan(warm);
            await end.CancelAsync();
            await accepting;
        }

        await ProcessDescriptors.NoMoreSocketsThan(before);
    }

    [Fact]
    public async Task Connects_that_race_their_token_leave_no_descriptor_behind()
    {
        int before = ProcessDescriptors.Sockets;
        await using (NetListenerFixture fixture = new(pollers: 2))
        {
            using CancellationTokenSource end = new();
            Task accepting = Accept(fixture.Listener, end.Token);
            NetDialer dialer = new() { Group = fixture.Group };
            for (int round = 0; round < StressScale.Rounds(400); round++)
            {
                using CancellationTokenSource source = new();
                Task cancel = Task.Run(source.Cancel, Cancellation);
                try
                {
                    await using NetConnection connection = await dialer.ConnectAsync(fixture.Listener.LocalEndPoint, source.Token).AsTask().WaitAsync(Limit, Cancellation);

                    // Handed out: then it is whole, whatever the token says by now.
                    await connection.WriteAsync(new byte[1]);
                }
                catch (OperationCanceledException)
                {
                    // It came first.
                }

                await cancel;
            }

            await Eventually.Equal("watched descriptors", 1, () => fixture.Group.Pollers.Sum(static poller => poller.Snapshot().Monitored));
            await end.CancelAsync();
            await accepting;
        }

        await ProcessDescriptors.NoMoreSocketsThan(before);
    }

    [Fact]
    public async Task A_process_out_of_descriptors_sheds_connections_and_serves_again_when_it_has_some()
    {
        TestBackend.SkipOnPortable(".NET's sockets complete on the thread pool, and .NET cannot start a thread, and may end, in a process without a free descriptor.");

        // The limit is the process's. It does what the explicit test below does.
        await OwnProcess.PassesWithDescriptors(300, typeof(NetDialerLeakTests), nameof(In_a_process_of_its_own_it_runs_out_of_descriptors_and_serves_again));
    }

    [Fact(Explicit = true)]
    public async Task In_a_process_of_its_own_it_runs_out_of_descriptors_and_serves_again()
    {
        await using NetListenerFixture fixture = new();
        using Socket first = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
        using Socket second = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        List<IDisposable> hoard = [];
        await OwnProcess.WarmThreadPool();
        while (fixture.Group.Platform.ReserveDescriptor() is { } taken)
        {
            hoard.Add(taken);
        }

        Task<NetConnection> accept = fixture.Listener.AcceptAsync().AsTask();
        first.Connect(fixture.Listener.LocalEndPoint);
        int received = first.Receive(new byte[1]);
        bool isAccepted = accept.IsCompleted;
        hoard.ForEach(static taken => taken.Dispose());

        // Not before: to compare loads assemblies.
        Assert.Equal(0, received);
        Assert.False(isAccepted);
        await second.ConnectAsync(fixture.Listener.LocalEndPoint, Cancellation);
        await using NetConnection connection = await accept.WaitAsync(Limit, Cancellation);

        Assert.Equal(((IPEndPoint)second.LocalEndPoint!).Port, connection.RemoteEndPoint!.Port);
        Assert.Contains(fixture.Log.Entries, static entry => entry.Id == 4);
    }

    private static async Task Accept(NetListener listener, CancellationToken end)
    {
        try
        {
            while (true)
            {
                await (await listener.AcceptAsync(end)).CloseAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }
}
