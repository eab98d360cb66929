using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Core;

namespace NetPoll.Actors.Tests.Support;

/// <summary>The other side: a UDP socket of .NET's own.</summary>
internal sealed class DatagramPeer : IDisposable
{
    public DatagramPeer(IPAddress? address = null)
    {
        Socket = new Socket((address ?? IPAddress.Loopback).AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        Socket.Bind(new IPEndPoint(address ?? IPAddress.Loopback, 0));
    }

    public Socket Socket { get; }

    public IPEndPoint EndPoint => (IPEndPoint)Socket.LocalEndPoint!;

    public DatagramAddress Address => new(EndPoint);

    /// <summary>An address of this machine where nobody listens.</summary>
    public static IPEndPoint Nobody()
    {
        using DatagramPeer peer = new();
        return peer.EndPoint;
    }

    public void Say(string text, EndPoint to) => Socket.SendTo(Encoding.UTF8.GetBytes(text), to);

    /// <summary>The next datagram's text.</summary>
    public async Task<string> Hears()
    {
        byte[] buffer = new byte[65_536];
        SocketReceiveFromResult received = await Socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(EndPoint.Address, 0)).Soon();
        return Encoding.UTF8.GetString(buffer, 0, received.ReceivedBytes);
    }

    public void Dispose() => Socket.Dispose();
}
