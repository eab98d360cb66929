using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Actors.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Listening;

/// <summary>Sockets that a service manager has opened, in a process that gets them as from systemd.</summary>
public sealed class SocketActivationProcessTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SocketActivationProcessTests() => TestBackend.SkipOnPortable("The portable backend adopts no sockets.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("core")]
    [InlineData("host")]
    public async Task What_was_passed_on_is_listened_on_and_no_program_gets_it_from_there(string mode)
    {
        string path = _folder["socket"];
        await using ProgramProcess program = new("Activated", "launch", mode, path);
        string[] listening = (await program.Prints("where it listens", static line => line.StartsWith("listening: ", StringComparison.Ordinal))).Split(' ');

        Assert.Contains("names: http unix dns", program.Output);

        // Of the child's own there are none.
        Assert.Contains("child: , 0 sockets", program.Output);
        Assert.Equal("hello", await EchoAsync(IPEndPoint.Parse(listening[1]), SocketType.Stream));
        Assert.Equal("hello", await EchoAsync(new UnixDomainSocketEndPoint(path), SocketType.Stream));
        Assert.Equal(path, listening[2]);
        Assert.Equal("hello", await EchoAsync(IPEndPoint.Parse(listening[3]), SocketType.Dgram));

        program.EndInput();
        await program.Prints("done");

        // Whoever made the path removes it.
        Assert.True(File.Exists(path));
    }

    private static async Task<string> EchoAsync(EndPoint endPoint, SocketType type)
    {
        using Socket socket = new(endPoint.AddressFamily, type, ProtocolType.Unspecified);
        await socket.ConnectAsync(endPoint, Cancellation).AsTask().Soon();
        await socket.SendAsync("hello"u8.ToArray(), Cancellation);
        byte[] answer = new byte[5];
        int count = 0;
        while (count < answer.Length)
        {
            int received = await socket.ReceiveAsync(answer.AsMemory(count), Cancellation).AsTask().Soon();
            Assert.NotEqual(0, received);
            count += received;
        }

        return Encoding.ASCII.GetString(answer);
    }
}
