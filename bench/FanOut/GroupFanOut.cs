using System.Buffers.Binary;
using System.Net;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace NetPoll.Bench;

/// <summary>Publishes to a group on one poller.</summary>
internal static class GroupFanOut
{
    /// <summary>Nanoseconds of processor time for each delivery, once warm.</summary>
    internal static async Task<double> MeasureAsync(int members, int publishes, int burst)
    {
        await using ActorSystem system = new ActorSystem().WithNetPoll(new NetPollOptions { Pollers = new PollerOptions { PollerCount = 1 } });
        ConnectionGroup group = new(system, "all");

        // One poller makes all connections, so the joins come one after the other.
        Listener listener = await system.NetPoll().ListenAsync("group", new IPEndPoint(IPAddress.Loopback, 0), () => new Member(group));
        await using CrowdProcess crowd = await CrowdProcess.StartAsync(((IPEndPoint)listener.EndPoint).Port, members);
        while (group.Count < members)
        {
            await Task.Yield();
        }

        await PublishAsync();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        await PublishAsync();
        TimeSpan spent = Environment.CpuUsage.TotalTime - before;
        await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
        return spent.TotalNanoseconds / ((double)members * publishes);

        async Task PublishAsync()
        {
            byte[] frame = new byte[sizeof(long)];
            for (int done = 0; done < publishes; done += burst)
            {
                for (int number = 0; number < burst; number++)
                {
                    BinaryPrimitives.WriteInt64LittleEndian(frame, group.Sequence + 1);
                    using SharedPayload payload = SharedPayload.Copy(frame);
                    group.Publish(payload);
                }

                await crowd.HearsAsync(group.Sequence * members);
            }
        }
    }

    private sealed class Member(ConnectionGroup group) : ConnectionActor
    {
        protected override void OnConnected() => group.Join(Context.Self);
    }
}
