using System.Globalization;
using System.Text;

namespace Chat.Tests.Support;

/// <summary>What a terminal makes of a program's output, as far as the chat's client uses it. One writer, any reader.</summary>
/// <remarks>
/// Rows are kept for ever. The letters of East Asia are two columns wide, and a row that is full goes on in the next: so a line that is
/// longer than its program believes leaves a trace.
/// </remarks>
internal sealed class Screen
{
    private const char Escape = '\u001b';

    // The right half of a wide letter.
    private const string Continued = "";

    private readonly int _columns;
    private readonly Lock _lock = new();
    private readonly List<List<string>> _rows = [[]];
    private readonly StringBuilder _sequence = new();
    private int _column;
    private char _highSurrogate;

    public Screen(int columns) => _columns = columns;

    public string[] Rows
    {
        get
        {
            lock (_lock)
            {
                return [.. _rows.Select(static row => string.Concat(row).TrimEnd())];
            }
        }
    }

    public int CursorColumn
    {
        get
        {
            lock (_lock)
            {
                return _column;
            }
        }
    }

    public bool IsColourful { get; private set; }

    public void Write(ReadOnlySpan<char> output)
    {
        lock (_lock)
        {
            foreach (char character in output)
            {
                Write(character);
            }
        }
    }

    private void Write(char character)
    {
        if (_sequence.Length > 0)
        {
            _sequence.Append(character);
            if (IsComplete())
            {
                Do(_sequence.ToString());
                _sequence.Clear();
            }
        }
        else if (character == Escape)
        {
            _sequence.Append(character);
        }
        else if (character == '\r')
        {
            _column = 0;
        }
        else if (character == '\n')
        {
            _rows.Add([]);
        }
        else if (char.IsHighSurrogate(character))
        {
            _highSurrogate = character;
        }
        else if (!char.IsControl(character))
        {
            Put(char.IsLowSurrogate(character) ? new Rune(_highSurrogate, character) : new Rune(character));
        }
    }

    /// <summary>"ESC [ ... letter" or "ESC letter".</summary>
    private bool IsComplete() => _sequence.Length > 1 && (_sequence[1] == '['
        ? _sequence.Length > 2 && _sequence[^1] is >= '@' and <= '~'
        : _sequence[1] is not ('(' or ')') || _sequence.Length > 2);

    private void Do(string sequence)
    {
        List<string> row = _rows[^1];
        switch (sequence[^1])
        {
            case 'K' when _column < row.Count:
                row.RemoveRange(_column, row.Count - _column);
                break;
            case 'D':
                _column -= int.Parse(sequence[2..^1], CultureInfo.InvariantCulture);
                break;
            case 'm' when sequence.Length > 4:
                IsColourful = true;
                break;
        }
    }

    private void Put(Rune rune)
    {
        int width = rune.Value is (>= 0x1100 and <= 0x115F) or (>= 0x2E80 and <= 0xA4CF) or (>= 0xAC00 and <= 0xD7A3)
            or (>= 0xFF00 and <= 0xFF60) or (>= 0x1F300 and <= 0x1FAFF) ? 2 : 1;
        if (_column + width > _columns)
        {
            _rows.Add([]);
            _column = 0;
        }

        List<string> row = _rows[^1];
        while (row.Count < _column + width)
        {
            row.Add(" ");
        }

        row[_column] = rune.ToString();
        if (width == 2)
        {
            row[_column + 1] = Continued;
        }

        _column += width;
    }
}
