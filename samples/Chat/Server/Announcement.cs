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
    public static string[] Lines(IPEndPoint endPoint, string machine)
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

        lines.Add("Ctrl-C stops the server.");
        return [.. lines];
    }
}
