using System.Diagnostics.Metrics;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Listening;
using NetPoll.Actors.Pollers;

namespace NetPoll.Actors.Diagnostics;

/// <summary>The meter <c>NetPoll.Actors</c>: what the connections of the process do. The table of its instruments is in <c>docs/actors.md</c>.</summary>
/// <remarks>
/// What happens with every message is counted in plain fields and read when somebody listens; what happens with a connection's end or a
/// publish goes to a counter, which does nothing as long as nobody does. Each figure has the tag <c>netpoll.group</c>, as those of Core have.
/// </remarks>
internal static class ActorMetrics
{
    private static readonly Meter Meter = new("NetPoll.Actors");
    private static readonly Lock Gate = new();
    private static readonly List<NetPollExtension> Live = [];

    private static readonly Counter<long> Closed = Meter.CreateCounter<long>(
        "netpoll.connection.closed", "{connection}", "Connections that ended, by reason");

    private static readonly Counter<long> Publishes = Meter.CreateCounter<long>(
        "netpoll.connection_group.publishes", "{publish}", "Payloads published to connection groups");

    // The names of the values, made once: a tag must not allocate.
    private static readonly string[] CloseReasons = [.. Enum.GetValues<CloseReason>().Select(static reason => NameOf(reason.ToString()))];
    private static readonly string[] RefusalReasons = [.. Enum.GetValues<RefusalReason>().Select(static reason => NameOf(reason.ToString()))];

    static ActorMetrics()
    {
        _ = Meter.CreateObservableUpDownCounter(
            "netpoll.listener.connections", static () => OfListeners(static listener => listener.Active), "{connection}", "Open connections");
        _ = Meter.CreateObservableCounter(
            "netpoll.listener.accepted", static () => OfListeners(static listener => listener.Accepted), "{connection}", "Connections accepted");
        _ = Meter.CreateObservableCounter(
            "netpoll.listener.refused", OfRefusals, "{connection}", "Connections taken from the system and not served, by reason");
        _ = Meter.CreateObservableUpDownCounter(
            "netpoll.poller.connections", static () => OfPollers(static home => home.Connections.Count), "{connection}", "Open connections");
        _ = Meter.CreateObservableCounter(
            "netpoll.connection.moves", static () => OfPollers(static home => home.Traffic.Moves), "{connection}", "Connections that came from another poller");
        _ = Meter.CreateObservableCounter(
            "netpoll.connection.io",
            static () => OfDirections(static home => home.Traffic.BytesReceived, static home => home.Traffic.BytesSent),
            "By",
            "Bytes that handlers were given, and that the system took");
        _ = Meter.CreateObservableCounter(
            "netpoll.connection.messages",
            static () => OfDirections(static home => home.Traffic.MessagesReceived, static home => home.Traffic.MessagesSent),
            "{message}",
            "Frames, or pieces of bytes where there are no frames, that handlers were given and sent");
        _ = Meter.CreateObservableUpDownCounter(
            "netpoll.poller.datagram_sockets", static () => OfPollers(static home => home.Datagrams.Sockets), "{socket}", "Open datagram sockets");
        _ = Meter.CreateObservableUpDownCounter(
            "netpoll.poller.datagram_peers", static () => OfPollers(static home => home.Datagrams.Peers), "{peer}", "Peers of datagram sockets that have an actor");
        _ = Meter.CreateObservableCounter(
            "netpoll.datagram.io",
            static () => OfDirections(static home => home.Datagrams.BytesReceived, static home => home.Datagrams.BytesSent),
            "By",
            "Bytes of datagrams that handlers were given, and that the system took");
        _ = Meter.CreateObservableCounter(
            "netpoll.datagram.datagrams",
            static () => OfDirections(static home => home.Datagrams.Received, static home => home.Datagrams.Sent),
            "{datagram}",
            "Datagrams that handlers were given, and that the system took");
        _ = Meter.CreateObservableCounter(
            "netpoll.datagram.dropped", OfDrops, "{datagram}", "Datagrams that were neither handled nor sent, by reason");
        _ = Meter.CreateObservableUpDownCounter(
            "netpoll.connection.output_queue", static () => OfPollers(static home => home.Traffic.QueuedBytes), "By", "Bytes that wait to be sent");
    }

    internal static void Add(NetPollExtension extension)
    {
        lock (Gate)
        {
            Live.Add(extension);
        }
    }

    internal static void Remove(NetPollExtension extension)
    {
        lock (Gate)
        {
            Live.Remove(extension);
        }
    }

    internal static void ConnectionClosed(Connection connection, CloseReason reason)
    {
        if (Closed.Enabled)
        {
            Closed.Add(1, GroupTag(connection.Home), ListenerTag(connection.Owner.Id), new("netpoll.close.reason", CloseReasons[(int)reason]));
        }
    }

    internal static void Published(NetPollExtension extension)
    {
        if (Publishes.Enabled)
        {
            Publishes.Add(1, GroupTag(extension.Homes[0]));
        }
    }

    private static NetPollExtension[] Extensions()
    {
        lock (Gate)
        {
            return [.. Live];
        }
    }

    private static IEnumerable<Measurement<long>> OfListeners(Func<ListenerActor, long> figure) => Extensions().SelectMany(extension =>
        extension.ListenerActors.Select(listener => new Measurement<long>(figure(listener), GroupTag(extension.Homes[0]), ListenerTag(listener.Id))));

    private static IEnumerable<Measurement<long>> OfRefusals() =>
        from extension in Extensions()
        from listener in extension.ListenerActors
        let counts = listener.Refusals.Counts
        from reason in Enum.GetValues<RefusalReason>()
        select new Measurement<long>(
            counts[reason], GroupTag(extension.Homes[0]), ListenerTag(listener.Id), new("netpoll.refusal.reason", RefusalReasons[(int)reason]));

    private static IEnumerable<Measurement<long>> OfPollers(Func<ActorPoller, long> figure) => Extensions().SelectMany(static extension => extension.Homes)
        .Select(home => new Measurement<long>(figure(home), GroupTag(home), PollerTag(home)));

    private static IEnumerable<Measurement<long>> OfDirections(Func<ActorPoller, long> received, Func<ActorPoller, long> sent) =>
        Extensions().SelectMany(static extension => extension.Homes).SelectMany(home => new Measurement<long>[]
        {
            new(received(home), GroupTag(home), PollerTag(home), new("network.io.direction", "receive")),
            new(sent(home), GroupTag(home), PollerTag(home), new("network.io.direction", "transmit")),
        });

    private static IEnumerable<Measurement<long>> OfDrops() =>
        Extensions().SelectMany(static extension => extension.Homes).SelectMany(static home => new Measurement<long>[]
        {
            new(home.Datagrams.QueueDropped, GroupTag(home), PollerTag(home), DropTag("send_queue")),
            new(home.Datagrams.Failed, GroupTag(home), PollerTag(home), DropTag("send_failed")),
            new(home.Datagrams.PeersRefused, GroupTag(home), PollerTag(home), DropTag("peer_limit")),
            new(home.Datagrams.PeerDropped, GroupTag(home), PollerTag(home), DropTag("peer_queue")),
        });

    private static KeyValuePair<string, object?> DropTag(string reason) => new("netpoll.drop.reason", reason);

    private static KeyValuePair<string, object?> GroupTag(ActorPoller home) => new("netpoll.group", home.Poller.Group);

    private static KeyValuePair<string, object?> PollerTag(ActorPoller home) => new("netpoll.poller", home.Poller.Name);

    private static KeyValuePair<string, object?> ListenerTag(string id) => new("netpoll.listener", id);

    // As OpenTelemetry writes the values of tags: slow_consumer.
    private static string NameOf(string value) =>
        string.Concat(value.Select(static (letter, index) => (index > 0 && char.IsUpper(letter) ? "_" : string.Empty) + char.ToLowerInvariant(letter)));
}
