using NetPoll.Actors.Groups;
using NetPoll.Tests;

namespace NetPoll.Actors.Tests.Groups;

public sealed class GroupMembersTests
{
    [Fact]
    public void Who_is_there_throughout_is_visited_once_and_who_leaves_before_his_turn_is_not()
    {
        Random random = new(Seed.Next());
        for (int round = 0; round < 2_000; round++)
        {
            GroupMembers members = new();
            List<GroupMembership> present = [];
            for (int index = random.Next(12); index > 0; index--)
            {
                // Only identity counts here: the index stands for the connection.
                GroupMembership membership = new(group: null!, connection: null!, members);
                members.Add(membership);
                present.Add(membership);
            }

            List<GroupMembership> visited = [];
            List<GroupMembership> gone = [];
            while (members.TryNext(out GroupMembership? member))
            {
                visited.Add(member);
                while (random.Next(3) == 0 && present.Count > 0)
                {
                    GroupMembership leaver = present[random.Next(present.Count)];
                    present.Remove(leaver);
                    members.Remove(leaver);
                    if (!visited.Contains(leaver))
                    {
                        gone.Add(leaver);
                    }
                }
            }

            Assert.Equal(visited.Distinct(), visited);
            Assert.Empty(gone.Intersect(visited));
            Assert.Empty(present.Except(visited));
            Assert.Equal(present.Count, members.Count);

            // The next walk has all who are left again, in whatever order.
            HashSet<GroupMembership> again = [];
            while (members.TryNext(out GroupMembership? member))
            {
                Assert.True(again.Add(member));
            }

            Assert.Equal(present.ToHashSet(), again);
        }
    }
}
