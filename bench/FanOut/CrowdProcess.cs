using System.Diagnostics;
using System.Runtime.InteropServices;

namespace NetPoll.Bench;

/// <summary>The members, in a process of their own: <c>Crowd</c>.</summary>
internal sealed class CrowdProcess : IAsyncDisposable
{
    private readonly Process _process;

    private CrowdProcess(Process process) => _process = process;

    /// <summary>Starts it; returns when all are connected.</summary>
    internal static async Task<CrowdProcess> StartAsync(int port, int count)
    {
        ProcessStartInfo start = new(
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"),
            [Path.Combine(AppContext.BaseDirectory, "Crowd.dll"), $"{port}", $"{count}"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        CrowdProcess crowd = new(Process.Start(start)!);
        await crowd.ExpectAsync("connected");
        return crowd;
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    /// <summary>Waits until all together have received so many frames.</summary>
    internal async Task HearsAsync(long frames)
    {
        await _process.StandardInput.WriteLineAsync($"total {frames}");
        await _process.StandardInput.FlushAsync();
        await ExpectAsync($"total {frames}");
    }

    private async Task ExpectAsync(string line)
    {
        string? said = await _process.StandardOutput.ReadLineAsync();
        if (said != line)
        {
            throw new IOException($"the crowd said '{said}'; expected '{line}'");
        }
    }
}
