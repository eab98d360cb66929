using System.Text;
using NetPoll.Actors;

namespace Guide.Tests;

internal sealed class SpellChecker : LineConnectionActor
{
    private readonly Func<string, Task<bool>> _isKnown;

    public SpellChecker(Func<string, Task<bool>> isKnown)
        : base(maxLineLength: 100) => _isKnown = isKnown;

    protected override Task OnLine(ReadOnlySpan<byte> line) => CheckAsync(Encoding.UTF8.GetString(line));

    private async Task CheckAsync(string word)
    {
        // The next line waits until this one is answered, and the other connections do not.
        bool isKnown = await _isKnown(word);
        SendFrame(isKnown ? "yes"u8 : "no"u8);
    }

    protected override void OnFrameError(Exception exception)
    {
        SendFrame(Encoding.UTF8.GetBytes(exception.Message));
        base.OnFrameError(exception);
    }
}
