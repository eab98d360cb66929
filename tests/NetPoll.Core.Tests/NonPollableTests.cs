using Microsoft.Win32.SafeHandles;
using NetPoll.Core.Backends;
using NetPoll.Core.Sockets;
using NetPoll.Tests;

namespace NetPoll.Core.Tests;

/// <summary>What the system cannot watch: files, and special files that are always ready. After Go's os_unix_test.go and fd_test.go.</summary>
public sealed class NonPollableTests : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly PollerGroup _group = new(new PollerOptions { PollerCount = 2 });

    public NonPollableTests() => TestBackend.SkipOnPortable("The portable backend has none but sockets.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _group.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task NP079_A_regular_file_has_no_deadlines_and_is_read_and_written()
    {
        string path = _folder["file"];
        await using NetDescriptor file = Open(path, FileMode.Create, FileAccess.ReadWrite);
        Assert.False(file.IsPollable);
        Assert.Null(file.Poller);

        foreach (Action<Deadline> set in new Action<Deadline>[] { file.SetDeadline, file.SetReadDeadline, file.SetWriteDeadline })
        {
            NotSupportedException failure = Assert.Throws<NotSupportedException>(() => set(Deadline.Past));
            Assert.Contains(path, failure.Message, StringComparison.Ordinal);
        }

        await file.WriteAsync("first"u8.ToArray());
        await file.WriteVectoredAsync(new ReadOnlyMemory<byte>[] { " second"u8.ToArray(), " third"u8.ToArray() });
        await using NetDescriptor again = Open(path, FileMode.Open, FileAccess.Read);
        using StreamReader reader = new(again.AsStream());

        Assert.Equal("first second third", await reader.ReadToEndAsync(Cancellation));
        Assert.Equal(0, await again.ReadAsync(new byte[8]));
        Assert.Null(file.TimeLeft(PollMode.Read));
        Assert.False(again.AsStream().CanTimeout);
        Assert.Throws<NotSupportedException>(() => again.TryRead(new byte[1], out _));
        Assert.Throws<NotSupportedException>(() => file.TryWrite(new byte[1], out _));
        await Assert.ThrowsAsync<NotSupportedException>(async () => await file.WaitReadableAsync());
        await Assert.ThrowsAsync<NotSupportedException>(async () => await file.RawReadAsync(static _ => true));
    }

    [Theory]
    [InlineData("/dev/null")]
    [InlineData("/proc/self/stat")]
    [InlineData("/proc/sys/kernel/ostype")]
    [InlineData("/sys/kernel/mm/transparent_hugepage/enabled")]
    public async Task NP098_A_special_file_is_read_by_four_tasks_a_hundred_times(string path)
    {
        Assert.SkipUnless(File.Exists(path), $"This system has no {path}.");
        Task[] readers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                for (int round = 0; round < 100; round++)
                {
                    await using NetDescriptor file = Open(path, FileMode.Open, FileAccess.Read);
                    int count = await file.ReadAsync(new byte[512]);
                    Assert.Equal(path == "/dev/null", count == 0);
                }
            },
            Cancellation))];

        await Task.WhenAll(readers).WaitAsync(Limit, Cancellation);
    }

    [Fact]
    public async Task NP099_A_device_that_is_configured_in_half_refuses_the_read_and_does_not_park_it()
    {
        const string Device = "/dev/net/tun";
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(Device, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Assert.Skip($"{Device} cannot be opened here: {exception.Message}");
            return;
        }

        await using NetDescriptor device = NetDescriptor.Adopt(handle, _group);
        IOException failure = await Assert.ThrowsAsync<IOException>(() => device.ReadAsync(new byte[64]).AsTask().WaitAsync(Limit, Cancellation));

        // The event that tells of it, or the system's own error: whichever is faster.
        Assert.Matches(@"a state that cannot be waited on|\(errno 77\)", failure.Message);
    }

    [Fact]
    public async Task A_read_and_a_write_run_on_no_poller_and_come_back_to_the_one_that_asked()
    {
        await using NetDescriptor file = Open(_folder["file"], FileMode.Create, FileAccess.ReadWrite);
        Poller poller = _group.Pollers[0];
        TaskCompletionSource<Poller?> cameBack = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedSocket script = new();
        Poller? ranOn = poller;
        script.ThenReads(_ =>
        {
            ranOn = Poller.Current;
            return IoResult.Bytes(1);
        });
        BlockingFd blocking = new(script);
        poller.Post(() => _ = ReadAsync());

        Assert.Same(poller, await cameBack.Task.WaitAsync(Limit, Cancellation));
        Assert.Null(ranOn);

        async Task ReadAsync()
        {
            await file.WriteAsync(new byte[1]);
            await blocking.ReadAsync(new byte[1], CancellationToken.None);
            cameBack.SetResult(Poller.Current);
        }
    }

    [Fact]
    public async Task NP112_A_close_does_not_wait_for_a_read_that_is_stuck_in_the_system()
    {
        using ManualResetEventSlim inside = new();
        using ManualResetEventSlim answer = new();
        ScriptedSocket script = new();
        script.ThenReads(_ =>
        {
            inside.Set();
            answer.Wait(Limit);
            return IoResult.Bytes(1);
        });
        BlockingFd file = new(script);
        Task<int> stuck = file.ReadAsync(new byte[1], Cancellation).AsTask();
        Task<int> queued = file.ReadAsync(new byte[1], Cancellation).AsTask();
        Assert.True(inside.Wait(Limit, Cancellation));

        file.Close();

        Assert.Equal(0, script.CloseCalls);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => queued.WaitAsync(Limit, Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await file.WriteAsync(new ReadOnlyMemory<byte>[] { new byte[1] }, Cancellation));
        answer.Set();
        Assert.Equal(1, await stuck.WaitAsync(Limit, Cancellation));
        await Eventually.Equal("closes", 1, () => script.CloseCalls);
    }

    [Fact]
    public async Task Writes_of_several_never_mix_and_tell_how_far_they_got()
    {
        ScriptedSocket script = new();
        script.ThenTakes(2).ThenTakes(1);
        BlockingFd file = new(script);
        await Task.WhenAll(
            file.WriteAsync(new ReadOnlyMemory<byte>[] { "aa"u8.ToArray(), "aa"u8.ToArray() }, Cancellation).AsTask(),
            file.WriteAsync(new ReadOnlyMemory<byte>[] { "bb"u8.ToArray(), "bb"u8.ToArray() }, Cancellation).AsTask());
        Assert.Matches("^(aaaabbbb|bbbbaaaa)$", System.Text.Encoding.ASCII.GetString(script.Written));

        const int Full = 28;
        script.ThenTakes(2).ThenWriteFails(Full);
        WriteFailedException failure = await Assert.ThrowsAsync<WriteFailedException>(
            async () => await file.WriteAsync(new ReadOnlyMemory<byte>[] { "abcd"u8.ToArray() }, Cancellation));

        Assert.Equal(2, failure.BytesTransferred);
        file.Close();
    }

    [Fact]
    public async Task A_token_ends_the_wait_for_those_before_and_not_the_read_itself()
    {
        using ManualResetEventSlim inside = new();
        using ManualResetEventSlim answer = new();
        ScriptedSocket script = new();
        script.ThenReads(_ =>
        {
            inside.Set();
            answer.Wait(Limit);
            return IoResult.Bytes(1);
        });
        BlockingFd file = new(script);
        using CancellationTokenSource source = new();
        Task<int> first = file.ReadAsync(new byte[1], source.Token).AsTask();
        Assert.True(inside.Wait(Limit, Cancellation));
        Task<int> second = file.ReadAsync(new byte[1], source.Token).AsTask();

        await source.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => second.WaitAsync(Limit, Cancellation));
        answer.Set();
        Assert.Equal(1, await first.WaitAsync(Limit, Cancellation));
        file.Close();
    }

    private NetDescriptor Open(string path, FileMode mode, FileAccess access)
    {
        SafeFileHandle handle = File.OpenHandle(path, mode, access, FileShare.ReadWrite);
        return NetDescriptor.Adopt(handle, _group);
    }
}
