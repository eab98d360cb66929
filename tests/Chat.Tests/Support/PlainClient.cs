using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Chat.Client;
using NetPoll.Tests;

namespace Chat.Tests.Support;

/// <summary>The client program in plain mode, with lines that the test types and reads.</summary>
internal sealed class PlainClient : IAsyncDisposable
{
    private readonly BlockingCollection<string> _input = [];
    private readonly LineWriter _output = new();
    private readonly StringWriter _error = new();
    private readonly CancellationTokenSource _leave = new();

    public PlainClient(int port, string name = "ada", string room = "lobby", TimeSpan? timeout = null, TimeSpan? reconnect = null)
    {
        var options = new ClientOptions(name, "127.0.0.1", port, room, Plain: true, timeout ?? TimeSpan.FromSeconds(30))
        {
            Reconnect = reconnect,
        };
        Exit = Task.Run(() => ChatProgram.RunPlainAsync(options, new LineReader(_input), _output, _error, _leave.Token));
    }

    /// <summary>Completes when the program has ended.</summary>
    public Task<ExitCode> Exit { get; }

    /// <summary>What it has written so far, a line each.</summary>
    public string[] Lines => _output.Lines();

    /// <summary>What it has written to its error output.</summary>
    public string Error => _error.ToString();

    public void Type(string line) => _input.Add(line);

    /// <summary>The end of the input.</summary>
    public void EndInput() => _input.CompleteAdding();

    /// <summary>Ctrl-C.</summary>
    public void Interrupt() => _leave.Cancel();

    /// <summary>Waits for a line that is in the output now or comes.</summary>
    public Task Prints(string line) => Eventually.True($"the line '{line}' in\n{string.Join('\n', Lines)}", () => Lines.Contains(line));

    /// <summary>The same, for a line that looks like this.</summary>
    public Task PrintsMatch(string pattern) => Eventually.True($"a line like '{pattern}'", () => Lines.Any(line => Regex.IsMatch(line, pattern)));

    /// <summary>Waits for the end of the program.</summary>
    public Task<ExitCode> Ends() => Exit.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        _input.CompleteAdding();
        await _leave.CancelAsync();
        await Exit.WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);
        _leave.Dispose();
        _input.Dispose();
        await _error.DisposeAsync();
        await _output.DisposeAsync();
    }

    private sealed class LineReader : TextReader
    {
        private readonly BlockingCollection<string> _lines;

        public LineReader(BlockingCollection<string> lines) => _lines = lines;

        public override string? ReadLine()
        {
            try
            {
                return _lines.TryTake(out string? line, Timeout.Infinite) ? line : null;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
        }
    }

    /// <summary>Counts only what was flushed: a line that stays in a buffer is not out.</summary>
    private sealed class LineWriter : TextWriter
    {
        private readonly Lock _lock = new();
        private readonly List<string> _flushed = [];
        private readonly System.Text.StringBuilder _buffer = new();

        public override System.Text.Encoding Encoding => System.Text.Encoding.UTF8;

        public override void Write(char value) => _buffer.Append(value);

        public override void Write(string? value) => _buffer.Append(value);

        public override void Flush()
        {
            string text = _buffer.ToString();
            _buffer.Clear();
            Assert.EndsWith("\n", text, StringComparison.Ordinal);
            lock (_lock)
            {
                _flushed.AddRange(text[..^1].Split('\n'));
            }
        }

        public string[] Lines()
        {
            lock (_lock)
            {
                return [.. _flushed];
            }
        }
    }
}
