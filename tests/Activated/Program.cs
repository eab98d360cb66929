using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Activated;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;
using NetPoll.Hosting;

// Opens a TCP listener, a Unix domain listener and a UDP socket, becomes itself once more with these as a service manager passes them on, and
// serves on them until its input ends: "launch core <path>" by the poller alone, "launch host <path>" by actors in a host.
if (args is ["launch", string mode, string path])
{
    using Socket http = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    http.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    http.Listen(16);
    using Socket unix = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    unix.Bind(new UnixDomainSocketEndPoint(path));
    unix.Listen(16);
    using Socket dns = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    dns.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    ServiceManager.Become(["serve", mode], ("http", http.SafeHandle), ("unix", unix.SafeHandle), ("dns", dns.SafeHandle));
    return 1;
}

Console.WriteLine($"names: {string.Join(' ', SocketActivation.Names)}");
using (Process child = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "echo child: $LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES, $(ls -l /proc/self/fd | grep -c socket:) sockets"])
{
    RedirectStandardOutput = true,
})!)
{
    Console.Write(await child.StandardOutput.ReadToEndAsync());
}

if (args[1] == "core")
{
    await using NetListener http = NetListener.Adopt(SocketActivation.Take("http"));
    await using NetListener unix = NetListener.Listen(new HandleEndPoint(SocketActivation.Take("unix")));
    await using NetDatagramSocket dns = NetDatagramSocket.Adopt(SocketActivation.Take(2));
    Console.WriteLine($"listening: {http.LocalEndPoint} {unix.LocalEndPoint} {dns.LocalEndPoint}");
    _ = EchoDatagramsAsync(dns);
    _ = AcceptAsync(http);
    _ = AcceptAsync(unix);
    await WaitForEndAsync();
}
else
{
    HostApplicationBuilder builder = Host.CreateApplicationBuilder();
    builder.Logging.ClearProviders();
    builder.Services.AddNetPoll(static options => options.Pollers.PollerCount = 2)
        .Listen<Echo>("http", new HandleEndPoint(SocketActivation.Take("http")))
        .Listen<Echo>("unix", new HandleEndPoint(SocketActivation.Take("unix")))
        .BindDatagrams<DatagramEcho>("dns", new HandleEndPoint(SocketActivation.Take("dns")));
    using IHost host = builder.Build();
    await host.StartAsync();
    NetPollExtension netPoll = host.Services.GetRequiredService<NetPollExtension>();
    Console.WriteLine(
        $"listening: {netPoll.FindListener("http")!.EndPoint} {netPoll.FindListener("unix")!.EndPoint} {netPoll.FindDatagramSocket("dns")!.LocalEndPoint}");
    await WaitForEndAsync();
    await host.StopAsync();
}

Console.WriteLine("done");
return 0;

static async Task WaitForEndAsync()
{
    while (await Console.In.ReadLineAsync() is not null)
    {
        // Until the end.
    }
}

static async Task AcceptAsync(NetListener listener)
{
    while (true)
    {
        _ = EchoAsync(await listener.AcceptAsync());
    }
}

static async Task EchoAsync(NetConnection connection)
{
    await using NetConnection closed = connection;
    byte[] buffer = new byte[1024];
    int count;
    while ((count = await connection.ReadAsync(buffer)) > 0)
    {
        await connection.WriteAsync(buffer.AsMemory(0, count));
    }
}

static async Task EchoDatagramsAsync(NetDatagramSocket socket)
{
    byte[] buffer = new byte[1024];
    while (true)
    {
        ReceivedDatagram got = await socket.ReceiveAsync(buffer);
        await socket.SendAsync(buffer.AsMemory(0, got.Count), got.From);
    }
}

namespace Activated
{
    internal sealed class Echo : ConnectionActor
    {
        protected override int OnReceived(ReadOnlySpan<byte> bytes)
        {
            Send(bytes);
            return bytes.Length;
        }
    }

    internal sealed class DatagramEcho : DatagramActor
    {
        protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) => Send(bytes, datagram.From);
    }
}
