using System.Globalization;
using System.Text.RegularExpressions;

namespace Repository.Tests;

/// <summary>The list of the numbered cases says where each is shown, and says the truth.</summary>
public sealed partial class ConformanceTests
{
    private const int Cases = 150;

    private static readonly string Document = RepositoryRoot.Read("docs/conformance.md");

    [Fact]
    public void Every_case_is_in_the_list()
    {
        IEnumerable<string> missing = Enumerable.Range(1, Cases)
            .Select(static number => string.Create(CultureInfo.InvariantCulture, $"| NP-{number:000} |"))
            .Where(static row => !Document.Contains(row, StringComparison.Ordinal));

        Assert.Empty(missing);
    }

    [Fact]
    public void Every_test_that_the_list_names_exists_and_every_numbered_test_is_named()
    {
        HashSet<string> tests = [.. RepositoryRoot.Sources("tests").SelectMany(static file => NumberedTest().Matches(file.Text).Select(static match => match.Groups["name"].Value))];
        HashSet<string> named = [.. NamedTest().Matches(Document).Select(static match => match.Groups["name"].Value)];

        Assert.NotEmpty(tests);
        Assert.Empty(named.Except(tests));
        Assert.Empty(tests.Except(named));
    }

    [GeneratedRegex(@"public (?:async )?(?:Task|void) (?<name>NP\d{3}_\w+)")]
    private static partial Regex NumberedTest();

    [GeneratedRegex(@"`(?:\w+\.)?(?<name>NP\d{3}_\w+)`")]
    private static partial Regex NamedTest();
}
