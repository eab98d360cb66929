using System.Net;

namespace NetPoll.Actors.Tests.Support;

/// <summary>The other end itself, where tests rely on it without a word.</summary>
public sealed class PeerTests
{
    [Fact]
    public async Task One_that_its_test_has_forgotten_stays_connected_until_the_test_ends()
    {
        await using TestServer server = new();
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        WeakReference forgotten = await ForgetAsync(listener.EndPoint);

        GC.Collect();
        GC.WaitForPendingFinalizers();

        Assert.True(forgotten.IsAlive, "The peer was collected: its finalizer closes the connection.");
    }

    private static async Task<WeakReference> ForgetAsync(EndPoint endPoint) => new(await Peer.ConnectAsync(endPoint));
}
