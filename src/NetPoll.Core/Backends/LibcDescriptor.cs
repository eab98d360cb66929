using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>What Linux knows by a number.</summary>
internal abstract class LibcDescriptor : PollableSocket
{
    // Constant until Close, which the last user calls; -1 afterwards, so that a late call meets EBADF and never somebody else's descriptor.
    private int _descriptor;

    // Only where it is true does a close cost another system call.
    private bool _mayLinger;

    private protected LibcDescriptor(int descriptor) => _descriptor = descriptor;

    internal sealed override int Descriptor => _descriptor;

    internal sealed override bool CloseBlocks =>
        Volatile.Read(ref _mayLinger) && Libc.GetLinger(_descriptor, out int seconds) >= 0 && seconds > 0;

    private protected bool IsSaidToLinger => Volatile.Read(ref _mayLinger);

    internal sealed override void MayLinger() => Volatile.Write(ref _mayLinger, true);

    internal override IoResult Probe(PollMode mode)
    {
        int result = Libc.PollNow(_descriptor, mode == PollMode.Read ? Libc.POLLIN : Libc.POLLOUT);
        return result == 0 ? IoResult.TryAgain : result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    internal override IoResult Close()
    {
        bool isForPool = CloseBlocks && Poller.Current is not null;
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor < 0)
        {
            throw new InvalidOperationException("A descriptor was closed twice; its number may belong to somebody else by now.");
        }

        if (isForPool)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static closed => closed.Socket.Release(closed.Number), (Socket: this, Number: descriptor), preferLocal: false);
            return IoResult.Success;
        }

        return Release(descriptor);
    }

    /// <summary>Gives the number up; called once.</summary>
    private protected virtual IoResult Release(int descriptor) => IoResult.From(Libc.Close(descriptor));
}
