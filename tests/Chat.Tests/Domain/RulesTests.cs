using Chat.Domain;
using Chat.Tests.Support;

namespace Chat.Tests.Domain;

public sealed class RulesTests
{
    private readonly ChatRules _rules = new(new ChatOptions());

    [Theory]
    [InlineData("ada")]
    [InlineData("Ada_Lovelace-2.0")]
    [InlineData("7of9")]
    [InlineData("[ada]^`{|}\\")]
    [InlineData("Zoë")]
    [InlineData("李小龍")]
    [InlineData("हिन्दी")]
    public void Words_in_any_script_are_names(string name) => Assert.True(_rules.IsName(name, out _));

    [Theory]
    [InlineData("", "a name must not be empty; expected 1 to 32 characters")]
    [InlineData("nickserv", "the name 'nickserv' is the server's own")]
    [InlineData("a b", "the name 'a b' contains U+0020; expected letters, digits, '-', '_' and '.', beginning with a letter or digit; []\\^`{|} are allowed as well")]
    [InlineData("-ada", "the name '-ada' contains '-' in front; expected letters, digits, '-', '_' and '.', beginning with a letter or digit; []\\^`{|} are allowed as well")]
    [InlineData("a\u001b[2J", "the name 'a\ufffd[2J' contains U+001B; expected letters, digits, '-', '_' and '.', beginning with a letter or digit; []\\^`{|} are allowed as well")]
    public void What_is_no_name_is_refused_with_the_value_and_the_rule(string name, string expected)
    {
        Assert.False(_rules.IsName(name, out string? error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void A_long_name_is_refused_with_its_length_and_the_limit()
    {
        Assert.True(_rules.IsName(new string('x', 32), out _));
        Assert.False(_rules.IsName(new string('x', 33), out string? error));
        Assert.Equal("the name 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has 33 characters; the limit is 32", error);
    }

    [Fact]
    public void A_refused_value_is_quoted_in_part_only()
    {
        Assert.False(_rules.IsName(new string('x', 100_000), out string? error));
        Assert.True(error.Length < 200, error);
    }

    [Fact]
    public void A_text_is_measured_in_bytes()
    {
        Assert.True(_rules.IsText(new string('x', 4000), out _));
        Assert.False(_rules.IsText(new string('é', 2001), out string? error));
        Assert.Equal("a text of 4002 bytes exceeds the limit of 4000", error);
    }

    [Theory]
    [InlineData("", "a text must not be empty; expected 1 to 4000 bytes")]
    [InlineData("one\ntwo", "a text must not contain the control character U+000A")]
    [InlineData("one\u2028two", "a text must not contain the control character U+2028")]
    [InlineData("\u001b[31mred", "a text must not contain the control character U+001B")]
    public void A_text_that_would_break_a_line_or_a_terminal_is_refused(string text, string expected)
    {
        Assert.False(_rules.IsText(text, out string? error));
        Assert.Equal(expected, error);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65)]
    public void An_option_out_of_its_range_is_named_with_its_value_and_range(int value)
    {
        var exception = Assert.Throws<ArgumentOutOfRangeException>(() => new ChatOptions { MaxNameLength = value }.Validate());

        Assert.Contains($"MaxNameLength is {value}; expected 1 to 64.", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_request_without_a_name_is_refused()
    {
        await using var chat = new TestChat();
        TestPerson stranger = chat.Stranger();

        stranger.Do(session => session.Join(1, "lobby"));
        stranger.Do(session => session.Leave(2, "lobby"));
        stranger.Do(session => session.Say(3, "lobby", "x"));
        stranger.Do(session => session.SendPrivate(4, "ada", "x"));
        stranger.Do(session => session.Who(5, "lobby"));
        stranger.Do(session => session.ListRooms(6));

        await stranger.Log.Hears<Refused>(refused => refused.RequestId == 6);
        Assert.All(stranger.Log.Of<Refused>(), refused => Assert.Equal(RefusalReason.NameFirst, refused.Reason));
        Assert.Equal(6, stranger.Log.Of<Refused>().Length);
    }

    [Fact]
    public async Task Bad_names_of_rooms_and_bad_texts_are_refused_by_the_session()
    {
        await using var chat = new TestChat();
        TestPerson ada = await chat.PersonIn("lobby", "ada");

        ada.Do(session => session.Join(10, "two words"));
        ada.Do(session => session.Say(11, "lobby", ""));
        ada.Do(session => session.SendPrivate(12, "bob", "a\tb"));

        await ada.Log.Hears<Refused>(refused => refused.RequestId == 12);
        Assert.Equal(
            [(10UL, RefusalReason.InvalidRoom), (11UL, RefusalReason.InvalidText), (12UL, RefusalReason.InvalidText)],
            ada.Log.Of<Refused>().Select(refused => (refused.RequestId, refused.Reason)));
    }

    [Fact]
    public void A_session_by_a_door_that_the_chat_does_not_have_is_a_mistake()
    {
        var system = new Proto.ActorSystem();
        ChatDomain chat = ChatDomain.Start(system, new ChatOptions(), [new RecordingDoor("front")]);

        var exception = Assert.Throws<ArgumentException>(() => new Session(chat, Proto.PID.FromAddress("nonhost", "x"), "side"));

        Assert.StartsWith("The chat has no door 'side'; it has front.", exception.Message, StringComparison.Ordinal);
    }
}
