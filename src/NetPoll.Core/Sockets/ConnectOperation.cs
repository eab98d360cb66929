using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>The wait for the end of a connection attempt; nobody else knows the descriptor yet.</summary>
internal sealed class ConnectOperation : OutcomeOperation
{
    internal ConnectOperation(NetFd fd)
        : base(fd, PollMode.Write)
    {
    }

    protected override IoResult Try() => Fd.FinishConnect();
}
