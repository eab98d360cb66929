using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>What Linux knows by a number.</summary>
internal abstract class LibcDescriptor : PollableSocket
{
    // Constant until Close, which the last user calls; -1 afterwards, so that a late call meets EBADF and never somebody else's descriptor.
    private int _descriptor;

    private protected LibcDescriptor(int descriptor) => _descriptor = descriptor;

    internal sealed override int Descriptor => _descriptor;

    internal override IoResult Probe(PollMode mode)
    {
        int result = Libc.PollNow(_descriptor, mode == PollMode.Read ? Libc.POLLIN : Libc.POLLOUT);
        return result == 0 ? IoResult.TryAgain : result < 0 ? IoResult.From(result) : IoResult.Success;
    }

    internal override IoResult Close()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        return descriptor < 0
            ? throw new InvalidOperationException("A descriptor was closed twice; its number may belong to somebody else by now.")
            : Release(descriptor);
    }

    /// <summary>Gives the number up; called once.</summary>
    private protected virtual IoResult Release(int descriptor) => IoResult.From(Libc.Close(descriptor));
}
