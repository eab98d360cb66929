using System.Net.Sockets;
using NetPoll.Actors.Tests.Support;

namespace NetPoll.Actors.Tests.Connections;

/// <summary>The hot path allocates nothing.</summary>
public sealed class ConnectionAllocationTests
{
    private const int Echoes = 100_000;

    [Fact]
    public async Task A_hundred_thousand_warm_echoes_allocate_not_a_byte_on_the_pollers_thread()
    {
        await using TestServer server = new();
        Listener listener = await server.ListenAsync(static () => new Echo());
        using Socket peer = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await peer.ConnectAsync(listener.EndPoint, TestContext.Current.CancellationToken);
        EchoAll(peer, Echoes / 2);

        long before = await server.OnPoller(GC.GetAllocatedBytesForCurrentThread);
        long noise = await server.OnPoller(GC.GetAllocatedBytesForCurrentThread) - before;
        before = await server.OnPoller(GC.GetAllocatedBytesForCurrentThread);
        EchoAll(peer, Echoes);
        long allocated = await server.OnPoller(GC.GetAllocatedBytesForCurrentThread) - before;

        // What asking costs is the only thing that was allocated.
        Assert.Equal(noise, allocated);
    }

    // One after the other, so that each is a wake-up, a turn and a send of its own.
    private static void EchoAll(Socket peer, int count)
    {
        byte[] message = new byte[64];
        byte[] echo = new byte[64];
        for (int round = 0; round < count; round++)
        {
            message[0] = (byte)round;
            peer.Send(message);
            int received = 0;
            while (received < echo.Length)
            {
                received += peer.Receive(echo.AsSpan(received));
            }

            if (echo[0] != (byte)round)
            {
                throw new InvalidDataException($"Echo {round} began with {echo[0]}.");
            }
        }
    }

    private sealed class Echo : ConnectionActor
    {
        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            Send(bytes);
            return bytes.Length;
        }
    }
}
