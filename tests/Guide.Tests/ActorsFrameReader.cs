using System.Text;
using NetPoll.Actors;
using NetPoll.Core;

namespace Guide.Tests;

internal static class ActorsFrameReader
{
    internal static async Task<List<string>> ReadLinesAsync(NetConnection connection)
    {
        FrameReader reader = new(Framing.Lines());
        List<string> lines = [];
        byte[] buffer = new byte[4096];
        int count;
        while ((count = await connection.ReadAsync(buffer)) > 0)
        {
            reader.Append(buffer.AsMemory(0, count));
            while (reader.TryRead(out ReadOnlyMemory<byte> line))
            {
                lines.Add(Encoding.UTF8.GetString(line.Span));
            }
        }

        return lines;
    }
}
