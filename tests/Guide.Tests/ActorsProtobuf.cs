using Google.Protobuf.WellKnownTypes;
using NetPoll.Actors;

namespace Guide.Tests;

internal sealed class Alarms : ProtobufConnectionActor<Duration>
{
    public Alarms()
        : base(Duration.Parser, maxMessageLength: 1000)
    {
    }

    protected override Task OnFrame(Duration message)
    {
        Send(Timestamp.FromDateTime(DateTime.UnixEpoch + message.ToTimeSpan()));
        return Task.CompletedTask;
    }
}
