using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace NetPoll.Actors.Tests.Groups;

public sealed class SharedPayloadTests
{
    [Fact]
    public void It_holds_a_copy_until_its_last_holder_gives_it_back()
    {
        byte[] bytes = [1, 2, 3];
        SharedPayload payload = SharedPayload.Copy(bytes);
        bytes[0] = 9;
        SharedPayload second = payload.Share();

        payload.Dispose();
        Assert.Equal(new byte[] { 1, 2, 3 }, second.Memory.ToArray());
        Assert.Equal(3, second.Length);
        second.Dispose();

        Assert.Throws<ObjectDisposedException>(() => payload.Memory);
    }

    [Fact]
    public void Given_back_too_often_it_says_so()
    {
        SharedPayload payload = SharedPayload.Copy([1]);
        payload.Dispose();

        Assert.Throws<InvalidOperationException>(payload.Dispose);
        Assert.Throws<ObjectDisposedException>(() => payload.Share());
    }

    [Fact]
    public void A_message_is_encoded_behind_its_length()
    {
        StringValue message = new() { Value = new string('x', 300) };
        using MemoryStream stream = new();
        message.WriteDelimitedTo(stream);

        using SharedPayload payload = SharedPayload.Delimited(message);

        Assert.Equal(stream.ToArray(), payload.Memory.ToArray());
    }

    [Fact]
    public void Nothing_can_be_shared_too()
    {
        using SharedPayload payload = SharedPayload.Copy([]);

        Assert.Equal(0, payload.Length);
        Assert.True(payload.Memory.IsEmpty);
    }

    [Fact]
    public async Task Holders_on_many_threads_give_it_back_exactly_once()
    {
        for (int round = 0; round < 500; round++)
        {
            SharedPayload payload = SharedPayload.Copy([1, 2, 3]);
            Task[] holders = [.. Enumerable.Range(0, 4).Select(_ =>
            {
                SharedPayload mine = payload.Share();
                return Task.Run(() =>
                {
                    Assert.Equal(2, mine.Memory.Span[1]);
                    mine.Dispose();
                });
            })];
            payload.Dispose();
            await Task.WhenAll(holders);

            Assert.Throws<ObjectDisposedException>(() => payload.Memory);
        }
    }
}
