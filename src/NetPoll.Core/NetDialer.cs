using System.Net;
using System.Net.Sockets;
using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;
using NetPoll.Core.Sockets;

namespace NetPoll.Core;

/// <summary>Makes connections. One dialer may make many at once, from any thread; not to be changed meanwhile.</summary>
/// <remarks>Go: <c>net.Dialer</c>.</remarks>
public sealed class NetDialer
{
    // The longest that a timer of .NET runs, about 49 days.
    private static readonly TimeSpan LongestTimer = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    /// <summary>How long a whole attempt may take, the look-up of a name included. Default: as long as the system tries.</summary>
    public TimeSpan Timeout { get; set; } = System.Threading.Timeout.InfiniteTimeSpan;

    /// <summary>
    /// How long the attempt at one address of a host has for itself before the next address is tried beside it. Default 250 ms (RFC 8305).
    /// </summary>
    public TimeSpan FallbackDelay { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>The address to come from, of the same kind as that to connect to; null lets the system choose.</summary>
    public EndPoint? LocalEndPoint { get; set; }

    /// <summary>Where the connections live; null for the default group.</summary>
    public PollerGroup? Group { get; set; }

    /// <summary>Turns a host's name into addresses. Default: the system's.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>> Resolver { get; set; } = static (host, token) => Dns.GetHostAddressesAsync(host, token);

    /// <summary>Connects to an address.</summary>
    /// <param name="endPoint">
    /// An <see cref="IPEndPoint"/>, a <see cref="UnixDomainSocketEndPoint"/>, or a <see cref="DnsEndPoint"/>: the same as the host and port in it.
    /// </param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="ArgumentException">Another kind of end point, or <see cref="LocalEndPoint"/> is of another kind.</exception>
    /// <exception cref="DeadlineExceededException">The timeout has passed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">Refused or unreachable; the inner exception has the system's error.</exception>
    public async ValueTask<NetConnection> ConnectAsync(EndPoint endPoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        cancellationToken.ThrowIfCancellationRequested();
        return endPoint is DnsEndPoint host
            ? await ConnectAsync(host.Host, host.Port, host.AddressFamily, cancellationToken).BackToPoller()
            : await ConnectAsync(endPoint, StartGroup(), DeadlineOfAttempt(), cancellationToken).BackToPoller();
    }

    /// <summary>Connects to a host by its name or its address in text.</summary>
    /// <param name="host">The name.</param>
    /// <param name="port">1 to 65,535.</param>
    /// <param name="cancellationToken">Ends every attempt.</param>
    /// <remarks>
    /// A host with several addresses is tried at one after the other, families in turn, each beside those before it after
    /// <see cref="FallbackDelay"/> or when one has failed. The first connection wins; the others are closed (Happy Eyeballs).
    /// </remarks>
    /// <inheritdoc cref="ConnectAsync(EndPoint, CancellationToken)" path="/exception"/>
    /// <exception cref="SocketException">The name has no address, or could not be looked up; the message names it.</exception>
    public ValueTask<NetConnection> ConnectAsync(string host, int port, CancellationToken cancellationToken = default) =>
        ConnectAsync(host, port, AddressFamily.Unspecified, cancellationToken);

    private async ValueTask<NetConnection> ConnectAsync(string host, int port, AddressFamily family, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(host);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, IPEndPoint.MaxPort);
        cancellationToken.ThrowIfCancellationRequested();
        PollerGroup group = StartGroup();
        TimeProvider time = group.Pollers[0].TimeProvider;
        if (DeadlineOfAttempt() == Deadline.Past)
        {
            // Before anything is looked up or sent.
            throw TimedOut(host, port);
        }

        using AttemptTimeout timeout = new(Timeout, time);
        using CancellationTokenSource attempts = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            // A look-up may not heed its token, as the system's does not once it is under way.
            IPAddress[] addresses = IPAddress.TryParse(host, out IPAddress? literal)
                ? [literal]
                : await ResolveAsync(host, attempts.Token).BackToPoller();
            if (family != AddressFamily.Unspecified)
            {
                addresses = Array.FindAll(addresses, found => found.AddressFamily == family);
            }

            return addresses.Length == 0
                ? throw new SocketException((int)SocketError.HostNotFound, $"The host '{host}' has no address.")
                : await RaceAsync(Interleave(addresses), port, group, time, attempts).BackToPoller();
        }
        catch (OperationCanceledException) when (timeout.Token.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw TimedOut(host, port);
        }
        catch (OperationCanceledException exception) when (cancellationToken.IsCancellationRequested)
        {
            // By the caller's token, not by the one that all attempts share.
            throw new OperationCanceledException(exception.Message, exception, cancellationToken);
        }
    }

    private async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        try
        {
            return await Resolver(host, cancellationToken).WaitAsync(cancellationToken).BackToPoller();
        }
        catch (SocketException exception)
        {
            throw new SocketException((int)exception.SocketErrorCode, $"look up '{host}': {exception.Message}");
        }
    }

    /// <summary>The order of the attempts: families in turn, beginning with the first address's. RFC 8305, section 4.</summary>
    internal static List<IPAddress> Interleave(IReadOnlyList<IPAddress> addresses)
    {
        AddressFamily preferred = addresses[0].AddressFamily;
        Queue<IPAddress> first = new(addresses.Where(address => address.AddressFamily == preferred));
        Queue<IPAddress> second = new(addresses.Where(address => address.AddressFamily != preferred));
        List<IPAddress> order = new(addresses.Count);
        while (first.Count + second.Count > 0)
        {
            if (first.TryDequeue(out IPAddress? one))
            {
                order.Add(one);
            }

            if (second.TryDequeue(out IPAddress? other))
            {
                order.Add(other);
            }
        }

        return order;
    }

    private async Task<NetConnection> RaceAsync(
        List<IPAddress> addresses, int port, PollerGroup group, TimeProvider time, CancellationTokenSource attempts)
    {
        List<Task<NetConnection>> running = [];
        Exception? failure = null;
        int next = 0;
        try
        {
            while (true)
            {
                if (next < addresses.Count)
                {
                    running.Add(ConnectAsync(new IPEndPoint(addresses[next++], port), group, Deadline.None, attempts.Token).AsTask());
                }

                Task<NetConnection>? ended = await FirstToEndAsync(running, next < addresses.Count, time, attempts.Token).BackToPoller();
                if (ended is null)
                {
                    // The stagger is over: the next address runs beside those before it.
                    continue;
                }

                running.Remove(ended);
                try
                {
                    return await ended.BackToPoller();
                }
                catch (IOException exception)
                {
                    failure ??= exception;
                }

                if (running.Count == 0 && next == addresses.Count)
                {
                    throw addresses.Count == 1 ? failure : new IOException($"connect port {port}: none of {addresses.Count} addresses answered ({string.Join(", ", addresses)}).", failure);
                }
            }
        }
        finally
        {
            await attempts.CancelAsync().BackToPoller();
            foreach (Task<NetConnection> loser in running)
            {
                await CloseLoserAsync(loser).BackToPoller();
            }
        }
    }

    private async Task<Task<NetConnection>?> FirstToEndAsync(
        List<Task<NetConnection>> running, bool hasMore, TimeProvider time, CancellationToken cancellationToken)
    {
        Task<Task<NetConnection>> any = Task.WhenAny(running);
        if (!hasMore)
        {
            return await any.BackToPoller();
        }

        using CancellationTokenSource stagger = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task delay = Task.Delay(FallbackDelay, time, stagger.Token);
        Task first = await Task.WhenAny(any, delay).BackToPoller();
        await stagger.CancelAsync().BackToPoller();
        cancellationToken.ThrowIfCancellationRequested();
        return first == delay ? null : await any.BackToPoller();
    }

    // An attempt that lost may have connected all the same.
    private static async Task CloseLoserAsync(Task<NetConnection> loser)
    {
        try
        {
            await (await loser.BackToPoller()).CloseAsync().BackToPoller();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or DeadlineExceededException or ObjectDisposedException)
        {
            // It did not: nothing to close.
        }
    }

    private async ValueTask<NetConnection> ConnectAsync(EndPoint endPoint, PollerGroup group, Deadline deadline, CancellationToken cancellationToken)
    {
        Poller poller = group.Choose();
        (OperationOutcome outcome, NetFd? fd) =
            await NetFd.ConnectAsync(poller, group.Platform, endPoint, LocalEndPoint, deadline, cancellationToken).BackToPoller();
        if (outcome.IsCancelled)
        {
            throw new OperationCanceledException(cancellationToken);
        }

        if (!outcome.IsSuccess)
        {
            throw outcome.ToException("connect", endPoint);
        }

        _ = fd!.SetOption(SocketSetting.NoDelay, 1);
        return new NetConnection(fd);
    }

    private PollerGroup StartGroup()
    {
        PollerGroup group = Group ?? PollerGroup.Default;
        group.Start();
        return group;
    }

    private DeadlineExceededException TimedOut(string host, int port) => new($"connect {host}:{port}: no connection within {Timeout}.");

    private Deadline DeadlineOfAttempt() => Deadline.After(Timeout);

    /// <summary>A token that is cancelled after a time and never before it.</summary>
    /// <remarks>.NET's own timers count in coarse ticks and may be some milliseconds early: this one looks at the clock and waits on.</remarks>
    private sealed class AttemptTimeout : IDisposable
    {
        private static readonly TimeSpan ShortestTimer = TimeSpan.FromMilliseconds(1);

#pragma warning disable CA2213 // A late tick may still cancel it; without a timer of its own it holds nothing.
        private readonly CancellationTokenSource _source = new();
#pragma warning restore CA2213
        private readonly TimeProvider _time;
        private readonly TimeSpan _timeout;
        private readonly long _start;
        private readonly ITimer _timer;

        internal AttemptTimeout(TimeSpan timeout, TimeProvider time)
        {
            _time = time;
            _timeout = timeout;
            _start = time.GetTimestamp();
            _timer = time.CreateTimer(
                static state => ((AttemptTimeout)state!).Tick(), this, System.Threading.Timeout.InfiniteTimeSpan, System.Threading.Timeout.InfiniteTimeSpan);
            if (timeout <= LongestTimer)
            {
                _timer.Change(timeout, System.Threading.Timeout.InfiniteTimeSpan);
            }
        }

        internal CancellationToken Token => _source.Token;

        public void Dispose() => _timer.Dispose();

        private void Tick()
        {
            TimeSpan left = _timeout - _time.GetElapsedTime(_start);
            if (left > TimeSpan.Zero)
            {
                _timer.Change(left > ShortestTimer ? left : ShortestTimer, System.Threading.Timeout.InfiniteTimeSpan);
            }
            else
            {
                _source.Cancel();
            }
        }
    }
}
