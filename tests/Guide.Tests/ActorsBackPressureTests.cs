using System.Globalization;
using System.Net;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

/// <summary>The example of docs/actors.md about back-pressure does what the guide says.</summary>
public sealed class ActorsBackPressureTests
{
    [Fact]
    public async Task Numbers_and_a_file_come_whole_and_in_order()
    {
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, new string('x', 500_000) + "\n");
            await using ActorSystem system = new ActorSystem().WithNetPoll();
            Listener listener = await system.NetPoll().ListenAsync("exports", new IPEndPoint(IPAddress.Loopback, 0), () => new Exporter(path));
            await using NetConnection connection = await new NetDialer().ConnectAsync(listener.EndPoint);
            using StreamReader reader = new(connection.AsStream());

            await connection.WriteAsync("200000\nfile\n1\n"u8.ToArray());

            for (int number = 1; number <= 200_000; number++)
            {
                Assert.Equal(number.ToString(CultureInfo.InvariantCulture), await reader.ReadLineAsync());
            }

            Assert.Equal(500_000, (await reader.ReadLineAsync())!.Length);
            Assert.Equal("1", await reader.ReadLineAsync());
            await system.NetPoll().ShutdownAsync(TimeSpan.Zero);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
