using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NetPoll.Bench;

/// <summary>The yardstick: one system call after the other.</summary>
internal static class BareFanOut
{
    private const int NoSignal = 0x4000;

    /// <summary>Nanoseconds of processor time for each delivery, once warm.</summary>
    internal static async Task<double> MeasureAsync(int members, int publishes)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1024);
        List<Socket> sockets = [];
        Task accepting = AcceptAsync();
        await using CrowdProcess crowd = await CrowdProcess.StartAsync(((IPEndPoint)listener.LocalEndPoint!).Port, members);
        await accepting;
        int[] descriptors = [.. sockets.Select(static socket => (int)socket.Handle)];
        long sequence = 0;
        await SendAsync();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        await SendAsync();
        TimeSpan spent = Environment.CpuUsage.TotalTime - before;
        sockets.ForEach(static socket => socket.Dispose());
        return spent.TotalNanoseconds / ((double)members * publishes);

        async Task AcceptAsync()
        {
            while (sockets.Count < members)
            {
                Socket socket = await listener.AcceptAsync();
                socket.NoDelay = true;
                sockets.Add(socket);
            }
        }

        async Task SendAsync()
        {
            byte[] frame = new byte[sizeof(long)];
            for (int done = 0; done < publishes; done++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(frame, ++sequence);
                foreach (int descriptor in descriptors)
                {
                    if (Send(descriptor, frame, frame.Length, NoSignal) != frame.Length)
                    {
                        throw new IOException($"send(2): errno {Marshal.GetLastPInvokeError()}");
                    }
                }

                await crowd.HearsAsync(sequence * members);
            }
        }
    }

    [DllImport("libc", EntryPoint = "send", SetLastError = true)]
    private static extern nint Send(int descriptor, byte[] buffer, nint length, int flags);
}
