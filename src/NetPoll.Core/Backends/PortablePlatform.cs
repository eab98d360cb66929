using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace NetPoll.Core.Backends;

/// <summary>Every system on which .NET runs: System.Net.Sockets for everything, and nothing of this library's own beneath it.</summary>
internal sealed class PortablePlatform : PollPlatform
{
    private const string LinuxLimits = "/proc/self/limits";
    private const string LinuxDescriptorLimit = "Max open files";

    internal static PortablePlatform Instance { get; } = new();

    /// <inheritdoc/>
    /// <remarks>.NET has no call for the sharing that Linux has, and other systems do not spread connections over the sockets.</remarks>
    internal override bool CanSharePort => false;

    /// <inheritdoc/>
    /// <remarks>.NET has no call for it; Linux tells it in a file.</remarks>
    internal override long DescriptorLimit => OperatingSystem.IsLinux() ? ReadDescriptorLimit() : long.MaxValue;

    internal override IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket) =>
        PortableSocket.Connect(remote, local, out socket);

    internal override IPollBackend CreateBackend(int eventsPerWait) => new PortableBackend();

    internal override IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener) =>
        PortableListener.Listen(endPoint, backlog, out listener);

    internal override IoResult ConnectUnix(UnixDomainSocketEndPoint remote, UnixDomainSocketEndPoint? local, out PollableSocket? socket) =>
        PortableSocket.ConnectUnix(remote, local, out socket);

    internal override IoResult ListenUnix(UnixDomainSocketEndPoint endPoint, int backlog, out PollableSocket? listener) =>
        PortableListener.ListenUnix(endPoint, backlog, out listener);

    internal override IoResult OpenDatagram(IPEndPoint? local, IPEndPoint? remote, bool shareAddress, out PollableSocket? socket) =>
        PortableDatagramSocket.Open(local, remote, shareAddress, out socket);

    internal override IDisposable? ReserveDescriptor()
    {
        try
        {
            // Bound to nothing: it cannot receive anything.
            return new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    private static long ReadDescriptorLimit()
    {
        try
        {
            string? line = File.ReadLines(LinuxLimits).FirstOrDefault(static line => line.StartsWith(LinuxDescriptorLimit, StringComparison.Ordinal));
            string? soft = line?[LinuxDescriptorLimit.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
            return long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out long limit) ? limit : long.MaxValue;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return long.MaxValue;
        }
    }
}
