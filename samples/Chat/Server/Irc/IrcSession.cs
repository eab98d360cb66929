using System.Net;
using System.Text;
using Chat.Domain;
using Chat.Server.Doors;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;

namespace Chat.Server.Irc;

/// <summary>One IRC client's connection: lines to its <see cref="IrcConversation"/> and back, and its time limits.</summary>
/// <remarks>
/// Until the client has its name the registration deadline runs, which no byte prolongs. After that, silence is measured: half of the
/// idle timeout brings a PING, the other half the end. Who does not take what is sent is cut off by the connection's own limits.
/// </remarks>
internal sealed class IrcSession : LineConnectionActor
{
    /// <summary>Bytes of the tags that a client may send before its line, with the '@' and the blank.</summary>
    private const int MaxTagBytes = 4096;

    /// <summary>Bytes of tags and line that are read at all: whoever sends more is not answered any more, but sent away.</summary>
    private const int MaxLineBytes = 2 * (MaxTagBytes + IrcLines.MaxBytes);

    private readonly ChatDomain _chat;
    private readonly ServerOptions _options;
    private readonly IrcOptions _irc;
    private readonly Admission _admission;
    private readonly ILogger _logger;
    private IrcConversation? _conversation;
    private bool _isAdmitted;
    private string _name = "a stranger";
    private string? _whyClosed;

    // A PING is out, and no line has come since.
    private bool _isPinged;

    public IrcSession(ChatDomain chat, ServerOptions options, IrcOptions irc, Admission admission, ILogger logger)
        : base(MaxLineBytes)
    {
        _chat = chat;
        _options = options;
        _irc = irc;
        _admission = admission;
        _logger = logger;
    }

    protected override void OnConnected()
    {
        string address = (RemoteEndPoint as IPEndPoint)?.Address.ToString() ?? "";
        _conversation = new IrcConversation(_chat, _irc, Context.Self, address);
        _isAdmitted = _admission.TryEnter((RemoteEndPoint as IPEndPoint)?.Address, out string? refusal);
        if (_isAdmitted)
        {
            SetReadDeadline(Deadline.After(_options.RegistrationTimeout));
        }
        else
        {
            End(refusal!, CloseReason.Error);
        }
    }

    protected override Task OnLine(ReadOnlySpan<byte> line)
    {
        _isPinged = false;
        int tags = line.StartsWith("@"u8) ? line.IndexOf((byte)' ') + 1 : 0;
        int untagged = line.Length - tags;
        if (tags > MaxTagBytes)
        {
            _conversation!.RefuseLine($"Tags of {tags} bytes exceed the limit of {MaxTagBytes}");
        }
        else if (untagged > IrcLines.MaxBytes)
        {
            _conversation!.RefuseLine($"A line of {untagged} bytes exceeds the limit of {IrcLines.MaxBytes}");
        }
        else
        {
            _conversation!.Take(Encoding.UTF8.GetString(line[tags..]));
        }

        if (_conversation.IsClaiming)
        {
            SuspendReading();
        }

        Flush();
        return Task.CompletedTask;
    }

    protected override Task OnMessage(object message)
    {
        if (message is Disconnect disconnect)
        {
            End(disconnect.Reason, CloseReason.Aborted, disconnect.ForOthers);
            return Task.CompletedTask;
        }

        _conversation!.Take(message);
        if (!_conversation.IsClaiming)
        {
            ResumeReading();
        }

        if (message is NameClaimed claimed && _conversation.IsRegistered)
        {
            _name = claimed.Person.Name;
            SetReadDeadline(Deadline.None);
            IdleTimeout = _options.IdleTimeout / 2;
            Log.CameIn(_logger, _name, RemoteEndPoint, "IRC");
        }
        else if (message is NameChanged changed)
        {
            Log.Renamed(_logger, _name, RemoteEndPoint, changed.Person.Name);
            _name = changed.Person.Name;
        }

        Flush();
        return Task.CompletedTask;
    }

    protected override void OnFrameError(Exception exception)
    {
        string why = exception is FrameTooLargeException tooLarge
            ? $"a line of {tooLarge.Size} bytes or more exceeds the limit of {tooLarge.Limit}, tags included"
            : exception.Message;
        End(why, CloseReason.Error);
    }

    protected override void OnDeadline(DeadlineKind kind)
    {
        switch (kind)
        {
            case DeadlineKind.Read:
                End($"no name was asked for and given within {_options.RegistrationTimeout.TotalSeconds} s", CloseReason.DeadlineExceeded);
                break;

            // Perhaps they say nothing because they are busy taking what waits for them: the write timeout watches over that.
            case DeadlineKind.Idle when OutputBytes > 0:
                break;
            case DeadlineKind.Idle when !_isPinged:
                _isPinged = true;
                Send(Encoding.UTF8.GetBytes($"PING :{_irc.ServerName}\r\n"));
                break;
            case DeadlineKind.Idle:
                End(
                    $"nothing was received within {_options.IdleTimeout.TotalSeconds} s, not even an answer to a PING",
                    CloseReason.HeartbeatMissed,
                    Farewells.PingTimeout(_options.IdleTimeout));
                break;
            default:
                _whyClosed = $"took nothing of {OutputBytes} waiting bytes within {_options.WriteTimeout.TotalSeconds} s";
                base.OnDeadline(kind);
                break;
        }
    }

    protected override void OnPeerClosed()
    {
        // Now, not when the last byte is sent: the name is free as soon as its owner is gone.
        _conversation!.Leave("the connection was closed");
        base.OnPeerClosed();
    }

    /// <summary>It reads too little: a last word that it may still see, long before it is cut off.</summary>
    protected override void OnWritesSuspended()
    {
        _conversation!.Tell(ConnectionLimits.TooSlow(_options, OutputBytes));
        Flush();
    }

    protected override void OnShutdown() => End("the server stops", CloseReason.Shutdown);

    protected override void OnClosed(ConnectionClosed closed)
    {
        if (_isAdmitted)
        {
            _admission.Leave((RemoteEndPoint as IPEndPoint)?.Address);
        }

        string why = _whyClosed ?? Farewells.Why(closed);
        _conversation?.Leave(Farewells.ForOthers(closed, why));
        Farewells.Report(_logger, _name, RemoteEndPoint, closed.Reason, why);
    }

    private void Flush()
    {
        IrcLines output = _conversation!.TakeOutput();
        if (!output.IsEmpty)
        {
            Send(output.Bytes);
        }

        if (_conversation.Ending is { } why)
        {
            _whyClosed ??= why;
            Close();
        }
    }

    private void End(string why, CloseReason reason, string? forOthers = null)
    {
        _conversation!.End(why, forOthers ?? why);
        _whyClosed = why;
        Send(_conversation.TakeOutput().Bytes);
        Close(reason);
    }
}
