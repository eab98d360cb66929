using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Chat.Tests.Support;

/// <summary>An IRC client whose lines the test sends and reads itself.</summary>
internal sealed class IrcPeer : IDisposable
{
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    private IrcPeer(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new StreamReader(_stream, new UTF8Encoding(false));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="port">The server's.</param>
    /// <param name="receiveBuffer">Bytes that the system takes for a peer that does not read; null for the usual.</param>
    public static async Task<IrcPeer> Connect(int port, int? receiveBuffer = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBuffer is { } size)
        {
            socket.ReceiveBufferSize = size;
        }

        await socket.ConnectAsync(IPAddress.Loopback, port, Cancellation);
        return new IrcPeer(socket);
    }

    /// <summary>Somebody who has the name, and whose welcome has been read.</summary>
    /// <param name="port">The server's.</param>
    /// <param name="name">The name.</param>
    /// <param name="capabilities">What it asks for beyond the usual; null for nothing.</param>
    public static async Task<IrcPeer> Named(int port, string name, string? capabilities = null)
    {
        IrcPeer peer = await Connect(port);
        if (capabilities is not null)
        {
            await peer.Send("CAP LS 302", $"CAP REQ :{capabilities}");
            await peer.Reads($"CAP * ACK :{capabilities}");
        }

        await peer.Send($"NICK {name}", $"USER {name} 0 * :A real name");
        if (capabilities is not null)
        {
            await peer.Send("CAP END");
        }

        await peer.Reads($" 001 {name} :");
        await peer.Reads($" 422 {name} :");
        return peer;
    }

    /// <summary>Somebody who is in the channel, and has read what is told to those who come.</summary>
    public static async Task<IrcPeer> InChannel(int port, string name, string channel, string? capabilities = null)
    {
        IrcPeer peer = await Named(port, name, capabilities);
        await peer.Send($"JOIN {channel}");
        await peer.Reads($" 366 {name} {channel} :");
        return peer;
    }

    public async Task Send(params string[] lines)
        => await _stream.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(lines.Select(static line => line + "\r\n"))), Cancellation);

    public async Task SendBytes(byte[] bytes) => await _stream.WriteAsync(bytes, Cancellation);

    /// <summary>The next line; null at the end.</summary>
    public async Task<string?> Read()
    {
        string? line = await _reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        Assert.True(line is null || Encoding.UTF8.GetByteCount(Untagged(line)) <= 510, line);
        return line;
    }

    /// <summary>The next line that contains this; the others are skipped.</summary>
    public async Task<string> Reads(string part)
    {
        List<string> skipped = [];
        while (true)
        {
            string line = await Read() ?? throw Ended(part, skipped);
            if (line.Contains(part, StringComparison.Ordinal))
            {
                return line;
            }

            skipped.Add(line);
        }
    }

    /// <summary>All lines up to one that contains this, which is the last.</summary>
    public async Task<List<string>> ReadsUpTo(string part)
    {
        List<string> lines = [];
        do
        {
            lines.Add(await Read() ?? throw Ended(part, lines));
        }
        while (!lines[^1].Contains(part, StringComparison.Ordinal));
        return lines;
    }

    /// <summary>Sends a command and returns all that comes until the answer to a PING behind it.</summary>
    public async Task<List<string>> Ask(params string[] lines)
    {
        await Send([.. lines, "PING :fence"]);
        List<string> answer = await ReadsUpTo("PONG chat.local :fence");
        answer.RemoveAt(answer.Count - 1);
        return answer;
    }

    public void Dispose()
    {
        _reader.Dispose();
        _socket.Dispose();
    }

    private static EndOfStreamException Ended(string part, List<string> lines) => new($"'{part}' did not come; this did:\n{string.Join('\n', lines)}");

    private static string Untagged(string line) => line.StartsWith('@') ? line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..] : line;
}
