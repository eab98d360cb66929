namespace NetPoll.Core.Descriptors;

/// <summary>Who does the operations on a descriptor, as a snapshot asks him.</summary>
internal interface IDescriptorUser
{
    /// <summary>Operations in progress, those included that are parked.</summary>
    int OperationsInProgress { get; }
}
