using Chat.Protocol;
using NetPoll.Tests;

namespace Chat.Tests.Support;

/// <summary>Two people who talk to each other in a room of their own and must not notice what happens to others.</summary>
/// <remarks>Every frame that they get, pings apart, is the one that they expect next; any other, and a late one, fails the test.</remarks>
internal sealed class BystanderPair : IAsyncDisposable
{
    private const string Room = "bystanders";

    // Between two rounds: the machine is for those whom the test is about.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly ChatPeer _left;
    private readonly ChatPeer _right;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _talking;
    private int _rounds;

    private BystanderPair(ChatPeer left, ChatPeer right)
    {
        _left = left;
        _right = right;
        _talking = TalkAsync();
    }

    /// <summary>Two people who are in their room and talk.</summary>
    public static async Task<BystanderPair> Start(int port)
    {
        ChatPeer left = await ChatPeer.InRoom(port, "left", Room);
        ChatPeer right = await ChatPeer.InRoom(port, "right", Room);
        await left.Read(static frame => frame.Presence?.Arrived.Contains("right") == true);
        return new BystanderPair(left, right);
    }

    /// <summary>Waits until they have talked on for some rounds.</summary>
    public async Task TalkOn()
    {
        int before = Volatile.Read(ref _rounds);
        await Eventually.True("the bystanders talk on", () => _talking.IsCompleted || Volatile.Read(ref _rounds) >= before + 3);
        if (_talking.IsCompleted)
        {
            await _talking;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _talking;
        _stop.Dispose();
        _left.Dispose();
        _right.Dispose();
    }

    private async Task TalkAsync()
    {
        long sequence = 0;
        while (!_stop.IsCancellationRequested)
        {
            await Tell(_left, "left", _right, ++sequence);
            await Tell(_right, "right", _left, ++sequence);
            Interlocked.Increment(ref _rounds);
            await Task.Delay(Pause, TestContext.Current.CancellationToken);
        }
    }

    private static async Task Tell(ChatPeer speaker, string name, ChatPeer listener, long sequence)
    {
        string text = $"message {sequence} of {name}";
        ulong id = await speaker.Say(Room, text);

        ServerFrame? answer = await Next(speaker);
        Assert.Equal((id, sequence), (answer?.ReplyTo, answer?.Said?.Sequence));
        Message? message = (await Next(listener))?.Message;
        Assert.Equal((sequence, name, text), (message?.Sequence, message?.From, message?.Text));
    }

    // On a loaded machine a round may take so long that the server asks whether they are there.
    private static async Task<ServerFrame?> Next(ChatPeer peer)
    {
        ServerFrame? frame;
        while ((frame = await peer.Read())?.BodyCase == ServerFrame.BodyOneofCase.Ping)
        {
            await peer.Send(new ClientFrame { Pong = new Pong { Token = frame.Ping.Token } });
        }

        return frame;
    }
}
