using NetPoll.Actors.Tests.Support;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Pollers;

/// <summary>A handler that blocks its poller's thread is named in the log while it still blocks, by its PID and type.</summary>
public sealed class BlockedPollerTests : IAsyncDisposable
{
    private static readonly string[] Ways = ["Result", "Wait", "GetResult", "Sleep", "lock"];
    private static readonly string[] Places = ["handler", "after an await", "continuation"];

    private readonly TestServer _server = new(options: new PollerOptions { StallThreshold = TimeSpan.FromMilliseconds(30) });
    private readonly Blockade _blockade = new();

    /// <summary>How it blocks, and where.</summary>
    public static MatrixTheoryData<string, string> Blockings => new(Ways, Places);

    [Theory]
    [MemberData(nameof(Blockings))]
    public async Task An_actor_that_blocks_is_named(string how, string place)
    {
        PID pid = _server.System.Root.Spawn(Props.FromProducer(() => new BlockingActor(_blockade, how, place)).OnPoller(PollerChoice.At(0)));

        _server.System.Root.Send(pid, "block");

        await AssertNamed($"{pid.Id} ({nameof(BlockingActor)})");
        await _server.System.Root.RequestAsync<Touched>(pid, new Touch(), TestContext.Current.CancellationToken).Soon();
    }

    [Theory]
    [InlineData(nameof(Started))]
    [InlineData(nameof(Stopping))]
    [InlineData(nameof(Stopped))]
    public async Task An_actor_that_blocks_at_the_ends_of_its_life_is_named(string place)
    {
        PID pid = _server.System.Root.Spawn(Props.FromProducer(() => new BlockingActor(_blockade, "Wait", place)).OnPoller(PollerChoice.At(0)));
        Task stopped = _server.System.Root.PoisonAsync(pid);

        await AssertNamed($"{pid.Id} ({nameof(BlockingActor)})");
        await stopped.Soon();
    }

    [Theory]
    [InlineData("received")]
    [InlineData("message")]
    [InlineData("after an await")]
    public async Task A_connection_that_blocks_is_named(string place)
    {
        ConnectionScript script = new()
        {
            Received = (_, bytes) =>
            {
                _blockade.Enter("Result");
                return bytes.Length;
            },
            Message = async (_, _) =>
            {
                if (place == "after an await")
                {
                    await Task.Run(static () => { });
                }

                _blockade.Enter("Result");
            },
        };
        (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(await _server.ListenAsync(script), script);
        using Peer _ = peer;

        if (place == "received")
        {
            await peer.SendAsync("x");
        }
        else
        {
            _server.System.Root.Send(connection.Pid, "block");
        }

        await AssertNamed($"{connection.Pid.Id} ({nameof(ScriptedConnection)})");
        await connection.Do(static _ => { });
    }

    [Theory]
    [InlineData("frame")]
    [InlineData("after an await")]
    public async Task A_connection_that_blocks_in_a_frame_is_named(string place)
    {
        Listener listener = await _server.ListenAsync(() => new BlockingLines(_blockade, place));
        using Peer peer = await Peer.ConnectAsync(listener.EndPoint);

        await peer.SendAsync("block\n");

        await AssertNamed($"{TestServer.IdOf(listener, 1)} ({nameof(BlockingLines)})");
        await peer.SendAsync("answer\n");
        Assert.Equal("answer", await peer.ReceiveTextAsync(6));
    }

    public async ValueTask DisposeAsync()
    {
        _blockade.Lift();
        await _server.DisposeAsync();
    }

    private async Task AssertNamed(string who)
    {
        await Eventually.True(
            $"the stall of poller-0 by {who} is reported",
            () => _server.Log.Entries.Any(entry => entry.Id == 7
                && entry.Text.Contains(who, StringComparison.Ordinal)
                && entry.Text.Contains("poller-0", StringComparison.Ordinal)));
        _blockade.Lift();
    }

    private sealed class BlockingActor(Blockade blockade, string how, string place) : IActor
    {
        public async Task ReceiveAsync(IContext context)
        {
            if (context.Message!.GetType().Name == place)
            {
                blockade.Enter(how);
            }

            if (context.Message is not "block")
            {
                return;
            }

            switch (place)
            {
                case "after an await":
                    await Task.Run(static () => { });
                    break;
                case "continuation":
                    context.ReenterAfter(Task.Run(static () => { }), () => blockade.Enter(how));
                    return;
            }

            blockade.Enter(how);
        }
    }

    private sealed class BlockingLines(Blockade blockade, string place) : LineConnectionActor
    {
        protected override Task OnLine(ReadOnlySpan<byte> line)
        {
            if (line.SequenceEqual("block"u8))
            {
                return BlockAsync();
            }

            Send(line);
            return Task.CompletedTask;
        }

        private async Task BlockAsync()
        {
            if (place == "after an await")
            {
                await Task.Run(static () => { });
            }

            blockade.Enter("Wait");
        }
    }

    /// <summary>What code can block at, until it is lifted.</summary>
    private sealed class Blockade
    {
        private readonly TaskCompletionSource<bool> _lifted = new();
        private readonly object _gate = new();
        private readonly Thread _holder;
        private bool _isHeld;

        internal Blockade()
        {
            _holder = new Thread(() =>
            {
                lock (_gate)
                {
                    Volatile.Write(ref _isHeld, true);
                    _lifted.Task.Wait();
                }
            })
            { IsBackground = true };
            _holder.Start();
            SpinWait.SpinUntil(() => Volatile.Read(ref _isHeld));
        }

        internal void Lift() => _lifted.TrySetResult(true);

        internal void Enter(string how)
        {
            switch (how)
            {
                case "Result":
                    _ = _lifted.Task.Result;
                    break;
                case "Wait":
                    _lifted.Task.Wait();
                    break;
                case "GetResult":
                    _lifted.Task.GetAwaiter().GetResult();
                    break;
                case "Sleep":
                    while (!_lifted.Task.IsCompleted)
                    {
                        Thread.Sleep(1);
                    }

                    break;
                default:
                    lock (_gate)
                    {
                    }

                    break;
            }
        }
    }
}
