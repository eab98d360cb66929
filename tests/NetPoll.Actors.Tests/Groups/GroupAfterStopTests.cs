using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Groups;

/// <summary>Groups that are still used while and after their pollers stop: nothing is touched by two threads, nothing leaks.</summary>
public sealed class GroupAfterStopTests
{
    [Fact]
    public async Task Publishers_that_go_on_through_an_abrupt_end_harm_nothing()
    {
        const int Groups = 4;
        int each = StressScale.Rounds(300);
        await using TestServer server = new(pollers: 2);
        ConnectionScript script = new();
        Listener listener = await server.ListenAsync(script);
        List<Peer> peers = [];
        List<PID> members = [];
        for (int number = 0; number < 8; number++)
        {
            (Peer peer, ScriptedConnection connection) = await TestServer.OpenAsync(listener, script);
            peers.Add(peer);
            members.Add(connection.Pid);
        }

        ConnectionGroup[] groups = [.. Enumerable.Range(0, Groups).Select(number => new ConnectionGroup(server.System, $"group {number}"))];
        SharedPayload[] payloads = [.. groups.Select(static _ => SharedPayload.Copy("payload"u8))];
        using Barrier barrier = new(Groups + 1);
        Task[] publishers = [.. groups.Select((group, index) => Task.Factory.StartNew(
            () =>
            {
                for (int round = 0; round < each; round++)
                {
                    if (round == each / 3)
                    {
                        barrier.SignalAndWait(CancellationToken.None);
                    }

                    PID member = members[round % members.Count];
                    _ = round % 3 == 2 ? group.Leave(member, payloads[index]) : group.Join(member, payloads[index]);
                    group.Publish(payloads[index]);
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default))];

        // In the middle of it.
        barrier.SignalAndWait(CancellationToken.None);
        await server.System.ShutdownAsync().Soon();
        await Task.WhenAll(publishers).Soon();
        foreach (SharedPayload payload in payloads)
        {
            payload.Dispose();
        }

        await Eventually.True("every payload was given back", () => payloads.All(static payload => IsGone(payload)));
        await Eventually.Equal("members", 0, () => groups.Sum(static group => group.Count));
        Assert.Empty(server.Log.Errors);
        peers.ForEach(static peer => peer.Dispose());
    }

    private static bool IsGone(SharedPayload payload)
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
}
