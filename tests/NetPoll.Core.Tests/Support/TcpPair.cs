using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Tests.Support;

/// <summary>Two connected sockets of .NET, for what needs a real number.</summary>
internal sealed class TcpPair : IDisposable
{
    private bool _isPeerTaken;

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

    /// <summary>Makes <see cref="Peer"/> the caller's.</summary>
    internal Socket TakePeer()
    {
        _isPeerTaken = true;
        return Peer;
    }

    public void Dispose()
    {
        Ours.Dispose();
        if (!_isPeerTaken)
        {
            Peer.Dispose();
        }
    }
}
