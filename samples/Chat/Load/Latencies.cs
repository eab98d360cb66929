using System.Diagnostics;

namespace Chat.Load;

/// <summary>Durations in buckets that are at most 1.6% wide, so that millions of them cost nothing. Any thread.</summary>
internal sealed class Latencies
{
    // 64 buckets for each power of two of microseconds.
    private const int BucketBits = 6;
    private const int Buckets = 40 << BucketBits;

    private readonly long[] _counts = new long[Buckets];
    private long _count;

    public long Count => Volatile.Read(ref _count);

    public void Add(long startTimestamp)
    {
        long microseconds = (long)Stopwatch.GetElapsedTime(startTimestamp).TotalMicroseconds;
        Interlocked.Increment(ref _counts[Bucket(Math.Max(0, microseconds))]);
        Interlocked.Increment(ref _count);
    }

    /// <summary>What a share of all does not exceed.</summary>
    /// <param name="share">0 to 1.</param>
    public TimeSpan Percentile(double share)
    {
        long wanted = Math.Max(1, (long)Math.Ceiling(Count * share));
        long seen = 0;
        for (int bucket = 0; bucket < Buckets; bucket++)
        {
            seen += Volatile.Read(ref _counts[bucket]);
            if (seen >= wanted)
            {
                return TimeSpan.FromMicroseconds(UpperEnd(bucket));
            }
        }

        return TimeSpan.Zero;
    }

    private static int Bucket(long microseconds)
    {
        if (microseconds < 1 << BucketBits)
        {
            return (int)microseconds;
        }

        int shift = 63 - System.Numerics.BitOperations.LeadingZeroCount((ulong)microseconds) - BucketBits;
        return Math.Min(Buckets - 1, (shift << BucketBits) + (int)(microseconds >> shift));
    }

    private static double UpperEnd(int bucket)
    {
        int shift = Math.Max(0, (bucket >> BucketBits) - 1);
        long mantissa = bucket - ((long)shift << BucketBits);
        return ((mantissa + 1) << shift) - 1;
    }
}
