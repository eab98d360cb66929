namespace NetPoll.Actors.Tests.Support;

/// <summary>For tests that look at what the whole process does. Nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
