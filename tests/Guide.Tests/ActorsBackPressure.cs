using System.Globalization;
using System.Text;
using NetPoll.Actors;

namespace Guide.Tests;

internal sealed class Exporter : LineConnectionActor
{
    private readonly string _file;

    public Exporter(string file) => _file = file;

    protected override void OnConnected() => RateLimits = new RateLimits
    {
        Inbound = new RateLimit { MessagesPerSecond = 2, MessagesBurst = 5 },
        Outbound = new RateLimit { BytesPerSecond = 10_000_000 },
    };

    protected override Task OnLine(ReadOnlySpan<byte> line) => line.SequenceEqual("file"u8)
        ? SendFileAsync(_file)
        : CountAsync(int.Parse(line, CultureInfo.InvariantCulture));

    private async Task CountAsync(int last)
    {
        for (int number = 1; number <= last; number++)
        {
            SendFrame(Encoding.UTF8.GetBytes(number.ToString(CultureInfo.InvariantCulture)));
            if (number % 1000 == 0)
            {
                // No faster than the peer reads. Other connections go on, and the next line of this one waits.
                await FlushAsync();
            }
        }
    }
}
