using System.Globalization;
using NetPoll.Tests;

namespace NetPoll.Core.Tests.Support;

/// <summary>The descriptors that this process has open, as procfs tells; the files of the runtime, which come and go, are left out.</summary>
internal static class ProcessDescriptors
{
    internal static int Sockets => Numbers("socket:").Length;

    /// <summary>Waits until no more sockets are open than there were; fewer may be, since what a test before this one has left closes meanwhile.</summary>
    internal static Task NoMoreSocketsThan(int before) => Eventually.True($"at most {before} sockets of the process", () => Sockets <= before);

    /// <summary>Instances of epoll and of its like.</summary>
    internal static int[] Anonymous => Numbers("anon_inode:");

    private static int[] Numbers(string kind)
    {
        List<int> numbers = [];
        foreach (string path in Directory.GetFileSystemEntries("/proc/self/fd"))
        {
            // Null for one that was closed meanwhile, as the listing's own.
            string? target = new FileInfo(path).LinkTarget;
            if (target?.StartsWith(kind, StringComparison.Ordinal) is true)
            {
                numbers.Add(int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture));
            }
        }

        return [.. numbers];
    }
}
