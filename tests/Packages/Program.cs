using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NetPoll.Actors;
using NetPoll.Core;
using NetPoll.Hosting;

HostApplicationBuilder builder = Host.CreateApplicationBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddScoped<Shout>();
builder.Services.AddNetPoll().Listen<ShoutingConnection>("shout", new IPEndPoint(IPAddress.Loopback, 0));
builder.Services.AddHealthChecks().AddNetPoll();

using IHost host = builder.Build();
await host.StartAsync();
NetPollExtension netPoll = host.Services.GetRequiredService<NetPollExtension>();
HealthReport health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
Console.WriteLine($"health: {health.Status}");

NetDialer dialer = new() { Timeout = TimeSpan.FromSeconds(30) };
await using (NetConnection connection = await dialer.ConnectAsync(netPoll.FindListener("shout")!.EndPoint))
{
    await connection.WriteAsync("hello"u8.ToArray());
    byte[] buffer = new byte[64];
    int count = await connection.ReadAsync(buffer);
    Console.WriteLine($"answer: {Encoding.UTF8.GetString(buffer, 0, count)}");
}

Console.WriteLine("ready");
await host.WaitForShutdownAsync();
Console.WriteLine("stopped");

internal sealed class Shout
{
    public string Of(string text) => text.ToUpperInvariant();
}

internal sealed class ShoutingConnection : ConnectionActor
{
    private readonly Shout _shout;

    public ShoutingConnection(Shout shout) => _shout = shout;

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(Encoding.UTF8.GetBytes(_shout.Of(Encoding.UTF8.GetString(bytes))));
        return bytes.Length;
    }
}
