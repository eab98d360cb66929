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

                Remove(_cursor, Next(_cursor));
                break;
            case ConsoleKey.Backspace:
                Remove(Previous(_cursor), _cursor);
                break;
            case ConsoleKey.Delete:
                Remove(_cursor, Next(_cursor));
                break;
            case ConsoleKey.LeftArrow:
                _cursor = Previous(_cursor);
                break;
            case ConsoleKey.RightArrow:
                _cursor = Next(_cursor);
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
    /// <returns>The part, and how many columns of it are behind the cursor.</returns>
    public (string Text, int Behind) Window(int width)
    {
        string text = _text.ToString();
        int start = _cursor;
        for (int left = width - 1; start > 0; start = Previous(start))
        {
            left -= ScreenColumns.Of(text.AsSpan(Previous(start)..start));
            if (left < 0)
            {
                break;
            }
        }

        // A mark without its letter is none.
        while (start < _cursor && ScreenColumns.Of(text.AsSpan(start..Next(start))) == 0)
        {
            start = Next(start);
        }

        string part = ScreenColumns.Fitting(text.AsSpan(start), width).ToString();
        return (part, ScreenColumns.Of(part.AsSpan(_cursor - start)));
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
    private int Previous(int at) => at - (at > 1 && char.IsLowSurrogate(_text[at - 1]) ? 2 : Math.Min(at, 1));

    private int Next(int at)
    {
        int left = _text.Length - at;
        return at + (left > 1 && char.IsHighSurrogate(_text[at]) ? 2 : Math.Min(left, 1));
    }
}
