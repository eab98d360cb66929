using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using NetPoll.Core.Tests.Support;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>SslStream over a connection's stream, against OpenSSL's own client and server.</summary>
public sealed class NetConnectionTlsTests : IDisposable
{
    private const int Size = 10_000_000;
    private const string Missing = "There is no openssl on the path; on Debian and Ubuntu: apt-get install openssl.";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly string _folder = Directory.CreateTempSubdirectory("netpoll-tls").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static bool HasOpenSsl => (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Any(static folder => File.Exists(Path.Combine(folder, "openssl")));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task Ten_megabytes_are_echoed_to_the_client_of_openssl(SslProtocols protocol)
    {
        Assert.SkipUnless(HasOpenSsl, Missing);
        using X509Certificate2 certificate = MakeCertificate();
        await using NetListenerFixture fixture = new();
        byte[] sent = new byte[Size];
        new Random(Seed.Next()).NextBytes(sent);
        Task server = Task.Run(
            async () =>
            {
                await using NetConnection connection = await fixture.Listener.AcceptAsync(Cancellation);
                await using SslStream tls = new(connection.AsStream());
                await tls.AuthenticateAsServerAsync(
                    new SslServerAuthenticationOptions { ServerCertificate = certificate, EnabledSslProtocols = protocol },
                    Cancellation);
                byte[] buffer = new byte[32 * 1024];
                int left = Size;
                while (left > 0)
                {
                    int count = await tls.ReadAsync(buffer, Cancellation);
                    Assert.NotEqual(0, count);
                    await tls.WriteAsync(buffer.AsMemory(0, count), Cancellation);
                    left -= count;
                }

                await tls.ShutdownAsync();
            },
            Cancellation);

        // Quiet also means that no byte is taken for a command, and that it stays until we end.
        using Process client = Start("s_client", "-quiet", "-connect", $"{fixture.Listener.LocalEndPoint}");
        Task<byte[]> received = ReadAllAsync(client);
        await client.StandardInput.BaseStream.WriteAsync(sent, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
        client.StandardInput.Close();

        await server.WaitAsync(Limit, Cancellation);
        byte[] echoed = await received.WaitAsync(Limit, Cancellation);
        Assert.True(sent.AsSpan().SequenceEqual(echoed), "What came back is not what was sent.");
    }

    [Fact]
    public async Task Ten_megabytes_go_to_and_come_from_the_server_of_openssl()
    {
        Assert.SkipUnless(HasOpenSsl, Missing);
        using X509Certificate2 certificate = MakeCertificate();
        string pem = Path.Combine(_folder, "certificate.pem");
        await File.WriteAllTextAsync(pem, certificate.ExportCertificatePem() + "\n" + certificate.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem() + "\n", Cancellation);

        // Digits alone, since this server takes a letter at the head of what it is given for a command.
        byte[] there = Digits(Size);
        byte[] back = Digits(Size);
        await using PollerGroup group = new(new PollerOptions { PollerCount = 1 });
        using Process server = Start("s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", pem);
        StreamReader output = server.StandardOutput;
        string? line;
        do
        {
            line = await output.ReadLineAsync(Cancellation).AsTask().WaitAsync(Limit, Cancellation);
            Assert.NotNull(line);
        }
        while (!line.StartsWith("ACCEPT ", StringComparison.Ordinal));

        int port = int.Parse(line[(line.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture);
        Task<string> printed = output.ReadToEndAsync(Cancellation);
        await using (NetConnection connection = await new NetDialer { Group = group }.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Cancellation))
        {
            await using SslStream tls = new(connection.AsStream(), leaveInnerStreamOpen: false, (_, presented, _, _) => presented?.GetCertHashString() == certificate.Thumbprint);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost" }, Cancellation);
            Task write = tls.WriteAsync(there, Cancellation).AsTask();
            Task feed = server.StandardInput.BaseStream.WriteAsync(back, Cancellation).AsTask();
            Task flushed = feed.ContinueWith(_ => server.StandardInput.BaseStream.Flush(), TaskScheduler.Default);
            byte[] received = new byte[Size];
            await tls.ReadExactlyAsync(received, Cancellation).AsTask().WaitAsync(Limit, Cancellation);
            await Task.WhenAll(write, feed, flushed).WaitAsync(Limit, Cancellation);
            await tls.ShutdownAsync();
            Assert.True(back.AsSpan().SequenceEqual(received), "What came is not what the server was given.");
        }

        Assert.Contains(System.Text.Encoding.ASCII.GetString(there), await printed.WaitAsync(Limit, Cancellation), StringComparison.Ordinal);
    }

    private static byte[] Digits(int length) => RandomNumberGenerator.GetItems("0123456789"u8, length);

    private static X509Certificate2 MakeCertificate()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo("openssl", arguments)
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;

    private static async Task<byte[]> ReadAllAsync(Process process)
    {
        MemoryStream received = new();
        await process.StandardOutput.BaseStream.CopyToAsync(received, Cancellation);
        return received.ToArray();
    }
}
