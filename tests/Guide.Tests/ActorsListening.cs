using System.Net;
using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal static class ActorsListening
{
    internal static Task<Listener> ListenAsync(ActorSystem system, IPEndPoint endPoint, Func<ConnectionActor> factory)
    {
        ListenerOptions options = new()
        {
            MaxConnections = 10_000,
            AddressLimits =
            {
                // Each IPv4 address, each IPv6 customer: 16 open at once, 32 at once or in ten minutes.
                new AddressLimit { MaxConcurrent = 16, MaxPerInterval = 32, Interval = TimeSpan.FromMinutes(10) },

                // Whole networks, more generously.
                new AddressLimit { IPv4PrefixLength = 24, IPv6PrefixLength = 48, MaxConcurrent = 256 },
            },
            ExemptNetworks = { IPNetwork.Parse("10.0.0.0/8") },
            Farewell = static refusal => Encoding.UTF8.GetBytes($"ERROR {refusal.Reason}\r\n"),
        };
        return system.NetPoll().ListenAsync("front", endPoint, factory, options);
    }

    internal static async Task<ListenerStatistics> PauseAsync(ActorSystem system, Listener listener)
    {
        // From the answer on nothing is accepted; who connects waits in the system's queue until ResumeAccepting.
        await system.Root.RequestAsync<AcceptingPaused>(listener.Pid, new PauseAccepting());
        return await system.Root.RequestAsync<ListenerStatistics>(listener.Pid, new GetListenerStatistics());
    }

    internal static Task<Listener> ListenBehindProxiesAsync(ActorSystem system, IPEndPoint endPoint, Func<ConnectionActor> factory, IPNetwork proxies)
    {
        ListenerOptions options = new() { ProxyProtocol = new ProxyProtocolOptions { TrustedNetworks = { proxies } } };
        return system.NetPoll().ListenAsync("behind", endPoint, factory, options);
    }
}
