namespace NetPoll.Core.Backends;

/// <summary>Picks the platform: what the options say, else what the environment says, else what fits the running system.</summary>
internal static class PlatformSelector
{
    /// <summary>The environment variable that chooses where the options leave it open.</summary>
    internal const string Variable = "NETPOLL_BACKEND";

    /// <exception cref="ArgumentException">The environment names no backend.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend that was asked for does not run on this system.</exception>
    internal static PollPlatform Select(PollBackend wanted) =>
        Select(wanted, Environment.GetEnvironmentVariable(Variable), OperatingSystem.IsLinux());

    /// <param name="wanted">The option.</param>
    /// <param name="environment">The variable's value; null or empty when it is not set.</param>
    /// <param name="hasEpoll">Whether the system is Linux.</param>
    internal static PollPlatform Select(PollBackend wanted, string? environment, bool hasEpoll)
    {
        string asked = $"{nameof(PollerOptions)}.{nameof(PollerOptions.Backend)} is {wanted}";
        if (wanted == PollBackend.Auto && !string.IsNullOrEmpty(environment))
        {
            asked = $"The environment variable {Variable} is '{environment}'";
            wanted = environment switch
            {
                "epoll" => PollBackend.Epoll,
                "portable" => PollBackend.Portable,
                _ => throw new ArgumentException($"{asked}; expected 'epoll' or 'portable', or nothing."),
            };
        }

        if (wanted == PollBackend.Epoll && !hasEpoll)
        {
            throw new PlatformNotSupportedException(
                $"{asked}, which only Linux has; this system is {Environment.OSVersion.Platform}. Expected Portable or Auto.");
        }

        // Two branches and no table: the platform that is not chosen is not touched, not even its type.
        return wanted == PollBackend.Portable || !hasEpoll ? PortablePlatform.Instance : EpollPlatform.Instance;
    }
}
