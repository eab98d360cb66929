using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>A datagram socket that the host is to have.</summary>
/// <param name="Name">Its name, and its options'.</param>
/// <param name="Start">Binds it.</param>
internal sealed record DatagramRegistration(string Name, DatagramStart Start);

/// <summary>Binds a datagram socket with the options of that name.</summary>
internal delegate Task<DatagramSocket> DatagramStart(IServiceProvider services, NetPollExtension netPoll, DatagramOptions options);
