using System.Net;
using Microsoft.Extensions.Logging;
using NetPoll.Core.Interop;
using NetPoll.Core.Sockets;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>The descriptor that a listener keeps back for the day on which there are none.</summary>
public sealed class DescriptorReserveTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly ScriptedPlatform _platform = new();
    private readonly List<Reserved> _reserved = [];
    private readonly Lock _gate = new();

    public DescriptorReserveTests() => _platform.Reserve = () =>
    {
        lock (_gate)
        {
            _reserved.Add(new Reserved());
            return _reserved[^1];
        }
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private int Held => _reserved.Count(static reserved => !reserved.IsReleased);

    [Fact]
    public void The_reserve_is_given_up_for_one_accept_and_taken_back()
    {
        using DescriptorReserve reserve = new(_platform);
        ScriptedSocket accepted = new();

        bool isShed = reserve.TryShed(() =>
        {
            Assert.Equal(0, Held);
            return accepted;
        });

        Assert.True(isShed);
        Assert.Equal(1, accepted.CloseCalls);
        Assert.Equal(1, Held);
        Assert.False(reserve.TryShed(static () => null));
        Assert.Equal(1, Held);
    }

    [Fact]
    public void Without_a_reserve_nothing_is_shed_and_one_is_looked_for()
    {
        Func<IDisposable?> some = _platform.Reserve;
        _platform.Reserve = static () => null;
        using DescriptorReserve reserve = new(_platform);

        Assert.False(reserve.TryShed(static () => throw new InvalidOperationException("nothing to shed with")));
        _platform.Reserve = some;
        Assert.False(reserve.TryShed(static () => throw new InvalidOperationException("nothing to shed with")));
        Assert.True(reserve.TryShed(static () => new ScriptedSocket()));
    }

    [Fact]
    public void After_the_close_no_descriptor_is_kept_back_again()
    {
        DescriptorReserve reserve = new(_platform);

        reserve.Dispose();
        Assert.False(reserve.TryShed(static () => new ScriptedSocket()));
        Assert.False(reserve.TryShed(static () => new ScriptedSocket()));
        reserve.Dispose();

        Assert.Equal(0, Held);
    }

    [Fact]
    public void Accepts_and_a_close_that_run_out_together_keep_no_descriptor()
    {
        DescriptorReserve reserve = null!;
        Race.Run(
            StressScale.Rounds(2000),
            () =>
            {
                _reserved.Clear();
                reserve = new DescriptorReserve(_platform);
            },
            () => reserve.TryShed(static () => new ScriptedSocket()),
            () =>
            {
                reserve.TryShed(static () => new ScriptedSocket());
                reserve.Dispose();
            },
            () => Assert.Equal(0, Held));
    }

    [Fact]
    public async Task A_listener_out_of_descriptors_sheds_the_connection_that_waits_and_recovers()
    {
        await using ScriptedPoller world = new();
        world.Platform.Reserve = static () => new Reserved();
        ScriptedSocket shed = new();
        ScriptedSocket served = new();
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        world.Platform.Listener.ThenAcceptFails(Errno.EMFILE).ThenAccepts(shed).ThenAccepts(served);

        await using NetConnection connection = await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation);

        Assert.Same(served, connection.Fd.Descriptor.Socket);
        Assert.Equal(1, shed.CloseCalls);
        Assert.Single(world.Log.Entries, static entry => entry.Level == LogLevel.Warning);
    }

    [Fact]
    public async Task A_listener_out_of_buffers_sheds_nobody()
    {
        await using ScriptedPoller world = new();
        world.Platform.Reserve = static () => new Reserved();
        ScriptedSocket served = new();
        await using NetListener listener = NetListener.Listen(new IPEndPoint(IPAddress.Loopback, 0), world.Group);
        world.Platform.Listener.ThenAcceptFails(Errno.ENOBUFS).ThenAccepts(served);

        await using NetConnection connection = await listener.AcceptAsync().AsTask().WaitAsync(Limit, Cancellation);

        Assert.Same(served, connection.Fd.Descriptor.Socket);
    }

    private sealed class Reserved : IDisposable
    {
        internal bool IsReleased { get; private set; }

        public void Dispose() => IsReleased = true;
    }
}
