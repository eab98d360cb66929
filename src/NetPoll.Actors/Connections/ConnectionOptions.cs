namespace NetPoll.Actors;

/// <summary>The limits of the connections of one listener.</summary>
public sealed class ConnectionOptions
{
    /// <summary>
    /// Bytes of unsent output above which the connection stops reading and tells its handler (<c>OnWritesSuspended</c>), until no more than
    /// <see cref="OutputLowWatermark"/> are left. Default 256 KiB. The peer that does not read what it asked for is so held back by TCP itself.
    /// </summary>
    public int OutputHighWatermark { get; set; } = 256 * 1024;

    /// <summary>
    /// Bytes of unsent output at which a connection that was above the high watermark reads again and tells its handler
    /// (<c>OnWritesResumed</c>). From 0, all is sent, to the high watermark; null, the default, for half of that.
    /// </summary>
    public int? OutputLowWatermark { get; set; }

    /// <summary>
    /// How many bytes of unsent output are kept at most. Default 4 MiB. More than that is not taken: the peer counts as a slow consumer then,
    /// and <see cref="SlowConsumerPolicy"/> decides. What others send to it, as in a group, is bounded by this.
    /// </summary>
    public int MaxOutputBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>
    /// What becomes of output that would exceed <see cref="MaxOutputBytes"/>, or the process's limit (<see cref="NetPollOptions.MaxOutputBytes"/>).
    /// Default <see cref="SlowConsumerPolicy.Close"/>.
    /// </summary>
    public SlowConsumerPolicy SlowConsumerPolicy { get; set; }

    /// <summary>
    /// Bytes of input that the handler may leave unconsumed. Default 4 MiB. A frame must fit; beyond it the connection is closed as an error.
    /// </summary>
    public int MaxInputBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>
    /// How long the peer may take nothing of waiting output before <c>OnDeadline</c> is called. Default 30 s;
    /// <see cref="Timeout.InfiniteTimeSpan"/> for never. It counts progress: every byte taken starts it anew.
    /// </summary>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The deadlines that a connection begins with. Null, the default: none but <see cref="WriteTimeout"/>.</summary>
    public DeadlineProfile? Deadlines { get; set; }

    /// <summary>How quiet peers are asked for signs of life from the beginning. Null, the default: not at all.</summary>
    public Heartbeat? Heartbeat { get; set; }

    /// <summary>How fast a connection may be from the beginning. Null, the default: as fast as it can.</summary>
    public RateLimits? RateLimits { get; set; }

    /// <summary>
    /// Where the handlers of connection actors run. Default <see cref="ConnectionScheduling.Poller"/>. A plain actor that handles connections runs
    /// where it lives, whatever this says.
    /// </summary>
    public ConnectionScheduling Scheduling { get; set; }

    /// <summary>How long a closed connection waits for the peer's FIN, so that a reset does not cost it our last bytes. Default 2 s.</summary>
    public TimeSpan LingerTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>The low watermark in bytes.</summary>
    internal int LowWatermark => OutputLowWatermark ?? OutputHighWatermark / 2;

    /// <summary>The same for what knows no half-close: there is no FIN to wait for.</summary>
    internal ConnectionOptions WithoutLinger()
    {
        ConnectionOptions options = (ConnectionOptions)MemberwiseClone();
        options.LingerTimeout = TimeSpan.Zero;
        return options;
    }

    /// <summary>Throws for a value that is out of its range.</summary>
    internal void Validate()
    {
        Require(OutputHighWatermark > 0, nameof(OutputHighWatermark), OutputHighWatermark, "1 byte or more");
        Require(
            LowWatermark >= 0 && LowWatermark <= OutputHighWatermark,
            nameof(OutputLowWatermark),
            LowWatermark,
            $"0 to {nameof(OutputHighWatermark)} ({OutputHighWatermark})");
        Require(MaxOutputBytes >= OutputHighWatermark, nameof(MaxOutputBytes), MaxOutputBytes, $"at least {nameof(OutputHighWatermark)} ({OutputHighWatermark})");
        Require(Enum.IsDefined(SlowConsumerPolicy), nameof(SlowConsumerPolicy), SlowConsumerPolicy, $"{string.Join(", ", Enum.GetNames<SlowConsumerPolicy>())}");
        Require(MaxInputBytes > 0, nameof(MaxInputBytes), MaxInputBytes, "1 byte or more");
        Require(WriteTimeout > TimeSpan.Zero || WriteTimeout == Timeout.InfiniteTimeSpan, nameof(WriteTimeout), WriteTimeout, "above 0, or infinite");
        Require(Enum.IsDefined(Scheduling), nameof(Scheduling), Scheduling, $"{string.Join(", ", Enum.GetNames<ConnectionScheduling>())}");
        Deadlines?.Validate();
        Heartbeat?.Validate();
        RateLimits?.Validate();
        Require(LingerTimeout >= TimeSpan.Zero, nameof(LingerTimeout), LingerTimeout, "0 or more");
    }

    private static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException($"{nameof(ConnectionOptions)}.{name} is {value}; expected {expected}.", name);
        }
    }
}
