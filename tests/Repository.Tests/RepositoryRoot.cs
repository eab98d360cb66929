using System.Runtime.CompilerServices;

namespace Repository.Tests;

/// <summary>The files of the repository, read as text.</summary>
internal static class RepositoryRoot
{
    internal static string Path { get; } = Find();

    /// <summary>Source files below a folder, by their path relative to the root, build output left out.</summary>
    internal static IEnumerable<(string Path, string Text)> Sources(string folder, string pattern = "*.cs") =>
        Directory.EnumerateFiles(System.IO.Path.Combine(Path, folder), pattern, SearchOption.AllDirectories)
            .Select(static file => file.Replace('\\', '/'))
            .Where(static file => !file.Contains("/bin/", StringComparison.Ordinal) && !file.Contains("/obj/", StringComparison.Ordinal))
            .Select(static file => (System.IO.Path.GetRelativePath(Path, file).Replace('\\', '/'), File.ReadAllText(file)));

    internal static string Read(string path) => File.ReadAllText(System.IO.Path.Combine(Path, path));

    private static string Find([CallerFilePath] string here = "")
    {
        // From the output folder upwards first: a deterministic build maps the path of the source file away.
        foreach (string start in new[] { AppContext.BaseDirectory, System.IO.Path.GetDirectoryName(here) ?? string.Empty })
        {
            for (DirectoryInfo? folder = new(start.Length == 0 ? "." : start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(System.IO.Path.Combine(folder.FullName, "NetPollActors.sln")))
                {
                    return folder.FullName;
                }
            }
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} holds NetPollActors.sln.");
    }
}
