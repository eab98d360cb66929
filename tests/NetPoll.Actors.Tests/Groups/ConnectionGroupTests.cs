using System.Buffers.Binary;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Groups;

/// <summary>What the publisher of a group and its members rely on.</summary>
public sealed class ConnectionGroupTests
{
    private const int RecordSize = 8;

    [Fact]
    public async Task Every_member_gets_every_publish_once_and_in_order()
    {
        const int Publishes = 500;
        await using TestServer server = new(pollers: 2);
        (ConnectionGroup group, List<Peer> peers, _) = await OpenAsync(server, 12);

        for (int number = 1; number <= Publishes; number++)
        {
            using SharedPayload payload = Record(number);
            Assert.Equal(number, group.Publish(payload));
        }

        foreach (Peer peer in peers)
        {
            Assert.Equal(Enumerable.Range(1, Publishes).Select(static number => (long)number), await ReceiveAsync(peer, Publishes));
        }

        Close(peers);
    }

    [Fact]
    public async Task A_joiner_gets_its_welcome_then_everything_later_and_nothing_earlier()
    {
        const int Publishes = 300;
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        ConnectionGroup group = new(server.System, "room");
        List<Peer> peers = [];
        List<long> joinedAt = [];
        List<PID> connections = [];
        for (int index = 0; index < 10; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            connections.Add(connection.Pid);
        }

        for (int number = 1; number <= Publishes; number++)
        {
            using SharedPayload payload = Record(number);
            group.Publish(payload);
            if (number % 30 == 0)
            {
                // The welcome is a number below zero, so that it cannot be taken for a publish.
                using SharedPayload welcome = Record(-group.Sequence);
                Assert.True(group.Join(connections[joinedAt.Count], welcome));
                joinedAt.Add(group.Sequence);
            }
        }

        for (int index = 0; index < peers.Count; index++)
        {
            int count = (int)(1 + Publishes - joinedAt[index]);
            long[] expected = [-joinedAt[index], .. Enumerable.Range((int)joinedAt[index] + 1, count - 1).Select(static number => (long)number)];
            Assert.Equal(expected, await ReceiveAsync(peers[index], count));
        }

        Close(peers);
    }

    [Fact]
    public async Task One_who_leaves_gets_what_came_before_then_the_farewell_and_nothing_later()
    {
        await using TestServer server = new();
        (ConnectionGroup group, List<Peer> peers, List<ScriptedConnection> connections) = await OpenAsync(server, 2);

        Publish(group, 1);
        using (SharedPayload farewell = Record(-1))
        {
            Assert.True(group.Leave(connections[0].Pid, farewell));
        }

        Publish(group, 2);
        using (SharedPayload last = Record(99))
        {
            Assert.True(group.SendTo(connections[0].Pid, last));
        }

        await ExpectAsync(peers[0], [1, -1, 99]);
        await ExpectAsync(peers[1], [1, 2]);
        await Eventually.Equal("one member is left", 1, () => group.Count);
        Close(peers);
    }

    [Fact]
    public async Task The_excepted_member_is_left_out_and_a_single_payload_keeps_its_place()
    {
        await using TestServer server = new(pollers: 2);
        (ConnectionGroup group, List<Peer> peers, List<ScriptedConnection> connections) = await OpenAsync(server, 3);

        Publish(group, 1, except: connections[0].Pid);
        using (SharedPayload single = Record(50))
        {
            group.SendTo(connections[0].Pid, single);
        }

        Publish(group, 2);

        await ExpectAsync(peers[0], [50, 2]);
        await ExpectAsync(peers[1], [1, 2]);
        await ExpectAsync(peers[2], [1, 2]);
        Close(peers);
    }

    [Fact]
    public async Task A_publish_costs_one_message_per_poller_that_has_members()
    {
        await using TestServer server = new(pollers: 2);
        (ConnectionGroup group, List<Peer> peers, List<ScriptedConnection> connections) = await OpenAsync(server, 16);
        int pollers = connections.Select(static connection => connection.Poller).Distinct().Count();

        long before = group.MessagesToPollers;
        Publish(group, 1);

        Assert.Equal(pollers, group.MessagesToPollers - before);
        Close(peers);
        await Eventually.Equal("the group is empty", 0, () => group.Count);
        before = group.MessagesToPollers;
        Publish(group, 2);
        Assert.Equal(0, group.MessagesToPollers - before);
    }

    [Fact]
    public async Task A_membership_ends_with_the_connection_and_calls_for_it_are_harmless()
    {
        await using TestServer server = new();
        (ConnectionGroup group, List<Peer> peers, List<ScriptedConnection> connections) = await OpenAsync(server, 2);

        peers[0].Reset();
        await connections[0].WhenClosed;
        await Eventually.Equal("one member is left", 1, () => group.Count);
        await Eventually.True("the PID is gone", () => server.Find(connections[0].Pid) is null);

        using SharedPayload payload = Record(7);
        Assert.False(group.Join(connections[0].Pid, payload));
        Assert.False(group.Leave(connections[0].Pid, payload));
        Assert.False(group.SendTo(connections[0].Pid, payload));
        group.Publish(payload);

        await ExpectAsync(peers[1], [7]);
        Close(peers);
    }

    [Fact]
    public async Task Joining_twice_counts_once()
    {
        await using TestServer server = new();
        (ConnectionGroup group, List<Peer> peers, List<ScriptedConnection> connections) = await OpenAsync(server, 1);

        group.Join(connections[0].Pid);
        Publish(group, 1);
        Publish(group, 2);

        await ExpectAsync(peers[0], [1, 2]);
        await Eventually.Equal("one member", 1, () => group.Count);
        Close(peers);
    }

    [Fact]
    public async Task The_last_holder_gives_a_payload_back_though_members_died_with_it_queued()
    {
        await using TestServer server = new();
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script, new ConnectionOptions { MaxOutputBytes = 64 * 1024 * 1024 });
        ConnectionGroup group = new(server.System, "room");
        (Peer deaf, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script, receiveBuffer: 4096);
        group.Join(connection.Pid);

        // More than the two systems' buffers take, so that some of it waits in the queue.
        SharedPayload payload = SharedPayload.Copy(new byte[8 * 1024 * 1024]);
        group.Publish(payload);
        await Eventually.True("output waits", () => server.OnPoller(() => connection.OutputBytes).GetAwaiter().GetResult() > 0);
        payload.Dispose();
        Assert.Equal(8 * 1024 * 1024, payload.Memory.Length);

        deaf.Reset();
        await connection.WhenClosed;

        await Eventually.True("the payload is given back", () => IsGivenBack(payload));
    }

    [Fact]
    public void A_payload_that_is_given_back_too_often_says_so()
    {
        SharedPayload payload = SharedPayload.Copy("x"u8);
        payload.Dispose();

        Assert.Throws<InvalidOperationException>(payload.Dispose);
        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
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

    private static async Task<(ConnectionGroup Group, List<Peer> Peers, List<ScriptedConnection> Connections)> OpenAsync(TestServer server, int members)
    {
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        ConnectionGroup group = new(server.System, "room");
        List<Peer> peers = [];
        List<ScriptedConnection> connections = [];
        for (int index = 0; index < members; index++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            Assert.True(group.Join(connection.Pid));
            peers.Add(peer);
            connections.Add(connection);
        }

        return (group, peers, connections);
    }

    private static void Publish(ConnectionGroup group, long number, PID? except = null)
    {
        using SharedPayload payload = Record(number);
        group.Publish(payload, except);
    }

    private static SharedPayload Record(long number)
    {
        Span<byte> bytes = stackalloc byte[RecordSize];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return SharedPayload.Copy(bytes);
    }

    private static async Task<long[]> ReceiveAsync(Peer peer, int records)
    {
        byte[] bytes = await peer.ReceiveAsync(records * RecordSize);
        return [.. bytes.Chunk(RecordSize).Select(static record => BinaryPrimitives.ReadInt64LittleEndian(record))];
    }

    private static async Task ExpectAsync(Peer peer, long[] numbers)
    {
        long[] received = await ReceiveAsync(peer, numbers.Length);
        Assert.Equal(numbers, received);
    }

    private static void Close(List<Peer> peers)
    {
        foreach (Peer peer in peers)
        {
            peer.Dispose();
        }
    }
}
