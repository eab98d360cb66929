using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What becomes of async-local values where code awaits on a poller's thread.</summary>
public sealed class PollerExecutionContextTests
{
    [Theory]
    [InlineData(true, "mine")]
    [InlineData(false, null)]
    public async Task Code_that_awaits_on_a_poller_gets_its_values_back_unless_the_flow_is_off(bool flows, string? expected)
    {
        await using ScriptedPoller world = new(options => options.FlowExecutionContext = flows);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new();
        TaskCompletionSource<string?> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Poller.Post(() => _ = ReadAsync());
        await Deliver(world, socket);

        Assert.Equal(expected, await seen.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        async Task ReadAsync()
        {
            local.Value = "mine";
            await fd.ReadAsync(new byte[1]);
            seen.SetResult(local.Value);
        }
    }

    [Fact]
    public async Task Code_elsewhere_gets_its_values_back_from_a_poller_whose_flow_is_off()
    {
        await using ScriptedPoller world = new(static options => options.FlowExecutionContext = false);
        ScriptedSocket socket = new();
        NetFd fd = world.Open(socket);
        AsyncLocal<string?> local = new() { Value = "mine" };
        ValueTask<int> read = fd.ReadAsync(new byte[1]);
        Task delivered = Deliver(world, socket);

        await read;

        Assert.Equal("mine", local.Value);
        await delivered;
    }

    private static async Task Deliver(ScriptedPoller world, ScriptedSocket socket)
    {
        await Eventually.True("the read waits", () => world.Poller.Snapshot().ReadersParked == 1);
        socket.ThenReads(1);
        world.Backend.Inject(socket, PollEventFlags.Read);
    }
}
