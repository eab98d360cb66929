using NetPoll.Core.Backends;
using NetPoll.Core.Scheduling;

namespace NetPoll.Actors.Listening;

/// <summary>A new connection on its way from the poller that accepted it to the one that it will live on.</summary>
/// <remarks>Allocated for each: it is the price of a platform on which pollers cannot share an address, or of an even load.</remarks>
internal sealed class Handover : IPollerWork
{
    private readonly Admission _admission;
    private readonly PollableSocket _socket;

    /// <param name="admission">Of the poller that it goes to.</param>
    /// <param name="socket">Owned by this until it is admitted.</param>
    internal Handover(Admission admission, PollableSocket socket)
    {
        _admission = admission;
        _socket = socket;
        admission.Home.Expect();
    }

    /// <inheritdoc/>
    IPollerWork? IPollerWork.Next { get; set; }

    /// <inheritdoc/>
    void IPollerWork.Run()
    {
        // What kept it from being watched is counted; nobody here accepts who should pause for it.
        _ = _admission.Receive(_socket);
        _admission.Home.Arrived();
    }
}
