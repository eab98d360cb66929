using System.Net;
using System.Net.Sockets;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Support;

/// <summary>A connection of ours and its peer, a socket of .NET, over the loopback or a Unix domain socket.</summary>
internal sealed class Loopback : IAsyncDisposable
{
    private readonly PollerGroup? _ownGroup;

    private Loopback(NetConnection connection, Socket peer, PollerGroup? ownGroup)
    {
        Connection = connection;
        Peer = peer;
        _ownGroup = ownGroup;
    }

    internal NetConnection Connection { get; }

    internal Socket Peer { get; }

    internal Poller Poller => Connection.Poller;

    /// <summary>A pair on a poller of its own.</summary>
    internal static async Task<Loopback> ConnectAsync(Action<PollerOptions>? configure = null)
    {
        PollerOptions options = new() { PollerCount = 1 };
        configure?.Invoke(options);
        PollerGroup group = new(options);
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), group);
        return await ConnectAsync(listener, group);
    }

    /// <summary>A pair on a poller of its own, over TCP or a Unix domain socket.</summary>
    internal static async Task<Loopback> ConnectAsync(AddressFamily family)
    {
        if (family != AddressFamily.Unix)
        {
            return await ConnectAsync();
        }

        using TemporaryFolder folder = new();
        PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        await using NetListener listener = NetListener.Listen(new UnixDomainSocketEndPoint(folder["socket"]), group);
        return await ConnectAsync(listener, group);
    }

    /// <summary>A pair through a listener that nobody else accepts on.</summary>
    internal static Task<Loopback> ConnectAsync(NetListener listener) => ConnectAsync(listener, null);

    public async ValueTask DisposeAsync()
    {
        Peer.Dispose();
        await Connection.DisposeAsync();
        if (_ownGroup is not null)
        {
            await _ownGroup.DisposeAsync();
        }
    }

    /// <summary>Sends from the peer, all of it.</summary>
    internal async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Peer.SendAsync(bytes, SocketFlags.None, TestContext.Current.CancellationToken)..];
        }
    }

    /// <summary>What the peer receives until the end of the stream.</summary>
    internal async Task<byte[]> ReceiveAllAsync()
    {
        MemoryStream received = new();
        byte[] buffer = new byte[64 * 1024];
        int count;
        while ((count = await Peer.ReceiveAsync(buffer, SocketFlags.None, TestContext.Current.CancellationToken)) > 0)
        {
            received.Write(buffer, 0, count);
        }

        return received.ToArray();
    }

    /// <summary>Until the connection's reader waits in its slot.</summary>
    internal Task ReaderParked() => Eventually.True("the reader waits", () => Connection.Fd.Descriptor.HasReader);

    /// <summary>Until the connection's writer waits in its slot.</summary>
    internal Task WriterParked() => Eventually.True("the writer waits", () => Connection.Fd.Descriptor.HasWriter);

    private static async Task<Loopback> ConnectAsync(NetListener listener, PollerGroup? ownGroup)
    {
        if (listener.LocalEndPoint is UnixDomainSocketEndPoint path)
        {
            Socket unix = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await unix.ConnectAsync(path, TestContext.Current.CancellationToken);
            return new Loopback(await listener.AcceptAsync(), unix, ownGroup);
        }

        Socket peer = new(listener.LocalEndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Task<NetConnection> accept = listener.AcceptAsync().AsTask();
        IPAddress address = listener.LocalEndPoint.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : listener.LocalEndPoint.Address;
        await peer.ConnectAsync(new IPEndPoint(address, listener.LocalEndPoint.Port), TestContext.Current.CancellationToken);
        return new Loopback(await accept, peer, ownGroup);
    }
}
