namespace Chat.Domain;

/// <summary>The limits of the chat, for every door alike.</summary>
public sealed class ChatOptions
{
    /// <summary>Characters (Unicode code points) in a person's name: 1 to 64. Default 32.</summary>
    public int MaxNameLength { get; init; } = 32;

    /// <summary>Characters (Unicode code points) in a room's name: 1 to 128. Default 64.</summary>
    public int MaxRoomNameLength { get; init; } = 64;

    /// <summary>Bytes of a text in UTF-8: 1 to 8,192, so that a request with it fits into a frame. Default 4,000.</summary>
    public int MaxTextBytes { get; init; } = 4000;

    /// <summary>Rooms that one session may be in: 1 to 10,000. Default 32.</summary>
    public int MaxRoomsPerSession { get; init; } = 32;

    /// <summary>Rooms that may exist at a time: 1 to 1,000,000. Default 10,000. A room costs a few kilobytes.</summary>
    public int MaxRooms { get; init; } = 10_000;

    /// <summary>
    /// People in a room: 1 to 15,000, so that the list of its members fits into a frame. Default 10,000.
    /// </summary>
    public int MaxMembersPerRoom { get; init; } = 10_000;

    /// <summary>Rooms that one answer to a request for the rooms lists: 1 to 10,000, the fullest first. Default 500.</summary>
    public int MaxListedRooms { get; init; } = 500;

    /// <summary>Throws when a value is out of its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Names the option, its value and its range.</exception>
    public void Validate()
    {
        Check(nameof(MaxNameLength), MaxNameLength, 64);
        Check(nameof(MaxRoomNameLength), MaxRoomNameLength, 128);
        Check(nameof(MaxTextBytes), MaxTextBytes, 8192);
        Check(nameof(MaxRoomsPerSession), MaxRoomsPerSession, 10_000);
        Check(nameof(MaxRooms), MaxRooms, 1_000_000);
        Check(nameof(MaxMembersPerRoom), MaxMembersPerRoom, 15_000);
        Check(nameof(MaxListedRooms), MaxListedRooms, 10_000);
    }

    private static void Check(string option, int value, int highest)
    {
        if (value < 1 || value > highest)
        {
            throw new ArgumentOutOfRangeException(option, value, $"{option} is {value}; expected 1 to {highest}.");
        }
    }
}
