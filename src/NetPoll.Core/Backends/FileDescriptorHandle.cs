using Microsoft.Win32.SafeHandles;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>Owns a descriptor that no poller watches; one that is polled belongs to its socket instead.</summary>
internal sealed class FileDescriptorHandle : SafeHandleMinusOneIsInvalid
{
    internal FileDescriptorHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    protected override bool ReleaseHandle() => Libc.Close((int)handle) >= 0;
}
