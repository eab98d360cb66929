using NetPoll.Core.Backends;
using NetPoll.Core.Interop;
using NetPoll.Core.Tests.Support;

namespace NetPoll.Core.Tests;

/// <summary>What a connection's options take, what they refuse, and that a refusal changes nothing.</summary>
public sealed class NetConnectionOptionsTests
{
    [Theory]
    [InlineData("Time", 0, 20, 3)]
    [InlineData("Interval", 30, 0, 3)]
    [InlineData("Probes", 30, 20, 0)]
    [InlineData("Probes", 30, 20, -1)]
    [InlineData("Probes", 30, 20, 128)]
    public async Task What_is_wrong_about_keep_alive_is_refused_before_anything_is_changed(string what, int time, int interval, int probes)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        pair.Connection.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(11), TimeSpan.FromSeconds(12), 13));
        pair.Connection.SetKeepAlive(null);

        ArgumentOutOfRangeException refused = Assert.Throws<ArgumentOutOfRangeException>(
            () => pair.Connection.SetKeepAlive(new KeepAlive(TimeSpan.FromSeconds(time), TimeSpan.FromSeconds(interval), probes)));

        Assert.Equal(what, refused.ParamName);
        Assert.Equal(0, Option(pair.Connection, SocketSetting.KeepAlive));
        Assert.Equal(11, Option(pair.Connection, SocketSetting.KeepAliveTimeSeconds));
        Assert.Equal(12, Option(pair.Connection, SocketSetting.KeepAliveIntervalSeconds));
        Assert.Equal(13, Option(pair.Connection, SocketSetting.KeepAliveProbes));
    }

    [Fact]
    public async Task Keep_alive_takes_the_longest_times_and_the_most_probes()
    {
        await using Loopback pair = await Loopback.ConnectAsync();

        pair.Connection.SetKeepAlive(new KeepAlive(TimeSpan.MaxValue, TimeSpan.MaxValue, 127));

        Assert.Equal(32767, Option(pair.Connection, SocketSetting.KeepAliveTimeSeconds));
        Assert.Equal(32767, Option(pair.Connection, SocketSetting.KeepAliveIntervalSeconds));
        Assert.Equal(127, Option(pair.Connection, SocketSetting.KeepAliveProbes));
    }

    [Theory]
    [InlineData(-5_000)]
    [InlineData(Timeout.Infinite)]
    public async Task A_linger_time_below_zero_is_refused_and_the_close_stays_as_it_was(int milliseconds)
    {
        await using Loopback pair = await Loopback.ConnectAsync();
        TimeSpan wrong = TimeSpan.FromMilliseconds(milliseconds);

        ArgumentOutOfRangeException refused = Assert.Throws<ArgumentOutOfRangeException>(() => pair.Connection.SetLinger(wrong));

        Assert.Equal("linger", refused.ParamName);
        Assert.Equal(wrong, refused.ActualValue);
        Assert.Contains("Expected zero or more", refused.Message, StringComparison.Ordinal);
        Assert.Equal((false, 0), Linger(pair.Connection));
    }

    [Theory]
    [InlineData(1L, 1)]
    [InlineData(TimeSpan.TicksPerSecond, 1)]
    [InlineData(TimeSpan.TicksPerSecond + 1, 2)]
    [InlineData(long.MaxValue, 32767)]
    public async Task A_linger_time_is_rounded_up_and_never_to_the_zero_that_resets(long ticks, int seconds)
    {
        await using Loopback pair = await Loopback.ConnectAsync();

        pair.Connection.SetLinger(TimeSpan.FromTicks(ticks));

        Assert.Equal((true, seconds), Linger(pair.Connection));
    }

    private static int Option(NetConnection connection, SocketSetting setting)
    {
        Assert.True(connection.Fd.GetOption(setting, out int value).IsSuccess);
        return value;
    }

    private static (bool IsOn, int Seconds) Linger(NetConnection connection)
    {
        int seconds = 0;
        connection.RawControl(number => Libc.GetLinger(number, out seconds));
        return (seconds >= 0, Math.Max(seconds, 0));
    }
}
