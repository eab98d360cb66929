using System.Threading.Tasks.Sources;

namespace NetPoll.Core.Sockets;

/// <summary>What an operation has come to that was just started: done, failed, or waiting.</summary>
/// <remarks>One and the same wait is a task of one type for one caller and of another for the next, and none of them allocates.</remarks>
internal readonly struct Started<TResult>
{
    private readonly object? _source;
    private readonly short _version;
    private readonly TResult _result;
    private readonly Exception? _failure;

    private Started(object? source, short version, TResult result, Exception? failure)
    {
        _source = source;
        _version = version;
        _result = result;
        _failure = failure;
    }

    internal static Started<TResult> Done(TResult result) => new(null, 0, result, null);

    internal static Started<TResult> Failed(Exception failure) => new(null, 0, default!, failure);

    /// <param name="source">Also an <see cref="IValueTaskSource"/> of every type that it is asked for.</param>
    /// <param name="version">Its own at the start: it may be in use again by now.</param>
    internal static Started<TResult> Waiting(object source, short version) => new(source, version, default!, null);

    internal ValueTask AsTask() => _source is not null ? new ValueTask((IValueTaskSource)_source, _version)
        : _failure is null ? ValueTask.CompletedTask
        : ValueTask.FromException(_failure);

    internal ValueTask<T> AsTask<TState, T>(TState state, Func<TResult, TState, T> result) => _source is not null
        ? new ValueTask<T>((IValueTaskSource<T>)_source, _version)
        : _failure is null ? new ValueTask<T>(result(_result, state)) : ValueTask.FromException<T>(_failure);
}
