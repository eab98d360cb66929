using System.Buffers;
using NetPoll.Actors.Pollers;
using NetPoll.Core.Backends;

namespace NetPoll.Actors.Listening;

/// <summary>A connection whose PROXY header has not come yet: no actor, no handler, only a place, a time and the bytes so far.</summary>
/// <remarks>
/// A stage of its own before the connection, and no layer in it: what comes after the header costs nothing more than on any other
/// connection. The poller's thread only.
/// </remarks>
internal sealed class ProxyPreamble : WatchedSocket
{
    private readonly Admission _admission;
    private readonly ProxyProtocolOptions _options;
    private byte[]? _kept;
    private int _length;

    internal ProxyPreamble(ActorPoller home, PollableSocket socket, Admission admission, ProxyProtocolOptions options)
        : base(home, socket)
    {
        _admission = admission;
        _options = options;
    }

    /// <summary>Reads what is there, which mostly is the whole header; waits for the rest.</summary>
    /// <returns>The error that kept it from being watched; nothing is left of it then.</returns>
    internal IoResult Begin()
    {
        if (!MustWait())
        {
            return IoResult.Success;
        }

        IoResult watched = Watch();
        if (!watched.IsSuccess)
        {
            Release();
            _admission.Refuse(Socket, RefusalReason.OutOfDescriptors, watched.ToString());
            return watched;
        }

        _admission.Waiting.Add(this);
        RemindAfter(_options.HeaderTimeout);
        WaitReadable();
        return IoResult.Success;
    }

    /// <summary>The server stops.</summary>
    internal void EndByShutdown() => End(RefusalReason.Stopping, detail: null);

    /// <inheritdoc/>
    protected override void OnReadable()
    {
        if (_admission.IsStopping)
        {
            // Whoever gets an actor now would not be told that the server, or the poller, stops.
            EndByShutdown();
            return;
        }

        ForgetReadiness();
        if (MustWait())
        {
            WaitReadable();
        }
    }

    /// <inheritdoc/>
    protected override void OnTimePassed() =>
        End(RefusalReason.ProxyHeaderTimeout, $"{_length} bytes came within {_options.HeaderTimeout}, and no whole PROXY header");

    /// <inheritdoc/>
    protected override void OnPollerStopped() => CloseQuietly();

    private bool MustWait()
    {
        byte[] scratch = Home.ReadScratch;
        _kept.AsSpan(0, _length).CopyTo(scratch);
        while (true)
        {
            IoResult result = Socket.Read(scratch.AsSpan(_length));
            if (result.WouldBlock)
            {
                Keep(scratch);
                return true;
            }

            if (result.Count == 0)
            {
                EndOfInput();
                return false;
            }

            _length += result.Count;
            ProxyHeader header = ProxyHeader.Parse(scratch.AsSpan(0, _length), _options.MaxHeaderBytes);
            switch (header.State)
            {
                case ProxyHeaderState.Complete:
                    Pass(header, scratch.AsSpan(header.Length, _length - header.Length));
                    return false;
                case ProxyHeaderState.Invalid:
                    End(RefusalReason.ProxyHeaderInvalid, header.Problem);
                    return false;
            }
        }
    }

    // An unfinished header is shorter than the limit, so that this always has room.
    private void Keep(byte[] scratch)
    {
        if (_length > 0)
        {
            _kept ??= ArrayPool<byte>.Shared.Rent(_options.MaxHeaderBytes);
            scratch.AsSpan(0, _length).CopyTo(_kept);
        }
    }

    private void EndOfInput()
    {
        if (_length == 0)
        {
            // Whoever only looks whether the port is open, as load balancers do, was never a client.
            CloseQuietly();
        }
        else
        {
            End(RefusalReason.ProxyHeaderInvalid, $"the connection ended after {_length} bytes of its PROXY header");
        }
    }

    private void Pass(ProxyHeader header, ReadOnlySpan<byte> received)
    {
        Release();
        if (header.Source is { } source)
        {
            Socket.SetRemoteEndPoint(source);
        }

        // Counted and logged when it fails; the acceptor meets the same error by itself.
        _ = _admission.Admit(Socket, header.Source, received);
    }

    private void End(RefusalReason reason, string? detail)
    {
        Release();
        _admission.Refuse(Socket, reason, detail);
    }

    private void CloseQuietly()
    {
        Release();
        _admission.Leave();
        _ = Socket.Close();
    }

    private void Release()
    {
        Unwatch();
        _admission.Waiting.Remove(this);
        if (_kept is { } kept)
        {
            _kept = null;
            ArrayPool<byte>.Shared.Return(kept);
        }
    }
}
