using Chat.Domain;
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

    public IRoomAudience CreateAudience(string room) => new ProtobufAudience(_system, room);
}
