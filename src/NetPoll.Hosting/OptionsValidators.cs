using Microsoft.Extensions.Options;
using NetPoll.Actors;

namespace NetPoll.Hosting;

/// <summary>A value out of its range stops the start; the message is the one that the option itself gives.</summary>
internal sealed class NetPollOptionsValidator : IValidateOptions<NetPollOptions>
{
    public ValidateOptionsResult Validate(string? name, NetPollOptions options) => Outcome.Of(options.Validate, string.Empty);
}

/// <summary>The same for a listener, whose name stands before the message.</summary>
internal sealed class ListenerOptionsValidator : IValidateOptions<ListenerOptions>
{
    public ValidateOptionsResult Validate(string? name, ListenerOptions options) =>
        Outcome.Of(options.Validate, string.IsNullOrEmpty(name) ? string.Empty : $"Listener '{name}': ");
}

/// <summary>The same for a datagram socket.</summary>
internal sealed class DatagramOptionsValidator : IValidateOptions<DatagramOptions>
{
    public ValidateOptionsResult Validate(string? name, DatagramOptions options) =>
        Outcome.Of(options.Validate, string.IsNullOrEmpty(name) ? string.Empty : $"Datagram socket '{name}': ");
}

/// <summary>What an option says about itself, as the host wants it.</summary>
file static class Outcome
{
    internal static ValidateOptionsResult Of(Action validate, string prefix)
    {
        try
        {
            validate();
            return ValidateOptionsResult.Success;
        }
        catch (ArgumentException exception)
        {
            return ValidateOptionsResult.Fail(prefix + exception.Message);
        }
    }
}
