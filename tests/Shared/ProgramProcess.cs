using System.Diagnostics;
using System.Runtime.InteropServices;

namespace NetPoll.Tests;

/// <summary>A program of this repository in a process of its own, with the lines that it writes. It is killed at the end, if it still runs.</summary>
internal sealed class ProgramProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Lock _lock = new();
    private readonly List<string> _output = [];
    private readonly List<string> _error = [];

    /// <param name="program">The name of its project; the build puts it beside the tests.</param>
    /// <param name="arguments">Its command line.</param>
    public ProgramProcess(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(DotNet, [Path.Combine(AppContext.BaseDirectory, program + ".dll"), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Add(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(_error, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The path of the .NET that runs these tests: it need not be in the PATH.</summary>
    public static string DotNet { get; } = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>What it has written so far, a line each.</summary>
    public string[] Output => Copy(_output);

    /// <summary>What it has written to its error output, a line each.</summary>
    public string[] Error => Copy(_error);

    public Task Type(string line) => _process.StandardInput.WriteLineAsync(line);

    /// <summary>The end of the input.</summary>
    public void EndInput() => _process.StandardInput.Close();

    /// <summary>Waits for a line that is in the output now or comes.</summary>
    public Task Prints(string line) => Prints($"the line '{line}'", printed => printed == line);

    /// <summary>Waits for a line that is in the output now or comes; returns it.</summary>
    public async Task<string> Prints(string what, Func<string, bool> which)
    {
        string? found = null;
        try
        {
            await Eventually.True(what, () => (found = Output.FirstOrDefault(which)) is not null);
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"{exception.Message} It wrote:\n{string.Join('\n', [.. Output, .. Error])}", exception);
        }

        return found!;
    }

    /// <summary>Waits until it has ended and all that it wrote is here; returns the exit code.</summary>
    public async Task<int> Ends()
    {
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return _process.ExitCode;
    }

    /// <summary>SIGKILL: it has no chance to say anything.</summary>
    public void Kill() => _process.Kill();

    /// <summary>Sends a signal, such as TERM.</summary>
    public async Task Signal(string name)
    {
        // The shell's own kill: the command of that name is not there everywhere.
        using Process kill = Process.Start("/bin/sh", ["-c", $"kill -{name} {Id}"]);
        await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, kill.ExitCode);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
        _process.Dispose();
    }

    private void Add(List<string> lines, string? line)
    {
        if (line is not null)
        {
            lock (_lock)
            {
                lines.Add(line);
            }
        }
    }

    private string[] Copy(List<string> lines)
    {
        lock (_lock)
        {
            return [.. lines];
        }
    }
}
