using System.Globalization;

namespace NetPoll.Core.Tests.Support;

/// <summary>The descriptors that this process has open, as procfs tells.</summary>
internal static class ProcessDescriptors
{
    internal static int Count => Directory.GetFileSystemEntries("/proc/self/fd").Length;

    internal static int[] Numbers =>
        [.. Directory.GetFileSystemEntries("/proc/self/fd").Select(static path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture))];
}
