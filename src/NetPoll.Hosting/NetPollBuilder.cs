using System.Diagnostics.CodeAnalysis;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using NetPoll.Actors;
using Proto;

namespace NetPoll.Hosting;

/// <summary>Adds listeners and datagram sockets to a host with NetPoll.</summary>
/// <remarks>
/// A listener's options are the named options <see cref="ListenerOptions"/> of its name, so they can be bound to a section of the
/// configuration as well; they are validated when the host starts. An address that is in use stops the start, too. It is the same with
/// datagram sockets and <see cref="DatagramOptions"/>.
/// </remarks>
public sealed partial class NetPollBuilder
{
    internal NetPollBuilder(IServiceCollection services) => Services = services;

    /// <summary>The host's services.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Adds a listener that is called as its connections' type.</summary>
    /// <typeparam name="TConnection">See <see cref="Listen{TConnection}(string, EndPoint, Action{ListenerOptions}?)"/>.</typeparam>
    /// <param name="endPoint">See <see cref="NetPoll.Core.NetListener.Listen"/>; port 0 lets the system choose.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a listener of that name: give this one another.</exception>
    public NetPollBuilder Listen<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TConnection>(
        EndPoint endPoint, Action<ListenerOptions>? configure = null)
        where TConnection : ConnectionActor => Listen<TConnection>(typeof(TConnection).Name, endPoint, configure);

    /// <summary>Adds a listener whose connections' actors are made by constructor injection.</summary>
    /// <typeparam name="TConnection">
    /// The actor; every connection gets its own, and a scope of its own for what the constructor takes: a scoped or transient service is made
    /// for the connection and disposed after it. An actor whose constructor takes nothing gets no scope.
    /// </typeparam>
    /// <param name="name">Its PID is <c>netpoll/listener-</c> and this; <see cref="NetPollExtension.FindListener"/> finds it.</param>
    /// <param name="endPoint">See <see cref="NetPoll.Core.NetListener.Listen"/>; port 0 lets the system choose.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a listener of that name.</exception>
    public NetPollBuilder Listen<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TConnection>(
        string name, EndPoint endPoint, Action<ListenerOptions>? configure = null)
        where TConnection : ConnectionActor => Add(
            name,
            endPoint,
            (services, netPoll, options) => netPoll.ListenAsync<TConnection>(name, endPoint, services, options),
            configure);

    /// <summary>Adds a listener whose connections' actors are made by a factory.</summary>
    /// <param name="name">Its PID is <c>netpoll/listener-</c> and this; <see cref="NetPollExtension.FindListener"/> finds it.</param>
    /// <param name="endPoint">See <see cref="NetPoll.Core.NetListener.Listen"/>; port 0 lets the system choose.</param>
    /// <param name="factory">
    /// Makes the actor of a connection, on the connection's poller's thread: it must not block. It gets the host's own services, without a
    /// scope: what it makes of transient disposables there is kept until the host ends.
    /// </param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a listener of that name.</exception>
    public NetPollBuilder Listen(string name, EndPoint endPoint, Func<IServiceProvider, ConnectionActor> factory, Action<ListenerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return Add(
            name,
            endPoint,
            (services, netPoll, options) => netPoll.ListenAsync(name, endPoint, () => factory(services), options),
            configure);
    }

    /// <summary>Adds a listener whose connections are handled by a plain actor, by messages.</summary>
    /// <param name="name">Its PID is <c>netpoll/listener-</c> and this; <see cref="NetPollExtension.FindListener"/> finds it.</param>
    /// <param name="endPoint">See <see cref="NetPoll.Core.NetListener.Listen"/>; port 0 lets the system choose.</param>
    /// <param name="handler">
    /// Gives the actor that gets the events of every connection, perhaps a new one. Called once, when the host has started; when the actor
    /// stops the connections are reset.
    /// </param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a listener of that name.</exception>
    public NetPollBuilder Listen(string name, EndPoint endPoint, Func<IServiceProvider, PID> handler, Action<ListenerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Add(name, endPoint, (services, netPoll, options) => netPoll.ListenAsync(name, endPoint, handler(services), options), configure);
    }

    private NetPollBuilder Add(string name, EndPoint endPoint, ListenerStart start, Action<ListenerOptions>? configure)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(endPoint);
        if (Services.Any(service => service.ImplementationInstance is ListenerRegistration other && other.Name == name))
        {
            throw new ArgumentException($"There is a listener '{name}' already; expected a name of its own for each.", nameof(name));
        }

        Services.AddSingleton(new ListenerRegistration(name, start));
        OptionsBuilder<ListenerOptions> options = Services.AddOptions<ListenerOptions>(name).ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        return this;
    }
}
