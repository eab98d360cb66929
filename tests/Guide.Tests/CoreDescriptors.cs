using System.Text;
using Microsoft.Win32.SafeHandles;
using NetPoll.Core;

namespace Guide.Tests;

internal static class CoreDescriptors
{
    internal static async Task<string?> AskAsync(SafeFileHandle terminal, string question)
    {
        await using NetDescriptor descriptor = NetDescriptor.Adopt(terminal);
        await descriptor.WriteAsync(Encoding.UTF8.GetBytes(question));
        if (descriptor.IsPollable)
        {
            descriptor.SetReadDeadline(Deadline.After(TimeSpan.FromSeconds(30)));
        }

        using StreamReader reader = new(descriptor.AsStream());
        return await reader.ReadLineAsync();
    }
}
