using System.Collections.Concurrent;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Frames;

public sealed class LineConnectionActorTests : IAsyncDisposable
{
    private readonly TestServer _server = new();
    private readonly ConcurrentQueue<string> _lines = new();

    [Fact]
    public async Task Lines_come_without_their_ends()
    {
        using Peer peer = await OpenAsync();

        await peer.SendAsync("one\ntwo\r\n\nthree\rstill three\r\n\r\nfour\n");
        await Eventually.Equal("lines", 6, () => _lines.Count);

        Assert.Equal(["one", "two", "", "three\rstill three", "", "four"], _lines);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_byte_alone_makes_the_same_lines(bool isAsync)
    {
        using Peer peer = await OpenAsync(isAsync: isAsync);
        byte[] bytes = Encoding.UTF8.GetBytes("one\ntwo\r\n\nthr\ree\r\n\r\n");

        foreach (byte single in bytes)
        {
            await peer.SendAsync(new[] { single });
            await _server.OnPoller(static () => true);
        }

        await Eventually.Equal("lines", 5, () => _lines.Count);
        Assert.Equal(["one", "two", "", "thr\ree", ""], _lines);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Random_cuts_make_the_same_lines(bool isAsync)
    {
        Random random = new(Seed.Next());
        using Peer peer = await OpenAsync(isAsync: isAsync);
        List<string> expected = [];
        StringBuilder text = new();
        for (int line = 0; line < 2_000; line++)
        {
            string content = new('x', random.Next(3) == 0 ? random.Next(2_000) : random.Next(20));
            content = $"{line}:{content}";
            expected.Add(content);
            text.Append(content).Append(random.Next(2) == 0 ? "\n" : "\r\n");
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, random.Next(10) == 0 ? 30_000 : 500), bytes.Length - at);
            await peer.SendAsync(bytes.AsMemory(at, count));
            at += count;
        }

        await Eventually.Equal("lines", expected.Count, () => _lines.Count);
        Assert.Equal(expected, _lines);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public async Task A_line_of_exactly_the_limit_is_taken_and_one_byte_more_is_an_error(string end)
    {
        using Peer peer = await OpenAsync(maxLength: 100);
        string longest = new('x', 100);

        await peer.SendAsync(longest + end);
        await Eventually.Equal("lines", 1, () => _lines.Count);
        await peer.SendAsync("y" + longest + end);
        await Eventually.Equal("lines and errors", 2, () => _lines.Count);

        Assert.Equal([longest, "A frame of 101 bytes or more came; the limit is 100 bytes."], _lines);
        Assert.Empty(await peer.ReceiveToEndAsync());
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public async Task Byte_by_byte_the_limit_is_the_same(string end)
    {
        using Peer peer = await OpenAsync(maxLength: 10);
        foreach (char single in "0123456789" + end + "0123456789" + end)
        {
            await peer.SendAsync(single.ToString());
            await _server.OnPoller(static () => true);
        }

        await Eventually.Equal("lines", 2, () => _lines.Count);
        foreach (char single in "0123456789a")
        {
            await peer.SendAsync(single.ToString());
            await _server.OnPoller(static () => true);
        }

        // Eleven bytes may still be ten and a CR; the next one decides.
        Assert.Equal(2, _lines.Count);
        await peer.SendAsync("b");
        await Eventually.Equal("lines and errors", 3, () => _lines.Count);
        Assert.Equal(["0123456789", "0123456789", "A frame of 12 bytes or more came; the limit is 10 bytes."], _lines);
    }

    [Fact]
    public async Task Without_an_end_the_error_comes_when_the_limit_is_passed_and_not_when_memory_is()
    {
        ConcurrentQueue<ConnectionClosed> closed = new();
        using Peer peer = await OpenAsync(maxLength: 1000, closed: closed);

        await peer.SendAsync(new byte[1_000_000]);
        await Eventually.Equal("errors", 1, () => _lines.Count);
        Assert.Empty(await peer.ReceiveToEndAsync());
        peer.CloseWrite();
        await Eventually.Equal("ends", 1, () => closed.Count);

        Assert.Equal(CloseReason.Error, closed.Single().Reason);
        Assert.Single(_lines);
    }

    [Fact]
    public async Task A_handler_that_goes_on_after_an_error_takes_the_next_bytes()
    {
        Listener listener = await _server.ListenAsync(() => new Forgiving(_lines));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("much too long");
        await Eventually.Equal("lines and errors", 1, () => _lines.Count);
        await peer.SendAsync("ok\n");
        await Eventually.Equal("lines and errors", 2, () => _lines.Count);

        Assert.Equal(["error", "ok"], _lines);
    }

    [Fact]
    public async Task While_a_line_is_handled_the_next_ones_wait_with_everything_else()
    {
        TaskCompletionSource gate = new();
        Listener listener = await _server.ListenAsync(() => new Lines(_lines, 1000, isAsync: true, gate: gate.Task));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);
        await peer.SendAsync("a\nb\nc\n");
        await Eventually.Equal("lines", 1, () => _lines.Count);

        await peer.SendAsync("d\n");
        await _server.OnPoller(static () => true);
        await _server.OnPoller(static () => true);
        Assert.Equal(["a"], _lines);

        gate.SetResult();
        await Eventually.Equal("lines", 4, () => _lines.Count);
        Assert.Equal(["a", "b", "c", "d"], _lines);
    }

    [Fact]
    public async Task Closed_in_a_line_the_lines_behind_it_are_not_handled()
    {
        Listener listener = await _server.ListenAsync(() => new Lines(_lines, 1000, closeAt: "b"));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("a\nb\nc\n");
        Assert.Empty(await peer.ReceiveToEndAsync());

        Assert.Equal(["a", "b"], _lines);
    }

    [Fact]
    public void A_limit_of_nothing_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Lines(_lines, maxLength: 0));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<Peer> OpenAsync(int maxLength = LineConnectionActor.DefaultMaxLineLength, bool isAsync = false, ConcurrentQueue<ConnectionClosed>? closed = null)
    {
        Listener listener = await _server.ListenAsync(() => new Lines(_lines, maxLength, isAsync, closed: closed));
        return await Peer.ConnectAsync(listener.EndPoint);
    }

    private sealed class Lines(
        ConcurrentQueue<string> lines,
        int maxLength,
        bool isAsync = false,
        Task? gate = null,
        string? closeAt = null,
        ConcurrentQueue<ConnectionClosed>? closed = null) : LineConnectionActor(maxLength)
    {
        private int _inside;

        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            string text = Encoding.UTF8.GetString(line);
            Assert.Equal(1, ++_inside);
            lines.Enqueue(text);
            if (text == closeAt)
            {
                Close();
            }

            if (!isAsync)
            {
                _inside--;
                return Task.CompletedTask;
            }

            return Later();

            async Task Later()
            {
                await (gate ?? Task.CompletedTask);
                await Task.Yield();
                _inside--;
            }
        }

        protected override void OnFrameError(Exception exception)
        {
            lines.Enqueue(exception.Message);
            base.OnFrameError(exception);
        }

        protected override void OnClosed(ConnectionClosed ended) => closed?.Enqueue(ended);
    }

    private sealed class Forgiving(ConcurrentQueue<string> lines) : LineConnectionActor(5)
    {
        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            lines.Enqueue(Encoding.UTF8.GetString(line));
            return Task.CompletedTask;
        }

        protected override void OnFrameError(Exception exception) => lines.Enqueue("error");
    }
}
