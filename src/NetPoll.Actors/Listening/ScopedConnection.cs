using Microsoft.Extensions.DependencyInjection;
using Proto;
using Log = NetPoll.Actors.Diagnostics.Log;

namespace NetPoll.Actors.Listening;

/// <summary>A connection's actor and the scope that its services came from: the scope ends after the actor, when that has stopped.</summary>
internal sealed class ScopedConnection : IActor, IAsyncDisposable
{
    private readonly ConnectionActor _actor;
    private readonly ConnectionScope _scope;

    internal ScopedConnection(ConnectionActor actor, ConnectionScope scope)
    {
        _actor = actor;
        _scope = scope;
    }

    /// <inheritdoc/>
    public Task ReceiveAsync(IContext context) => _actor.ReceiveAsync(context);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_actor is IAsyncDisposable asyncDisposable)
            {
                await asyncDisposable.DisposeAsync();
            }
            else
            {
                (_actor as IDisposable)?.Dispose();
            }
        }
        finally
        {
            await _scope.EndAsync();
        }
    }
}

/// <summary>The scope of one connection's services.</summary>
internal readonly struct ConnectionScope
{
    private readonly AsyncServiceScope _scope;
    private readonly NetPollExtension _extension;
    private readonly string _connection;

    /// <param name="scope">Owned from here on.</param>
    /// <param name="extension">Whose shutdown waits for the end.</param>
    /// <param name="connection">The actor's type, for the log.</param>
    internal ConnectionScope(AsyncServiceScope scope, NetPollExtension extension, string connection)
    {
        _scope = scope;
        _extension = extension;
        _connection = connection;
        _ = extension.Scopes.TryEnter();
    }

    internal IServiceProvider Services => _scope.ServiceProvider;

    /// <summary>Disposes it, once. An exception is logged: thrown at the context it would keep the connection's watchers from being told.</summary>
    internal async Task EndAsync()
    {
        try
        {
            await _scope.DisposeAsync();
        }
#pragma warning disable CA1031 // Any service of the user's may throw anything.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.ScopeFailed(_extension.Logger, exception, _connection);
        }
        finally
        {
            _extension.Scopes.Leave();
        }
    }
}
