using System.Reflection;
using PublicApiGenerator;

namespace Repository.Tests;

/// <summary>What users can see of the packages is written down, so that a change of it is seen in review.</summary>
public sealed class PublicApiTests
{
    /// <summary>Set to 1 the test writes the files instead of comparing them.</summary>
    private const string Update = "NETPOLL_UPDATE_API";

    private static readonly ApiGeneratorOptions Options = new()
    {
        IncludeAssemblyAttributes = false,
        ExcludeAttributes = ["System.Runtime.CompilerServices.AsyncStateMachineAttribute"],
    };

    public static TheoryData<string> Packages => [.. PackageFeed.Packages];

    [Theory]
    [MemberData(nameof(Packages))]
    public void The_public_surface_is_the_one_that_is_written_down(string package)
    {
        string path = Path.Combine(RepositoryRoot.Path, "src", package, "PublicAPI.txt");
        string[] surface = Lines(Assembly.Load(package).GeneratePublicApi(Options));
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            File.WriteAllText(path, string.Join('\n', surface) + '\n');
            return;
        }

        string[] written = Lines(File.ReadAllText(path));
        string[] added = [.. surface.Except(written)];
        string[] gone = [.. written.Except(surface)];
        Assert.True(
            surface.SequenceEqual(written),
            $"""
            The public surface of {package} has changed. If that is meant, write it down, and look at the difference before you commit it:
              {Update}=1 dotnet test --project tests/Repository.Tests -c Release --filter-class '*PublicApiTests'
            new:
            {string.Join('\n', added)}
            gone:
            {string.Join('\n', gone)}
            """);
    }

    private static string[] Lines(string text) => [.. text.Split('\n').Select(static line => line.TrimEnd()).Where(static line => line.Length > 0)];
}
