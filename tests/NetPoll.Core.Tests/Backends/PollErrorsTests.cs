using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Tests.Backends;

public sealed class PollErrorsTests
{
    [Theory]
    [InlineData(0, nameof(PollErrorClass.None))]
    [InlineData(Errno.EINTR, nameof(PollErrorClass.Interrupted))]
    [InlineData(Errno.EAGAIN, nameof(PollErrorClass.WouldBlock))]
    [InlineData(Errno.EINPROGRESS, nameof(PollErrorClass.WouldBlock))]
    [InlineData(Errno.EALREADY, nameof(PollErrorClass.WouldBlock))]
    [InlineData(Errno.EMFILE, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENFILE, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENOBUFS, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENOMEM, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENOSPC, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ECONNRESET, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.ENETRESET, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.EPIPE, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.ESHUTDOWN, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.ETIMEDOUT, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.EHOSTUNREACH, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.ENETUNREACH, nameof(PollErrorClass.Broken))]
    [InlineData(Errno.ECONNREFUSED, nameof(PollErrorClass.Refused))]
    [InlineData(Errno.EBADF, nameof(PollErrorClass.Fatal))]
    [InlineData(Errno.EFAULT, nameof(PollErrorClass.Fatal))]
    [InlineData(Errno.EINVAL, nameof(PollErrorClass.Fatal))]
    [InlineData(Errno.ENOTSOCK, nameof(PollErrorClass.Fatal))]
    [InlineData(Errno.ENOTCONN, nameof(PollErrorClass.Fatal))]
    [InlineData(4095, nameof(PollErrorClass.Fatal))]
    public void NP101_Every_error_of_an_operation_has_its_class(int error, string expected)
    {
        Assert.Equal(expected, PollErrors.Classify(error).ToString());
    }

    [Theory]
    [InlineData(0, nameof(PollErrorClass.None))]
    [InlineData(Errno.EAGAIN, nameof(PollErrorClass.WouldBlock))]
    [InlineData(Errno.EINTR, nameof(PollErrorClass.Interrupted))]
    [InlineData(Errno.ECONNABORTED, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.ECONNRESET, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.EPROTO, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.ENETDOWN, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.EHOSTDOWN, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.EHOSTUNREACH, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.ENETUNREACH, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.ENONET, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.ENOPROTOOPT, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.EOPNOTSUPP, nameof(PollErrorClass.Transient))]
    [InlineData(Errno.EMFILE, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENFILE, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENOBUFS, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.ENOMEM, nameof(PollErrorClass.Resource))]
    [InlineData(Errno.EBADF, nameof(PollErrorClass.Fatal))]
    [InlineData(Errno.EINVAL, nameof(PollErrorClass.Fatal))]
    [InlineData(4095, nameof(PollErrorClass.Fatal))]
    public void NP101_Every_error_of_an_accept_has_its_class(int error, string expected)
    {
        Assert.Equal(expected, PollErrors.ClassifyAccept(error).ToString());
    }

    [Theory]
    [InlineData(Errno.ECONNRESET, SocketError.ConnectionReset)]
    [InlineData(Errno.EPIPE, SocketError.Shutdown)]
    [InlineData(Errno.EMFILE, SocketError.TooManyOpenSockets)]
    [InlineData(Errno.EADDRINUSE, SocketError.AddressAlreadyInUse)]
    [InlineData(Errno.ECONNREFUSED, SocketError.ConnectionRefused)]
    [InlineData(4095, SocketError.SocketError)]
    public void A_result_keeps_the_system_s_number_beside_the_nearest_name(int error, SocketError expected)
    {
        IoResult result = IoResult.Failure(error);

        Assert.False(result.IsSuccess);
        Assert.Equal(error, result.NativeError);
        Assert.Equal(expected, result.Error);
        Assert.Equal(0, result.Count);
    }

    [Fact]
    public void A_result_with_bytes_carries_no_error()
    {
        Assert.Equal((5, 0, true), (IoResult.From(5).Count, IoResult.From(5).NativeError, IoResult.From(5).IsSuccess));
        Assert.True(IoResult.From(-Errno.EAGAIN).WouldBlock);
        Assert.False(IoResult.Success.WouldBlock);
    }
}
