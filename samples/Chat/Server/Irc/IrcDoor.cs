using Chat.Domain;
using Proto;

namespace Chat.Server.Irc;

/// <summary>The door for IRC clients that understand the same: there is one for each set of capabilities.</summary>
/// <remarks>So a message is encoded once for all who get the same lines.</remarks>
internal sealed class IrcDoor : IDoor
{
    private readonly ActorSystem _system;
    private readonly string _server;
    private readonly IrcCapabilities _capabilities;

    private IrcDoor(ActorSystem system, string server, IrcCapabilities capabilities)
    {
        _system = system;
        _server = server;
        _capabilities = capabilities;
    }

    public string Name => NameOf(_capabilities);

    /// <summary>The doors, one for each set.</summary>
    public static IEnumerable<IDoor> All(ActorSystem system, string server)
    {
        const IrcCapabilities Everything = IrcCapabilities.ServerTime | IrcCapabilities.MessageTags | IrcCapabilities.EchoMessage;
        for (IrcCapabilities capabilities = IrcCapabilities.None; capabilities <= Everything; capabilities++)
        {
            yield return new IrcDoor(system, server, capabilities);
        }
    }

    public static string NameOf(IrcCapabilities capabilities) => $"irc/{(int)capabilities}";

    public IRoomAudience CreateAudience(string room) => new IrcAudience(_system, room, new IrcRoomEvents(_server, _capabilities));
}
