namespace Chat.Load;

/// <summary>What is to be tried.</summary>
/// <param name="Host">The server's name or address.</param>
/// <param name="Port">The server's port.</param>
/// <param name="Clients">Connections, spread evenly over the rooms.</param>
/// <param name="Rooms">Rooms.</param>
/// <param name="Rate">Messages per second of each client, on average.</param>
/// <param name="Duration">How long they speak.</param>
/// <param name="Bytes">Bytes of each text.</param>
/// <param name="Seed">Decides who speaks when: the same seed gives the same plan.</param>
internal sealed record LoadOptions(
    string Host, int Port, int Clients, int Rooms, double Rate, TimeSpan Duration, int Bytes, int Seed);
