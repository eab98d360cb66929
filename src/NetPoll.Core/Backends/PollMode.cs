namespace NetPoll.Core;

/// <summary>A direction of a descriptor, or both.</summary>
/// <remarks>Go: the modes <c>'r'</c>, <c>'w'</c> and <c>'r'+'w'</c>.</remarks>
[Flags]
public enum PollMode
{
    /// <summary>Neither direction.</summary>
    None = 0,

    /// <summary>Reading, and accepting on a listener.</summary>
    Read = 1,

    /// <summary>Writing, and the end of a connection attempt.</summary>
    Write = 2,

    /// <summary>Both directions.</summary>
    Both = Read | Write,
}
