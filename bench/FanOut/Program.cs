using System.Globalization;
using NetPoll.Bench;

// What a publish to a group costs for each member, beside a bare loop of send(2) over as many sockets: `FanOut [MEMBERS [ROUNDS [BURST]]]`.
// The members are in another process, which reads and counts; the figures are this process's processor time. With BURST above 1 so many
// publishes follow one another before all members must have them.
if (args.Length > 3 || !args.All(static text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0))
{
    Console.Error.WriteLine($"FanOut [MEMBERS [ROUNDS [BURST]]] expected, not '{string.Join(' ', args)}'");
    return 2;
}

int members = Argument(0, byDefault: 9_000);
int rounds = Argument(1, byDefault: 7);
int burst = Argument(2, byDefault: 1);
int publishes = Math.Max(1, 500_000 / members / burst) * burst;
List<double> ratios = [];
for (int round = 0; round < rounds; round++)
{
    double bare = await BareFanOut.MeasureAsync(members, publishes);
    double group = await GroupFanOut.MeasureAsync(members, publishes, burst);
    ratios.Add(group / bare);
    Console.WriteLine($"{members} members, {burst} in a row: {group:F0} ns a delivery; send(2) {bare:F0} ns; ratio {ratios[^1]:F2}");
}

ratios.Sort();
Console.WriteLine($"median of the ratios: {ratios[ratios.Count / 2]:F2} [{ratios[0]:F2} {ratios[^1]:F2}]");
return 0;

int Argument(int index, int byDefault) => index < args.Length ? int.Parse(args[index], CultureInfo.InvariantCulture) : byDefault;
