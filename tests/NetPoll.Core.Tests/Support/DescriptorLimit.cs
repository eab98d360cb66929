using System.Runtime.InteropServices;

namespace NetPoll.Core.Tests.Support;

/// <summary>How many descriptors this process may open, lowered for a while. For tests that run alone.</summary>
internal static partial class DescriptorLimit
{
    private const int Resource = 7;

    /// <summary>Disposing the result restores it.</summary>
    internal static IDisposable Lower(int limit)
    {
        Assert.Equal(0, GetLimit(Resource, out Limits before));
        Limits lowered = before with { Soft = (nuint)limit };
        Assert.Equal(0, SetLimit(Resource, in lowered));
        return new Restore(before);
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limits limits);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in Limits limits);

    private record struct Limits(nuint Soft, nuint Hard);

    private sealed class Restore(Limits before) : IDisposable
    {
        public void Dispose() => Assert.Equal(0, SetLimit(Resource, in before));
    }
}
