using System.Net;
using Chat.Protocol;

namespace Chat.Server;

/// <summary>What a person reads when the server has started: where it listens and how to join.</summary>
internal static class Announcement
{
    private const string Client = "dotnet run -c Release --project samples/Chat/Client -- --name YOUR-NAME";

    /// <summary>The lines. The first one ends with the address and port, for scripts.</summary>
    /// <param name="endPoint">Where the server listens.</param>
    /// <param name="machine">This machine's name.</param>
    /// <param name="ircEndPoint">Where it listens for IRC clients; null if it does not.</param>
    /// <param name="data">The folder in which history is kept; null if it is kept in memory.</param>
    public static string[] Lines(IPEndPoint endPoint, string machine, IPEndPoint? ircEndPoint = null, string? data = null)
    {
        string port = endPoint.Port == ChatProtocol.DefaultPort ? "" : $" --port {endPoint.Port}";
        List<string> lines = [$"Chat server: listening on {endPoint}"];
        if (endPoint.Address.Equals(IPAddress.Any))
        {
            lines.Add("To join, on this machine and on another:");
            lines.Add($"    {Client}{port}");
            lines.Add($"    {Client} --host {machine}{port}");
        }
        else
        {
            string host = endPoint.Address.Equals(IPAddress.Loopback) ? "" : $" --host {endPoint.Address}";
            lines.Add("To join, in another terminal:");
            lines.Add($"    {Client}{host}{port}");
        }

        if (ircEndPoint is not null)
        {
            lines.Add($"IRC clients: {ircEndPoint}");
        }

        lines.Add(data is null ? "History is kept in memory only." : $"History is kept in {data}.");
        lines.Add("Ctrl-C stops the server.");
        return [.. lines];
    }
}
