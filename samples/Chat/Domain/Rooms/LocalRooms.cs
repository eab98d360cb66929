using Proto;

namespace Chat.Domain;

/// <summary>The rooms of one machine.</summary>
internal sealed class LocalRooms : IRooms
{
    private readonly RootContext _sender;
    private readonly PID _rooms;

    public LocalRooms(RootContext sender, PID rooms)
    {
        _sender = sender;
        _rooms = rooms;
    }

    public void Tell(RoomRequest request) => _sender.Send(_rooms, request);

    public void Tell(RoomsRequest request) => _sender.Send(_rooms, request);
}
