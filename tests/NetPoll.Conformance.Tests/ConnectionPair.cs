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
    Pipe,
}

/// <summary>One end, whatever carries its bytes. Go: <c>net.Conn</c>.</summary>
internal abstract class Conn
{
    internal abstract string? LocalName { get; }

    internal abstract string? RemoteName { get; }

    internal abstract ValueTask<int> ReadAsync(Memory<byte> buffer);

    internal abstract ValueTask WriteAsync(ReadOnlyMemory<byte> buffer);

    internal abstract void SetReadDeadline(Deadline deadline);

    internal abstract void SetWriteDeadline(Deadline deadline);

    internal abstract void SetDeadline(Deadline deadline);

    /// <summary>As a stream to read.</summary>
    internal abstract Stream AsStream();

    internal abstract Task CloseAsync();
}

/// <summary>A TCP or Unix domain connection.</summary>
internal sealed class SocketConn(NetConnection connection) : Conn
{
    internal override string? LocalName => connection.LocalEndPoint?.ToString();

    internal override string? RemoteName => connection.RemoteEndPoint?.ToString();

    internal override ValueTask<int> ReadAsync(Memory<byte> buffer) => connection.ReadAsync(buffer);

    internal override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer) => connection.WriteAsync(buffer);

    internal override void SetReadDeadline(Deadline deadline) => connection.SetReadDeadline(deadline);

    internal override void SetWriteDeadline(Deadline deadline) => connection.SetWriteDeadline(deadline);

    internal override void SetDeadline(Deadline deadline) => connection.SetDeadline(deadline);

    internal override Stream AsStream() => connection.AsStream();

    internal override Task CloseAsync() => connection.CloseAsync();
}

/// <summary>The reading end of one pipe and the writing end of another.</summary>
internal sealed class PipeConn(NetDescriptor reader, NetDescriptor writer) : Conn
{
    internal override string? LocalName => reader.ToString();

    internal override string? RemoteName => writer.ToString();

    internal override ValueTask<int> ReadAsync(Memory<byte> buffer) => reader.ReadAsync(buffer);

    internal override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer) => writer.WriteAsync(buffer);

    internal override void SetReadDeadline(Deadline deadline) => reader.SetReadDeadline(deadline);

    internal override void SetWriteDeadline(Deadline deadline) => writer.SetWriteDeadline(deadline);

    internal override void SetDeadline(Deadline deadline)
    {
        reader.SetDeadline(deadline);
        writer.SetDeadline(deadline);
    }

    internal override Stream AsStream() => reader.AsStream();

    internal override Task CloseAsync() => Task.WhenAll(reader.CloseAsync(), writer.CloseAsync());
}

/// <summary>Two connections of ours that are each other's peer, on a group of their own. Go: <c>nettest.MakePipe</c>.</summary>
internal sealed class ConnectionPair : IAsyncDisposable
{
    private readonly PollerGroup _group;

    private ConnectionPair(PollerGroup group, Conn first, Conn second)
    {
        _group = group;
        First = first;
        Second = second;
    }

    internal Conn First { get; }

    internal Conn Second { get; }

    internal static async Task<ConnectionPair> ConnectAsync(Transport transport, int pollers)
    {
        if (transport == Transport.Pipe)
        {
            TestBackend.SkipOnPortable("The portable backend has none but sockets.");
        }

        PollerGroup group = new(new PollerOptions { PollerCount = pollers });
        if (transport == Transport.Pipe)
        {
            (NetDescriptor Reader, NetDescriptor Writer) there = NetDescriptor.CreatePipe(group);
            (NetDescriptor Reader, NetDescriptor Writer) back = NetDescriptor.CreatePipe(group);
            return new ConnectionPair(group, new PipeConn(back.Reader, there.Writer), new PipeConn(there.Reader, back.Writer));
        }

        await using NetListener listener = NetListener.Listen(
            transport == Transport.Tcp ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint($"\0netpoll-{Guid.NewGuid():N}"), group);
        NetConnection first = await new NetDialer { Group = group }.ConnectAsync(listener.LocalEndPoint);
        return new ConnectionPair(group, new SocketConn(first), new SocketConn(await listener.AcceptAsync()));
    }

    public async ValueTask DisposeAsync()
    {
        await First.CloseAsync();
        await Second.CloseAsync();
        await _group.DisposeAsync();
    }
}
