using System.Net;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Tests.Backends;

public sealed class CompactEndPointTests
{
    [Theory]
    [InlineData("127.0.0.1:0")]
    [InlineData("255.255.255.255:65535")]
    [InlineData("0.0.0.0:1")]
    [InlineData("[::]:80")]
    [InlineData("[::1]:443")]
    [InlineData("[2001:db8:1:2:3:4:5:6]:65535")]
    [InlineData("[::ffff:10.1.2.3]:9")]
    [InlineData("[fe80::1%7]:22")]
    public void An_end_point_comes_out_as_it_went_in(string text)
    {
        IPEndPoint endPoint = IPEndPoint.Parse(text);

        Assert.Equal(endPoint, new CompactEndPoint(endPoint).ToEndPoint());
    }

    [Fact]
    public void None_stays_none()
    {
        Assert.Null(new CompactEndPoint(null).ToEndPoint());
        Assert.Null(default(CompactEndPoint).ToEndPoint());
    }
}
