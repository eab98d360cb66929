using System.Runtime.InteropServices;
using NetPoll.Actors.Pollers;
using Proto;

namespace NetPoll.Actors.Connections;

/// <summary>
/// The actors that handle connections of one poller. The poller's actor watches each once, whatever the number of its connections, and when
/// it stops they are closed. The poller's thread only.
/// </summary>
internal sealed class HandlerTable(ActorPoller home)
{
    // How many connections each handles.
    private readonly Dictionary<PID, int> _counts = [];

    internal void Add(PID handler)
    {
        ref int count = ref CollectionsMarshal.GetValueRefOrAddDefault(_counts, handler, out bool isKnown);
        count++;
        if (!isKnown)
        {
            home.Extension.System.Root.Send(home.Pid, new WatchHandler(handler));
        }
    }

    internal void Remove(PID handler)
    {
        if (!_counts.TryGetValue(handler, out int count))
        {
            // It has stopped.
            return;
        }

        if (count > 1)
        {
            _counts[handler] = count - 1;
        }
        else
        {
            _counts.Remove(handler);
            home.Extension.System.Root.Send(home.Pid, new UnwatchHandler(handler));
        }
    }

    /// <summary>An actor has stopped. If it handled connections they are closed.</summary>
    internal void Stopped(PID handler)
    {
        if (_counts.Remove(handler))
        {
            foreach (Connection connection in home.Connections.ToArray())
            {
                (connection as HandledConnection)?.HandlerStopped(handler);
            }
        }
    }
}

/// <summary>To a poller's actor: tell the table when this one stops.</summary>
internal sealed record WatchHandler(PID Handler);

/// <summary>To a poller's actor: it handles no connection of this poller any more.</summary>
internal sealed record UnwatchHandler(PID Handler);
