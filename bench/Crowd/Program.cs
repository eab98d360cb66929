using System.Globalization;
using System.Net;
using NetPoll.Bench;

// The members of a large group, in a process of their own: `Crowd PORT COUNT` connects so many to 127.0.0.1, says "connected", and then
// obeys what comes by standard input, a line each:
//   total N    answers when all together have received N frames
//   report     answers how many members have received how many frames: "3x2 4x9998"
//   close N    closes the N members that connected first that are still there
// Frames are numbers of 8 bytes, the lowest first. A member that hears one that is not above the last ends the process with an error.
if (args.Length != 2 || !int.TryParse(args[0], CultureInfo.InvariantCulture, out int port) || !int.TryParse(args[1], CultureInfo.InvariantCulture, out int count) || count < 1)
{
    Console.Error.WriteLine($"Crowd PORT COUNT expected, not '{string.Join(' ', args)}'");
    return 2;
}

using Members members = new(new IPEndPoint(IPAddress.Loopback, port));
await members.ConnectAsync(count);
Console.WriteLine("connected");
while (await Console.In.ReadLineAsync() is { } line)
{
    string[] words = line.Split(' ');
    switch (words[0])
    {
        case "total":
            await members.WhenReceivedAsync(long.Parse(words[1], CultureInfo.InvariantCulture));
            Console.WriteLine(line);
            break;
        case "report":
            Console.WriteLine(members.Report());
            break;
        case "close":
            members.Close(int.Parse(words[1], CultureInfo.InvariantCulture));
            Console.WriteLine(line);
            break;
        default:
            Console.Error.WriteLine($"total, report or close expected, not '{line}'");
            return 2;
    }
}

return 0;
