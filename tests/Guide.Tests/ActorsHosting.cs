using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NetPoll.Actors;
using NetPoll.Hosting;

namespace Guide.Tests;

internal static class ActorsHosting
{
    internal static IHost Build(string[] args, IPEndPoint endPoint)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder(args);
        builder.Services.AddScoped<Greeter>();
        builder.Services.AddNetPoll(options => options.DrainTimeout = TimeSpan.FromSeconds(20))
            .Listen<GreetingConnection>("greetings", endPoint, listener => listener.Connections.MaxInputBytes = 64 * 1024);
        builder.Services.AddHealthChecks().AddNetPoll();
        return builder.Build();
    }
}

internal sealed class GreetingConnection : ConnectionActor
{
    private readonly Greeter _greeter;

    public GreetingConnection(Greeter greeter) => _greeter = greeter;

    protected override int OnReceived(ReadOnlySpan<byte> bytes)
    {
        Send(Encoding.UTF8.GetBytes(_greeter.Greet(Encoding.UTF8.GetString(bytes))));
        return bytes.Length;
    }
}

internal sealed class Greeter
{
    private int _count;

    public string Greet(string name) => $"hello {name}, message {++_count} of this connection";
}
