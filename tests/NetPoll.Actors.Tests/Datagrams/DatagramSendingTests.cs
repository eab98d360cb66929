using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>What is sent, and what a system without room, or with errors, makes of it: by a scripted socket.</summary>
public sealed class DatagramSendingTests : IAsyncDisposable
{
    private static readonly DatagramAddress Peer = new(ScriptedDatagrams.Address);

    private readonly ScriptedPlatform _platform = new();
    private readonly TestServer _server;
    private readonly DatagramScript _script = new();
    private ScriptedDatagrams _socket = new();
    private DatagramSocket? _bound;

    public DatagramSendingTests() => _server = new TestServer(options: new PollerOptions { Platform = _platform });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task What_one_callback_sends_leaves_with_one_call()
    {
        await Open();

        await Say("1", "2", "3", "4", "5");

        await Sent("1", "2", "3", "4", "5");
        Assert.Equal(1, _socket.Batches);
    }

    [Fact]
    public async Task What_the_system_takes_in_parts_leaves_in_order()
    {
        _socket.MostPerCall = 2;
        await Open();

        await Say("1", "2", "3", "4", "5");

        await Sent("1", "2", "3", "4", "5");
    }

    [Fact]
    public async Task Without_room_they_wait_and_leave_in_order_when_there_is_some()
    {
        _socket.HasRoom = false;
        await Open();
        await Say("1", "2", "3");
        await Eventually.Equal("queued", 3, async () => (await Figures()).Queued);
        await Say("4", new string('x', 3000), "5");
        await Eventually.Equal("queued", 6, async () => (await Figures()).Queued);

        _socket.HasRoom = true;
        _platform.Backend.Inject(_socket, PollEventFlags.Write);

        await Sent("1", "2", "3", "4", new string('x', 3000), "5");
        Assert.Equal((0, 0, 6), ((await Figures()).Queued, (await Figures()).Dropped, (await Figures()).Sent));
        await Say("6");
        await Sent("1", "2", "3", "4", new string('x', 3000), "5", "6");
    }

    [Fact]
    public async Task A_spurious_readiness_loses_and_repeats_nothing()
    {
        _socket.HasRoom = false;
        await Open();
        await Say("1", "2");
        for (int time = 0; time < 3; time++)
        {
            _platform.Backend.Inject(_socket, PollEventFlags.Write);
            await Eventually.True("the poller sleeps", () => _platform.Backend.IsAsleep);
        }

        _socket.HasRoom = true;
        _platform.Backend.Inject(_socket, PollEventFlags.Write);

        await Sent("1", "2");
    }

    [Theory]
    [InlineData(DatagramDropPolicy.DropNewest, "1 2 3")]
    [InlineData(DatagramDropPolicy.DropOldest, "3 4 5")]
    public async Task One_too_many_is_dropped_by_the_policy_and_told_once(DatagramDropPolicy policy, string left)
    {
        _socket.HasRoom = false;
        await Open(new DatagramOptions { MaxQueuedDatagrams = 3, DropPolicy = policy });

        await Say("1", "2", "3", "4", "5");
        await _script.Hears("bound", "dropped: 2");
        _socket.HasRoom = true;
        _platform.Backend.Inject(_socket, PollEventFlags.Write);

        await Sent(left.Split(' '));
        Assert.Equal((2, 3), ((await Figures()).Dropped, (await Figures()).Sent));
    }

    [Fact]
    public async Task Where_none_may_wait_they_are_dropped_at_once_and_the_next_ones_go()
    {
        _socket.HasRoom = false;
        await Open(new DatagramOptions { MaxQueuedDatagrams = 0, DropPolicy = DatagramDropPolicy.DropOldest });

        await Say("1", "2");
        await _script.Hears("bound", "dropped: 2");
        _socket.HasRoom = true;
        await Say("3");

        await Sent("3");
    }

    [Fact]
    public async Task An_error_is_one_datagram_s()
    {
        _socket.MostPerCall = 1;
        await Open();
        _socket.FailSends(0, ScriptedDatagrams.NoNetwork, 0);

        await Say("1", "2", "3");

        await Sent("1", "3");
        await _script.Hears("bound", $"failed: {Peer} NetworkUnreachable");
    }

    [Fact]
    public async Task A_refusal_that_a_send_reports_is_told_and_the_datagram_is_sent_again()
    {
        _socket = new ScriptedDatagrams { Remote = ScriptedDatagrams.Address, MostPerCall = 1 };
        await Open();
        _socket.FailSends(ScriptedDatagrams.Refused, 0, 0, ScriptedDatagrams.Refused, 0);

        await Say("1", "2", "3");

        await Sent("1", "2", "3");
        await _script.Hears("bound", "refused: ConnectionRefused", "refused: ConnectionRefused");
        Assert.Equal((0, 2), ((await Figures()).Failed, (await Figures()).Refused));
    }

    [Fact]
    public async Task One_that_is_refused_again_and_again_does_not_hold_the_others()
    {
        _socket = new ScriptedDatagrams { Remote = ScriptedDatagrams.Address, MostPerCall = 1 };
        await Open();
        _socket.FailSends(ScriptedDatagrams.Refused, ScriptedDatagrams.Refused);

        await Say("1", "2");

        await Sent("2");
        await _script.Hears("bound", "refused: ConnectionRefused", "failed:  ConnectionRefused");
    }

    [Fact]
    public async Task Refusals_without_end_keep_nobody_waiting()
    {
        _socket = new ScriptedDatagrams { Remote = ScriptedDatagrams.Address, EndOfScript = ScriptedDatagrams.Refused };
        await Open();
        _platform.Backend.Inject(_socket, PollEventFlags.Read | PollEventFlags.Error);
        await Eventually.True("it has been refused often", () => _socket.Receives > 2_000);

        // The poller still answers, and so does the actor.
        Assert.True((await Figures()).Refused > 2_000);
        _socket.Comes("after all");
        await Eventually.True("told", () => _script.Told.Contains("after all"));
        _socket.EndOfScript = ScriptedDatagrams.WouldBlock;
    }

    [Fact]
    public async Task An_error_that_stays_closes_the_socket_instead_of_turning_for_ever()
    {
        _socket.EndOfScript = ScriptedDatagrams.NoNetwork;
        await Open();
        Task<bool> ended = await _server.Watch(_bound!.Pid, static _ => true);

        _platform.Backend.Inject(_socket, PollEventFlags.Read);

        Assert.True(await ended.Soon());
        Assert.True(_socket.IsClosed);
        Assert.Contains(_server.Log.Errors, static entry => entry.Text.Contains("NetworkUnreachable", StringComparison.Ordinal));
        Assert.Empty(_server.NetPoll.DatagramSockets);
    }

    [Fact]
    public async Task A_stop_tries_what_waits_once_more()
    {
        _socket.HasRoom = false;
        await Open();
        await Say("1", "2");
        _socket.HasRoom = true;

        await _server.System.Root.StopAsync(_bound!.Pid).Soon();

        Assert.Equal(["1", "2"], _socket.Sent);
        Assert.True(_socket.IsClosed);
    }

    [Fact]
    public async Task The_pollers_end_closes_it()
    {
        await Open();
        Task<bool> ended = await _server.Watch(_bound!.Pid, static _ => true);

        _platform.Backend.FailWait(new InvalidOperationException("The script ends the poller."));

        Assert.True(await ended.Soon());
        Assert.True(_socket.IsClosed);
    }

    private async Task Open(DatagramOptions? options = null)
    {
        _platform.Datagrams = _socket;
        _bound = _socket.Remote is { } remote
            ? await _server.NetPoll.ConnectDatagramsAsync(remote, () => new ScriptedDatagramActor(_script), options: options).Soon()
            : await _server.NetPoll.BindDatagramsAsync("test", ScriptedDatagrams.Address, () => new ScriptedDatagramActor(_script), options).Soon();
    }

    private Task Say(params string[] texts)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _server.System.Root.Send(_bound!.Pid, (Action<ScriptedDatagramActor>)(self =>
        {
            foreach (string text in texts)
            {
                self.Say(text, _socket.Remote is null ? Peer : default);
            }

            done.SetResult();
        }));
        return done.Task.Soon();
    }

    private Task Sent(params string[] texts) => Eventually.Equal("sent", string.Join('|', texts), () => string.Join('|', _socket.Sent));

    private Task<DatagramStatistics> Figures() => _server.Ask<DatagramStatistics>(_bound!.Pid, GetDatagramStatistics.Instance);
}
