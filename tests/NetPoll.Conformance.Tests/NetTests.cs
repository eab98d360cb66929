using System.Net;
using System.Net.Sockets;
using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Conformance.Tests;

/// <summary>The cases of Go's net/protoconn_test.go and server_test.go that stream sockets have.</summary>
public sealed class NetTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData("unix")]
    public async Task NP150_ConnAndListener_an_echo_with_deadlines_on_everything_and_addresses_of_the_right_family(string address)
    {
        using TemporaryFolder folder = new();
        EndPoint endPoint = address == "unix" ? new UnixDomainSocketEndPoint(folder["socket"]) : new IPEndPoint(IPAddress.Parse(address), 0);
        Assert.SkipUnless(endPoint.AddressFamily != AddressFamily.InterNetworkV6 || Socket.OSSupportsIPv6, "This system has no IPv6.");
        await using PollerGroup group = new(new PollerOptions { PollerCount = 2 });
        Deadline deadline = Deadline.After(TimeSpan.FromSeconds(10));
        await using NetListener listener = NetListener.Listen(endPoint, group);
        listener.SetDeadline(deadline);
        Task server = Task.Run(
            async () =>
            {
                await using NetConnection accepted = await listener.AcceptAsync();
                accepted.SetDeadline(deadline);
                accepted.SetReadDeadline(deadline);
                accepted.SetWriteDeadline(deadline);
                byte[] buffer = new byte[256];
                int count = await accepted.ReadAsync(buffer);
                await accepted.WriteAsync(buffer.AsMemory(0, count));
            },
            Cancellation);
        NetDialer dialer = new() { Group = group, Timeout = TimeSpan.FromSeconds(10) };

        await using NetConnection connection = await dialer.ConnectAsync(listener.LocalEndPoint);
        connection.SetDeadline(deadline);
        await connection.WriteAsync("CONN AND LISTENER TEST"u8.ToArray());
        byte[] received = new byte["CONN AND LISTENER TEST"u8.Length];
        await connection.AsStream().ReadExactlyAsync(received, Cancellation);
        await server.WaitAsync(Limit, Cancellation);

        Assert.Equal("CONN AND LISTENER TEST"u8.ToArray(), received);
        Assert.Equal(endPoint.AddressFamily, listener.LocalEndPoint.AddressFamily);
        Assert.Equal(endPoint.AddressFamily, connection.LocalEndPoint!.AddressFamily);
        Assert.Equal(endPoint.AddressFamily, connection.RemoteEndPoint!.AddressFamily);
    }
}
