using Google.Protobuf;
using NetPoll.Actors.Framing;

namespace NetPoll.Actors;

/// <summary>A connection whose peer sends Protobuf messages, each behind its length as a varint.</summary>
/// <typeparam name="T">The message that the peer sends.</typeparam>
public abstract class ProtobufConnectionActor<T> : ConnectionActor
    where T : IMessage<T>
{
    /// <summary>Bytes of the longest message that is taken, unless told otherwise.</summary>
    public const int DefaultMaxMessageLength = 1024 * 1024;

    private readonly MessageParser<T> _parser;
    private readonly int _maxMessageLength;

    /// <summary>A connection with a parser and a limit.</summary>
    /// <param name="parser">Parses what the peer sends.</param>
    /// <param name="maxMessageLength">Bytes of the longest message that is taken; 1 or more.</param>
    protected ProtobufConnectionActor(MessageParser<T> parser, int maxMessageLength = DefaultMaxMessageLength)
    {
        ArgumentNullException.ThrowIfNull(parser);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxMessageLength);
        _parser = parser;
        _maxMessageLength = maxMessageLength;
    }

    /// <inheritdoc/>
    private protected override bool TakesFrames => true;

    /// <inheritdoc/>
    protected sealed override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        int taken = 0;
        while (!MustStopTaking)
        {
            T message;
            try
            {
                if (!VarintFrame.TryFind(bytes[taken..], _maxMessageLength, out int start, out int length))
                {
                    break;
                }

                message = _parser.ParseFrom(bytes.Slice(taken + start, length));
                taken += start + length;
            }
            catch (Exception exception) when (exception is FrameTooLargeException or InvalidDataException or InvalidProtocolBufferException)
            {
                OnFrameError(exception);
                return bytes.Length;
            }

            Await(OnFrame(message));
        }

        return taken;
    }

    /// <summary>A message has come; it is the handler's to keep.</summary>
    /// <returns>A task; until it ends the next message waits.</returns>
    protected abstract Task OnFrame(T message);

    /// <summary>
    /// The peer sent a frame that is too long (<see cref="FrameTooLargeException"/>) or no message, and nothing after it can be understood.
    /// Unless overridden this closes the connection.
    /// </summary>
    protected virtual void OnFrameError(Exception exception) => Close(CloseReason.Error);

    /// <summary>Sends a message behind its length. See <see cref="ConnectionActor.Send(ReadOnlySpan{byte})"/>.</summary>
    protected void Send(IMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        int size = message.CalculateSize();
        int total = VarintFrame.HeaderSize(size) + size;
        if (TryReserve(total, out Span<byte> room))
        {
            VarintFrame.Write(message, size, room);
            Commit(total);
        }
        else if (IsWritable)
        {
            using SharedPayload payload = SharedPayload.Delimited(message);
            Send(payload);
        }
    }
}
