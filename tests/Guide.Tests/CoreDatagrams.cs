using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreDatagrams
{
    internal static async Task EchoAsync(NetDatagramSocket socket)
    {
        DatagramBatch batch = new(capacity: 64, maxBytes: 2048);
        while (true)
        {
            // What is there, up to 64 datagrams, with one system call; and back the same way.
            int count = await socket.ReceiveBatchAsync(batch);
            for (int sent = 0; sent < count;)
            {
                sent += await socket.SendBatchAsync(batch, sent);
            }
        }
    }
}
