using System.Runtime.CompilerServices;

namespace NetPoll.Core.Scheduling;

/// <summary>Where this library's own code goes on after an await: on its poller's thread if it began on one, else on the thread pool.</summary>
/// <remarks>
/// Never in another context of its caller's, such as a window's: that may be busy for as long as it likes, or wait for this very operation, and
/// would keep the locks that are held here, and with them a close. The caller's own await comes back to his context all the same. A rule of this
/// project's (CA2007) lets no await be forgotten.
/// </remarks>
internal static class PollerAwait
{
    private static bool IsOnPoller => Poller.Current is not null;

    internal static ConfiguredTaskAwaitable BackToPoller(this Task task) => task.ConfigureAwait(IsOnPoller);

    internal static ConfiguredTaskAwaitable<T> BackToPoller<T>(this Task<T> task) => task.ConfigureAwait(IsOnPoller);

    internal static ConfiguredValueTaskAwaitable BackToPoller(this ValueTask task) => task.ConfigureAwait(IsOnPoller);

    internal static ConfiguredValueTaskAwaitable<T> BackToPoller<T>(this ValueTask<T> task) => task.ConfigureAwait(IsOnPoller);
}
