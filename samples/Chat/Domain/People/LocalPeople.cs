using Proto;

namespace Chat.Domain;

/// <summary>The register of one machine.</summary>
internal sealed class LocalPeople : IPeople
{
    private readonly RootContext _sender;
    private readonly PID _people;

    public LocalPeople(RootContext sender, PID people)
    {
        _sender = sender;
        _people = people;
    }

    public void Tell(PeopleRequest request) => _sender.Send(_people, request);
}
