using System.Net;
using System.Net.Sockets;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreErrors
{
    internal static async Task<string> TryConnectAsync(EndPoint endPoint)
    {
        try
        {
            await using NetConnection connection = await new NetDialer().ConnectAsync(endPoint);
            return "connected";
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
        {
            // The message names the operation, the end point and the system's own error number.
            return exception.Message;
        }
    }
}
