namespace Chat.Domain;

/// <summary>Makes and checks hashes on the thread pool, one at a time: whoever tries passwords must not take the processors.</summary>
internal sealed class PasswordWork : IDisposable
{
    /// <summary>How many may wait; more are told to come again.</summary>
    public const int MaxWaiting = 100;

    private readonly SemaphoreSlim _one = new(1);
    private int _waiting;

    /// <summary>Whether there are as many as may be. The caller's turns only.</summary>
    public bool IsFull => Volatile.Read(ref _waiting) >= MaxWaiting;

    public Task<bool> VerifyAsync(string password, string hash) => RunAsync(() => PasswordHash.Verify(password, hash));

    public Task<string> CreateAsync(string password) => RunAsync(() => PasswordHash.Create(password));

    public void Dispose() => _one.Dispose();

    private async Task<T> RunAsync<T>(Func<T> work)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await _one.WaitAsync().ConfigureAwait(false);
            try
            {
                return await Task.Run(work).ConfigureAwait(false);
            }
            finally
            {
                _one.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }
}
