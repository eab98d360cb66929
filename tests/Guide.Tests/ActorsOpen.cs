using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace Guide.Tests;

internal static class ActorsOpen
{
    internal static Task<Listener> ListenAsync(ActorSystem system, Func<ConnectionActor> factory)
    {
        // The service manager's socket of that name; started by hand, our own.
        EndPoint endPoint = SocketActivation.TryTake("chat", out SafeHandle? socket)
            ? new HandleEndPoint(socket)
            : new IPEndPoint(IPAddress.Loopback, 0);
        return system.NetPoll().ListenAsync("chat", endPoint, factory);
    }

    internal static Task<PID> ReadAsync(ActorSystem system, SafeFileHandle pipe, Func<LineConnectionActor> factory) =>
        system.NetPoll().ConnectAsync(new HandleEndPoint(pipe), factory);
}
