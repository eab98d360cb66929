using System.Net;
using Chat.Domain;
using Chat.Protocol;
using Chat.Server.Doors;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;

namespace Chat.Server.Protobuf;

/// <summary>One client's connection: translates between its frames and its <see cref="Session"/>, and keeps its time limits.</summary>
/// <remarks>
/// Until the client has its name the registration deadline runs, which no byte prolongs. After that, silence is measured: half of the
/// idle timeout brings a Ping, the other half a Goodbye. Who does not take what is sent is cut off by the connection's own limits.
/// </remarks>
internal sealed class ProtobufSession : ProtobufConnectionActor<ClientFrame>
{
    private readonly ChatDomain _chat;
    private readonly ServerOptions _options;
    private readonly Admission _admission;
    private readonly ILogger _logger;
    private Session? _session;
    private bool _isAdmitted;

    // For the log.
    private string _name = "a stranger";
    private string _client = "";
    private string? _whyClosed;

    private ulong _pings;

    // A Ping is out, and no frame has come since.
    private bool _isPinged;

    public ProtobufSession(ChatDomain chat, ServerOptions options, Admission admission, ILogger logger)
        : base(ClientFrame.Parser, ChatProtocol.MaxClientFrameBytes)
    {
        _chat = chat;
        _options = options;
        _admission = admission;
        _logger = logger;
    }

    protected override void OnConnected()
    {
        _session = new Session(_chat, Context.Self, ProtobufDoor.DoorName, (RemoteEndPoint as IPEndPoint)?.Address.ToString() ?? "");
        _isAdmitted = _admission.TryEnter((RemoteEndPoint as IPEndPoint)?.Address, out string? refusal);
        if (_isAdmitted)
        {
            SetReadDeadline(Deadline.After(_options.RegistrationTimeout));
        }
        else
        {
            Send(Frames.Error(0, ErrorCode.TooManyConnections, refusal!));
            End(refusal!, CloseReason.Error);
        }
    }

    protected override Task OnFrame(ClientFrame frame)
    {
        _isPinged = false;
        if (frame.BodyCase == ClientFrame.BodyOneofCase.Hello)
        {
            _client = ChatRules.Quote(frame.Hello.Client);
        }

        switch (Requests.Take(_session!, frame))
        {
            case null:
                break;
            case { BodyCase: ServerFrame.BodyOneofCase.Goodbye } goodbye:
                Quit(goodbye);
                break;
            case { BodyCase: ServerFrame.BodyOneofCase.Error, ReplyTo: 0 } error:
                // It cannot be told which request was refused, so the conversation cannot go on.
                Send(error);
                End(error.Error.Text, CloseReason.Error);
                break;
            case { } answer:
                Send(answer);
                break;
        }

        return Task.CompletedTask;
    }

    protected override Task OnMessage(object message)
    {
        if (message is Disconnect disconnect)
        {
            End(disconnect.Reason, CloseReason.Aborted, disconnect.ForOthers);
            return Task.CompletedTask;
        }

        _session!.Observe(message);
        if (message is NameClaimed { Person.Name: { } name } && _session.Person is not null)
        {
            _name = name;
            SetReadDeadline(Deadline.None);
            IdleTimeout = _options.IdleTimeout / 2;
            Log.CameIn(_logger, name, RemoteEndPoint, _client);
        }
        else if (message is Domain.NameChanged changed)
        {
            Log.Renamed(_logger, _name, RemoteEndPoint, changed.Person.Name);
            _name = changed.Person.Name;
        }

        if (Frames.FromMessage(message, _chat.Options, _options.MessageOfTheDay) is { } frame)
        {
            Send(frame);
        }

        return Task.CompletedTask;
    }

    protected override void OnFrameError(Exception exception)
    {
        (ErrorCode code, string text) = exception is FrameTooLargeException tooLarge
            ? (ErrorCode.FrameTooLarge, $"a frame of {tooLarge.Size} bytes exceeds the limit of {tooLarge.Limit}")
            : (ErrorCode.MalformedFrame, $"these bytes are no ClientFrame: {exception.Message}");
        Send(Frames.Error(0, code, text));
        End(text, CloseReason.Error);
    }

    protected override void OnDeadline(DeadlineKind kind)
    {
        switch (kind)
        {
            case DeadlineKind.Read:
                End($"no name was asked for and given within {Seconds(_options.RegistrationTimeout)}", CloseReason.DeadlineExceeded);
                break;

            // Perhaps they say nothing because they are busy taking what waits for them: the write timeout watches over that.
            case DeadlineKind.Idle when OutputBytes > 0:
                break;
            case DeadlineKind.Idle when !_isPinged:
                _isPinged = true;
                Send(new ServerFrame { Ping = new Ping { Token = ++_pings } });
                break;
            case DeadlineKind.Idle:
                End(
                    $"nothing was received within {Seconds(_options.IdleTimeout)}, not even an answer to a ping",
                    CloseReason.HeartbeatMissed,
                    Farewells.PingTimeout(_options.IdleTimeout));
                break;
            default:
                _whyClosed = $"took nothing of {OutputBytes} waiting bytes within {Seconds(_options.WriteTimeout)}";
                base.OnDeadline(kind);
                break;
        }
    }

    protected override void OnPeerClosed()
    {
        // Now, not when the last byte is sent: the name is free as soon as its owner is gone.
        _session!.End("the connection was closed");
        base.OnPeerClosed();
    }

    /// <summary>It reads too little: a last word that it may still see, long before it is cut off.</summary>
    protected override void OnWritesSuspended()
        => Send(new ServerFrame { Notice = new Notice { Text = ConnectionLimits.TooSlow(_options, OutputBytes) } });

    protected override void OnShutdown() => End("the server stops", CloseReason.Shutdown);

    protected override void OnClosed(ConnectionClosed closed)
    {
        if (_isAdmitted)
        {
            _admission.Leave((RemoteEndPoint as IPEndPoint)?.Address);
        }

        string why = _whyClosed ?? Farewells.Why(closed);
        _session?.End(Farewells.ForOthers(closed, why));
        Farewells.Report(_logger, _name, RemoteEndPoint, closed.Reason, why);
    }

    private static string Seconds(TimeSpan time) => $"{time.TotalSeconds} s";

    private void Quit(ServerFrame goodbye)
    {
        Send(goodbye);
        Close();
    }

    private void End(string why, CloseReason reason, string? forOthers = null)
    {
        _session!.End(forOthers ?? why);
        _whyClosed = why;
        Send(new ServerFrame { Goodbye = new Goodbye { Reason = why, MayReturn = reason == CloseReason.Shutdown } });
        Close(reason);
    }
}
