using System.Text.RegularExpressions;

namespace Repository.Tests;

/// <summary>The code in the documents is the code that the compiler has seen: each block names the file it stands in.</summary>
public sealed partial class SnippetTests
{
    public static TheoryData<string> Documents => [.. Directory.EnumerateFiles(RepositoryRoot.Path, "*.md")
        .Concat(Directory.EnumerateFiles(Path.Combine(RepositoryRoot.Path, "docs"), "*.md", SearchOption.AllDirectories))
        .Concat(Directory.EnumerateFiles(Path.Combine(RepositoryRoot.Path, "src"), "README.md", SearchOption.AllDirectories))
        .Select(static file => Path.GetRelativePath(RepositoryRoot.Path, file).Replace('\\', '/'))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_block_of_code_equals_the_compiled_file_that_it_names(string document)
    {
        string text = RepositoryRoot.Read(document);
        int blocks = CSharpBlock().Count(text);
        MatchCollection named = NamedBlock().Matches(text);

        Assert.Equal(blocks, named.Count);
        Assert.All(named, static match =>
        {
            string file = Normalize(RepositoryRoot.Read(match.Groups["file"].Value));
            Assert.Contains(Normalize(match.Groups["code"].Value), file, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void The_first_server_of_the_readme_is_short()
    {
        string code = NamedBlock().Match(RepositoryRoot.Read("README.md")).Groups["code"].Value;

        Assert.InRange(code.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length, 5, 19);
    }

    private static string Normalize(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal).Trim();

    [GeneratedRegex(@"^```csharp\s*$", RegexOptions.Multiline)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex(@"<!-- (?<file>[\w./-]+\.cs) -->\r?\n```csharp\s*\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex NamedBlock();
}
