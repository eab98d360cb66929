using BenchmarkDotNet.Attributes;
using NetPoll.Core;
using NetPoll.Core.Descriptors;

namespace NetPoll.Bench.Micro;

/// <summary>Moving a deadline, with none, many and very many others armed; beside an array of as many objects that is only touched.</summary>
[MemoryDiagnoser]
public class DeadlineBenchmarks
{
    private const int Moves = 1 << 16;

    private readonly Deadline _later = Deadline.After(TimeSpan.FromMinutes(10));
    private PollerGroup _group = null!;
    private Poller _poller = null!;
    private PollDescriptor[] _descriptors = [];
    private Touched[] _objects = [];
    private int[] _order = [];

    [Params(1, 1_000, 1_000_000)]
    public int Armed { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _group = new PollerGroup(new PollerOptions { PollerCount = 1, Platform = new IdlePlatform() });
        _group.Start();
        _poller = _group.Pollers[0];
        _descriptors = new PollDescriptor[Armed];
        _objects = new Touched[Armed];
        for (int index = 0; index < Armed; index++)
        {
            _ = _poller.Open(new IdleSocket(), out PollDescriptor? descriptor);
            _descriptors[index] = descriptor!;
            _poller.SetDeadline(descriptor!, PollMode.Both, _later);
            _objects[index] = new Touched();
        }

        Random random = new(1);
        _order = new int[Moves];
        for (int index = 0; index < Moves; index++)
        {
            _order[index] = random.Next(Armed);
        }
    }

    [GlobalCleanup]
    public async Task Cleanup() => await _group.DisposeAsync();

    [Benchmark(OperationsPerInvoke = Moves)]
    public void Same()
    {
        PollDescriptor descriptor = _descriptors[0];
        for (int index = 0; index < Moves; index++)
        {
            _poller.SetDeadline(descriptor, PollMode.Read, _later);
        }
    }

    [Benchmark(OperationsPerInvoke = Moves)]
    public void InOrder()
    {
        int next = 0;
        for (int index = 0; index < Moves; index++)
        {
            _poller.SetDeadline(_descriptors[next], PollMode.Read, _later);
            next = next + 1 == Armed ? 0 : next + 1;
        }
    }

    [Benchmark(OperationsPerInvoke = Moves)]
    public void AtRandom()
    {
        foreach (int next in _order)
        {
            _poller.SetDeadline(_descriptors[next], PollMode.Read, _later);
        }
    }

    [Benchmark(OperationsPerInvoke = Moves)]
    public void AtRandomOnlyTouched()
    {
        foreach (int next in _order)
        {
            _objects[next].Touch();
        }
    }

    /// <summary>As large as a descriptor, so that the touches miss the caches as often.</summary>
    private sealed class Touched
    {
        private readonly long[] _body = new long[24];

        internal void Touch()
        {
            _body[0]++;
            _body[12]++;
            _body[23]++;
        }
    }
}
