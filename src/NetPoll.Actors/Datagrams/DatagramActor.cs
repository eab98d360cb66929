using System.Net;
using System.Net.Sockets;
using NetPoll.Actors.Datagrams;
using NetPoll.Core;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors;

/// <summary>A UDP socket as an actor; inherit from it to write a server or a client.</summary>
/// <remarks>
/// <para>
/// <see cref="OnBound"/> comes first. Then <see cref="OnDatagram"/> for what is received, up to 64 datagrams with one system call, and
/// <see cref="OnMessage"/> for what others send to the PID, in any order and never two at once; <see cref="OnStopping"/> is the last. What the
/// callbacks send leaves together, some tens of microseconds later at most.
/// </para>
/// <para>
/// Everything runs on the socket's poller's thread, so nothing here may block. An <c>await</c> in <see cref="OnMessage"/> comes back to that thread;
/// until the task ends this actor is given nothing else, and datagrams wait in the system's buffer, as far as it has room.
/// </para>
/// <para>
/// A callback that throws costs the one datagram: a new actor is made, which goes on with the same socket and PID; children are stopped. One
/// that throws in <see cref="OnBound"/> is stopped. Anybody may send the PID a <see cref="SendDatagram"/> or <see cref="GetDatagramStatistics"/>, which do not come to
/// <see cref="OnMessage"/>.
/// </para>
/// </remarks>
public abstract class DatagramActor : IActor
{
    private DatagramPort? _port;
    private IContext? _context;

    /// <summary>The actor's context. In this actor's own callbacks only.</summary>
    protected IContext Context => _context ?? throw NotBound();

    /// <summary>Where the socket is bound, with the port that the system chose if none was given.</summary>
    protected IPEndPoint LocalEndPoint => Port.LocalEndPoint;

    /// <summary>The only peer of a connected socket; otherwise null.</summary>
    protected IPEndPoint? RemoteEndPoint => Port.RemoteEndPoint;

    /// <summary>Datagrams that wait because the system takes none.</summary>
    protected int QueuedDatagrams => Port.Queued;

    /// <summary>The framework's object.</summary>
    private protected DatagramPort Port => _port ?? throw NotBound();

    /// <summary>Takes a message from the mailbox; the callbacks are the place for code.</summary>
    public Task ReceiveAsync(IContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        object? message = context.Message;
        if (ReferenceEquals(message, DatagramSignal.Instance))
        {
            _port!.RunSignals();
            return Task.CompletedTask;
        }

        switch (message)
        {
            case Started:
                Start(context);
                break;
            case Stopping:
                Stop();
                break;
            case Stopped:
                // The children have stopped by now, so what they said at their end is sent.
                _port!.Close();
                break;
            case SendDatagram send:
                _port!.Obey(send);
                break;
            case GetDatagramStatistics:
                if (context.Sender is not null)
                {
                    context.Respond(_port!.Statistics);
                }

                break;
            case Terminated or ReceiveTimeout:
                goto default;
            case InfrastructureMessage:
                break;
            default:
                Await(OnMessage(message!));
                break;
        }

        return Task.CompletedTask;
    }

    internal void Give(DatagramPort port) => _port = port;

    internal void StopSelf() => Context.Stop(Context.Self);

    internal void Receive(in ReceivedDatagram datagram, ReadOnlySpan<byte> bytes) => OnDatagram(datagram, bytes);

    internal void Refuse(SocketError error) => OnRefused(error);

    internal void Fail(DatagramAddress to, SocketError error) => OnSendFailed(to, error);

    internal void Drop(long count) => OnDropped(count);

    /// <summary>The time given to <see cref="DatagramPort.RemindAt"/> has come.</summary>
    internal virtual void Reminded()
    {
    }

    /// <summary>The socket is there, and datagrams may be sent. After a failure of this actor its successor is called so again.</summary>
    protected virtual void OnBound()
    {
    }

    /// <summary>A datagram has come.</summary>
    /// <param name="datagram">Who sent it, its length, and whether it was longer than <see cref="DatagramOptions.MaxDatagramBytes"/>.</param>
    /// <param name="bytes">Its bytes, perhaps none. Lent: the memory is another datagram's as soon as this returns.</param>
    protected virtual void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>Somebody sent a message to this socket's PID, or an actor that it watches, or a child, has ended (<see cref="Terminated"/>).</summary>
    /// <returns>A task; while it is unfinished the actor is given nothing else, and its poller goes on with the others.</returns>
    protected virtual Task OnMessage(object message) => Task.CompletedTask;

    /// <summary>The peer of a connected socket refuses what was sent to it (ICMP); once for each refusal. The socket goes on as before.</summary>
    /// <param name="reason">As a rule <see cref="SocketError.ConnectionRefused"/>: nobody listens there.</param>
    protected virtual void OnRefused(SocketError reason)
    {
    }

    /// <summary>The system would not send a datagram. It concerns no other datagram.</summary>
    /// <param name="peer">Whom it was for; the default value for a connected socket's peer.</param>
    /// <param name="reason">Why: too long, no way to that network, no permission, or no such address for this socket.</param>
    protected virtual void OnSendFailed(DatagramAddress peer, SocketError reason)
    {
    }

    /// <summary>More was to be sent than the system takes and the socket keeps, and datagrams were dropped: <see cref="DatagramOptions.DropPolicy"/>.</summary>
    /// <param name="count">How many since the last call.</param>
    protected virtual void OnDropped(long count)
    {
    }

    /// <summary>The socket stops: nothing is received any more, and what is sent here leaves as far as the system takes it. An exception is logged.</summary>
    protected virtual void OnStopping()
    {
    }

    /// <summary>Sends a datagram: its bytes are copied. What the system has no room for waits; what it would not send is told. That it arrives nobody promises.</summary>
    /// <param name="bytes">Perhaps none.</param>
    /// <param name="to">Whom to send to; the default value for a connected socket's peer.</param>
    /// <exception cref="ArgumentException">No address, one of another kind than the socket's, or another than a connected socket's peer.</exception>
    protected void Send(ReadOnlySpan<byte> bytes, DatagramAddress to = default) => Port.Send(bytes, to);

    /// <summary>
    /// No datagram is given any more once the running callback has returned; a new actor after a failure is given them again. What comes waits
    /// in the system's buffer as far as it has room.
    /// </summary>
    protected void SuspendReading() => Port.SuspendReading();

    /// <summary>Datagrams are given again, as they come.</summary>
    protected void ResumeReading() => Port.ResumeReading();

    /// <summary>Receives on demand from now on: so many more datagrams, then none until more are demanded. Demands add up; <see cref="ResumeReading"/> ends it.</summary>
    /// <param name="count">1 or more.</param>
    protected void Demand(long count) => Port.Demand(count);

    /// <summary>Closes the socket and stops the actor, after its children.</summary>
    protected void Close() => StopSelf();

    private void Await(Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            _port!.Park(task);
        }
    }

    private void Start(IContext context)
    {
        _context = context;
        if (_port is null)
        {
            throw new InvalidOperationException(
                $"{GetType().Name} was spawned like any other actor; a {nameof(DatagramActor)} gets its socket by {nameof(NetPollExtension.BindDatagramsAsync)} or {nameof(NetPollExtension.ConnectDatagramsAsync)}.");
        }

        _port.Attach(this);
        OnBound();
    }

    private void Stop()
    {
        _port!.StopReceiving();
        try
        {
            OnStopping();
        }
#pragma warning disable CA1031 // The stop goes on, and the descriptor is closed at its end.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.StoppingDatagramHandlerFailed(Port.Home.Logger, exception, Port.Id);
        }
    }

    private InvalidOperationException NotBound() => new($"{GetType().Name} has no socket yet: wait for {nameof(OnBound)}.");
}
