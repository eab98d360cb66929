using NetPoll.Core.Backends;

namespace NetPoll.Core.Tests.Backends;

public sealed class PlatformSelectorTests
{
    [Theory]
    [InlineData(PollBackend.Auto, null, true, false)]
    [InlineData(PollBackend.Auto, "", true, false)]
    [InlineData(PollBackend.Auto, "epoll", true, false)]
    [InlineData(PollBackend.Auto, "portable", true, true)]
    [InlineData(PollBackend.Auto, null, false, true)]
    [InlineData(PollBackend.Auto, "portable", false, true)]
    [InlineData(PollBackend.Epoll, "portable", true, false)]
    [InlineData(PollBackend.Epoll, "nonsense", true, false)]
    [InlineData(PollBackend.Portable, "epoll", true, true)]
    [InlineData(PollBackend.Portable, "epoll", false, true)]
    public void The_option_beats_the_environment_and_the_environment_the_system(PollBackend wanted, string? environment, bool hasEpoll, bool isPortable)
    {
        Assert.Equal(isPortable, PlatformSelector.Select(wanted, environment, hasEpoll) is PortablePlatform);
    }

    [Theory]
    [InlineData("kqueue")]
    [InlineData("Epoll")]
    [InlineData(" portable")]
    public void An_environment_that_names_no_backend_is_told_with_what_was_expected(string environment)
    {
        ArgumentException thrown = Assert.Throws<ArgumentException>(() => PlatformSelector.Select(PollBackend.Auto, environment, hasEpoll: true));

        Assert.Equal($"The environment variable NETPOLL_BACKEND is '{environment}'; expected 'epoll' or 'portable', or nothing.", thrown.Message);
    }

    [Theory]
    [InlineData(PollBackend.Epoll, null, "PollerOptions.Backend is Epoll")]
    [InlineData(PollBackend.Auto, "epoll", "The environment variable NETPOLL_BACKEND is 'epoll'")]
    public void Epoll_where_there_is_none_is_refused_and_not_replaced(PollBackend wanted, string? environment, string asked)
    {
        PlatformNotSupportedException thrown =
            Assert.Throws<PlatformNotSupportedException>(() => PlatformSelector.Select(wanted, environment, hasEpoll: false));

        Assert.StartsWith(asked, thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_option_that_names_no_backend_is_refused()
    {
        ArgumentException thrown = Assert.Throws<ArgumentException>(() => new PollerGroup(new PollerOptions { Backend = (PollBackend)7 }));

        Assert.Contains("PollerOptions.Backend is 7; expected Auto, Epoll or Portable.", thrown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PollBackend.Epoll, "epoll")]
    [InlineData(PollBackend.Portable, "portable")]
    public async Task The_start_line_names_the_backend(PollBackend backend, string name)
    {
        Assert.SkipWhen(backend == PollBackend.Epoll && !OperatingSystem.IsLinux(), "Only Linux has epoll.");
        Support.CapturedLog log = new();
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1, Backend = backend, Logger = log });

        group.Start();

        Assert.Contains(log.Entries, entry => entry.Id == 1 && entry.Message.Contains($"pollers on {name};", StringComparison.Ordinal));
    }
}
