using NetPoll.Core;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests;

/// <summary>What the library calls of the system's own, seen by the runtime in a process of its own.</summary>
public sealed class NativeCallTests
{
    [Fact]
    public async Task The_portable_backend_reaches_no_native_function_of_ours()
    {
        string[] output = await UseAsync(PollBackend.Portable);

        Assert.Contains(output, static line => line.Contains("2 pollers on portable;", StringComparison.Ordinal));
        Assert.DoesNotContain(output, static line => line.StartsWith("native: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_same_use_of_the_epoll_backend_is_seen_to_reach_libc()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux has epoll.");

        string[] output = await UseAsync(PollBackend.Epoll);

        Assert.Contains(output, static line => line.Contains("2 pollers on epoll;", StringComparison.Ordinal));
        Assert.Contains("native: libc", output);
    }

    private static async Task<string[]> UseAsync(PollBackend backend)
    {
        await using ProgramProcess program = new("NativeCalls", backend.ToString());
        await program.Prints("done");
        return program.Output;
    }
}
