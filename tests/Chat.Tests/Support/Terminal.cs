using System.Diagnostics;
using NetPoll.Tests;

namespace Chat.Tests.Support;

/// <summary>A program in a terminal of its own, by script(1): what is typed, and what the screen shows.</summary>
internal sealed class Terminal : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Screen _screen;
    private readonly Task _reading;

    /// <param name="command">For the shell.</param>
    /// <param name="columns">How wide it is.</param>
    public Terminal(string command, int columns)
    {
        _screen = new Screen(columns);
        _process = Process.Start(new ProcessStartInfo("script", ["-q", "-e", "-c", $"stty rows 24 cols {columns}; exec {command}", "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["TERM"] = "xterm", ["LANG"] = "C.UTF-8", ["LC_ALL"] = "C.UTF-8", ["NO_COLOR"] = null },
        })!;
        _reading = ReadAsync();
    }

    /// <summary>All rows so far, those that have scrolled away included; the last one is where the cursor is.</summary>
    public string[] Rows => _screen.Rows;

    /// <summary>The column of the cursor, from 0.</summary>
    public int CursorColumn => _screen.CursorColumn;

    /// <summary>Whether anything was shown in colour.</summary>
    public bool IsColourful => _screen.IsColourful;

    /// <summary>Skips the test where there is no such program.</summary>
    public static void Needs(params string[] programs)
    {
        string[] folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        string[] missing = [.. programs.Where(program => !folders.Any(folder => File.Exists(Path.Combine(folder, program))))];
        Assert.SkipUnless(missing.Length == 0, $"not installed: {string.Join(", ", missing)}; apt-get install irssi bsdutils");
    }

    /// <summary>Presses keys.</summary>
    public async Task Press(string keys)
    {
        await _process.StandardInput.WriteAsync(keys);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Types a line, and presses Enter.</summary>
    public Task Type(string line) => Press(line + "\r");

    /// <summary>Waits for a row with this in it.</summary>
    public Task Shows(string text) => Shows($"'{text}' on the screen", rows => rows.Any(row => row.Contains(text, StringComparison.Ordinal)));

    /// <summary>Waits until the row of the cursor is this.</summary>
    public Task ShowsLast(string row) => Shows($"'{row}' at the cursor", rows => rows[^1] == row);

    /// <summary>Waits until this holds for the rows.</summary>
    public async Task Shows(string what, Func<string[], bool> holds)
    {
        try
        {
            await Eventually.True(what, () => holds(Rows));
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"{exception.Message} The screen:\n{string.Join('\n', Rows)}", exception);
        }
    }

    /// <summary>Waits until the program has ended; returns its exit code.</summary>
    public async Task<int> Ends()
    {
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await _reading;
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
        await _reading;
        _process.Dispose();
    }

    // A terminal whose output nobody takes stops.
    private async Task ReadAsync()
    {
        char[] buffer = new char[4096];
        while (await _process.StandardOutput.ReadAsync(buffer) is > 0 and int count)
        {
            _screen.Write(buffer.AsSpan(0, count));
        }
    }
}
