using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Proto;

namespace NetPoll.Actors.Listening;

/// <summary>Makes connection actors by constructor injection, each in a scope that ends after its actor.</summary>
/// <remarks>
/// A scope of its own, since what a connection takes from the root provider is kept there until the program ends: a disposable service
/// for each connection would be a leak. An actor whose constructor takes nothing gets no scope, and costs no more than by a factory.
/// </remarks>
internal sealed class InjectedConnections<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TConnection>
    where TConnection : ConnectionActor
{
    private readonly IServiceProvider _services;
    private readonly NetPollExtension _extension;
    private readonly ObjectFactory<TConnection> _create;
    private readonly bool _needsScope;

    /// <exception cref="InvalidOperationException">The actor cannot be made of these services.</exception>
    internal InjectedConnections(IServiceProvider services, NetPollExtension extension)
    {
        _services = services;
        _extension = extension;

        // Refuses a type that has several constructors and marks none of them.
        _create = ActivatorUtilities.CreateFactory<TConnection>([]);
        ConstructorInfo[] constructors = typeof(TConnection).GetConstructors();
        ConstructorInfo constructor = constructors.Length == 1
            ? constructors[0]
            : constructors.Single(static candidate => candidate.IsDefined(typeof(ActivatorUtilitiesConstructorAttribute)));
        ParameterInfo[] parameters = constructor.GetParameters();
        _needsScope = parameters.Length > 0;
        foreach (ParameterInfo parameter in parameters)
        {
            if (!CanBeSupplied(parameter, services))
            {
                throw new InvalidOperationException(
                    $"{typeof(TConnection)} cannot be made: its constructor takes {parameter.ParameterType} {parameter.Name}, and no such service is registered.");
            }
        }
    }

    /// <summary>Makes one. A poller's thread.</summary>
    internal IActor Create()
    {
        if (!_needsScope)
        {
            return _create(_services, []);
        }

        ConnectionScope scope = new(_services.CreateAsyncScope(), _extension, typeof(TConnection).Name);
        try
        {
            return new ScopedConnection(_create(scope.Services, []), scope);
        }
        catch
        {
            _ = scope.EndAsync();
            throw;
        }
    }

    private static bool CanBeSupplied(ParameterInfo parameter, IServiceProvider services)
    {
        if (parameter.HasDefaultValue)
        {
            return true;
        }

        // A container that cannot tell is asked when the first connection comes.
        return parameter.GetCustomAttribute<FromKeyedServicesAttribute>() is { } keyed
            ? services.GetService<IServiceProviderIsKeyedService>()?.IsKeyedService(parameter.ParameterType, keyed.Key) ?? true
            : services.GetService<IServiceProviderIsService>()?.IsService(parameter.ParameterType) ?? true;
    }
}
