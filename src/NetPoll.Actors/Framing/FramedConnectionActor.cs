using System.Buffers;
using Google.Protobuf;
using NetPoll.Actors.Connections;
using NetPoll.Actors.Frames;

namespace NetPoll.Actors;

/// <summary>A connection whose peer sends frames.</summary>
/// <remarks>
/// <para>
/// A frame is looked at where it was received, and copied before only if it came in more than one read. The next one is taken when the task of
/// <see cref="OnFrame"/> has ended.
/// </para>
/// <para>
/// <see cref="Framing"/> may be changed at any time, by a handler of frames for what is behind its own frame: a handshake of lines, say, and
/// length-prefixed frames from then on.
/// </para>
/// </remarks>
public abstract class FramedConnectionActor : ConnectionActor
{
    // What is sent while earlier output waits is copied anyway; up to here by way of the stack.
    private const int StackSize = 512;

    private FrameScanner _scanner;

    /// <summary>A connection that begins with a framing.</summary>
    /// <param name="framing">
    /// How frames are cut; shared by as many connections as you like. Its limit should not be above
    /// <see cref="ConnectionOptions.MaxInputBytes"/>, which bounds what is kept of a frame that has not come to its end.
    /// </param>
    protected FramedConnectionActor(Framing framing) => _scanner = new FrameScanner(framing);

    /// <summary>
    /// How frames are cut, and what is written around those that are sent. Another one holds for everything behind the last frame that
    /// <see cref="OnFrame"/> was given, whether it has been received already or not, and for what is sent from now on.
    /// </summary>
    protected Framing Framing
    {
        get => _scanner.Framing;
        set
        {
            _scanner.Framing = value;
            OfferAgain();
        }
    }

    /// <inheritdoc/>
    private protected override bool TakesFrames => true;

    /// <inheritdoc/>
    protected sealed override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        int taken = 0;
        while (!MustStopTaking)
        {
            ReadOnlySpan<byte> rest = bytes[taken..];
            FrameBounds frame;
            try
            {
                if (!_scanner.TryFind(rest, out frame))
                {
                    break;
                }
            }
            catch (Exception exception) when (exception is FrameTooLargeException or InvalidDataException)
            {
                OnFrameError(exception);
                return bytes.Length;
            }

            taken += frame.Consumed;
            CountMessage();
            Await(OnFrame(rest.Slice(frame.Start, frame.Length)));
        }

        return taken;
    }

    /// <inheritdoc/>
    internal sealed override int ReceivePooled(PooledConnection connection, ReadOnlySpan<byte> bytes)
    {
        // One, as if its handler awaited: the rest is offered again when it has ended.
        FrameBounds frame;
        try
        {
            if (connection.MustStopTaking || !_scanner.TryFind(bytes, out frame))
            {
                return 0;
            }
        }
        catch (Exception exception) when (exception is FrameTooLargeException or InvalidDataException)
        {
            connection.Run(() => OnFrameError(exception));
            return bytes.Length;
        }

        connection.CountMessage();
        byte[] copy = bytes.Slice(frame.Start, frame.Length).ToArray();
        connection.Run(() => OnFrame(copy));
        return frame.Consumed;
    }

    /// <summary>A frame has come.</summary>
    /// <param name="frame">Without what stands around it. Lent: copy what outlives the call, or what is used after an await.</param>
    /// <returns>A task; until it ends the next frame waits.</returns>
    protected abstract Task OnFrame(ReadOnlySpan<byte> frame);

    /// <summary>
    /// The peer sent a frame that is too long (<see cref="FrameTooLargeException"/>) or bytes that are no frame. Unless overridden this closes
    /// the connection. What was received with them is thrown away, so whoever goes on does so with the bytes that come next.
    /// </summary>
    protected virtual void OnFrameError(Exception exception) => Close(CloseReason.Error);

    /// <summary>Sends a frame, with what stands around it. See <see cref="ConnectionActor.Send(ReadOnlySpan{byte})"/>.</summary>
    /// <exception cref="ArgumentException">The peer could not find the end of this frame: it is too long for its prefix, or holds the delimiter.</exception>
    protected void SendFrame(ReadOnlySpan<byte> frame) =>
        SendFrame(frame.Length, frame, static (room, frame) => frame.CopyTo(room));

    /// <summary>Sends a message as a frame.</summary>
    protected void SendFrame(IMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        SendFrame(message.CalculateSize(), message, static (room, message) => message.WriteTo(room));
    }

    /// <summary>Sends a frame that is written where it leaves from.</summary>
    /// <param name="length">Bytes of the frame.</param>
    /// <param name="state">What <paramref name="write"/> needs; so that it can be <c>static</c>, and nothing is allocated.</param>
    /// <param name="write">Writes all bytes of the frame, at once; it must not send.</param>
    /// <exception cref="ArgumentException">The peer could not find the end of this frame; nothing is sent.</exception>
    protected void SendFrame<TState>(int length, TState state, SpanAction<byte, TState> write)
        where TState : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(write);
        Framing framing = _scanner.Framing;
        int size = framing.EncodedSize(length);
        if (TryReserve(size, out Span<byte> room))
        {
            framing.Encode(length, state, write, room);
            Commit(size);
        }
        else if (IsWritable)
        {
            SendApart(framing, size, length, state, write);
        }
    }

    // Outside a turn, on another thread, or while earlier output waits, or too long for the scratch.
    private void SendApart<TState>(Framing framing, int size, int length, TState state, SpanAction<byte, TState> write)
        where TState : allows ref struct
    {
        if (size <= StackSize)
        {
            Span<byte> room = stackalloc byte[StackSize];
            framing.Encode(length, state, write, room);
            Send(room[..size]);
        }
        else
        {
            using SharedPayload payload = SharedPayload.Framed(framing, length, state, write);
            Send(payload);
        }
    }
}
