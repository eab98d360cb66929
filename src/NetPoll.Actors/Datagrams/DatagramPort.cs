using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Pollers;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;
using Proto;
using Proto.Context;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Datagrams;

/// <summary>A datagram socket on a poller: descriptor, send queue and mailbox in one object. It outlives a restart of its actor.</summary>
/// <remarks>
/// All state is its poller's thread's; other threads post messages and raise signals. This file is its life and the order of one turn,
/// <c>DatagramPort.Sending.cs</c> what is sent.
/// </remarks>
internal sealed partial class DatagramPort : PollerMailbox, IPollWaiter
{
    // A turn's share, but for the end of a batch: then the others of the poller have theirs.
    private const int DatagramsPerTurn = 256;

    // An error that is still there after so many reads is the socket's own, and would go on for ever.
    private const int MostReceiveFailures = 64;

    private static readonly DatagramSupervision Supervision = new();

    private readonly NetPollExtension _extension;
    private readonly PollableSocket _socket;
    private readonly IDatagramSocket _datagrams;
    private readonly PollDescriptor _descriptor;
    private readonly DatagramScratch _scratch;
    private readonly Alarm _alarm;
    private DatagramActor? _handler;
    private bool _isStopping;
    private bool _isClosed;
    private bool _isInTurn;

    // We are parked in the read slot, or the signal of it is on its way.
    private bool _isReadArmed;

    // The socket was not read until it was empty: no edge will come for what is left in it.
    private bool _hasUnread;

    // What was received and not handed over: the handler threw, or wanted no more. Null while that has not happened.
    private Queue<Kept>? _kept;

    // How many more the handler wants.
    private bool _isSuspended;
    private long _demand = long.MaxValue;
    private int _receiveFailures;

    private DatagramPort(NetPollExtension extension, ActorPoller home, PollableSocket socket, PollDescriptor descriptor, string id, DatagramOptions options)
        : base(extension.System, home, DefaultThroughput)
    {
        _extension = extension;
        _socket = socket;
        _datagrams = (IDatagramSocket)socket;
        _descriptor = descriptor;
        _scratch = home.DatagramScratchOf(options.MaxDatagramBytes);
        _queue = new DatagramQueue(options.MaxQueuedDatagrams, options.DropPolicy);
        _alarm = new Alarm(this);
        _isReachableByIPv6 = socket.LocalEndPoint!.AddressFamily == AddressFamily.InterNetworkV6;
        Id = id;
        Options = options;
        LocalEndPoint = (IPEndPoint)socket.LocalEndPoint;
        RemoteEndPoint = (IPEndPoint?)socket.RemoteEndPoint;
        if (RemoteEndPoint is { } remote)
        {
            _remote = new DatagramAddress(remote);
            _remoteAsIPv6 = new DatagramAddress(new IPEndPoint(remote.Address.MapToIPv6(), remote.Port));
        }
    }

    /// <summary>The PID's id.</summary>
    internal string Id { get; }

    internal DatagramOptions Options { get; }

    internal IPEndPoint LocalEndPoint { get; }

    internal IPEndPoint? RemoteEndPoint { get; }

    /// <summary>What users are given.</summary>
    internal DatagramSocket Handle => new(PID.FromAddress(System.Address, Id), LocalEndPoint) { RemoteEndPoint = RemoteEndPoint };

    /// <summary>Whether it has closed. Any thread; a moment old.</summary>
    internal bool IsClosed => Volatile.Read(ref _isClosed);

    /// <inheritdoc/>
    protected override object? SignalMessage => _isClosed ? null : DatagramSignal.Instance;

    private DatagramTraffic Traffic => Home.Datagrams;

    private bool WantsDatagrams => _handler is not null && !_isStopping && !_isClosed && !_isSuspended && _demand > 0;

    private bool HasKept => _kept is { Count: > 0 };

    /// <summary>Makes an actor for a socket. The poller's thread.</summary>
    /// <param name="extension">Told of it before there is an actor, and when it has closed.</param>
    /// <param name="home">The poller that it will live on.</param>
    /// <param name="socket">Owned by the actor from here on, and closed if none can be made.</param>
    /// <param name="id">The PID's id.</param>
    /// <param name="factory">Makes the actor, now and after a failure.</param>
    /// <param name="options">Valid.</param>
    /// <exception cref="IOException">The poller could not take the socket.</exception>
    internal static DatagramPort Spawn(
        NetPollExtension extension, ActorPoller home, PollableSocket socket, string id, Func<DatagramActor> factory, DatagramOptions options)
    {
        IoResult opened = home.Poller.Open(socket, out PollDescriptor? descriptor);
        if (!opened.IsSuccess)
        {
            EndPoint? endPoint = socket.RemoteEndPoint ?? socket.LocalEndPoint;
            _ = socket.Close();
            throw opened.ToException($"Receiving datagrams on {endPoint}");
        }

        DatagramPort port = new(extension, home, socket, descriptor!, id, options);
        home.Datagrams.Sockets++;
        try
        {
            extension.Remember(port);
            port.SpawnActor(factory);
        }
        catch
        {
            port.CloseDescriptor();
            throw;
        }

        return port;
    }

    /// <inheritdoc/>
    void IPollWaiter.Resume(PollSignals signals) => SignalAndRun((int)signals);

    /// <inheritdoc/>
    void IPollWaiter.Schedule(PollSignals signals) => Signal((int)signals);

    /// <summary>The actor has started, for the first time or again, and takes the socket. A turn.</summary>
    internal void Attach(DatagramActor handler)
    {
        _handler = handler;
        _isSuspended = false;
        _demand = long.MaxValue;
    }

    /// <summary>The signal message has reached the actor.</summary>
    internal void RunSignals()
    {
        int signals = TakeSignals();
        if ((signals & DatagramSignals.Readable) != 0)
        {
            _isReadArmed = false;
            _hasUnread = true;
        }

        if ((signals & DatagramSignals.Writable) != 0)
        {
            _isWriteArmed = false;
            SendQueued();
        }

        if (_isClosed)
        {
            return;
        }

        if ((signals & DatagramSignals.Closed) != 0)
        {
            // The poller stops.
            CloseDescriptor();
            _handler!.StopSelf();
            return;
        }

        TellNotices();
        if ((signals & DatagramSignals.Reminder) != 0)
        {
            _handler!.Reminded();
        }

        Receive();
    }

    /// <summary>Hands over nothing any more; what is to be sent is sent. A turn.</summary>
    internal void StopReceiving() => _isStopping = true;

    /// <summary>The actor has stopped: what can be sent at once is sent, and the descriptor goes. A turn.</summary>
    internal void Close()
    {
        if (_isClosed)
        {
            return;
        }

        if (Home.Poller.IsCurrent)
        {
            _scratch.Flush(this);
            SendQueued();
        }

        CloseDescriptor();
    }

    /// <summary>The actor system went away without a word: only the descriptor is left to care for. The poller's thread.</summary>
    internal void CloseWithoutActor()
    {
        if (!_isClosed)
        {
            CloseDescriptor();
        }
    }

    /// <summary>Hands over nothing, from the return of the handler on; the system keeps what has room in its buffer. The poller's thread.</summary>
    internal void SuspendReading()
    {
        _ = CheckThread();
        _isSuspended = true;
    }

    /// <summary>Hands over what comes. The poller's thread.</summary>
    internal void ResumeReading()
    {
        _ = CheckThread();
        _isSuspended = false;
        _demand = long.MaxValue;
        TakeATurn(DatagramSignals.LeftOver);
    }

    /// <summary>Hands over so many more. The poller's thread.</summary>
    internal void Demand(long count)
    {
        _ = CheckThread();
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        long left = _demand == long.MaxValue ? 0 : _demand;
        _demand = count > long.MaxValue - 1 - left ? long.MaxValue - 1 : left + count;
        _isSuspended = false;
        TakeATurn(DatagramSignals.LeftOver);
    }

    /// <summary>The handler is reminded (<see cref="DatagramActor.Reminded"/>) at a time of the poller's clock; replaces an earlier time. A turn.</summary>
    internal void RemindAt(long due) => Home.Poller.Wheel.Arm(_alarm, due);

    /// <inheritdoc/>
    protected override void SendUserMessage(PID pid, object message)
    {
        // From its own poller a datagram needs no turn: it is gathered where it will leave. So what a peer's actor says at its end is sent, too.
        if (Home.Poller.IsCurrent && !_isClosed && MessageEnvelope.UnwrapMessage(message) is SendDatagram send)
        {
            Obey(send);
        }
        else
        {
            base.SendUserMessage(pid, message);
        }
    }

    /// <inheritdoc/>
    // One that only moves datagrams never awaits, and needs nothing to come back by.
    protected override bool MayAwait(object message) => message is not (DatagramSignal or Started);

    /// <inheritdoc/>
    protected override void BeginTurn(ActorPoller home) => _isInTurn = true;

    /// <inheritdoc/>
    protected override void EndTurn(ActorPoller home)
    {
        _isInTurn = false;
        if (!WantsDatagrams)
        {
            return;
        }

        if (_hasUnread || HasKept)
        {
            SignalNextTurn(DatagramSignals.LeftOver);
        }
        else if (!_isReadArmed)
        {
            home.Poller.Arm(_descriptor, PollMode.Read);
            PollSignals signals = _descriptor.Arm(PollMode.Read, this);
            _isReadArmed = signals == PollSignals.None;
            if (!_isReadArmed)
            {
                SignalNextTurn((int)signals);
            }
        }
    }

    /// <inheritdoc/>
    protected override void OnFailure(Exception exception, object? message) => Log.DatagramHandlerFailed(
        Home.Logger,
        exception,
        Id,
        message is DatagramSignal ? "datagrams" : MessageEnvelope.UnwrapMessage(message!)?.GetType().Name ?? "nothing");

    private void SpawnActor(Func<DatagramActor> factory)
    {
        Props props = Props.FromProducer(() => Make(factory))
            .WithStartDeadline(TimeSpan.Zero)
            .WithGuardianSupervisorStrategy(Supervision)
            .WithSpawner((_, _, props, parent, _) => Register(props, parent));
        _ = System.Root.SpawnNamed(props, Id);
    }

    private PID Register(Props props, PID? parent)
    {
        (PID pid, bool isNew) = System.ProcessRegistry.TryAdd(Id, this);
        if (!isNew)
        {
            throw new ProcessNameExistException(Id, pid);
        }

        try
        {
            // Runs the producer, and so the user's constructor.
            RegisterHandlers(ActorContext.Setup(System, props, parent, pid, this), props.Dispatcher);
        }
        catch
        {
            System.ProcessRegistry.Remove(pid);
            throw;
        }

        PostSystemMessage(Started.Instance);
        Start();
        return pid;
    }

    private DatagramActor Make(Func<DatagramActor> factory)
    {
        DatagramActor actor = factory() ?? throw new InvalidOperationException($"The factory made no actor for {Id}; expected a {nameof(DatagramActor)}.");
        actor.Give(this);
        return actor;
    }

    private void Receive()
    {
        int budget = DatagramsPerTurn;
        while (HasKept && WantsDatagrams && budget > 0)
        {
            budget--;
            Kept kept = _kept!.Dequeue();
            HandOver(kept.Datagram, kept.Bytes);
        }

        if (!_hasUnread || !WantsDatagrams || budget == 0)
        {
            return;
        }

        _descriptor.ForgetReadiness(PollMode.Read);
        DatagramBatch batch = _scratch.Received;
        while (WantsDatagrams && budget > 0)
        {
            IoResult result = _datagrams.ReceiveBatch(batch);
            if (result.WouldBlock)
            {
                _receiveFailures = 0;
                _hasUnread = false;
                return;
            }

            if (!result.IsSuccess)
            {
                budget--;
                ReceiveFailed(result);
                continue;
            }

            // A batch that is not full has emptied the queue, unless an error stands behind it, which only connected sockets are told.
            _receiveFailures = 0;
            _hasUnread = result.Count == batch.Capacity || IsConnected;
            budget -= result.Count;
            Deliver(batch);
            if (!_hasUnread)
            {
                return;
            }
        }
    }

    private void Deliver(DatagramBatch batch)
    {
        int next = 0;
        try
        {
            while (next < batch.Count && WantsDatagrams)
            {
                int index = next++;
                ReceivedDatagram datagram = batch[index];
                HandOver(datagram, batch.Slot(index)[..datagram.Count]);
            }
        }
        finally
        {
            // One that the handler fails on costs it no other.
            for (; next < batch.Count; next++)
            {
                (_kept ??= new Queue<Kept>()).Enqueue(new Kept(batch[next], batch.Payload(next).ToArray()));
            }

            Poison(batch);
        }
    }

    private void HandOver(in ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
        DatagramTraffic traffic = Traffic;
        _received++;
        _bytesReceived += bytes.Length;
        traffic.Received++;
        traffic.BytesReceived += bytes.Length;
        if (datagram.IsTruncated)
        {
            _truncated++;
        }

        if (_demand != long.MaxValue)
        {
            _demand--;
        }

        _handler!.Receive(datagram, bytes);
    }

    private void ReceiveFailed(IoResult result)
    {
        bool isRefusal = PollErrors.Classify(result.NativeError) == PollErrorClass.Refused;
        if (!isRefusal && ++_receiveFailures >= MostReceiveFailures)
        {
            Log.DatagramSocketFailed(Home.Logger, Id, LocalEndPoint, result.Error, result.NativeError);
            CloseDescriptor();
            _handler!.StopSelf();
            return;
        }

        // What one that is not connected has sent to anybody, and was refused, is nobody's.
        if (IsConnected)
        {
            _refused++;
            _handler!.Refuse(result.Error);
        }
    }

    // What a verb changed outside a turn takes effect in one; inside, at the turn's end.
    private void TakeATurn(int signal)
    {
        if (!_isInTurn)
        {
            Signal(signal);
        }
    }

    private ActorPoller CheckThread()
    {
        ActorPoller home = Home;
        return home.Poller.IsCurrent
            ? home
            : throw new InvalidOperationException(
                $"A datagram socket can be used on its poller's thread ({home.Poller}) only: from its actor's callbacks, and from what they await without ConfigureAwait(false). Elsewhere send its PID a {nameof(SendDatagram)}.");
    }

    private void CloseDescriptor()
    {
        Volatile.Write(ref _isClosed, true);
        ActorPoller home = Home;
        _ = _descriptor.TryWithdraw(PollMode.Read, this);
        _ = _descriptor.TryWithdraw(PollMode.Write, this);
        home.Poller.Evict(_descriptor);
        home.Poller.Release(_descriptor);
        _ = _socket.Close();
        if (_alarm.IsInWheel && home.Poller.IsCurrent)
        {
            home.Poller.Wheel.Cancel(_alarm);
        }

        DropQueue();
        _kept = null;
        home.Datagrams.Sockets--;
        _extension.Forget(this);
    }

    // A handler that keeps the bytes it was lent reads rubbish at once, and not only under load.
    [System.Diagnostics.Conditional("DEBUG")]
    private static void Poison(DatagramBatch batch)
    {
        for (int index = 0; index < batch.Count; index++)
        {
            batch.Slot(index).Fill(0xDB);
        }
    }

    private readonly record struct Kept(ReceivedDatagram Datagram, byte[] Bytes);

    /// <summary>The time that the handler asked to be reminded at.</summary>
    private sealed class Alarm(DatagramPort port) : DeadlineNode, IPollWaiter
    {
        public void Resume(PollSignals signals) => port.SignalAndRun(DatagramSignals.Reminder);

        public void Schedule(PollSignals signals) => port.Signal(DatagramSignals.Reminder);

        internal override void OnDue(long now, ReadyList ready) => ready.Add(this, PollSignals.None);
    }

    /// <summary>
    /// An actor that throws is made anew and goes on with the same socket: no datagram hangs on another. One that fails at its beginning is
    /// stopped, or it would begin for ever.
    /// </summary>
    private sealed class DatagramSupervision : ISupervisorStrategy
    {
        public void HandleFailure(ISupervisor supervisor, PID child, RestartStatistics rs, Exception cause, object? message)
        {
            if (message is Started or Restart)
            {
                supervisor.StopChildren(child);
            }
            else
            {
                supervisor.RestartChildren(cause, child);
            }
        }
    }
}
