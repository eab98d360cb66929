using System.Net;
using System.Net.Sockets;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Conformance.Tests;

/// <summary>What carries the bytes.</summary>
public enum Transport
{
    Tcp,
    Unix,
}

/// <summary>Two connections of ours that are each other's peer, on a group of their own. Go: <c>nettest.MakePipe</c>.</summary>
internal sealed class ConnectionPair : IAsyncDisposable
{
    private readonly PollerGroup _group;

    private ConnectionPair(PollerGroup group, NetConnection first, NetConnection second)
    {
        _group = group;
        First = first;
        Second = second;
    }

    internal NetConnection First { get; }

    internal NetConnection Second { get; }

    internal static async Task<ConnectionPair> ConnectAsync(Transport transport, int pollers)
    {
        if (transport != Transport.Tcp)
        {
            TestBackend.SkipOnPortable("The portable backend has no Unix domain sockets yet.");
        }

        PollerGroup group = new(new PollerOptions { PollerCount = pollers });
        await using NetListener listener = NetListener.Listen(
            transport == Transport.Tcp ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint($"\0netpoll-{Guid.NewGuid():N}"), group);
        NetConnection first = await new NetDialer { Group = group }.ConnectAsync(listener.LocalEndPoint);
        return new ConnectionPair(group, first, await listener.AcceptAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await First.DisposeAsync();
        await Second.DisposeAsync();
        await _group.DisposeAsync();
    }
}
