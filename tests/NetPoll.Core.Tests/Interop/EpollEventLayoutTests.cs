using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NetPoll.Core.Interop;

namespace NetPoll.Core.Tests.Interop;

public sealed class EpollEventLayoutTests
{
    [Theory]
    [InlineData(Architecture.X64, 12, 4)]
    [InlineData(Architecture.Arm64, 16, 8)]
    [InlineData(Architecture.RiscV64, 16, 8)]
    public void An_event_is_packed_on_x64_and_aligned_elsewhere(Architecture architecture, int size, int dataOffset)
    {
        Assert.Equal(size, EpollEventLayout.SizeOn(architecture));
        Assert.Equal(dataOffset, EpollEventLayout.DataOffsetOn(architecture));
    }

    [Fact]
    public void The_layout_in_use_is_that_of_the_running_machine()
    {
        Assert.Equal(EpollEventLayout.SizeOn(RuntimeInformation.ProcessArchitecture), EpollEventLayout.Size);
        Assert.Equal(EpollEventLayout.DataOffsetOn(RuntimeInformation.ProcessArchitecture), EpollEventLayout.DataOffset);
    }

    [Fact]
    public void The_buffer_has_room_for_either_layout()
    {
        Assert.Equal(16, Unsafe.SizeOf<EpollEvent>());
    }

    [Fact]
    public unsafe void Events_that_lie_behind_one_another_are_read_as_they_were_written()
    {
        byte[] memory = new byte[3 * 16];
        fixed (byte* start = memory)
        {
            for (int index = 0; index < 3; index++)
            {
                EpollEventLayout.Write((EpollEvent*)(start + (index * EpollEventLayout.Size)), 0x80000001u + (uint)index, 0xFEDCBA9876543210ul + (ulong)index);
            }

            for (int index = 0; index < 3; index++)
            {
                EpollEventLayout.Read((EpollEvent*)start, index, out uint mask, out ulong data);
                Assert.Equal(0x80000001u + (uint)index, mask);
                Assert.Equal(0xFEDCBA9876543210ul + (ulong)index, data);
            }
        }
    }
}
