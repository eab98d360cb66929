using NetPoll.Core.Backends;

namespace NetPoll.Core.Tests.Backends;

public sealed class PollTokenTests
{
    [Theory]
    [InlineData(0, 1u)]
    [InlineData(7, uint.MaxValue)]
    [InlineData(int.MaxValue, 1u)]
    [InlineData(int.MaxValue, uint.MaxValue)]
    public void Index_and_number_survive_the_kernel_and_never_look_like_a_wake_up(int index, uint sequence)
    {
        PollToken token = PollToken.FromValue(new PollToken(index, sequence).Value);

        Assert.Equal(index, token.Index);
        Assert.Equal(sequence, token.Sequence);
        Assert.NotEqual(PollToken.Wake, token);
    }
}
