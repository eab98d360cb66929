using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Bench;

/// <summary>Connections that listen, and count what they hear.</summary>
internal sealed class Members : IDisposable
{
    // What a backlog holds is for others, too.
    private const int ConnectingAtOnce = 64;
    private const int FrameSize = 8;

    private readonly IPEndPoint _server;
    private readonly List<Member> _members = [];
    private readonly Lock _gate = new();
    private TaskCompletionSource? _waiting;
    private long _total;
    private long _awaited = long.MaxValue;

    internal Members(IPEndPoint server) => _server = server;

    public void Dispose() => _members.ForEach(static member => member.Socket.Dispose());

    internal async Task ConnectAsync(int count)
    {
        using SemaphoreSlim places = new(ConnectingAtOnce);
        Task[] connecting = new Task[count];
        for (int index = 0; index < count; index++)
        {
            await places.WaitAsync();
            Member member = new(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            _members.Add(member);
            connecting[index] = ConnectAsync(member, places);
        }

        await Task.WhenAll(connecting);
        _members.ForEach(member => _ = ListenAsync(member));
    }

    /// <summary>When all together have received so many frames. One waits at a time.</summary>
    internal Task WhenReceivedAsync(long total)
    {
        TaskCompletionSource waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _waiting = waiting;
            Volatile.Write(ref _awaited, total);
        }

        Count(0);
        return waiting.Task;
    }

    internal string Report() => string.Join(
        ' ',
        _members.GroupBy(static member => Volatile.Read(ref member.Frames)).OrderBy(static group => group.Key).Select(static group => $"{group.Key}x{group.Count()}"));

    internal void Close(int count)
    {
        foreach (Member member in _members.Where(static member => !member.IsClosed).Take(count))
        {
            member.IsClosed = true;
            member.Socket.Dispose();
        }
    }

    private async Task ConnectAsync(Member member, SemaphoreSlim places)
    {
        await member.Socket.ConnectAsync(_server);
        places.Release();
    }

    private async Task ListenAsync(Member member)
    {
        // As much as is left of a frame, and room for a few.
        byte[] buffer = new byte[32 * FrameSize];
        int kept = 0;
        long last = long.MinValue;
        try
        {
            int read;
            while ((read = await member.Socket.ReceiveAsync(buffer.AsMemory(kept))) > 0)
            {
                int length = kept + read;
                int whole = length - (length % FrameSize);
                for (int at = 0; at < whole; at += FrameSize)
                {
                    long number = BinaryPrimitives.ReadInt64LittleEndian(buffer.AsSpan(at));
                    if (number <= last)
                    {
                        await Console.Error.WriteLineAsync($"a member heard {number} after {last}");
                        Environment.Exit(1);
                    }

                    last = number;
                }

                kept = length - whole;
                buffer.AsSpan(whole, kept).CopyTo(buffer);
                Volatile.Write(ref member.Frames, member.Frames + (whole / FrameSize));
                Count(whole / FrameSize);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It was closed, here or there.
        }
    }

    private void Count(int frames)
    {
        if (Interlocked.Add(ref _total, frames) < Volatile.Read(ref _awaited))
        {
            return;
        }

        lock (_gate)
        {
            Volatile.Write(ref _awaited, long.MaxValue);
            _waiting?.TrySetResult();
        }
    }

    private sealed class Member(Socket socket)
    {
        internal long Frames;

        internal Socket Socket => socket;

        internal bool IsClosed { get; set; }
    }
}
