using System.Globalization;
using System.Runtime.InteropServices;
using NetPoll.Core.Backends;

namespace NetPoll.Core.Tests;

/// <summary>What the variables of a service manager say, and whom. That what they name works is shown in a process of its own.</summary>
public sealed class SocketActivationTests
{
    private static readonly string Us = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    private readonly Dictionary<string, string> _variables = [];
    private readonly List<int> _kept = [];

    [Fact]
    public void The_descriptors_have_their_names_and_no_program_gets_variables_or_descriptors()
    {
        InheritedDescriptors inherited = Read(Us, "3", "http:dns:http");

        Assert.Equal(["http", "dns", "http"], inherited.Names);
        Assert.Equal([3, 4, 5], _kept);
        Assert.Empty(_variables);
    }

    [Fact]
    public void Without_names_they_are_unknown() => Assert.Equal(["unknown", "unknown"], Read(Us, "2", names: null).Names);

    [Theory]
    [InlineData("1", "1")]
    [InlineData(null, "1")]
    [InlineData("", "1")]
    [InlineData("us", null)]
    [InlineData("us", "0")]
    public void What_is_for_another_process_or_nothing_is_nothing(string? process, string? count)
    {
        InheritedDescriptors inherited = Read(process == "us" ? Us : process, count, names: null);

        Assert.Empty(inherited.Names);
        Assert.Empty(_kept);
        Assert.Empty(_variables);
        InvalidOperationException failure = Assert.Throws<InvalidOperationException>(() => inherited.Take("http"));
        Assert.Contains("'http': this process was not started by socket activation", failure.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => inherited.Take(0));
    }

    [Theory]
    [InlineData("x", "1", null, "LISTEN_PID is 'x'; expected a number.")]
    [InlineData("us", "-1", null, "LISTEN_FDS is '-1'; expected a number.")]
    [InlineData("us", "2", "a", "LISTEN_FDNAMES is 'a', which names 1 descriptors, and LISTEN_FDS is 2; expected as many.")]
    [InlineData("us", "4", null, "LISTEN_FDS is 4, but the descriptor 6 is not open")]
    public void A_contradiction_is_told_with_the_variable_and_its_value(string process, string count, string? names, string expected)
    {
        InvalidOperationException failure = Assert.Throws<InvalidOperationException>(() => Read(process == "us" ? Us : process, count, names));

        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_is_taken_once_by_name_or_place()
    {
        InheritedDescriptors inherited = Read(Us, "3", "http:dns:http");

        Assert.Equal([3, 5, 4], new[] { Number(inherited.Take("http")), Number(inherited.Take("http")), Number(inherited.Take(1)) });
        Assert.False(inherited.TryTake("http", out _));
        InvalidOperationException failure = Assert.Throws<InvalidOperationException>(() => inherited.Take("http"));
        Assert.Contains("'http' left; this process was given 'http', 'dns', 'http'", failure.Message, StringComparison.Ordinal);
        failure = Assert.Throws<InvalidOperationException>(() => inherited.Take(1));
        Assert.Equal("The inherited descriptor 1 ('dns') was taken before.", failure.Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => inherited.Take(3));
    }

    private InheritedDescriptors Read(string? process, string? count, string? names)
    {
        foreach ((string name, string? value) in new[] { ("LISTEN_PID", process), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names) })
        {
            if (value is not null)
            {
                _variables[name] = value;
            }
        }

        return InheritedDescriptors.Read(
            name => _variables.GetValueOrDefault(name),
            name => _variables.Remove(name),
            number =>
            {
                _kept.Add(number);
                return number < 6 ? IoResult.Success : IoResult.Gone;
            });
    }

    // The number belongs to somebody else in this process: the handle must not close it.
    private static int Number(SafeHandle handle)
    {
        int number = (int)handle.DangerousGetHandle();
        handle.SetHandleAsInvalid();
        return number;
    }
}
