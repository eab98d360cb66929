using Proto;

namespace Chat.Domain;

/// <summary>The register of names: who has which, until their session ends.</summary>
/// <remarks>
/// A door says <see cref="FreeName"/> when its connection closes. The session is watched as well: a name that nobody frees would
/// be lost until the server restarts, and a session that failed may not have come to say it.
/// </remarks>
internal sealed class PeopleActor : IActor
{
    private readonly TimeProvider _time;
    private readonly Dictionary<string, Person> _byName = [];
    private readonly Dictionary<PID, Person> _bySession = [];

    public PeopleActor(TimeProvider time) => _time = time;

    public Task ReceiveAsync(IContext context)
    {
        switch (context.Message)
        {
            case ClaimName claim:
                Claim(context, claim);
                break;
            case SendPrivate message:
                Deliver(context, message);
                break;
            case FreeName free:
                if (Free(free.Session))
                {
                    context.Unwatch(free.Session);
                }

                break;
            case Terminated terminated:
                Free(terminated.Who);
                break;
        }

        return Task.CompletedTask;
    }

    private void Claim(IContext context, ClaimName claim)
    {
        Person person = claim.Person;
        if (_bySession.TryGetValue(person.Session, out Person? already))
        {
            Refuse(context, person, claim.RequestId, RefusalReason.AlreadyNamed, $"you have the name '{already.Name}' already");
        }
        else if (_byName.TryAdd(ChatRules.NameKey(person.Name), person))
        {
            _bySession.Add(person.Session, person);
            context.Watch(person.Session);
            context.Send(person.Session, new NameClaimed(claim.RequestId, person));
        }
        else
        {
            Refuse(context, person, claim.RequestId, RefusalReason.NameTaken, $"the name '{person.Name}' is taken");
        }
    }

    private void Deliver(IContext context, SendPrivate message)
    {
        if (_byName.TryGetValue(ChatRules.NameKey(message.To), out Person? to))
        {
            DateTimeOffset now = _time.GetUtcNow();
            context.Send(to.Session, new PrivateMessage(message.From.Name, message.Text, now));
            context.Send(message.From.Session, new PrivateSent(message.RequestId, to.Name, now));
        }
        else
        {
            string text = $"nobody here has the name '{ChatRules.Quote(message.To)}'";
            Refuse(context, message.From, message.RequestId, RefusalReason.NoSuchPerson, text);
        }
    }

    private bool Free(PID session)
        => _bySession.Remove(session, out Person? person) && _byName.Remove(ChatRules.NameKey(person.Name));

    private static void Refuse(IContext context, Person person, ulong requestId, RefusalReason reason, string text)
        => context.Send(person.Session, new Refused(requestId, reason, text));
}
