using System.Net;
using NetPoll.Actors.Datagrams;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Datagrams;

/// <summary>The table of a socket's peers against a plain list.</summary>
public sealed class PeerTableTests
{
    [Fact]
    public void Whatever_happens_the_idlest_is_the_one_that_a_list_would_say()
    {
        int seed = Seed.Next();
        Random random = new(seed);
        PeerTable table = new();
        List<Peer> expected = [];
        for (int step = 1; step <= 20_000; step++)
        {
            switch (random.Next(4))
            {
                case 0 when expected.Count < 50:
                    Peer newcomer = new(AddressOf(step), PID.FromAddress("here", $"{step}"), null!) { HeardAt = step };
                    table.Add(newcomer);
                    expected.Add(newcomer);
                    break;
                case 1 when expected.Count > 0:
                    Peer leaving = expected[random.Next(expected.Count)];
                    if (random.Next(2) == 0)
                    {
                        table.Remove(leaving);
                    }
                    else
                    {
                        table.Remove(leaving.Pid);
                        table.Remove(leaving.Pid);
                    }

                    expected.Remove(leaving);
                    Assert.Null(table.Find(leaving.Address));
                    break;
                case 2 or 3 when expected.Count > 0:
                    Peer heard = expected[random.Next(expected.Count)];
                    table.Heard(heard, step);
                    expected.Remove(heard);
                    expected.Add(heard);
                    Assert.Same(heard, table.Find(heard.Address));
                    break;
            }

            Assert.Equal(expected.Count, table.Count);
            Assert.Same(expected.FirstOrDefault(), table.Idlest);
        }
    }

    private static DatagramAddress AddressOf(int number) => new(new IPEndPoint(IPAddress.Loopback, number % 60_000 + 1));
}
