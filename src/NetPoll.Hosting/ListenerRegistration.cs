using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>A listener that the host is to have.</summary>
/// <param name="Name">Its name, and its options'.</param>
/// <param name="Start">Begins to listen.</param>
internal sealed record ListenerRegistration(string Name, ListenerStart Start);

/// <summary>Begins to listen with the options of that name.</summary>
internal delegate Task<Listener> ListenerStart(IServiceProvider services, NetPollExtension netPoll, ListenerOptions options);
