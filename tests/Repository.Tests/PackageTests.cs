using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;

namespace Repository.Tests;

/// <summary>The packages are complete, and a program that has nothing else of this repository runs on them, as native code too.</summary>
public sealed class PackageTests : IClassFixture<PackageFeed>
{
    private static readonly string[] ExpectedOutput = ["health: Healthy", "answer: HELLO", "ready", "stopped"];

    private readonly PackageFeed _feed;

    public PackageTests(PackageFeed feed) => _feed = feed;

    public static TheoryData<string> Packages => [.. PackageFeed.Packages];

    [Theory]
    [MemberData(nameof(Packages))]
    public void A_package_has_its_readme_licence_documentation_and_symbols(string package)
    {
        using ZipArchive archive = ZipFile.OpenRead(Path.Combine(_feed.Folder, $"{package}.{_feed.Version}.nupkg"));
        using ZipArchive symbols = ZipFile.OpenRead(Path.Combine(_feed.Folder, $"{package}.{_feed.Version}.snupkg"));
        using Stream nuspec = archive.GetEntry($"{package}.nuspec")!.Open();
        XElement metadata = XDocument.Load(nuspec).Root!.Elements().Single();
        string[] files = [.. archive.Entries.Select(static entry => entry.FullName)];

        Assert.Equal("MIT", Value(metadata, "license"));
        Assert.Equal("README.md", Value(metadata, "readme"));
        Assert.Contains("README.md", files);
        Assert.Contains($"lib/net10.0/{package}.dll", files);
        Assert.Contains($"lib/net10.0/{package}.xml", files);
        Assert.Contains(symbols.Entries, entry => entry.FullName == $"lib/net10.0/{package}.pdb");
    }

    [Theory]
    [MemberData(nameof(Packages))]
    public void A_package_wants_the_others_in_exactly_its_own_version(string package)
    {
        using ZipArchive archive = ZipFile.OpenRead(Path.Combine(_feed.Folder, $"{package}.{_feed.Version}.nupkg"));
        using Stream nuspec = archive.GetEntry($"{package}.nuspec")!.Open();
        IEnumerable<XElement> dependencies = XDocument.Load(nuspec).Descendants().Where(static element => element.Name.LocalName == "dependency");

        IEnumerable<string> ours = dependencies
            .Where(static dependency => dependency.Attribute("id")!.Value.StartsWith("NetPoll.", StringComparison.Ordinal))
            .Select(static dependency => dependency.Attribute("version")!.Value);

        Assert.All(ours, version => Assert.Equal($"[{_feed.Version}]", version));
        Assert.Equal(package == "NetPoll.Core" ? 0 : 1, ours.Count());
    }

    [Fact]
    public async Task A_program_that_uses_the_packages_builds_and_serves()
    {
        string folder = _feed.CopyConsumer("managed");

        await PackageFeed.DotnetAsync(folder, "publish", "-c", "Release", "-o", "out", $"-p:NetPollVersion={_feed.Version}", "-warnaserror");

        await AssertServesAsync(Path.Combine(folder, "out", "Consumer"));
    }

    [Fact]
    public async Task A_program_that_uses_the_packages_builds_as_native_code_and_serves()
    {
        string? linker = Array.Find(["clang", "gcc"], IsOnPath);
        Assert.SkipWhen(linker is null, "Native code is linked by clang or gcc, and this machine has neither: apt-get install gcc libc6-dev");
        string folder = _feed.CopyConsumer("native");

        string build = await PackageFeed.DotnetAsync(
            folder, "publish", "-c", "Release", "-o", "out", $"-p:NetPollVersion={_feed.Version}", "-p:PublishAot=true", $"-p:CppCompilerAndLinker={linker}");

        // Proto.Actor's own warnings are known; ours would be a promise broken.
        Assert.DoesNotContain("NetPoll.Core' produced", build, StringComparison.Ordinal);
        Assert.DoesNotContain("NetPoll.Actors' produced", build, StringComparison.Ordinal);
        Assert.DoesNotContain("NetPoll.Hosting' produced", build, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(folder, "out", "NetPoll.Core.dll")));
        await AssertServesAsync(Path.Combine(folder, "out", "Consumer"));
    }

    // Starts it, waits until it has served itself, and ends it as a service manager does.
    private static async Task AssertServesAsync(string program)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(2));
        using Process process = Process.Start(new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        await using CancellationTokenRegistration end = limit.Token.Register(process.Kill);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        List<string> output = [];
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            output.Add(line);
            if (line == "ready")
            {
                using Process kill = Process.Start("kill", ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
                await kill.WaitForExitAsync();
            }
        }

        await process.WaitForExitAsync();
        Assert.Equal(string.Empty, await errors);
        Assert.Equal(ExpectedOutput, output);
        Assert.Equal(0, process.ExitCode);
    }

    private static string? Value(XElement metadata, string name) =>
        metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value;

    private static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));
}
