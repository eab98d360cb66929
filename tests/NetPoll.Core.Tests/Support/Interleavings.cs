namespace NetPoll.Core.Tests.Support;

/// <summary>
/// Runs small programs in every order of their steps. A program is an iterator: what it does between two <c>yield return</c> is one
/// atomic step, and the value that it yields says when its next step may be taken.
/// </summary>
internal static class Interleavings
{
    /// <summary>A step that may always be taken.</summary>
    internal static readonly Func<bool> Free = static () => true;

    /// <summary>Explores every order.</summary>
    /// <param name="arrange">Makes the state that the programs share, anew for each order.</param>
    /// <param name="programs">The programs.</param>
    /// <param name="check">Looks at the state when nobody can go on; the text names the order.</param>
    /// <returns>How many orders there were.</returns>
    internal static int Explore<TWorld>(
        Func<TWorld> arrange,
        Func<TWorld, IEnumerable<Func<bool>>[]> programs,
        Action<TWorld, string> check)
    {
        // The choice at each step, as an index among the programs that could go on there; the next order differs in the last choice
        // that had an alternative.
        List<int> choices = [];
        List<int> alternatives = [];
        int orders = 0;
        while (true)
        {
            TWorld world = arrange();
            string order = Run(programs(world), choices, alternatives);
            check(world, $"order {order}");
            orders++;
            int last = choices.Count - 1;
            while (last >= 0 && choices[last] == alternatives[last] - 1)
            {
                last--;
            }

            if (last < 0)
            {
                return orders;
            }

            choices.RemoveRange(last + 1, choices.Count - last - 1);
            alternatives.RemoveRange(last + 1, alternatives.Count - last - 1);
            choices[last]++;
        }
    }

    private static string Run(IEnumerable<Func<bool>>[] steps, List<int> choices, List<int> alternatives)
    {
        IEnumerator<Func<bool>>[] programs = Array.ConvertAll(steps, static program => program.GetEnumerator());
        Func<bool>?[] gates = new Func<bool>?[programs.Length];
        Array.Fill(gates, Free);

        System.Text.StringBuilder order = new();
        List<int> able = [];
        for (int step = 0; ; step++)
        {
            able.Clear();
            for (int index = 0; index < programs.Length; index++)
            {
                if (gates[index] is { } gate && gate())
                {
                    able.Add(index);
                }
            }

            if (able.Count == 0)
            {
                return order.ToString();
            }

            if (step == choices.Count)
            {
                choices.Add(0);
                alternatives.Add(able.Count);
            }

            int chosen = able[choices[step]];
            order.Append(chosen);
            gates[chosen] = programs[chosen].MoveNext() ? programs[chosen].Current : null;
        }
    }
}
