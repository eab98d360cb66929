using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Moving;

/// <summary>Members of groups change their pollers while publishers publish: each hears everything that is for it, once and in order.</summary>
public sealed class GroupMovingTests : IAsyncDisposable
{
    private const int FrameSize = 24;
    private const int End = int.MaxValue;

    private static readonly ConnectionOptions Roomy = new()
    {
        MaxOutputBytes = 256 * 1024 * 1024,
        WriteTimeout = Timeout.InfiniteTimeSpan,
        LingerTimeout = TimeSpan.Zero,
    };

    private readonly TestServer _server = new(pollers: 3);
    private readonly ConnectionScript _script = new();
    private readonly List<Peer> _peers = [];
    private int _moves;

    [Fact]
    public async Task What_one_publisher_orders_of_several_groups_reaches_members_that_move_once_and_in_order()
    {
        const int publishers = 2;
        List<Member> members = [];
        Listener listener = await _server.ListenAsync(_script, Roomy);
        for (int index = 0; index < 6; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script);
            _peers.Add(peer);
            members.Add(new Member(connection.Pid, publishers, HearAsync(peer, publishers)));
        }

        int seed = Seed.Next();
        using CancellationTokenSource over = new();
        Task[] moving = [.. members.Select((member, index) => MoveAroundAsync(member.Pid, seed + index, over.Token))];
        Task<ConnectionGroup[]>[] publishing =
        [
            .. Enumerable.Range(0, publishers).Select(publisher => Task.Run(
                () => PublishAsync(publisher, members, seed ^ (publisher + 1)), TestContext.Current.CancellationToken)),
        ];
        ConnectionGroup[] groups = [.. (await Task.WhenAll(publishing).WaitAsync(TimeSpan.FromMinutes(4), TestContext.Current.CancellationToken)).SelectMany(static made => made)];
        await over.CancelAsync();
        await Task.WhenAll(moving).Soon();

        foreach (Member member in members)
        {
            List<int>[] heard = await member.Hearing.Soon();
            for (int publisher = 0; publisher < publishers; publisher++)
            {
                Assert.Equal(member.Expected[publisher], heard[publisher]);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{_moves} moves, {members.Sum(static member => member.Expected.Sum(static one => one.Count))} payloads");

        // Nobody is counted where he no longer lives.
        _peers.ForEach(static peer => peer.Reset());
        foreach (ConnectionGroup group in groups)
        {
            await Eventually.Equal($"members of {group.Name}", 0, () => group.Count);
            long messages = group.MessagesToPollers;
            using SharedPayload payload = NumberedFrames.MakePayload(1, FrameSize);
            group.Publish(payload);
            Assert.Equal(messages, group.MessagesToPollers);
        }
    }

    [Fact]
    public async Task A_member_that_moves_is_published_to_at_its_new_poller_alone()
    {
        Listener listener = await _server.ListenAsync(_script, Roomy);
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script);
        _peers.Add(peer);
        ConnectionGroup group = new(_server.System, "room");
        Assert.True(group.Join(connection.Pid));
        int here = connection.Poller.Index;
        for (int number = 1; number <= 6; number++)
        {
            here = (here + 1) % 3;
            ConnectionMoved moved = await _server.Ask<ConnectionMoved>(connection.Pid, new MoveConnection(_server.NetPoll.Pollers[here]));
            Assert.Equal(MoveOutcome.Moved, moved.Outcome);
            using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
            group.Publish(payload);
            Assert.Equal(number, await NumberedFrames.ReceiveAsync(peer));
            Assert.Equal(number, group.MessagesToPollers);
            Assert.Equal(1, group.Count);
        }

        Assert.True(group.Leave(connection.Pid));
        await Eventually.Equal("members", 0, () => group.Count);
    }

    public async ValueTask DisposeAsync()
    {
        _peers.ForEach(static peer => peer.Dispose());
        await _server.DisposeAsync();
    }

    // The numbers of one publisher rise; its second byte of four tells which it is.
    private static int NumberOf(int publisher, int count) => (publisher << 24) | count;

    private static async Task<List<int>[]> HearAsync(Peer peer, int publishers)
    {
        List<int>[] heard = [.. Enumerable.Range(0, publishers).Select(static _ => new List<int>())];
        int ended = 0;
        while (ended < publishers)
        {
            int number = await NumberedFrames.ReceiveAsync(peer);
            if (number == End)
            {
                ended++;
            }
            else
            {
                heard[number >> 24].Add(number);
            }
        }

        return heard;
    }

    private async Task MoveAroundAsync(PID connection, int seed, CancellationToken over)
    {
        Random random = new(seed);
        while (!over.IsCancellationRequested)
        {
            ConnectionMoved moved = await _server.Ask<ConnectionMoved>(connection, new MoveConnection(_server.NetPoll.Pollers[random.Next(3)]));
            Interlocked.Add(ref _moves, moved.Outcome == MoveOutcome.Moved ? 1 : 0);
        }
    }

    private async Task<ConnectionGroup[]> PublishAsync(int publisher, List<Member> members, int seed)
    {
        Random random = new(seed);
        ConnectionGroup[] groups = [new(_server.System, $"one of {publisher}"), new(_server.System, $"two of {publisher}")];
        HashSet<Member>[] joined = [[], []];
        int last = StressScale.Rounds(20_000);
        for (int count = 1; count <= last; count++)
        {
            int which = random.Next(2);
            ConnectionGroup group = groups[which];
            Member someone = members[random.Next(members.Count)];
            int number = NumberOf(publisher, count);
            using SharedPayload payload = NumberedFrames.MakePayload(number, FrameSize);
            switch (random.Next(12))
            {
                case 0:
                    Assert.True(group.Join(someone.Pid, payload));
                    joined[which].Add(someone);
                    someone.Expected[publisher].Add(number);
                    break;
                case 1:
                    Assert.True(group.Leave(someone.Pid, payload));
                    joined[which].Remove(someone);
                    someone.Expected[publisher].Add(number);
                    break;
                case 2:
                    Assert.True(group.SendTo(someone.Pid, payload));
                    someone.Expected[publisher].Add(number);
                    break;
                case 3:
                    group.Publish(payload, except: someone.Pid);
                    Expect(joined[which].Where(member => member != someone));
                    break;
                case 4:
                    group.Publish(payload, [someone.Pid, members[0].Pid]);
                    Expect(joined[which].Where(member => member != someone && member != members[0]));
                    break;
                default:
                    group.Publish(payload);
                    Expect(joined[which]);
                    break;
            }

            void Expect(IEnumerable<Member> hearers)
            {
                foreach (Member hearer in hearers)
                {
                    hearer.Expected[publisher].Add(number);
                }
            }

            if (count % 200 == 0)
            {
                // Bursts, so that walks and queues are long at times and empty at others; and moves all the time.
                int moves = Volatile.Read(ref _moves);
                await Eventually.True("moves that go on", () => Volatile.Read(ref _moves) > moves);
            }
        }

        using SharedPayload end = NumberedFrames.MakePayload(End, FrameSize);
        members.ForEach(member => Assert.True(groups[0].SendTo(member.Pid, end)));
        return groups;
    }

    private sealed class Member(PID pid, int publishers, Task<List<int>[]> hearing)
    {
        public PID Pid => pid;

        public Task<List<int>[]> Hearing => hearing;

        /// <summary>Of each publisher, what it is to hear.</summary>
        public List<int>[] Expected { get; } = [.. Enumerable.Range(0, publishers).Select(static _ => new List<int>())];
    }
}
