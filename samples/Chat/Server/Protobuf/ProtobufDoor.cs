using Chat.Domain;
using NetPoll.Actors;
using Proto;

namespace Chat.Server.Protobuf;

/// <summary>The door for clients that speak <c>protos/chat.proto</c> over TCP.</summary>
internal sealed class ProtobufDoor : IDoor
{
    /// <summary>The door's name in the chat.</summary>
    public const string DoorName = "protobuf";

    private readonly ActorSystem _system;

    public ProtobufDoor(ActorSystem system) => _system = system;

    public string Name => DoorName;

    /// <summary>The limits of the door's connections.</summary>
    public static ConnectionOptions Limits(ServerOptions options) => new()
    {
        MaxOutputBytes = options.MaxOutputBytes,

        // Who does not read answers is not read from, long before they are cut off.
        OutputHighWatermark = options.MaxOutputBytes / 4,
        WriteTimeout = options.WriteTimeout,
    };

    public IRoomAudience CreateAudience(string room) => new ProtobufAudience(_system, room);
}
