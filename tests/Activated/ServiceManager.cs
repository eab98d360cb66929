using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Activated;

/// <summary>What a service manager does between fork(2) and the program: the descriptors from 3 on, the variables, execve(2).</summary>
internal static partial class ServiceManager
{
    private const int First = 3;

    // Above all that this process has open: the places from 3 on may be sockets that are to be passed on themselves.
    private const int OutOfTheWay = 500;
    private const int F_DUPFD = 0;

    /// <summary>Becomes this program once more; comes back only when that fails.</summary>
    internal static void Become(string[] arguments, params (string Name, SafeHandle Socket)[] sockets)
    {
        int[] aside = [.. sockets.Select(static socket => fcntl(socket.Socket, F_DUPFD, OutOfTheWay))];
        for (int index = 0; index < aside.Length; index++)
        {
            // Not close-on-exec, as every number that dup2 makes.
            if (aside[index] < 0 || dup2(aside[index], First + index) < 0)
            {
                Console.WriteLine($"Passing {sockets[index].Name} on failed.");
                return;
            }

            _ = close(aside[index]);
        }

        List<string?> environment = [.. Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(static entry => $"{entry.Key}={entry.Value}")];
        environment.Add(string.Create(CultureInfo.InvariantCulture, $"LISTEN_PID={Environment.ProcessId}"));
        environment.Add(string.Create(CultureInfo.InvariantCulture, $"LISTEN_FDS={sockets.Length}"));
        environment.Add($"LISTEN_FDNAMES={string.Join(':', sockets.Select(static socket => socket.Name))}");
        string program = Environment.ProcessPath!;
        _ = execve(program, [program, typeof(ServiceManager).Assembly.Location, .. arguments, null], [.. environment, null]);
        Console.WriteLine("execve failed.");
    }

    [LibraryImport("libc")]
    private static partial int fcntl(SafeHandle descriptor, int operation, nint argument);

    [LibraryImport("libc")]
    private static partial int dup2(int from, int to);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int execve(string path, string?[] arguments, string?[] environment);
}
