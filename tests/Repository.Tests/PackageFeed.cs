using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Repository.Tests;

/// <summary>The packages as <c>dotnet pack</c> makes them, in a local folder under a version of their own; all of it is removed at the end.</summary>
public sealed class PackageFeed : IAsyncLifetime
{
    internal static readonly string[] Packages = ["NetPoll.Core", "NetPoll.Actors", "NetPoll.Hosting"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("netpoll-packages-");

    /// <summary>The folder with the packages.</summary>
    internal string Folder => Path.Combine(_folder.FullName, "feed");

    /// <summary>A version that no other run has, so that no cache can hold it.</summary>
    internal string Version { get; } = string.Create(CultureInfo.InvariantCulture, $"0.1.0-test.{DateTime.UtcNow.Ticks}");

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        // .../bin/Release/net10.0/: what is packed was built with these tests.
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        foreach (string package in Packages)
        {
            await DotnetAsync(
                RepositoryRoot.Path,
                "pack", Path.Combine(RepositoryRoot.Path, "src", package), "--no-build", "-c", configuration, "-o", Folder, $"-p:PackageVersion={Version}");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        string caches = await DotnetAsync(RepositoryRoot.Path, "nuget", "locals", "global-packages", "--list");
        string cache = caches[(caches.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        foreach (string package in Packages)
        {
            DirectoryInfo cached = new(Path.Combine(cache, package.ToLowerInvariant(), Version));
            if (cached.Exists)
            {
                cached.Delete(recursive: true);
            }
        }

        _folder.Delete(recursive: true);
    }

    /// <summary>A copy of the program that uses the packages, in a folder that inherits nothing of this repository.</summary>
    internal string CopyConsumer(string name)
    {
        string folder = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(RepositoryRoot.Path, "tests", "Packages")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        File.WriteAllText(
            Path.Combine(folder, "nuget.config"),
            $"""<configuration><packageSources><add key="packages under test" value="{Folder}" /></packageSources></configuration>""");
        return folder;
    }

    /// <summary>Runs the SDK to its end; throws with all that it said if it fails.</summary>
    internal static async Task<string> DotnetAsync(string folder, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";

        // A build server that is left behind would keep the output open, and this waiting.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process process = Process.Start(start)!;
        StringBuilder output = new();
        await Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError), process.WaitForExitAsync());
        return process.ExitCode == 0
            ? output.ToString()
            : throw new InvalidOperationException($"dotnet {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{output}");

        async Task ReadAsync(StreamReader reader)
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                lock (output)
                {
                    output.AppendLine(line);
                }
            }
        }
    }
}
