using System.Buffers.Binary;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Groups;

/// <summary>A publish to more members than one turn of their poller serves.</summary>
public sealed class GroupWalkTests : IAsyncDisposable
{
    private const int Members = 200;
    private const int FrameSize = 8;

    private readonly TestServer _server = new();
    private readonly ConnectionScript _script = new();
    private readonly List<Peer> _peers = [];
    private readonly List<ScriptedConnection> _connections = [];
    private readonly ConnectionGroup _group;
    private long _allocated;

    public GroupWalkTests() => _group = new ConnectionGroup(_server.System, "room");

    [Fact]
    public async Task The_poller_s_other_work_comes_between()
    {
        await JoinAllAsync();

        List<int> served = await ObserveAsync(() => Publish(1), static given => given.Count(static bytes => bytes > 0));

        // Seen between its beginning and its end, and not only at them.
        Assert.Contains(served, static count => count is > 0 and < Members);
        await ExpectAllAsync(1);
    }

    [Fact]
    public async Task Publishes_that_wait_behind_one_another_reach_a_member_together()
    {
        await JoinAllAsync();

        List<int> frames = await ObserveAsync(
            () =>
            {
                for (int number = 1; number <= 5; number++)
                {
                    Publish(number);
                }
            },
            static given => (int)(given.Max() / FrameSize));

        // The first had begun when the others came; these went together.
        Assert.Equal([0, 1, 5], frames.Distinct().Order());
        await ExpectAllAsync(1, 2, 3, 4, 5);
    }

    [Fact]
    public async Task What_is_ordered_behind_a_publish_waits_until_it_is_through()
    {
        await JoinAllAsync();
        ScriptedConnection last = _connections[^1];
        ScriptedConnection first = _connections[0];
        using SharedPayload two = Frame(2);
        using SharedPayload three = Frame(3);
        using SharedPayload four = Frame(4);
        ConnectionGroup other = new(_server.System, "other room");
        await _server.OnPoller(() =>
        {
            // Each of these concerns somebody whom the publish reaches late, or reached early.
            Publish(1);
            _group.SendTo(last.Pid, two);
            _group.Leave(first.Pid, three);
            other.Join(last.Pid, three);
            other.Publish(four);
            Publish(5);
            return true;
        });

        await ExpectAsync(_peers[^1], 1, 2, 3, 4, 5);
        await ExpectAsync(_peers[0], 1, 3);
        await ExpectAsync(_peers[1], 1, 5);
        await Eventually.Equal("members", Members - 1, () => _group.Count);
        await first.Do(static self => self.Close());
        Assert.Empty(await _peers[0].ReceiveToEndAsync());
    }

    [Fact]
    public async Task Members_that_end_while_it_walks_cost_the_others_nothing()
    {
        Random random = new(Seed.Next());
        await JoinAllAsync();
        int[] leaving = [.. Enumerable.Range(0, Members).Where(_ => random.Next(3) == 0)];
        for (int number = 1; number <= 20; number++)
        {
            using SharedPayload payload = Frame(number);
            await _server.OnPoller(() =>
            {
                _group.Publish(payload);
                foreach (int index in leaving.Where(index => index % 20 == number % 20))
                {
                    _server.System.Root.Stop(_connections[index].Pid);
                }

                return true;
            });
        }

        long[] everything = [.. Enumerable.Range(1, 20).Select(static number => (long)number)];
        for (int index = 0; index < Members; index++)
        {
            if (!leaving.Contains(index))
            {
                await ExpectAsync(_peers[index], everything);
            }
            else
            {
                // A beginning of it, without a gap.
                long[] heard = [.. Parse(await _peers[index].ReceiveToEndAsync())];
                Assert.Equal(everything[..heard.Length], heard);
            }
        }

        await Eventually.Equal("members", Members - leaving.Length, () => _group.Count);
    }

    [Fact]
    public async Task A_warm_publish_allocates_nothing_for_its_members()
    {
        await JoinAllAsync();
        long allocated = -1;
        long number = 0;
        for (int round = 0; round < 5 && allocated != 0; round++)
        {
            long before = await AllocatedAsync();
            for (int publish = 0; publish < 50; publish++)
            {
                Publish(++number);
            }

            await ExpectAllAsync([.. Enumerable.Range((int)number - 49, 50).Select(static number => (long)number)]);
            allocated = await AllocatedAsync() - before;
            TestContext.Current.TestOutputHelper?.WriteLine($"Round {round}: {allocated} bytes.");
        }

        Assert.Equal(0, allocated);
    }

    public async ValueTask DisposeAsync()
    {
        _peers.ForEach(static peer => peer.Dispose());
        await _server.DisposeAsync();
    }

    private static SharedPayload Frame(long number)
    {
        byte[] bytes = new byte[FrameSize];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return SharedPayload.Copy(bytes);
    }

    private static IEnumerable<long> Parse(byte[] bytes)
    {
        Assert.Equal(0, bytes.Length % FrameSize);
        return bytes.Chunk(FrameSize).Select(static frame => BinaryPrimitives.ReadInt64LittleEndian(frame));
    }

    private static async Task ExpectAsync(Peer peer, params long[] numbers) =>
        Assert.Equal(numbers, Parse(await peer.ReceiveAsync(numbers.Length * FrameSize)));

    private async Task JoinAllAsync()
    {
        Listener listener = await _server.ListenAsync(_script);
        for (int index = 0; index < Members; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script);
            _peers.Add(peer);
            _connections.Add(connection);
            _group.Join(connection.Pid);
        }
    }

    private void Publish(long number)
    {
        using SharedPayload payload = Frame(number);
        _group.Publish(payload);
    }

    // Nothing happens on the poller's thread after the look that could count as the publishes'.
    private async Task<long> AllocatedAsync()
    {
        Volatile.Write(ref _allocated, -1);
        _server.Homes[0].Poller.Post(() => Volatile.Write(ref _allocated, GC.GetAllocatedBytesForCurrentThread()));
        await Eventually.True("the poller has looked", () => Volatile.Read(ref _allocated) >= 0);
        return _allocated;
    }

    private async Task ExpectAllAsync(params long[] numbers)
    {
        foreach (Peer peer in _peers)
        {
            await ExpectAsync(peer, numbers);
        }
    }

    // Looks again and again, each time behind what the poller had to do before, at how many bytes each member was given, until all have the same.
    private async Task<List<int>> ObserveAsync(Action begin, Func<long[], int> look)
    {
        TaskCompletionSource<List<int>> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        List<int> seen = [];
        NetPoll.Actors.Connections.Connection[] members = [.. _connections.Select(connection => _server.Find(connection.Pid)!)];
        await _server.OnPoller(() =>
        {
            begin();
            Look();
            return true;
        });
        return await done.Task.Soon();

        void Look()
        {
            long[] given = [.. members.Select(static member => member.BytesSent + member.OutputBytes)];
            seen.Add(look(given));
            if (seen.Count > 1 && given.Min() == given.Max() && given[0] > 0 && !HasMore(given))
            {
                done.SetResult(seen);
            }
            else
            {
                _server.Homes[0].Poller.Post(Look);
            }
        }

        bool HasMore(long[] given) => given[0] < _group.Sequence * FrameSize;
    }
}
