using System.Net;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Tests.Interop;

public sealed class SocketAddressLayoutTests
{
    [Theory]
    [InlineData("127.0.0.1", 80, 16)]
    [InlineData("0.0.0.0", 0, 16)]
    [InlineData("255.254.253.252", 65535, 16)]
    [InlineData("::1", 443, 28)]
    [InlineData("::", 0, 28)]
    [InlineData("2001:db8::dead:beef", 65535, 28)]
    [InlineData("fe80::1%7", 1234, 28)]
    [InlineData("::ffff:10.1.2.3", 9, 28)]
    public void An_end_point_is_read_back_as_it_was_written(string address, int port, int size)
    {
        IPEndPoint endPoint = new(IPAddress.Parse(address), port);
        byte[] memory = new byte[SocketAddressLayout.MaxSize];
        memory.AsSpan().Fill(0xFF);

        Assert.Equal(size, SocketAddressLayout.Write(endPoint, memory));

        IPEndPoint? read = SocketAddressLayout.Read(memory.AsSpan(0, size));
        Assert.Equal(endPoint, read);
        Assert.Equal(endPoint.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? endPoint.Address.ScopeId : 0, ScopeOf(read!));
    }

    [Fact]
    public void An_IPv4_address_lies_as_the_kernel_wants_it()
    {
        byte[] memory = new byte[SocketAddressLayout.MaxSize];

        SocketAddressLayout.Write(new IPEndPoint(IPAddress.Parse("1.2.3.4"), 0x1234), memory);

        byte[] family = BitConverter.GetBytes((ushort)2);
        Assert.Equal([family[0], family[1], 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0], memory[..16]);
    }

    [Fact]
    public void What_is_no_internet_address_is_null()
    {
        byte[] unix = new byte[28];
        unix[BitConverter.IsLittleEndian ? 0 : 1] = 1;

        Assert.Null(SocketAddressLayout.Read(unix));
        Assert.Null(SocketAddressLayout.Read(default));
        Assert.Null(SocketAddressLayout.Read(new byte[15]));
        byte[] half = new byte[20];
        half[BitConverter.IsLittleEndian ? 0 : 1] = 10;
        Assert.Null(SocketAddressLayout.Read(half));
    }

    private static long ScopeOf(IPEndPoint endPoint) =>
        endPoint.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? endPoint.Address.ScopeId : 0;
}
