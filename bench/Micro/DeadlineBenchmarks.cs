using BenchmarkDotNet.Attributes;
using NetPoll.Core;
using NetPoll.Core.Descriptors;
using NetPoll.Core.Scheduling;

namespace NetPoll.Bench.Micro;

/// <summary>Moving a deadline, with none, many and very many others armed; beside an array of as many objects that is only touched.</summary>
/// <remarks>
/// On the poller's thread, where handlers set deadlines, in turns of 128 moves; what the turns cost is in it. And from a thread that is no poller's.
/// Both random walks go over all of the objects in the same order, one after the other: which one is next is known only when this one has
/// been read, as with connections whose messages come one at a time. Touches that do not depend on each other would be loaded ten at a time
/// and show a tenth of what memory costs; a deadline's locked instructions never are.
/// </remarks>
[MemoryDiagnoser]
public class DeadlineBenchmarks
{
    private const int Moves = 1 << 16;
    private const int MovesPerWork = 4;

    private readonly Deadline _later = Deadline.After(TimeSpan.FromMinutes(10));
    private PollerGroup _group = null!;
    private Poller _poller = null!;
    private Turns _turns = null!;
    private PollDescriptor[] _descriptors = [];
    private Touched[] _objects = [];
    private int[] _next = [];
    private int _at;

    [Params(1, 1_000, 1_000_000)]
    public int Armed { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _group = new PollerGroup(new PollerOptions { PollerCount = 1, RunQueueBudget = TimeSpan.FromTicks(1), Platform = new IdlePlatform() });
        _group.Start();
        _poller = _group.Pollers[0];
        _turns = new Turns(_poller);
        _descriptors = new PollDescriptor[Armed];
        _objects = new Touched[Armed];
        for (int index = 0; index < Armed; index++)
        {
            _ = _poller.Open(new IdleSocket(), out PollDescriptor? descriptor);
            _descriptors[index] = descriptor!;
            _poller.SetDeadline(descriptor!, PollMode.Both, _later);
        }

        for (int index = 0; index < Armed; index++)
        {
            _objects[index] = new Touched();
        }

        _next = Cycle(Armed);
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        await _group.DisposeAsync();
        _turns.Dispose();
    }

    [Benchmark(OperationsPerInvoke = Moves)]
    public void Same() => _turns.Run(MoveSame);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void InOrder() => _turns.Run(MoveNext);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void AtRandom() => _turns.Run(MoveAtRandom);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void SameFromOutside() => MoveSame(Moves);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void InOrderFromOutside() => MoveNext(Moves);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void AtRandomFromOutside() => MoveAtRandom(Moves);

    [Benchmark(OperationsPerInvoke = Moves)]
    public void AtRandomOnlyTouched()
    {
        for (int index = 0; index < Moves; index++)
        {
            _at = _next[_at] + _objects[_at].Touch();
        }
    }

    /// <summary>What every move contains: the system's clock, read so that no deadline is early.</summary>
    [Benchmark(OperationsPerInvoke = Moves)]
    public long ClockOnly()
    {
        long sum = 0;
        for (int index = 0; index < Moves; index++)
        {
            sum += _poller.Clock.Nanoseconds;
        }

        return sum;
    }

    private void MoveSame(int count)
    {
        PollDescriptor descriptor = _descriptors[0];
        for (int index = 0; index < count; index++)
        {
            _poller.SetDeadline(descriptor, PollMode.Read, _later);
        }
    }

    private void MoveNext(int count)
    {
        for (int index = 0; index < count; index++)
        {
            _poller.SetDeadline(_descriptors[_at], PollMode.Read, _later);
            _at = _at + 1 == Armed ? 0 : _at + 1;
        }
    }

    private void MoveAtRandom(int count)
    {
        for (int index = 0; index < count; index++)
        {
            _poller.SetDeadline(_descriptors[_at], PollMode.Read, _later);
            _at = _next[_at];
        }
    }

    // One way round through all of them in random order (Sattolo).
    private static int[] Cycle(int count)
    {
        int[] next = [.. Enumerable.Range(0, count)];
        Random random = new(1);
        for (int index = count - 1; index > 0; index--)
        {
            int other = random.Next(index);
            (next[index], next[other]) = (next[other], next[index]);
        }

        return next;
    }

    /// <summary>Work that is queued again until all moves are made; the poller ends its turn after 32 pieces of work.</summary>
    private sealed class Turns(Poller poller) : IPollerWork, IDisposable
    {
        private readonly ManualResetEventSlim _isOver = new();
        private Action<int> _move = static _ => { };
        private int _left;

        IPollerWork? IPollerWork.Next { get; set; }

        public void Dispose() => _isOver.Dispose();

        internal void Run(Action<int> move)
        {
            _move = move;
            _left = Moves;
            _isOver.Reset();
            poller.Post(this);
            _isOver.Wait();
        }

        void IPollerWork.Run()
        {
            if (_left == 0)
            {
                _isOver.Set();
                return;
            }

            _move(MovesPerWork);
            _left -= MovesPerWork;
            poller.Post(this);
        }
    }

    /// <summary>As large as a descriptor, so that the touches miss the caches as often.</summary>
    private sealed class Touched
    {
        private Body _body;

        /// <summary>Reads and writes one field.</summary>
        /// <returns>0, which the processor learns only when the field has been read.</returns>
        internal int Touch() => (int)(++_body[0] >> 63);

        [System.Runtime.CompilerServices.InlineArray(24)]
        private struct Body
        {
            private long _first;
        }
    }
}
