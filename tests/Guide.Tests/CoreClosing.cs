using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreClosing
{
    internal static async Task<string> ReadUntilClosedAsync(NetConnection connection)
    {
        Task<int> waiting = connection.ReadAsync(new byte[1]).AsTask();

        // Ends the waiting read, and completes when the descriptor's number is released.
        await connection.CloseAsync();
        try
        {
            await waiting;
            return "bytes came first";
        }
        catch (ObjectDisposedException)
        {
            return "closed while it waited";
        }
    }
}
