using System.Text.RegularExpressions;

namespace Repository.Tests;

/// <summary>Every symbol of Go's poller has its counterpart here, whose doc comment names it.</summary>
public sealed partial class GoSymbolTests
{
    /// <summary>The symbol as the comment names it, the file, and the member whose comment it is.</summary>
    public static TheoryData<string, string, string> Counterparts => new()
    {
        { "netpollinit", "Backends/EpollBackend.cs", "EpollBackend(" },
        { "netpollopen", "Backends/IPollBackend.cs", "Open(" },
        { "netpollclose", "Backends/IPollBackend.cs", "Close(" },
        { "netpollarm", "Backends/IPollBackend.cs", "Arm(" },
        { "resume", "Backends/IPollBackend.cs", "Arm(" },
        { "makeArg", "Backends/PollToken.cs", "struct PollToken" },
        { "pdType", "Backends/PollableSocket.cs", "enum PollKind" },
        { "pdEface", "Descriptors/DescriptorDeadlines.cs", "class DescriptorDeadlines" },
        { "netpollOpenDescriptor", "Poller.cs", "Open(" },
        { "netpoll", "Backends/IPollBackend.cs", "Wait(" },
        { "netpollBreak", "Backends/IPollBackend.cs", "Wake(" },
        { "netpollIsPollDescriptor", "Backends/IPollBackend.cs", "Owns(" },
        { "netpollWakeSig", "Scheduling/SleepState.cs", "struct SleepState" },
        { "netpoll", "Poller.cs", "PollOnce(" },
        { "netpollWaiters", "Poller.cs", "ParkedCount" },
        { "netpollInitLock", "PollerGroup.cs", "_gate" },
        { "netpollInited", "PollerGroup.cs", "IsStarted" },
        { "netpollinited", "PollerGroup.cs", "IsStarted" },
        { "netpollGenericInit", "PollerGroup.cs", "Start(" },
        { "poll_runtime_pollServerInit", "PollerGroup.cs", "Start(" },
        { "poll_runtime_isPollServerDescriptor", "PollerGroup.cs", "IsPollDescriptor(" },
        { "pollcache", "Poller.cs", "_cache" },
        { "pollCache", "Descriptors/PollCache.cs", "class PollCache" },
        { "pollCache.alloc", "Descriptors/PollCache.cs", "Rent(" },
        { "pollCache.free", "Descriptors/PollCache.cs", "Return(" },
        { "pollDesc", "Descriptors/PollDescriptor.cs", "class PollDescriptor" },
        { "pollInfo", "Descriptors/PollInfo.cs", "struct PollInfo" },
        { "pollDesc.info", "Descriptors/PollDescriptor.cs", "PollInfo Info" },
        { "pollDesc.publishInfo", "Descriptors/PollDescriptor.cs", "PublishInfo(" },
        { "pollInfo.closing", "Descriptors/PollInfo.cs", "IsClosing" },
        { "pollInfo.eventErr", "Descriptors/PollInfo.cs", "HasEventError" },
        { "pollInfo.expiredReadDeadline", "Descriptors/PollInfo.cs", "IsReadExpired" },
        { "pollInfo.expiredWriteDeadline", "Descriptors/PollInfo.cs", "IsWriteExpired" },
        { "pollDesc.setEventErr", "Descriptors/PollDescriptor.cs", "SetEventError(" },
        { "pollDesc.evict", "Descriptors/PollDescriptor.cs", "Evict(" },
        { "pollDesc.wait", "Sockets/ReadinessOperation.cs", "class ReadinessOperation" },
        { "poll_runtime_pollOpen", "Poller.cs", "Open(" },
        { "poll_runtime_pollClose", "Poller.cs", "Release(" },
        { "poll_runtime_pollReset", "Descriptors/PollDescriptor.cs", "Prepare(" },
        { "poll_runtime_pollWait", "Descriptors/PollDescriptor.cs", "TryPark(" },
        { "poll_runtime_pollWaitCanceled", "Descriptors/PollDescriptor.cs", "TryParkUncancelable(" },
        { "poll_runtime_pollSetDeadline", "Descriptors/PollDescriptor.Deadlines.cs", "SetDeadline(" },
        { "poll_runtime_pollUnblock", "Descriptors/PollDescriptor.cs", "Evict(" },
        { "netpollready", "Descriptors/PollDescriptor.cs", "OnReady(" },
        { "netpollcheckerr", "Descriptors/PollDescriptor.cs", "CheckError(" },
        { "netpollblockcommit", "Descriptors/PollSlot.cs", "TryCommit(" },
        { "netpollgoready", "Descriptors/IPollWaiter.cs", "interface IPollWaiter" },
        { "netpollblock", "Descriptors/PollDescriptor.cs", "TryPark(" },
        { "netpollunblock", "Descriptors/PollSlot.cs", "Unblock(" },
        { "netpolldeadlineimpl", "Descriptors/PollDescriptor.Deadlines.cs", "OnDue(" },
        { "netpollDeadline", "Descriptors/PollDescriptor.Deadlines.cs", "OnDue(" },
        { "netpollReadDeadline", "Descriptors/PollDescriptor.Deadlines.cs", "OnDue(" },
        { "netpollWriteDeadline", "Descriptors/PollDescriptor.Deadlines.cs", "OnDue(" },
    };

    [Theory]
    [MemberData(nameof(Counterparts))]
    public void The_comment_of_the_counterpart_names_the_symbol(string symbol, string file, string member)
    {
        string text = RepositoryRoot.Read("src/NetPoll.Core/" + file).Replace("\r\n", "\n", StringComparison.Ordinal);
        List<string> comments = [.. CommentedMember().Matches(text)
            .Where(match => match.Groups["member"].Value.Contains(member, StringComparison.Ordinal))
            .Select(static match => match.Groups["comment"].Value)];

        Assert.NotEmpty(comments);
        Assert.Contains(comments, comment => comment.Contains("Go: ", StringComparison.Ordinal)
            && comment[comment.IndexOf("Go: ", StringComparison.Ordinal)..].Contains($"<c>{symbol}</c>", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("netpollOpenDescriptor")]
    [InlineData("resume")]
    [InlineData("pdEface")]
    [InlineData("pdType")]
    [InlineData("makeArg")]
    [InlineData("netpollAdjustWaiters")]
    public void A_symbol_without_a_counterpart_or_with_one_of_another_kind_is_explained(string symbol)
    {
        string text = RepositoryRoot.Read("docs/conformance.md");

        Assert.Contains($"| `{symbol}` |", text, StringComparison.Ordinal);
    }

    // A block of doc comments and the first line of what it is about, attributes left out.
    [GeneratedRegex(@"(?<comment>(?:^[ \t]*///.*\n)+)(?:^[ \t]*\[.*\]\n)*(?<member>^[ \t]*[^\s/\[].*$)", RegexOptions.Multiline)]
    private static partial Regex CommentedMember();
}
