using System.Net;
using NetPoll.Core;

namespace Guide.Tests;

/// <summary>The examples of docs/core.md do what the guide says.</summary>
public sealed class CoreGuideTests
{
    [Fact]
    public async Task The_server_answers_the_client()
    {
        await using NetListener listener = CoreServer.Start();
        Task serving = CoreServer.RunAsync(listener);

        string answer = await CoreClient.AskAsync("127.0.0.1", listener.LocalEndPoint.Port, "hello, poller");

        Assert.Equal("hello, poller", answer);
        Assert.False(serving.IsCompleted);
    }

    [Fact]
    public async Task A_deadline_ends_a_read_and_leaves_the_connection_usable()
    {
        await using NetListener listener = CoreServer.Start();
        _ = CoreServer.RunAsync(listener);
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.LocalEndPoint);

        int timedOut = await CoreDeadlines.ReadWithinAsync(connection, new byte[16], TimeSpan.FromMilliseconds(20));
        await connection.WriteAsync("x"u8.ToArray());
        int read = await CoreDeadlines.ReadWithinAsync(connection, new byte[16], TimeSpan.FromSeconds(30));

        Assert.Equal(-1, timedOut);
        Assert.Equal(1, read);
    }

    [Fact]
    public async Task Over_a_path_both_sides_know_the_other_s_process()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("netpoll-");

        string who = await CoreUnix.WhoIsThereAsync(Path.Combine(folder.FullName, "socket"));

        Assert.StartsWith($"process {Environment.ProcessId} of user ", who, StringComparison.Ordinal);
        folder.Delete();
    }

    [Fact]
    public async Task Datagrams_come_back()
    {
        await using NetDatagramSocket server = NetDatagramSocket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _ = CoreDatagrams.EchoAsync(server);
        await using NetDatagramSocket client = NetDatagramSocket.Connect(server.LocalEndPoint);

        await client.SendAsync("hello"u8.ToArray());
        byte[] buffer = new byte[16];
        ReceivedDatagram answer = await client.ReceiveAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("hello"u8.ToArray(), buffer.AsSpan(0, answer.Count).ToArray());
    }

    [Fact]
    public async Task A_descriptor_is_asked_and_answers()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable("NETPOLL_BACKEND") != "portable", "The portable backend has none but sockets.");
        string path = Path.GetTempFileName();
        await File.WriteAllTextAsync(path, "?????Ada\n", TestContext.Current.CancellationToken);

        string? answer = await CoreDescriptors.AskAsync(File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite), "name?");

        Assert.Equal("Ada", answer);
        File.Delete(path);
    }

    [Fact]
    public async Task Without_activation_the_address_is_listened_on()
    {
        await using NetListener listener = CoreInherited.Listen("http", new IPEndPoint(IPAddress.Loopback, 0));

        Assert.NotEqual(0, listener.LocalEndPoint.Port);
    }

    [Fact]
    public async Task A_close_ends_the_read_that_waits()
    {
        await using NetListener listener = CoreServer.Start();
        await using NetConnection connection = await new NetDialer().ConnectAsync(listener.LocalEndPoint);

        Assert.Equal("closed while it waited", await CoreClosing.ReadUntilClosedAsync(connection));
    }

    [Fact]
    public async Task An_error_names_what_happened_and_where()
    {
        EndPoint closed;
        await using (NetListener listener = CoreServer.Start())
        {
            closed = listener.LocalEndPoint;
        }

        string message = await CoreErrors.TryConnectAsync(closed);

        Assert.Equal($"connect {closed}: ConnectionRefused (errno 111).", message);
    }
}
