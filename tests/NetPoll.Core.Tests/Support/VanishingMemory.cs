using System.Buffers;

namespace NetPoll.Core.Tests.Support;

/// <summary>Eight bytes that their owner may take away while somebody still uses them.</summary>
internal sealed class VanishingMemory : MemoryManager<byte>
{
    private readonly byte[] _bytes = new byte[8];

    internal bool IsGone { get; set; }

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(IsGone, this);
        return _bytes;
    }

    public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

    public override void Unpin() => throw new NotSupportedException();

    protected override void Dispose(bool disposing) => IsGone = true;
}
