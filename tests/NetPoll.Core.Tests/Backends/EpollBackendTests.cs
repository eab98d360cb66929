using System.Net.Sockets;
using System.Runtime.CompilerServices;
using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests.Backends;

public sealed class EpollBackendTests : IDisposable
{
    private readonly EpollBackend _backend = new(eventsPerWait: 16);
    private readonly PollEvent[] _events = new PollEvent[16];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData(0u, PollEventFlags.None)]
    [InlineData(Libc.EPOLLIN, PollEventFlags.Read)]
    [InlineData(Libc.EPOLLOUT, PollEventFlags.Write)]
    [InlineData(Libc.EPOLLIN | Libc.EPOLLOUT, PollEventFlags.Read | PollEventFlags.Write)]
    [InlineData(Libc.EPOLLRDHUP, PollEventFlags.Read | PollEventFlags.ReadHangup)]
    [InlineData(Libc.EPOLLHUP, PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Hangup)]
    [InlineData(Libc.EPOLLERR, PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error | PollEventFlags.ErrorOnly)]
    [InlineData(Libc.EPOLLERR | Libc.EPOLLIN, PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error)]
    [InlineData(
        Libc.EPOLLERR | Libc.EPOLLHUP,
        PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.Error | PollEventFlags.Hangup)]
    [InlineData(
        Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLRDHUP,
        PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.ReadHangup)]
    [InlineData(Libc.EPOLLPRI | Libc.EPOLLIN, PollEventFlags.Read | PollEventFlags.Urgent)]
    [InlineData(Libc.EPOLLPRI, PollEventFlags.Urgent)]
    [InlineData(0x200u, PollEventFlags.None)]
    public void NP122_The_kernel_s_mask_is_told_in_the_state_machine_s_words(uint mask, object expected)
    {
        Assert.Equal((PollEventFlags)expected, EpollBackend.Translate(mask));
    }

    [Fact]
    public void NP116_Wake_ups_before_a_wait_end_it_once()
    {
        _backend.Wake();
        _backend.Wake();

        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 30_000));
        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 0));
    }

    [Fact]
    public void NP116_A_full_wake_counter_counts_as_woken()
    {
        byte[] almostAll = BitConverter.GetBytes(ulong.MaxValue - 1);
        Assert.Equal(8, Libc.Write(WakeDescriptor(_backend), almostAll));
        Assert.Equal(-Errno.EAGAIN, Libc.EventSignal(WakeDescriptor(_backend)));

        _backend.Wake();

        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 30_000));
        Assert.Equal(-Errno.EAGAIN, Libc.EventConsume(WakeDescriptor(_backend)));
        _backend.Wake();
        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 30_000));
    }

    [Fact]
    public void NP113_The_backend_knows_its_own_numbers()
    {
        using TcpPair pair = new();

        Assert.True(_backend.Owns(WakeDescriptor(_backend)));
        Assert.True(_backend.Owns(EpollDescriptor(_backend)));
        Assert.False(_backend.Owns(pair.Descriptor));
        Assert.False(_backend.Owns(-1));
    }

    [Fact]
    public void NP120_A_regular_file_cannot_be_watched()
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(typeof(EpollBackendTests).Assembly.Location);

        IoResult result = _backend.Open(new TcpSocket((int)file.DangerousGetHandle(), null), new PollToken(0, 1));

        Assert.Equal(Errno.EPERM, result.NativeError);
    }

    [Fact]
    public void NP120_A_number_cannot_be_watched_twice_nor_when_it_is_closed()
    {
        using TcpPair pair = new();
        TcpSocket socket = new(pair.Descriptor, null);
        Assert.True(_backend.Open(socket, new PollToken(0, 1)).IsSuccess);

        Assert.Equal(Errno.EEXIST, _backend.Open(socket, new PollToken(1, 1)).NativeError);

        Assert.True(_backend.Close(socket, new PollToken(0, 1)).IsSuccess);
        Assert.Equal(Errno.ENOENT, _backend.Close(socket, new PollToken(0, 1)).NativeError);
        Assert.Equal(Errno.EBADF, _backend.Open(new TcpSocket(-1, null), new PollToken(0, 1)).NativeError);
    }

    [Fact]
    public void The_present_state_counts_as_an_edge_and_an_edge_is_told_once()
    {
        using TcpPair pair = new();
        PollToken token = new(5, 77);
        pair.Peer.Send("x"u8);
        Assert.True(pair.Ours.Poll(TimeSpan.FromSeconds(30), SelectMode.SelectRead));

        _backend.Open(new TcpSocket(pair.Descriptor, null), token);

        Assert.Equal(1, _backend.Wait(_events, timeoutMilliseconds: 30_000));
        Assert.Equal(new PollEvent(token, PollEventFlags.Read | PollEventFlags.Write), _events[0]);
        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 0));
        pair.Peer.Shutdown(SocketShutdown.Send);
        Assert.Equal(1, _backend.Wait(_events, timeoutMilliseconds: 30_000));
        Assert.Equal(PollEventFlags.Read | PollEventFlags.Write | PollEventFlags.ReadHangup, _events[0].Flags);
    }

    [Fact]
    public void A_wait_that_times_out_takes_its_time()
    {
        long start = TimeProvider.System.GetTimestamp();

        Assert.Equal(0, _backend.Wait(_events, timeoutMilliseconds: 30));

        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(30));
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_wake")]
    private static extern ref int WakeField(EpollBackend backend);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_epoll")]
    private static extern ref int EpollField(EpollBackend backend);

    private static int WakeDescriptor(EpollBackend backend) => WakeField(backend);

    private static int EpollDescriptor(EpollBackend backend) => EpollField(backend);
}
