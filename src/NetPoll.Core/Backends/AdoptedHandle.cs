using System.Net.Sockets;
using System.Runtime.InteropServices;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Backends;

/// <summary>Takes the open file of a handle over, under a number of our own.</summary>
/// <remarks>
/// A duplicate, after which the handle is disposed: the number in a <see cref="SafeHandle"/> cannot be taken away from it safely, since
/// another thread may be in a call with it, and .NET's sockets wait for ever for the release of a handle that was marked invalid. A handle that
/// does not own its number leaves that open.
/// </remarks>
internal static class AdoptedHandle
{
    /// <summary>Another number for what the handle is open on; close-on-exec.</summary>
    /// <param name="handle">Whose.</param>
    /// <param name="original">The handle's own number.</param>
    /// <exception cref="ArgumentException">The handle is closed or invalid, or nothing is open under its number.</exception>
    /// <exception cref="IOException">The process has no number left.</exception>
    internal static int Duplicate(SafeHandle handle, out int original)
    {
        int number = -1;
        int duplicate = With(handle, held => Libc.Duplicate(number = held));
        original = number;
        return duplicate switch
        {
            -Errno.EBADF => throw new ArgumentException($"Nothing is open under the descriptor {number}.", nameof(handle)),
            < 0 => throw IoResult.From(duplicate).ToException($"adopt descriptor {number}"),
            _ => duplicate,
        };
    }

    /// <summary>Whether it is a socket, of whatever kind.</summary>
    /// <exception cref="ArgumentException">The handle is closed or invalid.</exception>
    internal static bool IsSocket(SafeHandle handle) => With(handle, static number => Libc.GetOption(number, Libc.SOL_SOCKET, Libc.SO_TYPE, out _)) >= 0;

    /// <summary>The handle has been taken over: what it owns of it is given up, the open file stays as it is.</summary>
    internal static void GiveUp(SafeHandle handle, int duplicate)
    {
        if (handle is not SafeSocketHandle)
        {
            handle.Dispose();
            return;
        }

        // .NET closes a socket's handle so that the peer sees a reset, by an option of the open file, which is ours now.
        int result = Libc.GetLinger(duplicate, out int linger);
        handle.Dispose();
        if (result >= 0)
        {
            _ = Libc.SetLinger(duplicate, linger >= 0, Math.Max(linger, 0));
        }
    }

    /// <summary>What messages call a descriptor: its number, and what it is open on where the system tells.</summary>
    internal static string Describe(int descriptor) =>
        new FileInfo($"/proc/self/fd/{descriptor}").LinkTarget is { } target ? $"descriptor {descriptor} ({target})" : $"descriptor {descriptor}";

    // The number stays the handle's for the length of the call.
    private static int With(SafeHandle handle, Func<int, int> use)
    {
        if (handle.IsClosed || handle.IsInvalid)
        {
            throw new ArgumentException($"The {handle.GetType().Name} is {(handle.IsClosed ? "closed" : "invalid")}; expected an open one.", nameof(handle));
        }

        bool isHeld = false;
        try
        {
            handle.DangerousAddRef(ref isHeld);
            return use((int)handle.DangerousGetHandle());
        }
        finally
        {
            if (isHeld)
            {
                handle.DangerousRelease();
            }
        }
    }
}
