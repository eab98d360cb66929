using System.Text;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreClient
{
    internal static async Task<string> AskAsync(string host, int port, string question)
    {
        NetDialer dialer = new() { Timeout = TimeSpan.FromSeconds(5) };
        await using NetConnection connection = await dialer.ConnectAsync(host, port);
        await connection.WriteAsync(Encoding.UTF8.GetBytes(question));
        connection.CloseWrite();

        using StreamReader reader = new(connection.AsStream());
        return await reader.ReadToEndAsync();
    }
}
