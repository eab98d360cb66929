using System.Text;

namespace Chat.Client;

/// <summary>The line that is being typed: keys go in, and whole lines come out. It knows no terminal.</summary>
internal sealed class LineEditor
{
    private const int MaxHistory = 100;

    private readonly StringBuilder _text = new();
    private readonly List<string> _history = [];
    private int _cursor;
    private int _recalled;

    /// <summary>What a key did.</summary>
    internal enum Outcome
    {
        /// <summary>The line may look different.</summary>
        Edited,

        /// <summary>The line is complete.</summary>
        Entered,

        /// <summary>There is no more input: Ctrl-D on an empty line.</summary>
        Ended,
    }

    /// <summary>Takes a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="line">The line if it is complete, else empty.</param>
    public Outcome Take(ConsoleKeyInfo key, out string line)
    {
        line = "";
        bool control = key.Modifiers.HasFlag(ConsoleModifiers.Control);
        switch (key.Key)
        {
            case ConsoleKey.Enter:
                line = Enter();
                return Outcome.Entered;
            case ConsoleKey.D when control:
                if (_text.Length == 0)
                {
                    return Outcome.Ended;
                }

                Remove(_cursor, Next());
                break;
            case ConsoleKey.Backspace:
                Remove(Previous(), _cursor);
                break;
            case ConsoleKey.Delete:
                Remove(_cursor, Next());
                break;
            case ConsoleKey.LeftArrow:
                _cursor = Previous();
                break;
            case ConsoleKey.RightArrow:
                _cursor = Next();
                break;
            case ConsoleKey.Home:
            case ConsoleKey.A when control:
                _cursor = 0;
                break;
            case ConsoleKey.End:
            case ConsoleKey.E when control:
                _cursor = _text.Length;
                break;
            case ConsoleKey.U when control:
                Remove(0, _cursor);
                break;
            case ConsoleKey.UpArrow:
                Recall(_recalled - 1);
                break;
            case ConsoleKey.DownArrow:
                Recall(_recalled + 1);
                break;
            default:
                if (!char.IsControl(key.KeyChar))
                {
                    _text.Insert(_cursor++, key.KeyChar);
                }

                break;
        }

        return Outcome.Edited;
    }

    /// <summary>The part of the line that fits, always with the cursor in it.</summary>
    /// <param name="width">Columns that there are, at least 1; the cursor needs one of them.</param>
    /// <returns>The part, and how many characters of it are before the cursor.</returns>
    public (string Text, int Cursor) Window(int width)
    {
        int start = Math.Max(0, _cursor - width + 1);
        int length = Math.Min(_text.Length - start, width);
        return (_text.ToString(start, length), _cursor - start);
    }

    private string Enter()
    {
        string line = _text.ToString();
        _text.Clear();
        _cursor = 0;
        if (line.Length > 0)
        {
            _history.Add(line);
            if (_history.Count > MaxHistory)
            {
                _history.RemoveAt(0);
            }
        }

        _recalled = _history.Count;
        return line;
    }

    private void Recall(int index)
    {
        if (index < 0 || index > _history.Count)
        {
            return;
        }

        _recalled = index;
        _text.Clear().Append(index < _history.Count ? _history[index] : "");
        _cursor = _text.Length;
    }

    private void Remove(int from, int to)
    {
        _text.Remove(from, to - from);
        _cursor = from;
    }

    // A character outside the first plane is two of the string's: the cursor must not stop between them.
    private int Previous() => _cursor - (_cursor > 1 && char.IsLowSurrogate(_text[_cursor - 1]) ? 2 : Math.Min(_cursor, 1));

    private int Next()
    {
        int left = _text.Length - _cursor;
        return _cursor + (left > 1 && char.IsHighSurrogate(_text[_cursor]) ? 2 : Math.Min(left, 1));
    }
}
