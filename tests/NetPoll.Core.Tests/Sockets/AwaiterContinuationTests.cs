using System.Threading.Tasks.Sources;
using NetPoll.Core.Sockets;

namespace NetPoll.Core.Tests.Sockets;

/// <summary>What this runtime's awaiters give to a source is what a waiting operation takes for it.</summary>
public sealed class AwaiterContinuationTests
{
    [Fact]
    public void All_awaiters_pass_an_action_on_in_the_same_way()
    {
        int calls = 0;
        void Count() => calls++;
        Source source = new();

        new ValueTask(source, 0).GetAwaiter().UnsafeOnCompleted(Count);
        source.AssertPassedOn(Count);
        new ValueTask<int>(source, 0).GetAwaiter().UnsafeOnCompleted(Count);
        source.AssertPassedOn(Count);
        new ValueTask<int>(source, 0).ConfigureAwait(true).GetAwaiter().UnsafeOnCompleted(Count);
        source.AssertPassedOn(Count);

        AwaiterContinuation.InvokeAction((Action)Count);
        Assert.Equal(1, calls);
    }

    private sealed class Source : IValueTaskSource, IValueTaskSource<int>
    {
        private (Action<object?> Continuation, object? State)? _heard;

        public ValueTaskSourceStatus GetStatus(short token) => ValueTaskSourceStatus.Pending;

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _heard = (continuation, state);

        int IValueTaskSource<int>.GetResult(short token) => 0;

        void IValueTaskSource.GetResult(short token)
        {
        }

        internal void AssertPassedOn(Action action)
        {
            Assert.NotNull(_heard);
            Assert.Same(AwaiterContinuation.InvokeAction, _heard.Value.Continuation);
            Assert.Equal(action, _heard.Value.State);
            _heard = null;
        }
    }
}
