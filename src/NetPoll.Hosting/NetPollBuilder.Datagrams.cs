using System.Diagnostics.CodeAnalysis;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using NetPoll.Actors;
using NetPoll.Core;
using Proto;

namespace NetPoll.Hosting;

/// <content>Datagram sockets.</content>
public sealed partial class NetPollBuilder
{
    /// <summary>Adds a datagram socket that is called as its actor's type.</summary>
    /// <typeparam name="TActor">See <see cref="BindDatagrams{TActor}(string, EndPoint, Action{DatagramOptions}?)"/>.</typeparam>
    /// <param name="endPoint">The address, whose port 0 lets the system choose; or a <see cref="HandleEndPoint"/> for a socket that is open already.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a datagram socket of that name: give this one another.</exception>
    public NetPollBuilder BindDatagrams<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TActor>(
        EndPoint endPoint, Action<DatagramOptions>? configure = null)
        where TActor : DatagramActor => BindDatagrams<TActor>(typeof(TActor).Name, endPoint, configure);

    /// <summary>Adds a datagram socket whose actor is made by constructor injection.</summary>
    /// <typeparam name="TActor">
    /// The actor; one at a time, and a new one after each failure. Its constructor takes the host's own services, without a scope. A service
    /// that is missing stops the start.
    /// </typeparam>
    /// <param name="name">Its PID is <c>netpoll/datagrams-</c> and this; <see cref="NetPollExtension.FindDatagramSocket"/> finds it.</param>
    /// <param name="endPoint">The address, whose port 0 lets the system choose; or a <see cref="HandleEndPoint"/> for a socket that is open already.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a datagram socket of that name.</exception>
    public NetPollBuilder BindDatagrams<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TActor>(
        string name, EndPoint endPoint, Action<DatagramOptions>? configure = null)
        where TActor : DatagramActor
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        return AddDatagrams(
            name,
            (services, netPoll, options) => netPoll.BindDatagramsAsync(name, endPoint, () => ActivatorUtilities.CreateInstance<TActor>(services), options),
            configure);
    }

    /// <summary>Adds a datagram socket whose peers have an actor each.</summary>
    /// <param name="name">Its PID is <c>netpoll/datagrams-</c> and this; <see cref="NetPollExtension.FindDatagramSocket"/> finds it.</param>
    /// <param name="endPoint">The address, whose port 0 lets the system choose; or a <see cref="HandleEndPoint"/> for a socket that is open already.</param>
    /// <param name="peerFactory">Makes the actor of an address, on the socket's poller's thread: it must not block. It gets the host's own services, without a scope.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a datagram socket of that name.</exception>
    public NetPollBuilder BindDatagrams(
        string name, EndPoint endPoint, Func<IServiceProvider, DatagramAddress, IActor> peerFactory, Action<DatagramOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(peerFactory);
        return AddDatagrams(
            name,
            (services, netPoll, options) => netPoll.BindDatagramsAsync(name, endPoint, peer => peerFactory(services, peer), options),
            configure);
    }

    /// <summary>Adds a datagram socket that a plain actor handles, by messages.</summary>
    /// <param name="name">Its PID is <c>netpoll/datagrams-</c> and this; <see cref="NetPollExtension.FindDatagramSocket"/> finds it.</param>
    /// <param name="endPoint">The address, whose port 0 lets the system choose; or a <see cref="HandleEndPoint"/> for a socket that is open already.</param>
    /// <param name="handler">Gives the actor, perhaps a new one. Called once, when the host has started; when the actor stops the socket is closed.</param>
    /// <param name="configure">Changes the options.</param>
    /// <exception cref="ArgumentException">There is a datagram socket of that name.</exception>
    public NetPollBuilder BindDatagrams(string name, EndPoint endPoint, Func<IServiceProvider, PID> handler, Action<DatagramOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(handler);
        return AddDatagrams(name, (services, netPoll, options) => netPoll.BindDatagramsAsync(name, endPoint, handler(services), options), configure);
    }

    private NetPollBuilder AddDatagrams(string name, DatagramStart start, Action<DatagramOptions>? configure)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (Services.Any(service => service.ImplementationInstance is DatagramRegistration other && other.Name == name))
        {
            throw new ArgumentException($"There is a datagram socket '{name}' already; expected a name of its own for each.", nameof(name));
        }

        Services.AddSingleton(new DatagramRegistration(name, start));
        OptionsBuilder<DatagramOptions> options = Services.AddOptions<DatagramOptions>(name).ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        return this;
    }
}
