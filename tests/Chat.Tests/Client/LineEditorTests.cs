using Chat.Client;

namespace Chat.Tests.Client;

public sealed class LineEditorTests
{
    private static readonly ConsoleKeyInfo Left = Special(ConsoleKey.LeftArrow);
    private static readonly ConsoleKeyInfo Right = Special(ConsoleKey.RightArrow);
    private static readonly ConsoleKeyInfo Up = Special(ConsoleKey.UpArrow);
    private static readonly ConsoleKeyInfo Down = Special(ConsoleKey.DownArrow);
    private static readonly ConsoleKeyInfo Home = Special(ConsoleKey.Home);
    private static readonly ConsoleKeyInfo End = Special(ConsoleKey.End);
    private static readonly ConsoleKeyInfo Delete = Special(ConsoleKey.Delete);
    private static readonly ConsoleKeyInfo Backspace = new('\b', ConsoleKey.Backspace, false, false, false);
    private static readonly ConsoleKeyInfo Enter = new('\r', ConsoleKey.Enter, false, false, false);
    private static readonly ConsoleKeyInfo ControlD = new('\u0004', ConsoleKey.D, false, false, true);
    private static readonly ConsoleKeyInfo ControlU = new('\u0015', ConsoleKey.U, false, false, true);

    private readonly LineEditor _editor = new();

    [Fact]
    public void What_is_typed_is_the_line()
    {
        Assert.Equal("hello", Type("hello", Enter));
        Assert.Equal("", Type(Enter));
    }

    [Fact]
    public void The_line_can_be_edited_at_the_cursor()
    {
        Assert.Equal("hello", Type("hxllo", Home, Right, Right, Backspace, "e", End, Enter));
        Assert.Equal("hello", Type("jello", Home, Delete, "h", Enter));
        Assert.Equal("lo", Type("hello", Left, Left, ControlU, Enter));
    }

    [Fact]
    public void A_character_of_two_code_units_is_one_for_the_cursor()
    {
        Assert.Equal("ab", Type("a\U0001F600b", Left, Backspace, Enter));
        Assert.Equal("ab", Type("a\U0001F600b", Home, Right, Delete, Enter));
    }

    [Fact]
    public void Earlier_lines_come_back()
    {
        Type("first", Enter);
        Type("second", Enter);

        Assert.Equal("first", Type(Up, Up, Up, Enter));
        Assert.Equal("", Type(Up, Down, Enter));
    }

    [Fact]
    public void The_end_of_input_ends_an_empty_line_only()
    {
        Type("x", Left);

        Assert.Equal(LineEditor.Outcome.Edited, _editor.Take(ControlD, out _));
        Assert.Equal(LineEditor.Outcome.Ended, _editor.Take(ControlD, out _));
    }

    [Fact]
    public void A_long_line_is_shown_in_part_and_the_cursor_is_in_it()
    {
        Type("0123456789");
        Assert.Equal(("6789", 0), _editor.Window(5));
        Type(Home);
        Assert.Equal(("01234", 5), _editor.Window(5));
        Type(End, Left);
        Assert.Equal(("56789", 1), _editor.Window(5));
    }

    [Theory]
    [InlineData("日本語のテ", 7, 0, "語のテ", 0)]
    [InlineData("日本語のテ", 8, 0, "語のテ", 0)]
    [InlineData("日本語のテ", 9, 1, "日本語の", 0)]
    [InlineData("日本語のテ", 10, 1, "日本語のテ", 2)]
    [InlineData("日本語のテ", 6, 5, "日本語", 6)]
    [InlineData("日本語のテ", 5, 5, "日本", 4)]
    [InlineData("a\U0001F600b", 4, 0, "\U0001F600b", 0)]
    [InlineData("e\u0301e\u0301e\u0301", 3, 0, "e\u0301e\u0301", 0)]
    public void The_part_that_is_shown_is_counted_in_columns(string text, int width, int leftPresses, string part, int behind)
    {
        Type([text, .. Enumerable.Repeat<object>(Left, leftPresses)]);

        Assert.Equal((part, behind), _editor.Window(width));
    }

    private static ConsoleKeyInfo Special(ConsoleKey key) => new('\0', key, false, false, false);

    private string? Type(params object[] keys)
    {
        string? entered = null;
        foreach (object key in keys)
        {
            ConsoleKeyInfo[] presses = key is string text
                ? [.. text.Select(character => new ConsoleKeyInfo(character, default, false, false, false))]
                : [(ConsoleKeyInfo)key];
            foreach (ConsoleKeyInfo press in presses)
            {
                if (_editor.Take(press, out string line) == LineEditor.Outcome.Entered)
                {
                    entered = line;
                }
            }
        }

        return entered;
    }
}
