using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Connections;

public sealed class ConnectionWritingTests : IAsyncDisposable
{
    private static readonly ConnectionOptions Roomy = new() { MaxOutputBytes = 256 * 1024 * 1024, WriteTimeout = Timeout.InfiniteTimeSpan };

    private readonly TestServer _server = new();

    [Fact]
    public async Task Many_sends_of_a_turn_leave_together_and_intact()
    {
        byte[] bytes = ConnectionReadingTests.Pattern(60_000);
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new Core.PollerOptions { Platform = platform });
        ConnectionScript script = new()
        {
            Received = (self, received) =>
            {
                for (int at = 0; at < bytes.Length; at += 100)
                {
                    self.Send(bytes.AsSpan(at, 100));
                }

                return received.Length;
            },
        };
        await server.ListenAsync(script);
        ScriptedConnection connection = await script.ConnectionOf(socket.RemoteEndPoint!.Port);

        socket.ThenReads(1);
        platform.Backend.Inject(socket, Core.Backends.PollEventFlags.Read);
        await Eventually.Equal("bytes written", bytes.Length, () => socket.Written.Length);

        Assert.Equal(bytes, socket.Written);
        Assert.Equal(1, socket.WriteCalls);
        Assert.Equal(0, connection.OutputBytes);
    }

    [Fact]
    public async Task Connections_that_are_ready_together_all_have_their_turn_before_what_they_sent_leaves()
    {
        const int Count = 5;
        ScriptedPlatform platform = new();
        ScriptedSocket[] sockets = [.. Enumerable.Range(0, Count).Select(static _ => new ScriptedSocket())];
        foreach (ScriptedSocket socket in sockets)
        {
            platform.Listener.ThenAccepts(socket);
        }

        List<int> written = [];
        await using TestServer server = new(options: new Core.PollerOptions { Platform = platform });
        ConnectionScript script = new()
        {
            Received = (self, received) =>
            {
                written.Add(sockets.Sum(static socket => socket.WriteCalls));
                self.Send(received);
                self.Send(received);
                return received.Length;
            },
        };
        await server.ListenAsync(script);
        foreach (ScriptedSocket socket in sockets)
        {
            await script.ConnectionOf(socket.RemoteEndPoint!.Port);
            socket.ThenReads(3);
        }

        platform.Backend.Inject([.. sockets.Select(socket => new Core.Backends.PollEvent(platform.Backend.TokenOf(socket), Core.Backends.PollEventFlags.Read))]);

        foreach (ScriptedSocket socket in sockets)
        {
            await Eventually.Equal("bytes written", 2, () => socket.Written.Length);
            Assert.Equal(1, socket.WriteCalls);
        }

        Assert.Equal(Enumerable.Repeat(0, Count), written);
    }

    [Fact]
    public async Task Connections_that_send_by_turns_keep_their_own_bytes_and_order()
    {
        Random random = new(Seed.Next());
        ConnectionScript script = new();
        Listener scripted = await _server.ListenAsync(script);
        List<(Peer Peer, ScriptedConnection Connection, List<byte> Expected)> parties = [];
        for (int count = 0; count < 3; count++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(scripted, script);
            parties.Add((peer, connection, []));
        }

        // Far more than the scratch holds, so that it fills up in the middle.
        await parties[0].Connection.Do(_ =>
        {
            for (int round = 0; round < 2_000; round++)
            {
                (Peer _, ScriptedConnection connection, List<byte> expected) = parties[random.Next(parties.Count)];
                byte[] piece = new byte[random.Next(4) == 0 ? random.Next(3_000, 6_000) : random.Next(200)];
                random.NextBytes(piece);
                connection.Send(piece);
                expected.AddRange(piece);
            }
        });

        foreach ((Peer peer, ScriptedConnection connection, List<byte> expected) in parties)
        {
            using Peer _ = peer;
            byte[] received = await peer.ReceiveAsync(expected.Count);
            Assert.True(received.AsSpan().SequenceEqual(expected.ToArray()), "The bytes differ from what was sent.");
            Assert.Equal(0, connection.OutputBytes);
        }
    }

    [Fact]
    public async Task What_gathered_when_the_connection_is_aborted_counts_as_unsent()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript());
        using Peer _ = peer;

        await connection.Do(static self =>
        {
            self.Send(new byte[100]);
            self.Abort();
        });

        Assert.Equal(100, (await connection.WhenClosed).BytesUnsent);
        await peer.ExpectResetAsync();
    }

    [Fact]
    public async Task What_does_not_fit_into_the_turn_s_scratch_keeps_its_order()
    {
        byte[] bytes = ConnectionReadingTests.Pattern(500_000);
        ConnectionScript script = new()
        {
            Received = (self, received) =>
            {
                for (int at = 0; at < bytes.Length; at += 1000)
                {
                    self.Send(bytes.AsSpan(at, 1000));
                }

                return received.Length;
            },
        };
        (Peer peer, ScriptedConnection _) = await OpenAsync(script);
        using Peer _ = peer;

        await peer.SendAsync("x");
        byte[] received = await peer.ReceiveAsync(bytes.Length);

        Assert.True(bytes.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task Every_mix_of_sends_and_payloads_in_and_out_of_turns_arrives_in_order_at_a_slow_reader()
    {
        Random random = new(Seed.Next());
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        List<byte> expected = [];
        List<byte[]> pieces = [];
        long total = 0;
        while (total < 6_000_000)
        {
            // Around the sizes where the path changes: nothing, tiny, the direct write, the scratch, several segments.
            int size = random.Next(8) switch
            {
                0 => 0,
                1 or 2 or 3 => random.Next(1, 200),
                4 => random.Next(4090, 4102),
                5 => random.Next(16_000, 17_000),
                6 => random.Next(65_000, 66_000),
                _ => random.Next(100_000, 300_000),
            };
            byte[] piece = new byte[size];
            random.NextBytes(piece);
            pieces.Add(piece);
            expected.AddRange(piece);
            total += size;
        }

        List<SharedPayload> payloads = [];
        Task writing = Task.Run(async () =>
        {
            for (int at = 0; at < pieces.Count;)
            {
                int count = Math.Min(random.Next(1, 12), pieces.Count - at);
                List<byte[]> batch = pieces.GetRange(at, count);
                bool[] isPayload = [.. batch.Select(_ => random.Next(3) == 0)];
                at += count;
                if (random.Next(2) == 0)
                {
                    await connection.Do(self => Send(self, batch, isPayload));
                }
                else
                {
                    await connection.Do(async self =>
                    {
                        // Out of the turn, as after every await.
                        await Task.Yield();
                        Send(self, batch, isPayload);
                    });
                }
            }
        });

        byte[] received = new byte[expected.Count];
        for (int at = 0; at < received.Length;)
        {
            int count = Math.Min(random.Next(1, 100_000), received.Length - at);
            (await peer.ReceiveAsync(count)).CopyTo(received, at);
            at += count;
            if (random.Next(10) == 0)
            {
                await Task.Delay(1, TestContext.Current.CancellationToken);
            }
        }

        await writing.Soon();
        Assert.True(expected.ToArray().AsSpan().SequenceEqual(received));
        await Eventually.Equal("output that waits", 0L, () => connection.OutputBytes);
        Assert.All(payloads, static payload => Assert.Throws<ObjectDisposedException>(() => payload.Memory));
        Assert.NotEmpty(payloads);

        void Send(ScriptedConnection self, List<byte[]> batch, bool[] isPayload)
        {
            for (int index = 0; index < batch.Count; index++)
            {
                if (isPayload[index])
                {
                    using SharedPayload payload = SharedPayload.Copy(batch[index]);
                    self.Send(payload);
                    payloads.Add(payload);
                }
                else
                {
                    self.Send(batch[index]);
                }
            }
        }
    }

    [Fact]
    public async Task A_peer_for_whom_too_much_waits_is_cut_off_as_a_slow_consumer()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(
            new ConnectionScript(),
            new ConnectionOptions { OutputHighWatermark = 1000, MaxOutputBytes = 100_000 },
            receiveBuffer: 8 * 1024);
        using Peer _ = peer;

        while (!connection.HasClosed)
        {
            _server.System.Root.Send(connection.Pid, "x");
            await SendOrEndedAsync(connection, new byte[50_000]);
        }

        ConnectionClosed closed = await connection.WhenClosed;
        Assert.Equal(CloseReason.SlowConsumer, closed.Reason);
        Assert.Contains("MaxOutputBytes is 100000", closed.Exception!.Message, StringComparison.Ordinal);
        Assert.InRange(closed.BytesUnsent, 100_001, 150_000);
        await peer.ExpectResetAsync();
        Assert.Equal(1, connection.Closings);
    }

    [Fact]
    public async Task Neighbours_of_a_peer_that_never_reads_go_on()
    {
        ConnectionScript script = ConnectionScript.Echo();
        Listener listener = await _server.ListenAsync(script, Roomy);
        (Peer stuckPeer, ScriptedConnection stuck) = await TestServer.OpenAsync(listener, script, receiveBuffer: 8 * 1024);
        using Peer _ = stuckPeer;
        (Peer peer, ScriptedConnection _) = await TestServer.OpenAsync(listener, script);
        using Peer __ = peer;
        await stuck.Do(static self => self.Send(new byte[32 * 1024 * 1024]));

        for (int round = 0; round < 100; round++)
        {
            await peer.SendAsync("hello");
            Assert.Equal("hello", await peer.ReceiveTextAsync(5));
        }

        Assert.True(stuck.OutputBytes > 0);
    }

    [Fact]
    public async Task Payloads_that_wait_are_given_back_when_the_connection_ends()
    {
        (Peer peer, ScriptedConnection connection) = await OpenAsync(new ConnectionScript(), receiveBuffer: 8 * 1024);
        using Peer _ = peer;
        SharedPayload payload = SharedPayload.Copy(new byte[1_000_000]);
        await connection.Do(self =>
        {
            for (int round = 0; round < 30; round++)
            {
                self.Send(payload);
            }
        });
        payload.Dispose();
        Assert.Equal(1_000_000, payload.Memory.Length); // The queue holds it.

        await connection.Do(static self => self.Abort());
        await connection.WhenClosed;

        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
    }

    [Fact]
    public async Task A_write_that_the_system_refuses_closes_with_its_error()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new Core.PollerOptions { Platform = platform });
        ConnectionScript script = new();
        await server.ListenAsync(script);
        ScriptedConnection connection = await script.ConnectionOf(socket.RemoteEndPoint!.Port);
        socket.ThenWriteFails(32); // EPIPE

        await connection.Do(static self => self.Send("x"u8));
        ConnectionClosed closed = await connection.WhenClosed;

        Assert.Equal(CloseReason.Reset, closed.Reason);
        Assert.Contains("errno 32", closed.Exception!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Short_writes_and_full_buffers_at_any_point_lose_nothing()
    {
        ScriptedPlatform platform = new();
        ScriptedSocket socket = new();
        platform.Listener.ThenAccepts(socket);
        await using TestServer server = new(options: new Core.PollerOptions { Platform = platform });
        ConnectionScript script = new();
        await server.ListenAsync(script, Roomy);
        ScriptedConnection connection = await script.ConnectionOf(socket.RemoteEndPoint!.Port);
        Random random = new(Seed.Next());
        Random taking = new(random.Next());
        socket.DefaultWrite = buffer =>
        {
            if (taking.Next(3) != 0)
            {
                return Core.Backends.IoResult.Bytes(taking.Next(1, buffer.Length + 1));
            }

            platform.Backend.Inject(socket, Core.Backends.PollEventFlags.Write);
            return Core.Backends.IoResult.Failure(ScriptedSocket.WouldBlock);
        };
        List<byte> expected = [];

        for (int round = 0; round < 100; round++)
        {
            byte[] bytes = new byte[random.Next(1, 30_000)];
            random.NextBytes(bytes);
            expected.AddRange(bytes);
            using SharedPayload payload = SharedPayload.Copy(bytes);
            bool isPayload = random.Next(2) == 0;
            await connection.Do(self =>
            {
                if (isPayload)
                {
                    self.Send(payload);
                }
                else
                {
                    self.Send(bytes);
                }
            });
        }

        await Eventually.Equal("bytes written", expected.Count, () => socket.Written.Length);
        Assert.True(expected.ToArray().AsSpan().SequenceEqual(socket.Written));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task<(Peer Peer, ScriptedConnection Connection)> OpenAsync(ConnectionScript script, ConnectionOptions? options = null, int receiveBuffer = 0) =>
        await TestServer.OpenAsync(await _server.ListenAsync(script, options ?? Roomy), script, receiveBuffer);

    // The order may meet a connection that has just ended, and is then never done.
    private static async Task SendOrEndedAsync(ScriptedConnection connection, byte[] bytes) =>
        await Task.WhenAny(connection.Do(self => self.Send(bytes)), connection.WhenClosed);
}
