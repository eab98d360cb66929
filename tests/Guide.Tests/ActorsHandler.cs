using System.Text;
using NetPoll.Actors;
using Proto;

namespace Guide.Tests;

internal sealed class Doorman : IActor
{
    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case Connected connected:
                context.Send(connected.Connection, new Write(Encoding.UTF8.GetBytes("Your name?\n")));
                context.Send(connected.Connection, new SetIdleTimeout(TimeSpan.FromMinutes(1)));
                break;
            case Received received:
                string name = Encoding.UTF8.GetString(received.Bytes.Span).Trim();
                context.Send(received.Connection, new Write(Encoding.UTF8.GetBytes($"Hello, {name}!\n")));
                context.Send(received.Connection, Close.Instance);
                break;
            case PeerClosed closed:
                context.Send(closed.Connection, Close.Instance);
                break;
            case DeadlineExceeded late:
                context.Send(late.Connection, Abort.Instance);
                break;
        }

        return Task.CompletedTask;
    }
}
