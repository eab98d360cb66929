using Chat.Protocol;

namespace Chat.Client;

/// <summary>Where the conversation is shown. Any thread, one call at a time is the view's own affair.</summary>
internal interface IView
{
    /// <summary>Shows what the server sent; a frame that says nothing to people is left out.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="request">The request that it answers; null for an event.</param>
    void Show(ServerFrame frame, ClientFrame? request);

    /// <summary>Shows a mistake that the client noticed without asking the server.</summary>
    void ShowError(string text);

    /// <summary>Shows that another room is the current one; null if there is none.</summary>
    void ShowCurrentRoom(string? room);

    /// <summary>Shows that the connection is lost, and is tried to be had again, or that it is there again.</summary>
    /// <param name="isOnline">Whether it is there.</param>
    /// <param name="why">Why it was lost.</param>
    void ShowConnection(bool isOnline, string why);

    /// <summary>Shows the commands.</summary>
    void ShowHelp();
}
