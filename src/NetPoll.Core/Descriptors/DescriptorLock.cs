namespace NetPoll.Core.Descriptors;

/// <summary>The small lock of one descriptor: held for some dozens of instructions that neither block nor call anybody. Never copied.</summary>
/// <remarks>
/// A word beside the state that it guards, so that taking it touches no other cache line; half the price of a monitor for a deadline that is
/// moved. Who finds it held spins, and gives its core away after a few rounds, in case the holder was preempted.
/// </remarks>
internal struct DescriptorLock
{
    private const int Free = 0;
    private const int Held = 1;

    private int _state;
    // Word     Free | Held.
    // Writers  any thread takes it by CAS; the holder frees it by a release store.
    // Order    the CAS acquires and the store releases, so each holder sees what those before it wrote. No Dekker pair relies on this word.
    // Proof    the stress tests of deadlines and closes.

    /// <summary>Takes the lock; disposing the result frees it.</summary>
    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    internal Holder Enter()
    {
        if (Interlocked.CompareExchange(ref _state, Held, Free) != Free)
        {
            Spin();
        }

        return new Holder(ref _state);
    }

    private void Spin()
    {
        SpinWait spin = default;
        do
        {
            spin.SpinOnce();
        }
        while (Volatile.Read(ref _state) != Free || Interlocked.CompareExchange(ref _state, Held, Free) != Free);
    }

    /// <summary>That the lock is held, until this is disposed.</summary>
    internal readonly ref struct Holder
    {
        private readonly ref int _state;

        internal Holder(ref int state) => _state = ref state;

        public void Dispose() => Volatile.Write(ref _state, Free);
    }
}
