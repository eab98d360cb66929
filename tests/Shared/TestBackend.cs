namespace NetPoll.Tests;

/// <summary>The backend that a test's pollers have when it names none: <c>NETPOLL_BACKEND</c>, else the system's own.</summary>
internal static class TestBackend
{
    public static bool IsPortable => !OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable("NETPOLL_BACKEND") == "portable";

    /// <summary>Skips a test of what the portable backend cannot do.</summary>
    /// <param name="reason">A sentence that says why it cannot.</param>
    public static void SkipOnPortable(string reason) => Assert.SkipWhen(IsPortable, reason);
}
