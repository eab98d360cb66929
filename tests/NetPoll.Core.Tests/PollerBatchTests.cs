// Awaiters are used by hand: code that an async method's builder would have caught must reach the poller.
#pragma warning disable CA2012

using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>The code that goes on after the reads of one batch of events.</summary>
public sealed class PollerBatchTests : IAsyncDisposable
{
    private readonly ScriptedPoller _world = new();
    private readonly ConcurrentQueue<string> _happened = new();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact]
    public async Task All_reads_of_a_batch_come_before_the_code_that_awaited_them()
    {
        await ReadTogether(3, static _ => { });

        Assert.Equal(["read 0", "read 1", "read 2", "after 0", "after 1", "after 2"], _happened);
    }

    [Fact]
    public async Task Of_more_than_a_batch_each_goes_on_once_and_in_order()
    {
        const int Count = 500;
        await ReadTogether(Count, static _ => { });

        Assert.Equal(2 * Count, _happened.Count);
        Assert.Equal(
            Enumerable.Range(0, Count).Select(static index => $"after {index}"),
            _happened.Where(static what => what.StartsWith("after", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Code_that_throws_is_logged_and_keeps_none_of_its_neighbours_from_going_on(int throwing)
    {
        await ReadTogether(3, index =>
        {
            if (index == throwing)
            {
                throw new FormatException("by the test");
            }
        });

        Assert.Equal(["read 0", "read 1", "read 2", "after 0", "after 1", "after 2"], _happened);
        CapturedLog.Entry entry = Assert.Single(_world.Log.Entries, static entry => entry.Level >= LogLevel.Error);
        Assert.IsType<FormatException>(entry.Exception);
        Assert.True(await _world.Poller.RunAsync(() => Task.FromResult(_world.Poller.IsCurrent)));
    }

    [Fact]
    public async Task All_code_that_throws_is_logged()
    {
        const int Count = 200;
        await ReadTogether(Count, static _ => throw new FormatException("by the test"));

        Assert.Equal(2 * Count, _happened.Count);
        Assert.Equal(Count, _world.Log.Entries.Count(static entry => entry is { Level: LogLevel.Error, Exception: FormatException }));
    }

    // Reads begin on the poller, and become ready with one look at the system.
    private async Task ReadTogether(int count, Action<int> then)
    {
        ScriptedSocket[] sockets = [.. Enumerable.Range(0, count).Select(static _ => new ScriptedSocket())];
        NetFd[] fds = [.. sockets.Select(_world.Open)];
        int left = count;
        await _world.Poller.RunAsync(() =>
        {
            for (int index = 0; index < count; index++)
            {
                int own = index;
                ValueTaskAwaiter<int> awaiter = fds[index].ReadAsync(new byte[1]).GetAwaiter();
                awaiter.UnsafeOnCompleted(() =>
                {
                    _happened.Enqueue($"after {own}");
                    Interlocked.Decrement(ref left);
                    Assert.Equal(1, awaiter.GetResult());
                    Assert.True(_world.Poller.IsCurrent);
                    then(own);
                });
            }
        });
        await Eventually.Equal("waiting reads", count, () => _world.Poller.ParkedCount);
        for (int index = 0; index < count; index++)
        {
            int own = index;
            sockets[index].ThenReads(_ =>
            {
                _happened.Enqueue($"read {own}");
                return IoResult.Bytes(1);
            });
        }

        _world.Backend.Inject([.. sockets.Select(socket => new PollEvent(_world.Backend.TokenOf(socket), PollEventFlags.Read))]);
        await Eventually.Equal("reads that did not go on", 0, () => Volatile.Read(ref left));
        await _world.Asleep();
    }
}
