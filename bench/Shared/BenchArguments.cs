using System.Globalization;
using NetPoll.Core;

namespace NetPoll.Bench;

/// <summary>The options that every echo server of the benchmarks takes.</summary>
internal sealed record BenchArguments(int Port, int Pollers, string Door, PollBackend Backend)
{
    /// <summary>Reads <c>--port N --pollers N --door actor|handler --backend epoll|portable</c>; says what was wrong and ends the process with code 2.</summary>
    internal static BenchArguments Parse(string[] arguments)
    {
        BenchArguments parsed = new(Port: 0, Pollers: 1, Door: "actor", PollBackend.Auto);
        for (int index = 0; index < arguments.Length; index += 2)
        {
            string name = arguments[index];
            string value = index + 1 < arguments.Length ? arguments[index + 1] : string.Empty;
            parsed = name switch
            {
                "--port" => parsed with { Port = Number(name, value, 0, 65_535) },
                "--pollers" => parsed with { Pollers = Number(name, value, 1, 64) },
                "--door" when value is "actor" or "handler" => parsed with { Door = value },
                "--door" => throw Fail($"--door is '{value}'; expected actor or handler"),
                "--backend" when value is "epoll" => parsed with { Backend = PollBackend.Epoll },
                "--backend" when value is "portable" => parsed with { Backend = PollBackend.Portable },
                "--backend" => throw Fail($"--backend is '{value}'; expected epoll or portable"),
                _ => throw Fail($"unknown option '{name}'; expected --port N, --pollers N, --door actor|handler or --backend epoll|portable"),
            };
        }

        return parsed;
    }

    private static int Number(string name, string value, int least, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw Fail($"{name} is '{value}'; expected a number from {least} to {most}");

    private static ArgumentException Fail(string message)
    {
        Console.Error.WriteLine(message);
        Environment.Exit(2);
        return new ArgumentException(message);
    }
}
