using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Xunit.Sdk;

namespace NetPoll.Actors.Tests.Support;

/// <summary>The other end of a connection, on System.Net.Sockets.</summary>
internal sealed class Peer : IDisposable
{
    // By test: one that is no longer mentioned would be closed by its finalizer, and its connection end in the midst of the test.
    private static readonly ConditionalWeakTable<ITest, List<Peer>> Kept = [];

    private Peer(Socket socket)
    {
        Socket = socket;
        LocalPort = (socket.LocalEndPoint as IPEndPoint)?.Port ?? 0;
        RemotePort = (socket.RemoteEndPoint as IPEndPoint)?.Port ?? 0;
    }

    public Socket Socket { get; }

    public int LocalPort { get; }

    public int RemotePort { get; }

    /// <param name="endPoint">Where to.</param>
    /// <param name="receiveBuffer">Bytes that the system may keep for this side, so that a peer that does not read is noticed soon; 0 for its default.</param>
    /// <param name="from">The address to come from, if not the system's choice.</param>
    public static async Task<Peer> ConnectAsync(EndPoint endPoint, int receiveBuffer = 0, IPAddress? from = null)
    {
        Socket socket = endPoint is IPEndPoint
            ? new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        if (from is not null)
        {
            socket.Bind(new IPEndPoint(from, 0));
        }

        if (receiveBuffer != 0)
        {
            socket.ReceiveBufferSize = receiveBuffer;
        }

        await socket.ConnectAsync(endPoint, TestContext.Current.CancellationToken).Soon();
        return new Peer(socket).KeptUntilTheTestEnds();
    }

    /// <summary>Lets the system keep much for this side, so that what waits for it is soon read.</summary>
    public void Widen() => Socket.ReceiveBufferSize = 4 * 1024 * 1024;

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Socket.SendAsync(bytes, TestContext.Current.CancellationToken).Soon()..];
        }
    }

    public Task SendAsync(string text) => SendAsync(System.Text.Encoding.UTF8.GetBytes(text));

    public async Task<byte[]> ReceiveAsync(int count)
    {
        byte[] bytes = new byte[count];
        int received = 0;
        while (received < count)
        {
            int more = await Socket.ReceiveAsync(bytes.AsMemory(received), TestContext.Current.CancellationToken).Soon();
            if (more == 0)
            {
                throw new EndOfStreamException($"The connection ended after {received} of {count} bytes.");
            }

            received += more;
        }

        return bytes;
    }

    public async Task<string> ReceiveTextAsync(int length) => System.Text.Encoding.UTF8.GetString(await ReceiveAsync(length));

    /// <summary>Everything up to the FIN; a reset throws.</summary>
    public async Task<byte[]> ReceiveToEndAsync()
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[64 * 1024];
        while (true)
        {
            int count = await Socket.ReceiveAsync(buffer.AsMemory(), TestContext.Current.CancellationToken).Soon();
            if (count == 0)
            {
                return all.ToArray();
            }

            all.Write(buffer, 0, count);
        }
    }

    /// <summary>Reads until the system reports the reset.</summary>
    public async Task ExpectResetAsync()
    {
        SocketException exception = await Assert.ThrowsAsync<SocketException>(ReceiveToEndAsync);
        Assert.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
    }

    public void CloseWrite() => Socket.Shutdown(SocketShutdown.Send);

    /// <summary>Answers the other side's FIN with its own, as a polite peer does.</summary>
    public void CloseWriteWhenItEnds() => _ = Answer();

    /// <summary>Resets the connection.</summary>
    public void Reset()
    {
        Socket.LingerState = new LingerOption(true, 0);
        Socket.Dispose();
    }

    /// <summary>The name that the system gives the server's end of this connection; null when it is gone.</summary>
    public string? ServerSocketName()
    {
        string local = RemotePort.ToString("X4", CultureInfo.InvariantCulture);
        string remote = LocalPort.ToString("X4", CultureInfo.InvariantCulture);
        foreach (string line in File.ReadLines("/proc/self/net/tcp").Skip(1))
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields[1].EndsWith(':' + local, StringComparison.Ordinal) && fields[2].EndsWith(':' + remote, StringComparison.Ordinal))
            {
                return fields[9] == "0" ? null : $"socket:[{fields[9]}]";
            }
        }

        return null;
    }

    public void Dispose() => Socket.Dispose();

    private Peer KeptUntilTheTestEnds()
    {
        if (TestContext.Current.Test is { } test)
        {
            List<Peer> peers = Kept.GetOrCreateValue(test);
            lock (peers)
            {
                peers.Add(this);
            }
        }

        return this;
    }

    private async Task Answer()
    {
        try
        {
            await ReceiveToEndAsync();
            CloseWrite();
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Ended otherwise.
        }
    }
}

/// <summary>The descriptors of this process.</summary>
internal static class Descriptors
{
    /// <summary>Whether a descriptor of this process leads to the socket.</summary>
    public static bool Has(string socketName)
    {
        foreach (string path in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            try
            {
                if (new FileInfo(path).LinkTarget == socketName)
                {
                    return true;
                }
            }
            catch (IOException)
            {
                // Closed between the listing and the look.
            }
        }

        return false;
    }
}
