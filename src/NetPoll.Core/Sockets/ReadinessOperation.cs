using NetPoll.Core.Backends;

namespace NetPoll.Core.Sockets;

/// <summary>A wait for readiness and nothing else. Go: <c>pollDesc.wait</c>.</summary>
internal sealed class ReadinessOperation : OutcomeOperation
{
    internal ReadinessOperation(NetFd fd, PollMode mode, bool isUncancelable = false, bool asksForReadiness = true)
        : base(fd, mode)
    {
        IsUncancelable = isUncancelable;
        AsksForReadiness = asksForReadiness;
    }

    /// <inheritdoc/>
    protected override bool IsUncancelable { get; }

    /// <inheritdoc/>
    protected override bool AsksForReadiness { get; }

    // Readiness is all that was asked for.
    protected override IoResult Try() => IoResult.Success;
}
