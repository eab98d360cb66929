namespace Chat.Server;

/// <summary>What somebody may have meant who misspelled an option.</summary>
internal static class Spelling
{
    /// <summary>The end of an error about a word that is none of those known.</summary>
    public static string Expected(string wrong, IReadOnlyCollection<string> known)
    {
        string nearest = known.MinBy(word => Distance(wrong, word))!;
        return Distance(wrong, nearest) <= Math.Max(2, nearest.Length / 3)
            ? $"did you mean '{nearest}'? '--help' tells all options"
            : "expected an option; '--help' tells which there are";
    }

    /// <summary>How many characters must be put in, taken out or changed, upper and lower case being the same (Levenshtein).</summary>
    private static int Distance(string from, string to)
    {
        int[] above = [.. Enumerable.Range(0, to.Length + 1)];
        for (int row = 1; row <= from.Length; row++)
        {
            int diagonal = above[0];
            above[0] = row;
            for (int column = 1; column <= to.Length; column++)
            {
                bool isSame = char.ToUpperInvariant(from[row - 1]) == char.ToUpperInvariant(to[column - 1]);
                (diagonal, above[column]) = (above[column], Math.Min(diagonal + (isSame ? 0 : 1), Math.Min(above[column], above[column - 1]) + 1));
            }
        }

        return above[to.Length];
    }
}
