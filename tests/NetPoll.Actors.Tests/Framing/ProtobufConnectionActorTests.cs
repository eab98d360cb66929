using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Frames;

public sealed class ProtobufConnectionActorTests : IAsyncDisposable
{
    private readonly TestServer _server = new();
    private readonly ConcurrentQueue<object> _events = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_byte_alone_makes_the_same_messages(bool isAsync)
    {
        using Peer peer = await OpenAsync(isAsync: isAsync);
        byte[] bytes = Encode("a", "", new string('b', 200), "c");

        foreach (byte single in bytes)
        {
            await peer.SendAsync(new[] { single });
            await _server.OnPoller(static () => true);
        }

        await Eventually.Equal("messages", 4, () => _events.Count);
        Assert.Equal(["a", "", new string('b', 200), "c"], _events);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Random_cuts_make_the_same_messages_and_answers_in_order(bool isAsync)
    {
        Random random = new(Seed.Next());
        using Peer peer = await OpenAsync(isAsync: isAsync, answers: true);
        string[] texts = [.. Enumerable.Range(0, 1_000).Select(number =>
            $"{number}:{new string('x', random.Next(50) == 0 ? random.Next(100_000) : random.Next(300))}")];
        byte[] bytes = Encode(texts);
        Task<byte[]> answers = peer.ReceiveAsync(bytes.Length);

        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, random.Next(5) == 0 ? 100_000 : 700), bytes.Length - at);
            await peer.SendAsync(bytes.AsMemory(at, count));
            at += count;
        }

        byte[] received = await answers;
        Assert.True(bytes.AsSpan().SequenceEqual(received));
        Assert.Equal(texts, _events);
    }

    [Fact]
    public async Task A_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_an_error()
    {
        // Two bytes of field header and length before the text.
        using Peer peer = await OpenAsync(maxLength: 100);
        string longest = new('x', 98);

        await peer.SendAsync(Encode(longest));
        await Eventually.Equal("messages", 1, () => _events.Count);
        await peer.SendAsync(Encode(longest + "y"));
        await Eventually.Equal("messages and errors", 2, () => _events.Count);

        Assert.Equal(longest, _events.First());
        FrameTooLargeException exception = Assert.IsType<FrameTooLargeException>(_events.Last());
        Assert.Equal(101, exception.Size);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Theory]
    [InlineData(new byte[] { 0x80, 0x80, 0x80, 0x80, 0x80 }, typeof(InvalidDataException))]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0x0F }, typeof(FrameTooLargeException))]
    [InlineData(new byte[] { 3, 0xFF, 0xFF, 0xFF }, typeof(InvalidProtocolBufferException))]
    [InlineData(new byte[] { (byte)'G', (byte)'E', (byte)'T', (byte)' ', (byte)'/' }, null)]
    public async Task Garbage_is_an_error_or_waits_for_more_and_never_a_message(byte[] garbage, System.Type? error)
    {
        ConcurrentQueue<ConnectionClosed> closed = new();
        using Peer peer = await OpenAsync(closed: closed);
        await peer.SendAsync(Encode("before"));
        await peer.SendAsync(garbage);
        peer.CloseWrite();
        Assert.Empty(await peer.ReceiveToEndAsync());
        await Eventually.Equal("ends", 1, () => closed.Count);

        Assert.Equal("before", _events.First());
        if (error is null)
        {
            Assert.Single(_events);
            Assert.Equal(CloseReason.Peer, closed.Single().Reason);
        }
        else
        {
            Assert.Equal(2, _events.Count);
            Assert.IsType(error, _events.Last());
            Assert.Equal(CloseReason.Error, closed.Single().Reason);
        }

        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task Random_garbage_never_harms_the_neighbour()
    {
        Random random = new(Seed.Next());
        Listener listener = await _server.ListenAsync(() => new Messages(_events, 1000, isAsync: false, answers: true));
        using Peer neighbour = await Peer.ConnectAsync(listener.EndPoint);
        byte[] hello = Encode("hello");

        for (int round = 0; round < 100; round++)
        {
            using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
            byte[] garbage = new byte[random.Next(1, 3000)];
            random.NextBytes(garbage);
            try
            {
                await peer.SendAsync(garbage);
            }
            catch (System.Net.Sockets.SocketException)
            {
                // Cut off already.
            }

            await neighbour.SendAsync(hello);
            Assert.Equal(hello, await neighbour.ReceiveAsync(hello.Length));
        }

        Assert.Empty(_server.Log.Errors);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(10_000)]
    [InlineData(65_000)]
    [InlineData(70_000)]
    [InlineData(500_000)]
    public async Task Messages_of_every_size_are_sent_behind_their_length_and_in_order(int size)
    {
        Listener listener = await _server.ListenAsync(() => new Messages(_events, 1_000_000, isAsync: false, answers: true, copies: 3));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        byte[] bytes = Encode(new string('x', size), "y");

        await peer.SendAsync(bytes);
        byte[] expected = [.. Enumerable.Repeat(Encode(new string('x', size)), 3).SelectMany(static b => b), .. Enumerable.Repeat(Encode("y"), 3).SelectMany(static b => b)];
        byte[] received = await peer.ReceiveAsync(expected.Length);

        Assert.True(expected.AsSpan().SequenceEqual(received));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static byte[] Encode(params IEnumerable<string> texts)
    {
        using MemoryStream stream = new();
        foreach (string text in texts)
        {
            new StringValue { Value = text }.WriteDelimitedTo(stream);
        }

        return stream.ToArray();
    }

    private async Task<Peer> OpenAsync(int maxLength = 1024 * 1024, bool isAsync = false, bool answers = false, ConcurrentQueue<ConnectionClosed>? closed = null)
    {
        Listener listener = await _server.ListenAsync(() => new Messages(_events, maxLength, isAsync, answers, closed: closed));
        return await Peer.ConnectAsync(listener.EndPoint);
    }

    private sealed class Messages(
        ConcurrentQueue<object> events,
        int maxLength,
        bool isAsync,
        bool answers,
        int copies = 1,
        ConcurrentQueue<ConnectionClosed>? closed = null) : ProtobufConnectionActor<StringValue>(StringValue.Parser, maxLength)
    {
        protected override async Task OnFrame(StringValue message)
        {
            if (isAsync)
            {
                await Task.Yield();
            }

            events.Enqueue(message.Value);
            for (int copy = 0; answers && copy < copies; copy++)
            {
                Send(message);
            }
        }

        protected override void OnFrameError(Exception exception)
        {
            events.Enqueue(exception);
            base.OnFrameError(exception);
        }

        protected override void OnClosed(ConnectionClosed ended) => closed?.Enqueue(ended);
    }
}
