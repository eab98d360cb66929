using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using NetPoll.Actors;
using Proto;

namespace NetPoll.Hosting;

/// <summary>How a host gets NetPoll.</summary>
public static class ServiceCollectionExtensions
{
    /// <summary>Adds NetPoll, which starts and stops with the host. Again it only adds to the options.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="configure">
    /// Changes the options. They are validated when the host starts: a value that is out of its range stops the start with a message that
    /// names it. Their loggers are the host's (<c>NetPoll.Actors</c>, <c>NetPoll.Core</c>) unless others are set.
    /// </param>
    /// <returns>Where listeners are added.</returns>
    /// <remarks>
    /// <para>
    /// Registers <see cref="ActorSystem"/> unless that is registered, and <see cref="NetPollExtension"/>. An actor system of the caller's is
    /// used and left running; one of ours is shut down with the host, and needs a container that is disposed asynchronously, as every host's is.
    /// </para>
    /// <para>
    /// The listeners begin when all hosted services have started. When the host stops, the connections are drained for
    /// <see cref="NetPollOptions.DrainTimeout"/> before any hosted service is told to stop, so their handlers can use what the host has; the
    /// host's own shutdown timeout cuts that short. An actor system of ours is shut down when all of them have stopped.
    /// </para>
    /// </remarks>
    public static NetPollBuilder AddNetPoll(this IServiceCollection services, Action<NetPollOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<NetPollOptions> options = services.AddOptions<NetPollOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<NetPollOptions>, HostLoggers>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<NetPollOptions>, NetPollOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ListenerOptions>, ListenerOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<DatagramOptions>, DatagramOptionsValidator>());
        services.TryAddSingleton<OwnActorSystem>();
        services.TryAddSingleton(static provider => provider.GetRequiredService<OwnActorSystem>().Start());
        services.TryAddSingleton(static provider => provider.GetRequiredService<ActorSystem>()
            .WithNetPoll(provider.GetRequiredService<IOptions<NetPollOptions>>().Value)
            .NetPoll());
        services.TryAddSingleton<NetPollHostedService>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, NetPollHostedService>(
            static provider => provider.GetRequiredService<NetPollHostedService>()));
        return new NetPollBuilder(services);
    }
}
