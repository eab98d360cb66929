using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreDeadlines
{
    internal static async Task<int> ReadWithinAsync(NetConnection connection, Memory<byte> buffer, TimeSpan time)
    {
        // In force for the read in progress and for every later one, until it is moved or cleared.
        connection.SetReadDeadline(Deadline.After(time));
        try
        {
            return await connection.ReadAsync(buffer);
        }
        catch (DeadlineExceededException)
        {
            // Nothing was consumed; with another deadline the connection works as before.
            connection.SetReadDeadline(Deadline.None);
            return -1;
        }
    }
}
