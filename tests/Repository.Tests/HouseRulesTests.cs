using System.Text.RegularExpressions;

namespace Repository.Tests;

/// <summary>The rules of the house that no compiler keeps.</summary>
public sealed partial class HouseRulesTests
{
    [Fact]
    public void Unsafe_code_and_platform_calls_live_in_Interop_alone()
    {
        List<string> offenders = [.. RepositoryRoot.Sources("src")
            .Where(static file => !file.Path.Contains("/Interop/", StringComparison.Ordinal) && UnsafeCode().IsMatch(WithoutComments(file.Text)))
            .Select(static file => file.Path)];

        Assert.Empty(offenders);
    }

    [Fact]
    public void Only_the_backends_reach_down_to_Interop()
    {
        List<string> offenders = [.. RepositoryRoot.Sources("src")
            .Where(static file => !file.Path.Contains("/Interop/", StringComparison.Ordinal) && !file.Path.Contains("/Backends/", StringComparison.Ordinal))
            .Where(static file => file.Text.Contains("NetPoll.Core.Interop", StringComparison.Ordinal))
            .Select(static file => file.Path)];

        Assert.Empty(offenders);
    }

    [Fact]
    public void Core_knows_nothing_of_actors()
    {
        List<string> offenders = [.. RepositoryRoot.Sources("src/NetPoll.Core")
            .Where(static file => Regex.IsMatch(file.Text, @"^using (Proto|NetPoll\.Actors)", RegexOptions.Multiline))
            .Select(static file => file.Path)];

        Assert.Empty(offenders);
        Assert.DoesNotContain("Proto.Actor", RepositoryRoot.Read("src/NetPoll.Core/NetPoll.Core.csproj"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_domain_of_the_chat_knows_no_wire_format()
    {
        List<string> offenders = [.. RepositoryRoot.Sources("samples/Chat/Domain", "*.cs*")
            .Where(static file => Regex.IsMatch(file.Text, @"Google\.Protobuf|Grpc\.Tools|System\.Net|NetPoll|Chat\.Protocol"))
            .Select(static file => file.Path)];

        Assert.Empty(offenders);
    }

    [Fact]
    public void Every_folder_below_src_is_on_the_map()
    {
        string map = RepositoryRoot.Read("docs/architecture.md");
        IEnumerable<string> folders = RepositoryRoot.Sources("src")
            .Select(static file => Path.GetDirectoryName(file.Path)!.Replace('\\', '/'))
            .Distinct();

        Assert.All(folders, folder => Assert.Contains(folder + "/", map, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_file_that_the_map_links_to_is_there()
    {
        string map = RepositoryRoot.Read("docs/architecture.md");
        List<string> missing = [.. Regex.Matches(map, @"\]\((?<path>[^)#:]+)\)")
            .Select(static match => match.Groups["path"].Value)
            .Where(static path => !File.Exists(Path.Combine(RepositoryRoot.Path, "docs", path)) && !Directory.Exists(Path.Combine(RepositoryRoot.Path, "docs", path)))];

        Assert.Empty(missing);
    }

    [Fact]
    public void Every_type_that_is_public_lives_in_the_root_namespace()
    {
        IEnumerable<Type> types = typeof(NetPoll.Core.Poller).Assembly.GetExportedTypes()
            .Concat(typeof(NetPoll.Actors.ConnectionActor).Assembly.GetExportedTypes())
            .Concat(typeof(NetPoll.Hosting.NetPollBuilder).Assembly.GetExportedTypes());

        Assert.All(types, static type => Assert.Equal(type.Assembly.GetName().Name, type.Namespace));
    }

    [Fact]
    public void Every_option_is_read_by_somebody()
    {
        List<(string Path, string Text)> sources = [.. RepositoryRoot.Sources("src")];
        IEnumerable<(string Path, string Name)> options = sources
            .Where(static file => file.Path.EndsWith("Options.cs", StringComparison.Ordinal))
            .SelectMany(static file => Regex.Matches(file.Text, @"public [\w<>?]+ (?<name>\w+) \{ get; set; \}").Select(match => (file.Path, match.Groups["name"].Value)));

        Assert.NotEmpty(options);
        Assert.All(options, option => Assert.Contains(
            sources,
            file => file.Path != option.Path && Regex.IsMatch(file.Text, $@"\.{option.Name}\b")));
    }

    private static string WithoutComments(string text) => Comment().Replace(text, string.Empty);

    [GeneratedRegex(@"\bunsafe\b|\bfixed\s*\(|\bstackalloc\s+\w+\s*\*|\bDllImport\b|\bLibraryImport\b|\bIntPtr\b|\bnint\b|\bMemoryMarshal\.GetReference\b|\bUnsafe\.|\bMarshal\.")]
    private static partial Regex UnsafeCode();

    [GeneratedRegex(@"//.*$", RegexOptions.Multiline)]
    private static partial Regex Comment();
}
