using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>What a warm echo allocates on its poller's thread: nothing.</summary>
public sealed class ConnectionAllocationTests : IAsyncDisposable
{
    private const int Size = 64;
    private const int WarmUp = 20_000;
    private const int Echoes = 100_000;

    private readonly TestServer _server = new();
    private long _allocated = -1;

    [Fact]
    public async Task A_hundred_thousand_warm_echoes_allocate_nothing()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script);
        (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        using Peer _ = peer;

        // One after the other, so that each is a wake-up, a turn and a send of its own.
        await ExpectNothingAllocatedAsync(peer.Socket, inFlight: 1);
    }

    [Theory]
    [InlineData("lines")]
    [InlineData("delimiter")]
    [InlineData("length prefix")]
    [InlineData("fixed size")]
    public async Task A_hundred_thousand_warm_frames_allocate_nothing(string kind)
    {
        Framing framing = kind switch
        {
            "lines" => Framing.Lines(),
            "delimiter" => Framing.DelimitedBy("\n"u8),
            "length prefix" => Framing.LengthPrefixed(LengthPrefix.Varint),
            _ => Framing.FixedSize(Size),
        };
        Listener listener = await _server.ListenAsync(() => new EchoFrames(framing));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await ExpectNothingAllocatedAsync(peer.Socket, inFlight: 4);
    }

    [Fact]
    public async Task An_echo_through_a_plain_actor_allocates_its_two_messages_and_the_bytes_that_it_owns()
    {
        // Two messages, their places in two mailboxes, and an array: 216 now, and nothing that grows with what else there is.
        const int MostPerEcho = 240;
        PID handler = _server.System.Root.Spawn(Props.FromFunc(static context =>
        {
            if (context.Message is Received received)
            {
                context.Send(received.Connection, new Write(received.Bytes));
            }

            return Task.CompletedTask;
        }).OnPoller(PollerChoice.At(0)));
        Listener listener = await _server.NetPoll.ListenAsync("handled", new IPEndPoint(IPAddress.Loopback, 0), handler).Soon();
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await EchoAsync(peer.Socket, WarmUp, inFlight: 1);

        long before = await AllocatedAsync();
        await EchoAsync(peer.Socket, Echoes, inFlight: 1);
        long allocated = await AllocatedAsync() - before;

        TestContext.Current.TestOutputHelper?.WriteLine($"{(double)allocated / Echoes} bytes for each echo.");
        Assert.InRange((double)allocated / Echoes, Size, MostPerEcho);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    // When the code is replaced by its final form is the runtime's business, and something may be made once then: what a message costs
    // would be there in every round.
    private async Task ExpectNothingAllocatedAsync(Socket socket, int inFlight)
    {
        await EchoAsync(socket, WarmUp, inFlight);
        long allocated = -1;
        for (int round = 0; round < 3 && allocated != 0; round++)
        {
            long before = await AllocatedAsync();
            await EchoAsync(socket, Echoes, inFlight);
            allocated = await AllocatedAsync() - before;
            TestContext.Current.TestOutputHelper?.WriteLine($"Round {round}: {allocated} bytes.");
        }

        Assert.Equal(0, allocated);
    }

    // Each answer is looked at; on a thread of its own, so that the pool stays out of it.
    private static Task EchoAsync(Socket socket, int count, int inFlight) => Task.Factory.StartNew(
        () =>
        {
            byte[] sent = new byte[Size * inFlight];
            for (int message = 0; message < inFlight; message++)
            {
                // A frame in every framing: 63 bytes behind their length, or a line, or just 64 bytes.
                sent.AsSpan(message * Size, Size - 1).Fill((byte)('a' + message));
                sent[message * Size] = Size - 1;
                sent[(message * Size) + Size - 1] = (byte)'\n';
            }

            byte[] received = new byte[sent.Length];
            for (int done = 0; done < count; done += inFlight)
            {
                for (int message = 0; message < inFlight; message++)
                {
                    socket.Send(sent.AsSpan(message * Size, Size));
                }

                for (int at = 0; at < received.Length;)
                {
                    at += socket.Receive(received.AsSpan(at));
                }

                Assert.True(sent.AsSpan().SequenceEqual(received));
            }
        },
        TestContext.Current.CancellationToken,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default);

    // Nothing happens on the poller's thread after the look that could count as the echoes'.
    private async Task<long> AllocatedAsync()
    {
        Volatile.Write(ref _allocated, -1);
        _server.Homes[0].Poller.Post(() => Volatile.Write(ref _allocated, GC.GetAllocatedBytesForCurrentThread()));
        await Eventually.True("the poller has looked", () => Volatile.Read(ref _allocated) >= 0);
        return _allocated;
    }

    private sealed class EchoFrames(Framing framing) : FramedConnectionActor(framing)
    {
        protected override Task OnFrame(ReadOnlySpan<byte> frame)
        {
            SendFrame(frame);
            return Task.CompletedTask;
        }
    }
}
