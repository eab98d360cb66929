using System.Buffers.Binary;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Groups;

public sealed class ConnectionGroupTests : IAsyncDisposable
{
    private const int FrameSize = 8;

    private static readonly ConnectionOptions Roomy = new()
    {
        MaxOutputBytes = 256 * 1024 * 1024,
        WriteTimeout = Timeout.InfiniteTimeSpan,
        LingerTimeout = TimeSpan.Zero,
    };

    private readonly TestServer _server = new(pollers: 2);
    private readonly ConnectionScript _script = new();
    private readonly List<Peer> _peers = [];

    [Fact]
    public async Task A_published_payload_reaches_every_member_and_nobody_else()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 2);
        ConnectionGroup group = new(_server.System, "room");
        foreach ((Peer _, ScriptedConnection connection) in all.Skip(1))
        {
            Assert.True(group.Join(connection.Pid));
        }

        Publish(group, 1);
        Send(group, all[0].Connection.Pid, 2); // The one who is no member: the first that it hears.

        foreach ((Peer peer, ScriptedConnection _) in all.Skip(1))
        {
            Assert.Equal([1], await ReadAsync(peer, 1));
        }

        Assert.Equal([2], await ReadAsync(all[0].Peer, 1));
        Assert.Equal(1, group.Sequence);
        Assert.Equal(all.Count - 1, group.Count);
    }

    [Fact]
    public async Task One_who_is_excepted_hears_what_comes_after()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 1);
        ConnectionGroup group = new(_server.System, "room");
        all.ForEach(one => group.Join(one.Connection.Pid));

        Publish(group, 1, except: all[0].Connection.Pid);
        Publish(group, 2);

        Assert.Equal([2], await ReadAsync(all[0].Peer, 1));
        Assert.Equal([1, 2], await ReadAsync(all[1].Peer, 2));
    }

    [Fact]
    public async Task Several_who_are_excepted_hear_what_comes_after_and_strangers_among_them_do_not_matter()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 2);
        ConnectionGroup group = new(_server.System, "room");
        all.ForEach(one => group.Join(one.Connection.Pid));
        List<PID> deaf = [all[0].Connection.Pid, all[^1].Connection.Pid, PID.FromAddress("elsewhere:1", "test1/1"), all[0].Connection.Pid];

        using (SharedPayload payload = Frame(1))
        {
            Assert.Equal(1, group.Publish(payload, deaf));
            Assert.Equal(2, group.Publish(payload, except: []));
            Assert.Throws<ArgumentNullException>(() => group.Publish(payload, (IReadOnlyCollection<PID>)null!));
        }

        Assert.Equal(4, group.MessagesToPollers);
        foreach ((Peer peer, ScriptedConnection connection) in all)
        {
            List<long> expected = deaf.Contains(connection.Pid) ? [1] : [1, 1];
            Assert.Equal(expected, await ReadAsync(peer, expected.Count));
        }
    }

    [Fact]
    public async Task A_publish_costs_one_message_for_each_poller_that_has_members()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 3);
        ConnectionGroup group = new(_server.System, "room");
        Publish(group, 1);
        Assert.Equal(0, group.MessagesToPollers);

        List<(Peer Peer, ScriptedConnection Connection)> here = all.FindAll(static one => one.Connection.Poller.Index == 0);
        here.ForEach(one => group.Join(one.Connection.Pid));
        Publish(group, 2);
        Publish(group, 3);
        Assert.Equal(2, group.MessagesToPollers);

        all.ForEach(one => group.Join(one.Connection.Pid));
        Publish(group, 4);
        Assert.Equal(4, group.MessagesToPollers);

        here.ForEach(one => group.Leave(one.Connection.Pid));
        await Eventually.Equal("members", all.Count - here.Count, () => group.Count);
        Publish(group, 5);
        Assert.Equal(5, group.MessagesToPollers);
        Assert.Equal(5, group.Sequence);
    }

    [Fact]
    public async Task Joining_twice_is_as_once_but_the_welcome_is_sent_again()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 1);
        ConnectionGroup group = new(_server.System, "room");

        Join(group, all[0].Connection.Pid, 1);
        Join(group, all[0].Connection.Pid, 2);
        Publish(group, 3);

        Assert.Equal([1, 2, 3], await ReadAsync(all[0].Peer, 3));
        await Eventually.Equal("members", 1, () => group.Count);
        group.Leave(all[0].Connection.Pid);
        await Eventually.Equal("members", 0, () => group.Count);
    }

    [Fact]
    public async Task Leaving_what_it_never_joined_is_harmless()
    {
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 1);
        ConnectionGroup group = new(_server.System, "room");
        group.Join(all[1].Connection.Pid);

        Assert.True(group.Leave(all[0].Connection.Pid));
        using SharedPayload farewell = Frame(9);
        Assert.True(group.Leave(all[0].Connection.Pid, farewell));
        Publish(group, 1);

        Assert.Equal([9], await ReadAsync(all[0].Peer, 1));
        Assert.Equal([1], await ReadAsync(all[1].Peer, 1));
        await Eventually.Equal("members", 1, () => group.Count);
    }

    [Fact]
    public async Task A_PID_that_is_no_connection_of_this_process_is_refused()
    {
        ConnectionGroup group = new(_server.System, "room");
        PID other = _server.System.Root.Spawn(Props.FromFunc(static _ => Task.CompletedTask));
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 1);
        ScriptedConnection gone = all[0].Connection;
        await _server.System.Root.StopAsync(gone.Pid).Soon();
        SharedPayload payload = Frame(1);

        Assert.All(
            new[] { other, gone.Pid, PID.FromAddress("elsewhere:1", "test1/1"), PID.FromAddress(_server.System.Address, "nobody") },
            pid =>
            {
                Assert.False(group.Join(pid, payload));
                Assert.False(group.Leave(pid, payload));
                Assert.False(group.SendTo(pid, payload));
                group.Publish(payload, except: pid);
            });

        Assert.Equal(0, group.Count);
        payload.Dispose();
        Assert.True(IsGivenBack(payload));
    }

    [Fact]
    public async Task Every_member_hears_exactly_what_the_publisher_did_in_its_order()
    {
        Random random = new(Seed.Next());
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 8);

        // Two groups of one publisher: the order holds across them.
        ConnectionGroup[] groups = [new(_server.System, "room"), new(_server.System, "operators")];
        bool[][] isMemberOf = [new bool[all.Count], new bool[all.Count]];
        List<long>[] expected = [.. all.Select(static _ => new List<long>())];
        List<SharedPayload> payloads = [];
        Task<List<long>>[] heard = [.. all.Select(one => ReadToEndAsync(one.Peer))];

        // The publisher changes threads between calls, as an actor does.
        for (int number = 1; number <= StressScale.Rounds(4_000); number++)
        {
            int who = random.Next(all.Count);
            int which = random.Next(3) == 0 ? 1 : 0;
            ConnectionGroup group = groups[which];
            bool[] isMember = isMemberOf[which];
            PID pid = all[who].Connection.Pid;
            SharedPayload payload = Frame(number);
            payloads.Add(payload);
            Action action;
            switch (random.Next(10))
            {
                case 0:
                    isMember[who] = true;
                    expected[who].Add(number);
                    action = () => Assert.True(group.Join(pid, payload));
                    break;
                case 1:
                    isMember[who] = false;
                    expected[who].Add(number);
                    action = () => Assert.True(group.Leave(pid, payload));
                    break;
                case 2:
                    expected[who].Add(number);
                    action = () => Assert.True(group.SendTo(pid, payload));
                    break;
                default:
                    int[] except = random.Next(4) switch
                    {
                        0 => [who],
                        1 => [.. Enumerable.Range(0, all.Count).Where(_ => random.Next(3) == 0)],
                        _ => [],
                    };
                    for (int index = 0; index < all.Count; index++)
                    {
                        if (isMember[index] && !except.Contains(index))
                        {
                            expected[index].Add(number);
                        }
                    }

                    PID[] pids = [.. except.Select(index => all[index].Connection.Pid)];
                    action = pids.Length <= 1
                        ? () => group.Publish(payload, except: pids.FirstOrDefault())
                        : () => group.Publish(payload, pids);
                    break;
            }

            if (random.Next(50) == 0)
            {
                int poller = random.Next(2);
                await _server.OnPoller(
                    () =>
                    {
                        action();
                        return true;
                    },
                    poller);
            }
            else
            {
                action();
            }

            payload.Dispose();
        }

        await Task.WhenAll(all.Select(static one => one.Connection.Do(static self => self.Close())));
        for (int index = 0; index < all.Count; index++)
        {
            Assert.Equal(expected[index], await heard[index]);
        }

        await Eventually.Equal("members", 0, () => groups.Sum(static group => group.Count));
        await Eventually.True("every payload is given back", () => payloads.TrueForAll(IsGivenBack));
    }

    [Fact]
    public async Task Connections_that_come_and_go_while_it_is_published_hear_a_welcome_and_then_everything_without_a_gap()
    {
        const int Cycles = 12;
        ConnectionGroup group = new(_server.System, "room");
        Lock publisher = new();
        long number = 0;
        List<SharedPayload> payloads = [];
        Listener listener = await ListenAsync();
        using CancellationTokenSource stop = new();
        Task publishing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                lock (publisher)
                {
                    for (int burst = 0; burst < 10; burst++)
                    {
                        SharedPayload payload = Frame(++number);
                        payloads.Add(payload);
                        group.Publish(payload);
                        payload.Dispose();
                    }
                }

                // Not faster than anybody can hear it.
                await Task.Delay(1, TestContext.Current.CancellationToken);
            }
        });

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (int cycle = 0; cycle < Cycles; cycle++)
            {
                (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script);
                long joinedAt;
                lock (publisher)
                {
                    joinedAt = group.Sequence;
                    Assert.Equal(number, joinedAt);
                    SharedPayload welcome = Frame(-joinedAt);
                    payloads.Add(welcome);
                    group.Join(connection.Pid, welcome);
                    welcome.Dispose();
                }

                List<long> heard = await ReadAsync(peer, 1 + (cycle * 20));
                Assert.Equal(-joinedAt, heard[0]);
                Assert.Equal(Enumerable.Range(1, heard.Count - 1).Select(step => joinedAt + step), heard.Skip(1));

                // Half of them go without a word, and with what is queued for them.
                if (cycle % 2 == 0)
                {
                    lock (publisher)
                    {
                        group.Leave(connection.Pid);
                    }
                }

                if (cycle % 3 == 0)
                {
                    peer.Reset();
                }

                peer.Dispose();
            }
        }));
        await stop.CancelAsync();
        await publishing.Soon();

        await Eventually.Equal("members", 0, () => group.Count);
        await Eventually.True("every payload is given back", () => payloads.TrueForAll(IsGivenBack));
        Assert.Empty(_server.Log.Errors);
    }

    [Fact]
    public async Task A_membership_ends_with_the_connection_however_it_ends()
    {
        ConnectionGroup group = new(_server.System, "room");
        ConnectionGroup other = new(_server.System, "other room");
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 4);
        all.ForEach(one => group.Join(one.Connection.Pid));
        all.ForEach(one => other.Join(one.Connection.Pid));
        Assert.Equal(all.Count, group.Count);

        for (int index = 0; index < all.Count; index++)
        {
            (Peer peer, ScriptedConnection connection) = all[index];
            switch (index % 4)
            {
                case 0:
                    peer.Dispose();
                    break;
                case 1:
                    peer.Reset();
                    break;
                case 2:
                    await connection.Do(static self => self.Abort());
                    break;
                default:
                    _server.System.Root.Stop(connection.Pid);
                    break;
            }
        }

        await Eventually.Equal("members", 0, () => group.Count);
        await Eventually.Equal("members of the other", 0, () => other.Count);
        Publish(group, 1);
        Assert.Equal(0, group.MessagesToPollers);
    }

    [Fact]
    public async Task A_join_that_meets_the_end_of_its_connection_leaves_no_member()
    {
        ConnectionGroup group = new(_server.System, "room");
        List<(Peer Peer, ScriptedConnection Connection)> all = await OpenAsync(onEachPoller: 4);

        foreach ((Peer peer, ScriptedConnection connection) in all)
        {
            // On its poller, so that both are queued there: the end first, then the join.
            await _server.OnPoller(
                () =>
                {
                    _server.System.Root.Stop(connection.Pid);
                    return group.Join(connection.Pid);
                },
                connection.Poller.Index);
            await connection.WhenClosed;
        }

        await Eventually.Equal("members", 0, () => group.Count);
    }

    [Fact]
    public async Task Payloads_that_wait_for_a_member_that_does_not_read_are_given_back_with_it()
    {
        ConnectionGroup group = new(_server.System, "room");
        Listener listener = await ListenAsync();
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script, receiveBuffer: 8 * 1024);
        group.Join(connection.Pid);
        List<SharedPayload> payloads = [];
        for (int round = 0; round < 30; round++)
        {
            SharedPayload payload = SharedPayload.Copy(new byte[500_000]);
            payloads.Add(payload);
            group.Publish(payload);
            payload.Dispose();
        }

        await Eventually.True("output waits", () => connection.OutputBytes > 1_000_000);
        Assert.Contains(payloads, static payload => !IsGivenBack(payload));

        peer.Reset();
        await connection.WhenClosed;

        await Eventually.True("every payload is given back", () => payloads.TrueForAll(IsGivenBack));
    }

    [Fact]
    public async Task A_member_that_falls_too_far_behind_is_cut_off_and_the_others_hear_everything()
    {
        ConnectionGroup group = new(_server.System, "room");
        Listener listener = await _server.ListenAsync(_script, new ConnectionOptions { OutputHighWatermark = 1000, MaxOutputBytes = 20_000_000 });
        (Peer slowPeer, ScriptedConnection slow) = await TestServer.OpenAsync(listener, _script, receiveBuffer: 8 * 1024);
        using Peer _ = slowPeer;
        (Peer peer, ScriptedConnection quick) = await TestServer.OpenAsync(listener, _script);
        using Peer __ = peer;
        group.Join(slow.Pid);
        group.Join(quick.Pid);
        byte[] bytes = Connections.ConnectionReadingTests.Pattern(100_000);

        for (int round = 0; round < 400; round++)
        {
            using SharedPayload payload = SharedPayload.Copy(bytes);
            group.Publish(payload);
            byte[] received = await peer.ReceiveAsync(bytes.Length);
            Assert.True(bytes.AsSpan().SequenceEqual(received));
        }

        Assert.Equal(CloseReason.SlowConsumer, (await slow.WhenClosed).Reason);
        Assert.False(quick.HasClosed);
        await Eventually.Equal("members", 1, () => group.Count);
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

    private static bool IsGivenBack(SharedPayload payload)
    {
        try
        {
            _ = payload.Memory;
            return false;
        }
        catch (ObjectDisposedException)
        {
            return true;
        }
    }

    private static void Publish(ConnectionGroup group, long number, PID? except = null)
    {
        using SharedPayload payload = Frame(number);
        group.Publish(payload, except);
    }

    private static void Send(ConnectionGroup group, PID pid, long number)
    {
        using SharedPayload payload = Frame(number);
        Assert.True(group.SendTo(pid, payload));
    }

    private static void Join(ConnectionGroup group, PID pid, long number)
    {
        using SharedPayload payload = Frame(number);
        Assert.True(group.Join(pid, payload));
    }

    private static async Task<List<long>> ReadAsync(Peer peer, int count) => Parse(await peer.ReceiveAsync(count * FrameSize));

    private static async Task<List<long>> ReadToEndAsync(Peer peer) => Parse(await peer.ReceiveToEndAsync());

    private static List<long> Parse(byte[] bytes)
    {
        Assert.Equal(0, bytes.Length % FrameSize);
        return [.. bytes.Chunk(FrameSize).Select(static frame => BinaryPrimitives.ReadInt64LittleEndian(frame))];
    }

    private Task<Listener> ListenAsync() => _server.ListenAsync(_script, Roomy);

    // The system spreads connections over the pollers' sockets as it likes: as many are opened as it takes.
    private async Task<List<(Peer Peer, ScriptedConnection Connection)>> OpenAsync(int onEachPoller)
    {
        Listener listener = await ListenAsync();
        List<(Peer Peer, ScriptedConnection Connection)> all = [];
        int[] counts = new int[2];
        while (counts[0] < onEachPoller || counts[1] < onEachPoller)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, _script);
            _peers.Add(peer);
            if (counts[connection.Poller.Index]++ < onEachPoller)
            {
                all.Add((peer, connection));
            }
        }

        return all;
    }
}
