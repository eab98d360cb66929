using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Tests.Support;

/// <summary>A black hole: a listener that accepts nobody and whose queue is full, so that the system drops every further SYN.</summary>
internal sealed class FullListener : IDisposable
{
    private readonly Socket _listener;
    private readonly List<Socket> _queued = [];

    private FullListener(Socket listener) => _listener = listener;

    internal IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    /// <param name="address">One of the loopback's.</param>
    /// <param name="port">0 lets the system choose.</param>
    internal static async Task<FullListener> OpenAsync(IPAddress address, int port = 0)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, port));
        socket.Listen(1);
        FullListener full = new(socket);
        List<Task> attempts = [];
        for (int index = 0; index < 4; index++)
        {
            Socket client = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            full._queued.Add(client);
            attempts.Add(client.ConnectAsync(full.EndPoint));
            if (index < 2)
            {
                await attempts[index];
            }
        }

        _ = Task.WhenAll(attempts).ContinueWith(static task => _ = task.Exception, TaskScheduler.Default);
        Assert.False(attempts[^1].IsCompleted, "The queue is not full: this system takes more than it was told.");
        return full;
    }

    public void Dispose()
    {
        _queued.ForEach(static socket => socket.Dispose());
        _listener.Dispose();
    }
}
