using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Tests.Support;

/// <summary>Two connected sockets of .NET, for what needs a real number.</summary>
internal sealed class TcpPair : IDisposable
{
    internal TcpPair()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        Peer = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Peer.Connect(listener.LocalEndPoint!);
        Ours = listener.Accept();
    }

    internal Socket Ours { get; }

    internal Socket Peer { get; }

    /// <summary>The number of <see cref="Ours"/>, which stays its owner.</summary>
    internal int Descriptor => (int)Ours.Handle;

    public void Dispose()
    {
        Ours.Dispose();
        Peer.Dispose();
    }
}
