using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Chat.Server.Doors;

/// <summary>How many connections there are, in total and from each address, by whatever door. Any thread.</summary>
internal sealed class Admission
{
    private readonly int _most;
    private readonly int _mostPerAddress;
    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private int _total;
    private long _refused;

    public Admission(int most, int mostPerAddress)
    {
        _most = most;
        _mostPerAddress = mostPerAddress;
    }

    /// <summary>Connections that are open.</summary>
    public int Total => Volatile.Read(ref _total);

    /// <summary>Connections that were refused since the start.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>Counts a connection in, or says why it must go. One that was counted in is to be counted out.</summary>
    public bool TryEnter(IPAddress? address, [NotNullWhen(false)] out string? refusal)
    {
        if (Interlocked.Increment(ref _total) > _most)
        {
            Interlocked.Decrement(ref _total);
            refusal = $"the server is full; the limit is {_most} connections";
        }
        else if (address is not null && _byAddress.AddOrUpdate(address, 1, static (_, count) => count + 1) > _mostPerAddress)
        {
            Leave(address);
            refusal = $"there are too many connections from {address}; the limit is {_mostPerAddress}";
        }
        else
        {
            refusal = null;
            return true;
        }

        Interlocked.Increment(ref _refused);
        return false;
    }

    /// <summary>Counts a connection out.</summary>
    public void Leave(IPAddress? address)
    {
        Interlocked.Decrement(ref _total);
        if (address is null)
        {
            return;
        }

        // An address with no connection is forgotten; whoever comes in between is seen by the comparison, and counted.
        int left = _byAddress.AddOrUpdate(address, 0, static (_, count) => count - 1);
        if (left == 0)
        {
            _byAddress.TryRemove(new KeyValuePair<IPAddress, int>(address, 0));
        }
    }
}
