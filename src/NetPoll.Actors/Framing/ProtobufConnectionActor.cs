using Google.Protobuf;

namespace NetPoll.Actors;

/// <summary>A connection whose peer sends Protobuf messages, each behind its length as a varint unless told otherwise.</summary>
/// <typeparam name="T">The message that the peer sends.</typeparam>
/// <remarks>
/// <see cref="FramedConnectionActor.OnFrameError"/> is told of a frame that is no message, too (<see cref="InvalidProtocolBufferException"/>).
/// Whoever leaves the connection open goes on with the frame behind it.
/// </remarks>
public abstract class ProtobufConnectionActor<T> : FramedConnectionActor
    where T : IMessage<T>
{
    /// <summary>Bytes of the longest message that is taken, unless told otherwise.</summary>
    public const int DefaultMaxMessageLength = Framing.DefaultMaxLength;

    private readonly MessageParser<T> _parser;

    /// <summary>A connection with a parser and a limit.</summary>
    /// <param name="parser">Parses what the peer sends.</param>
    /// <param name="maxMessageLength">Bytes of the longest message that is taken; 1 or more.</param>
    protected ProtobufConnectionActor(MessageParser<T> parser, int maxMessageLength = DefaultMaxMessageLength)
        : this(parser, Framing.LengthPrefixed(LengthPrefix.Varint, maxMessageLength))
    {
    }

    /// <summary>A connection with a parser and a framing, for peers that write the length in another way.</summary>
    /// <param name="parser">Parses what the peer sends.</param>
    /// <param name="framing">How messages are cut.</param>
    protected ProtobufConnectionActor(MessageParser<T> parser, Framing framing)
        : base(framing)
    {
        ArgumentNullException.ThrowIfNull(parser);
        _parser = parser;
    }

    /// <inheritdoc/>
    protected sealed override Task OnFrame(ReadOnlySpan<byte> frame)
    {
        T message;
        try
        {
            message = _parser.ParseFrom(frame);
        }
        catch (InvalidProtocolBufferException exception)
        {
            OnFrameError(exception);
            return Task.CompletedTask;
        }

        return OnFrame(message);
    }

    /// <summary>A message has come; it is the handler's to keep.</summary>
    /// <returns>A task; until it ends the next message waits.</returns>
    protected abstract Task OnFrame(T message);

    /// <summary>Sends a message as a frame. See <see cref="ConnectionActor.Send(ReadOnlySpan{byte})"/>.</summary>
    protected void Send(IMessage message) => SendFrame(message);
}
