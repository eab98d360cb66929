using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NetPoll.Core;
using NetPoll.Tests;
using Proto;

namespace NetPoll.Actors.Tests.Support;

/// <summary>What the actors of one datagram socket are to do, and what they were told, one line for each call.</summary>
internal sealed class DatagramScript
{
    private readonly ConcurrentQueue<string> _told = new();

    public Action<ScriptedDatagramActor>? Bound { get; set; }

    public Action<ScriptedDatagramActor, ReceivedDatagram, string>? Datagram { get; set; }

    public Func<ScriptedDatagramActor, object, Task>? Message { get; set; }

    public Action<ScriptedDatagramActor>? AtStop { get; set; }

    public Action<ScriptedDatagramActor>? AtRefusal { get; set; }

    public string[] Told => [.. _told];

    public static DatagramScript Echo() => new() { Datagram = static (self, datagram, text) => self.Say(text, datagram.From) };

    public void Note(string what) => _told.Enqueue(what);

    public Task Hears(params string[] lines) => Eventually.Equal("what the actor was told", string.Join('|', lines), () => string.Join('|', Told));
}

/// <summary>Does what its script says. Its poller's thread only, but for what has come through <see cref="DatagramScript"/>.</summary>
internal sealed class ScriptedDatagramActor(DatagramScript script) : DatagramActor
{
    public IContext Self => Context;

    public IPEndPoint Local => LocalEndPoint;

    public int Queued => QueuedDatagrams;

    public void Say(string text, DatagramAddress to = default) => Send(Encoding.UTF8.GetBytes(text), to);

    public void Suspend() => SuspendReading();

    public void Resume() => ResumeReading();

    public void Want(long count) => Demand(count);

    public void End() => Close();

    protected override void OnBound()
    {
        script.Note("bound");
        script.Bound?.Invoke(this);
    }

    protected override void OnDatagram(ReceivedDatagram datagram, ReadOnlySpan<byte> bytes)
    {
        string text = Encoding.UTF8.GetString(bytes);
        script.Note(datagram.IsTruncated ? $"{text}..." : text);
        script.Datagram?.Invoke(this, datagram, text);
    }

    protected override Task OnMessage(object message)
    {
        if (message is Action<ScriptedDatagramActor> action)
        {
            action(this);
            return Task.CompletedTask;
        }

        return script.Message?.Invoke(this, message) ?? Task.CompletedTask;
    }

    protected override void OnRefused(SocketError reason)
    {
        script.Note($"refused: {reason}");
        script.AtRefusal?.Invoke(this);
    }

    protected override void OnSendFailed(DatagramAddress peer, SocketError reason) => script.Note($"failed: {peer} {reason}");

    protected override void OnDropped(long count) => script.Note($"dropped: {count}");

    protected override void OnStopping()
    {
        script.Note("stopping");
        script.AtStop?.Invoke(this);
    }
}
