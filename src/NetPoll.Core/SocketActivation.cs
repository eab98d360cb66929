using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NetPoll.Core.Backends;

namespace NetPoll.Core;

/// <summary>The descriptors that a service manager has opened for this process, as systemd does for a service with a socket unit. Any thread.</summary>
/// <remarks>
/// The variables <c>LISTEN_PID</c>, <c>LISTEN_FDS</c> and <c>LISTEN_FDNAMES</c> (sd_listen_fds(3)) are read at the first use, once, and removed
/// from the environment that programs started by this one get; on the epoll backend such programs do not get the descriptors either. What they
/// say for another process is for that one. Each descriptor can be taken once: give it to <see cref="NetListener.Adopt"/>,
/// <see cref="NetDatagramSocket.Adopt"/>, <see cref="NetDescriptor.Adopt"/>, or as a <see cref="HandleEndPoint"/> to whatever listens.
/// </remarks>
public static class SocketActivation
{
    private static readonly Lazy<InheritedDescriptors> Inherited = new(static () => InheritedDescriptors.Read(
        Environment.GetEnvironmentVariable,
        static name => Environment.SetEnvironmentVariable(name, null),
        PlatformSelector.Select(PollBackend.Auto).KeepFromPrograms));

    /// <summary>What the descriptors are called, in their order; <c>unknown</c> where the manager gives no name. Empty without activation.</summary>
    /// <exception cref="InvalidOperationException">The variables contradict each other or what is open; the message names variable and value.</exception>
    public static IReadOnlyList<string> Names => Inherited.Value.Names;

    /// <summary>Takes a descriptor by its name.</summary>
    /// <param name="name">What the manager calls it: <c>FileDescriptorName=</c> of the socket unit, by default the unit's own name.</param>
    /// <returns>The caller's. Of several that are called so the first that was not taken.</returns>
    /// <exception cref="InvalidOperationException">There is none, or all are taken; the message tells which names there are.</exception>
    public static SafeHandle Take(string name) => Inherited.Value.Take(name);

    /// <summary>Takes a descriptor by its place.</summary>
    /// <param name="index">0 to the count of <see cref="Names"/> minus 1: the order of the socket units and of the lines in them.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are not as many.</exception>
    /// <exception cref="InvalidOperationException">It was taken before.</exception>
    public static SafeHandle Take(int index) => Inherited.Value.Take(index);

    /// <summary>As <see cref="Take(string)"/>, for a program that opens its own socket when it was started by hand.</summary>
    /// <returns>False when there is none of that name left.</returns>
    public static bool TryTake(string name, [NotNullWhen(true)] out SafeHandle? handle) => Inherited.Value.TryTake(name, out handle);
}

/// <summary>What the variables tell, and what of it was taken.</summary>
internal sealed class InheritedDescriptors
{
    private const string ProcessVariable = "LISTEN_PID";
    private const string CountVariable = "LISTEN_FDS";
    private const string NamesVariable = "LISTEN_FDNAMES";
    private const string Nameless = "unknown";

    // SD_LISTEN_FDS_START: behind the three that every process has.
    private const int First = 3;

    // 1 for what was taken; by exchange, from any thread.
    private readonly int[] _taken;

    private InheritedDescriptors(string[] names)
    {
        Names = names;
        _taken = new int[names.Length];
    }

    internal IReadOnlyList<string> Names { get; }

    /// <summary>Reads the variables and removes them.</summary>
    /// <param name="read">Reads a variable.</param>
    /// <param name="remove">Removes one.</param>
    /// <param name="keepFromPrograms">Marks a descriptor as close-on-exec; tells whether it is open at all.</param>
    internal static InheritedDescriptors Read(Func<string, string?> read, Action<string> remove, Func<int, IoResult> keepFromPrograms)
    {
        (string? process, string? count, string? names) = (read(ProcessVariable), read(CountVariable), read(NamesVariable));
        remove(ProcessVariable);
        remove(CountVariable);
        remove(NamesVariable);
        if (string.IsNullOrEmpty(process) || string.IsNullOrEmpty(count) || Number(ProcessVariable, process) != Environment.ProcessId)
        {
            return new InheritedDescriptors([]);
        }

        int descriptors = Number(CountVariable, count);
        string[] called = string.IsNullOrEmpty(names) ? [.. Enumerable.Repeat(Nameless, descriptors)] : names.Split(':');
        if (called.Length != descriptors)
        {
            throw new InvalidOperationException(
                $"{NamesVariable} is '{names}', which names {called.Length} descriptors, and {CountVariable} is {descriptors}; expected as many.");
        }

        for (int number = First; number < First + descriptors; number++)
        {
            IoResult result = keepFromPrograms(number);
            if (!result.IsSuccess)
            {
                throw new InvalidOperationException($"{CountVariable} is {descriptors}, but the descriptor {number} is not open ({result}).");
            }
        }

        return new InheritedDescriptors(called);
    }

    internal SafeHandle Take(string name) => TryTake(name, out SafeHandle? handle) ? handle : throw new InvalidOperationException(
        Names.Count == 0
            ? $"There is no inherited descriptor '{name}': this process was not started by socket activation ({CountVariable} is not set for it)."
            : $"There is no inherited descriptor '{name}' left; this process was given '{string.Join("', '", Names)}', each to be taken once.");

    internal SafeHandle Take(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _taken.Length);
        return Claim(index) ?? throw new InvalidOperationException($"The inherited descriptor {index} ('{Names[index]}') was taken before.");
    }

    internal bool TryTake(string name, [NotNullWhen(true)] out SafeHandle? handle)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        handle = null;
        for (int index = 0; index < _taken.Length && handle is null; index++)
        {
            handle = Names[index] == name ? Claim(index) : null;
        }

        return handle is not null;
    }

    // Owned from here on, and not before: a handle that nobody takes would close what it never opened.
    private SafeFileHandle? Claim(int index) =>
        Interlocked.Exchange(ref _taken[index], 1) == 0 ? new SafeFileHandle(First + index, ownsHandle: true) : null;

    private static int Number(string variable, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new InvalidOperationException($"The environment variable {variable} is '{value}'; expected a number.");
}
