using System.Diagnostics.Metrics;
using System.Net;
using Chat.Domain;
using Chat.Server.Doors;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace Chat.Server.Operation;

/// <summary>A page for Prometheus, <c>/metrics</c> on this machine's loopback address: the chat's figures and those of the pollers.</summary>
internal sealed class MetricsPage : IDisposable
{
    private const string MeterName = "Chat.Server";

    private readonly Meter _meter;
    private readonly MeterProvider _provider;

    private MetricsPage(Meter meter, MeterProvider provider)
    {
        _meter = meter;
        _provider = provider;
    }

    /// <exception cref="IOException">The port is in use.</exception>
    public static MetricsPage Open(int port, ChatFigures figures, Admission admission)
    {
        var meter = new Meter(MeterName);
        meter.CreateObservableUpDownCounter("chat.people", () => figures.People, "{person}", "People who have a name.");
        meter.CreateObservableUpDownCounter("chat.rooms", () => figures.Rooms, "{room}", "Rooms that exist.");
        meter.CreateObservableUpDownCounter("chat.connections", () => admission.Total, "{connection}", "Connections that are open.");
        meter.CreateObservableCounter(
            "chat.connections.refused", () => admission.Refused, "{connection}", "Connections that were over a limit.");
        meter.CreateObservableCounter("chat.messages", () => figures.MessagesStored, "{message}", "Messages that were stored.");
        meter.CreateObservableCounter("chat.flood.refused", () => figures.FloodRefusals, "{request}", "Requests that came too fast.");
        try
        {
            MeterProvider provider = Sdk.CreateMeterProviderBuilder()
                .ConfigureResource(static resource => resource.AddService("chat-server"))
                .AddMeter(MeterName, "NetPoll.Core", "NetPoll.Actors", "System.Runtime")
                .AddPrometheusHttpListener(options =>
                {
                    options.Host = "127.0.0.1";
                    options.Port = port;
                })
                .Build();
            return new MetricsPage(meter, provider);
        }
        catch (InvalidOperationException exception) when (exception.InnerException is HttpListenerException why)
        {
            meter.Dispose();
            throw new IOException($"the page of figures cannot be served on port {port} of 127.0.0.1: {why.Message}; choose another by --metrics-port", exception);
        }
    }

    public void Dispose()
    {
        _provider.Dispose();
        _meter.Dispose();
    }
}
