using BenchmarkDotNet.Attributes;
using NetPoll.Core;
using NetPoll.Core.Backends;
using NetPoll.Core.Deadlines;
using NetPoll.Core.Descriptors;

namespace NetPoll.Bench.Micro;

/// <summary>The state machine of a descriptor, one step at a time.</summary>
[MemoryDiagnoser]
public class TransitionBenchmarks
{
    private const int Checks = 1024;

    private readonly ReadyList _ready = new();
    private readonly Waiter _waiter = new();
    private PollDescriptor _descriptor = null!;

    [GlobalSetup]
    public void Setup()
    {
        _descriptor = new PollDescriptor(0, new TimingWheel(0));
        _descriptor.Open(new IdleSocket());
    }

    // Many in one call: one alone takes less than the call that is measured and taken off again.
    [Benchmark(OperationsPerInvoke = Checks)]
    public int CheckError()
    {
        int errors = 0;
        for (int index = 0; index < Checks; index++)
        {
            errors += (int)_descriptor.CheckError(PollMode.Read);
        }

        return errors;
    }

    [Benchmark(OperationsPerInvoke = Checks)]
    public int Prepare()
    {
        int errors = 0;
        for (int index = 0; index < Checks; index++)
        {
            errors += (int)_descriptor.Prepare(PollMode.Read);
        }

        return errors;
    }

    [Benchmark]
    public bool ParkReadyFinish()
    {
        bool parked = _descriptor.TryPark(PollMode.Read, _waiter, out _);
        _descriptor.OnReady(PollEventFlags.Read, _ready);
        _ready.TryTake(out _, out _);
        _ready.TryTake(out _, out _);
        return parked & _descriptor.FinishWait(PollMode.Read);
    }

    [Benchmark]
    public bool ArmReadyForget()
    {
        _descriptor.Arm(PollMode.Read, _waiter);
        _descriptor.OnReady(PollEventFlags.Read | PollEventFlags.Write, _ready);
        bool taken = _ready.TryTake(out _, out _);
        _ready.TryTake(out _, out _);
        _descriptor.ForgetReadiness(PollMode.Read);
        return taken;
    }

    private sealed class Waiter : IPollWaiter
    {
        public void Resume(PollSignals signals)
        {
        }

        public void Schedule(PollSignals signals)
        {
        }
    }
}
