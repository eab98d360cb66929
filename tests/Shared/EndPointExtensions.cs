using System.Net;

/// <summary>Tests over TCP know that their end points have a port and an address. In no namespace, so that every test sees it.</summary>
#pragma warning disable CA1050 // As said.
internal static class EndPointExtensions
#pragma warning restore CA1050
{
    extension(EndPoint endPoint)
    {
        public int Port => ((IPEndPoint)endPoint).Port;

        public IPAddress Address => ((IPEndPoint)endPoint).Address;
    }
}
