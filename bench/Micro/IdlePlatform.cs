using System.Net;
using NetPoll.Core;
using NetPoll.Core.Backends;

namespace NetPoll.Bench.Micro;

/// <summary>An operating system on which nothing ever happens, so that a million descriptors need no million sockets.</summary>
internal sealed class IdlePlatform : PollPlatform
{
    internal override long DescriptorLimit => long.MaxValue;

    internal override IPollBackend CreateBackend(int eventsPerWait) => new Backend();

    internal override IoResult Connect(IPEndPoint remote, IPEndPoint? local, out PollableSocket? socket) => throw new NotSupportedException();

    internal override IDisposable? ReserveDescriptor() => null;

    internal override IoResult Listen(IPEndPoint endPoint, int backlog, bool sharePort, out PollableSocket? listener) => throw new NotSupportedException();

    private sealed class Backend : IPollBackend
    {
        private readonly AutoResetEvent _wake = new(initialState: false);

        public string Name => "idle";

        public void Arm(PollableSocket socket, PollToken token, PollMode mode)
        {
        }

        public IoResult Close(PollableSocket socket, PollToken token) => IoResult.Success;

        public void Dispose() => _wake.Dispose();

        public IoResult Open(PollableSocket socket, PollToken token) => IoResult.Success;

        public bool Owns(int fileDescriptor) => false;

        public int Wait(Span<PollEvent> events, int timeoutMilliseconds)
        {
            if (timeoutMilliseconds != 0)
            {
                _wake.WaitOne(timeoutMilliseconds);
            }

            return 0;
        }

        public void Wake() => _wake.Set();
    }
}

/// <summary>A socket that does nothing.</summary>
internal sealed class IdleSocket : PollableSocket
{
    internal override int Descriptor => -1;

    internal override IPEndPoint? LocalEndPoint => null;

    internal override IPEndPoint? RemoteEndPoint => null;

    internal override void SetRemoteEndPoint(IPEndPoint endPoint) => throw new NotSupportedException("Nobody is at the other end.");

    internal override IoResult Accept(out PollableSocket? accepted)
    {
        accepted = null;
        return IoResult.TryAgain;
    }

    internal override IoResult Close() => IoResult.Success;

    internal override IoResult FinishConnect() => IoResult.Success;

    internal override IoResult GetOption(SocketSetting setting, out int value)
    {
        value = 0;
        return IoResult.Success;
    }

    internal override IoResult Probe(PollMode mode) => IoResult.TryAgain;

    internal override IoResult Read(Span<byte> buffer) => IoResult.TryAgain;

    internal override IoResult SetOption(SocketSetting setting, int value) => IoResult.Success;

    internal override IoResult Shutdown(PollMode mode) => IoResult.Success;

    internal override IoResult Write(ReadOnlySpan<byte> buffer) => IoResult.TryAgain;

    internal override IoResult WriteVectored(ReadOnlySpan<ReadOnlyMemory<byte>> buffers) => IoResult.TryAgain;
}
