namespace Chat.Server.Irc;

/// <summary>A line that a client sent, taken apart: the command in upper case and its parameters. Tags and source mean nothing here.</summary>
internal sealed record IrcMessage(string Command, IReadOnlyList<string> Parameters)
{
    private const int MaxParameters = 15;

    /// <summary>Takes a line apart; null when there is no command on it.</summary>
    /// <param name="line">Without its end.</param>
    public static IrcMessage? Parse(string line)
    {
        ReadOnlySpan<char> rest = line.AsSpan().TrimStart(' ');
        if (rest.StartsWith('@'))
        {
            Word(ref rest);
        }

        if (rest.StartsWith(':'))
        {
            Word(ref rest);
        }

        string command = Word(ref rest).ToString().ToUpperInvariant();
        if (command.Length == 0)
        {
            return null;
        }

        List<string> parameters = [];
        while (rest.Length > 0)
        {
            if (rest[0] == ':' || parameters.Count == MaxParameters - 1)
            {
                parameters.Add(rest[(rest[0] == ':' ? 1 : 0)..].ToString());
                break;
            }

            parameters.Add(Word(ref rest).ToString());
        }

        return new IrcMessage(command, parameters);
    }

    /// <summary>A parameter; empty if it is not there.</summary>
    public string this[int index] => index < Parameters.Count ? Parameters[index] : "";

    private static ReadOnlySpan<char> Word(ref ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOf(' ');
        ReadOnlySpan<char> word = end < 0 ? rest : rest[..end];
        rest = end < 0 ? [] : rest[end..].TrimStart(' ');
        return word;
    }
}
