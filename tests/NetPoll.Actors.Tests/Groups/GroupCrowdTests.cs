using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Groups;

/// <summary>A group with as many members as one process can hold; their other ends are in another, for the sake of its descriptors.</summary>
public sealed class GroupCrowdTests : IAsyncDisposable
{
    private const int Pollers = 2;

    private readonly TestServer _server = new(Pollers);
    private readonly ConcurrentQueue<PID> _arrived = new();

    [Fact]
    public async Task Ten_thousand_members_hear_everything_in_order()
    {
        int members = Math.Min(10_000, DescriptorLimit() - 2_000);
        Listener listener = await _server.ListenAsync(() => new Member(_arrived), new ConnectionOptions { LingerTimeout = TimeSpan.Zero });
        await using ProgramProcess crowd = new("Crowd", $"{listener.EndPoint.Port}", $"{members}");
        await crowd.Prints("connected");
        ConnectionGroup group = new(_server.System, "crowd");
        List<PID> pids = [];
        await Eventually.Equal("members that have joined", members, () =>
        {
            while (_arrived.TryDequeue(out PID? pid))
            {
                Assert.True(group.Join(pid));
                pids.Add(pid);
            }

            return pids.Count;
        });

        // To all, to all but one, to all but a tenth, to one alone, and ten in a row.
        Publish(group, 1);
        Publish(group, 2, pids[0]);
        Publish(group, 3, [.. pids.Take(members / 10)]);
        Send(group, pids[1], 4);
        for (int number = 5; number < 15; number++)
        {
            Publish(group, number);
        }

        int tenth = members / 10;
        long heard = (13L * members) - tenth;
        await HearAsync(crowd, heard);
        await crowd.Type("report");
        await crowd.Prints($"11x1 12x{tenth - 2} 13x{members - tenth + 1}");
        Assert.Equal(13, group.Sequence);
        Assert.Equal(13 * Pollers, group.MessagesToPollers);

        await crowd.Type($"close {tenth}");
        await Eventually.Equal("members that are left", members - tenth, () => group.Count);
        Publish(group, 100);
        await HearAsync(crowd, heard + members - tenth);

        crowd.Kill();
        await Eventually.Equal("members after the end of their process", 0, () => group.Count);
        Assert.Empty(_server.Log.Errors);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static async Task HearAsync(ProgramProcess crowd, long frames)
    {
        await crowd.Type($"total {frames}");
        await crowd.Prints($"total {frames}");
    }

    private static void Publish(ConnectionGroup group, long number, params PID[] except)
    {
        using SharedPayload payload = Frame(number);
        if (except.Length == 1)
        {
            group.Publish(payload, except[0]);
        }
        else
        {
            group.Publish(payload, except);
        }
    }

    private static void Send(ConnectionGroup group, PID pid, long number)
    {
        using SharedPayload payload = Frame(number);
        Assert.True(group.SendTo(pid, payload));
    }

    private static SharedPayload Frame(long number)
    {
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return SharedPayload.Copy(bytes);
    }

    // The soft limit is the hard one: the runtime raises it at its start.
    private static int DescriptorLimit()
    {
        string line = File.ReadLines("/proc/self/limits").Single(static line => line.StartsWith("Max open files", StringComparison.Ordinal));
        string limit = line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return int.TryParse(limit, CultureInfo.InvariantCulture, out int number) ? number : int.MaxValue;
    }

    private sealed class Member(ConcurrentQueue<PID> arrived) : ConnectionActor
    {
        protected override void OnConnected() => arrived.Enqueue(Context.Self);
    }
}
