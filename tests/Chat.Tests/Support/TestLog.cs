using NetPoll.Tests;

namespace Chat.Tests.Support;

/// <summary>What somebody heard, in order; any thread.</summary>
internal sealed class TestLog
{
    private readonly Lock _lock = new();
    private readonly List<object> _entries = [];

    public void Add(object entry)
    {
        lock (_lock)
        {
            _entries.Add(entry);
        }
    }

    public object[] All()
    {
        lock (_lock)
        {
            return [.. _entries];
        }
    }

    public T[] Of<T>() => [.. All().OfType<T>()];

    public async Task<T> Hears<T>(Func<T, bool>? which = null)
        where T : class
    {
        T? found = null;
        await Eventually.True(
            $"hearing {typeof(T).Name}",
            () => (found = Of<T>().FirstOrDefault(entry => which is null || which(entry))) is not null);
        return found!;
    }
}
