namespace NetPoll.Core.Tests.Support;

/// <summary>For tests that look at the whole process: its descriptors, its processor time. Nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
