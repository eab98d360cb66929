using System.Net;
using System.Runtime.InteropServices;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreInherited
{
    internal static NetListener Listen(string name, IPEndPoint otherwise) =>
        SocketActivation.TryTake(name, out SafeHandle? socket) ? NetListener.Adopt(socket) : NetListener.Listen(otherwise);
}
