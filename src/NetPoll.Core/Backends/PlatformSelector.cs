namespace NetPoll.Core.Backends;

/// <summary>Picks the platform that fits the running system.</summary>
internal static class PlatformSelector
{
    internal static PollPlatform Select()
    {
        if (OperatingSystem.IsLinux())
        {
            return EpollPlatform.Instance;
        }

        throw new PlatformNotSupportedException(
            $"NetPoll runs on Linux until its portable backend is there; this system is {Environment.OSVersion.Platform}.");
    }
}
