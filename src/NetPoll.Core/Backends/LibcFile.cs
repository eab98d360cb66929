using System.Net;
using System.Runtime.InteropServices;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>A descriptor of libc that is read and written as a file: a pipe, a terminal, a device.</summary>
/// <remarks>A write to a pipe that nobody reads is EPIPE and no signal, since .NET ignores SIGPIPE in every process, native code included.</remarks>
internal sealed class LibcFile : LibcDescriptor
{
    private const int EventBytes = sizeof(ulong);

    private readonly FileAccess _access;

    private LibcFile(int descriptor, PollKind kind, FileAccess access, string name)
        : base(descriptor)
    {
        Kind = kind;
        Name = name;
        _access = access;
    }

    internal override PollKind Kind { get; }

    internal override string Name { get; }

    internal override EndPoint? LocalEndPoint => null;

    internal override EndPoint? RemoteEndPoint => null;

    // A pipe ends a read where a write ended, a terminal at a line's end.
    internal override bool MayReadShort => true;

    /// <inheritdoc cref="PollPlatform.AdoptFile"/>
    internal static AdoptedFile Adopt(SafeHandle handle)
    {
        int descriptor = AdoptedHandle.Duplicate(handle, out _);
        int flags = Libc.GetFileFlags(descriptor);
        bool isTerminal = Libc.IsTerminal(descriptor, out bool isMaster);
        if (isTerminal && !isMaster)
        {
            descriptor = Reopen(descriptor, flags & Libc.O_ACCMODE);
        }

        string name = AdoptedHandle.Describe(descriptor);
        AdoptedFile adopted = Open(descriptor, isTerminal ? PollKind.Terminal : KindOf(descriptor, name), flags & Libc.O_ACCMODE, name);
        adopted.File.MayLinger();
        AdoptedHandle.GiveUp(handle, descriptor);
        return adopted;
    }

    /// <summary>As <see cref="Adopt"/>, for one that is to be watched and nothing else.</summary>
    internal static PollableSocket AdoptStream(SafeHandle handle)
    {
        PollableSocket file = Adopt(handle).File;
        IoResult result = file.SetNonBlocking();
        if (result.IsSuccess)
        {
            return file;
        }

        _ = file.Close();
        throw result.ToException($"adopt {file.Name}");
    }

    /// <inheritdoc cref="PollPlatform.CreatePipe"/>
    internal static IoResult CreatePipe(out AdoptedFile reader, out AdoptedFile writer)
    {
        reader = default;
        writer = default;
        int result = Libc.Pipe(out int readEnd, out int writeEnd);
        if (result >= 0)
        {
            reader = Open(readEnd, PollKind.Pipe, Libc.O_RDONLY, AdoptedHandle.Describe(readEnd));
            writer = Open(writeEnd, PollKind.Pipe, Libc.O_WRONLY, AdoptedHandle.Describe(writeEnd));
        }

        return IoResult.From(result);
    }

    internal override IoResult SetNonBlocking() => IoResult.From(Libc.SetNonBlocking(Descriptor));

    internal override IoResult Read(Span<byte> buffer) =>
        _access == FileAccess.Write ? CheckWritable() : IoResult.From(Libc.Read(Descriptor, buffer));

    // An eventfd takes one number at a time, and refuses more as less.
    internal override IoResult Write(ReadOnlySpan<byte> buffer) =>
        IoResult.From(Libc.Write(Descriptor, Kind == PollKind.Event && buffer.Length > EventBytes ? buffer[..EventBytes] : buffer));

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers)
    {
        int written = 0;
        foreach (ReadOnlyMemory<byte> buffer in buffers)
        {
            if (buffer.IsEmpty)
            {
                continue;
            }

            IoResult result = Write(buffer.Span);
            if (!result.IsSuccess)
            {
                // The next call meets the error again.
                return written > 0 ? IoResult.Bytes(written) : result;
            }

            written += result.Count;
            if (result.Count < buffer.Length)
            {
                break;
            }
        }

        return IoResult.Bytes(written);
    }

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        return IoResult.Failure(Errno.ENOTSOCK);
    }

    // One side cannot be ended alone: what ends is the descriptor.
    internal override IoResult Shutdown(PollMode mode) => IoResult.Failure(Errno.ENOTSOCK);

    // Whether there still is a peer.
    internal override IoResult FinishConnect()
    {
        IoResult peer = CheckWritable();
        return peer.WouldBlock ? IoResult.Success : peer;
    }

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        value = 0;
        return IoResult.Failure(Errno.ENOTSOCK);
    }

    internal override IoResult SetOption(SocketSetting setting, int value) => IoResult.Failure(Errno.ENOTSOCK);

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => throw new InvalidOperationException($"{Name} has no peer with an address.");

    // A terminal's flags belong to everybody who has it from the same shell, and one that finds it non-blocking fails or spins. One that is
    // opened anew is ours alone; where that is not allowed the shared one must do.
    private static int Reopen(int descriptor, int accessMode)
    {
        int own = Libc.Reopen(descriptor, accessMode);
        if (own < 0)
        {
            return descriptor;
        }

        _ = Libc.Close(descriptor);
        return own;
    }

    private static AdoptedFile Open(int descriptor, PollKind kind, int accessMode, string name)
    {
        FileAccess access = accessMode switch
        {
            Libc.O_RDONLY => FileAccess.Read,
            Libc.O_WRONLY => FileAccess.Write,
            _ => FileAccess.ReadWrite,
        };
        return new AdoptedFile(new LibcFile(descriptor, kind, access, name), access);
    }

    private static PollKind KindOf(int descriptor, string name) => Libc.Identify(descriptor, out FileIdentity identity) < 0 ? PollKind.Other
        : identity.Kind == Libc.IFIFO ? PollKind.Pipe
        : identity.Kind == Libc.IFSOCK ? PollKind.Socket
        : name.EndsWith("(anon_inode:[eventfd])", StringComparison.Ordinal) ? PollKind.Event
        : PollKind.Other;

    // A pipe whose reader has gone is in error.
    private IoResult CheckWritable()
    {
        int events = Libc.PollEvents(Descriptor, 0);
        return events < 0 ? IoResult.From(events) : (events & Libc.POLLERR) != 0 ? IoResult.Failure(Errno.EPIPE) : IoResult.TryAgain;
    }
}
