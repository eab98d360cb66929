"""A chat client in Python's standard library alone, with the frames written by hand: see docs/chat-protocol.md.

Usage: chat_client.py PORT NAME ROOM
Joins the room, asks for what was said before, says each line of its input, each until it is acknowledged, says the last one once more as
after a lost connection, and prints what it sees, a line each. It leaves when it has heard somebody else say "bye".
"""

import socket
import sys
import uuid


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    """A field of the wire type 0; a zero is left out."""
    return varint(field << 3) + varint(value) if value else b""


def text(field, value):
    """A field of the wire type 2: bytes, a string, or a message that is encoded already."""
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def read_varint(read):
    value = shift = 0
    while True:
        byte = read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def decode(data):
    """The fields of a message: number -> list of values, integers or bytes. Unknown fields do not matter."""
    fields, at = {}, 0

    def take(count):
        nonlocal at
        at += count
        return data[at - count:at]

    while at < len(data):
        key = read_varint(take)
        kind = key & 7
        if kind == 0:
            value = read_varint(take)
        elif kind == 2:
            value = take(read_varint(take))
        else:
            value = take({1: 8, 5: 4}[kind])
        fields.setdefault(key >> 3, []).append(value)
    return fields


def string(fields, field):
    return fields.get(field, [b""])[0].decode()


def integer(fields, field):
    return fields.get(field, [0])[0]


class Chat:
    # Bodies of a ClientFrame.
    HELLO, JOIN, SAY, PONG, QUIT = 2, 3, 5, 10, 11

    # Bodies of a ServerFrame.
    WELCOME, JOINED, SAID, ERROR, PRESENCE, MESSAGE, PING, GOODBYE = 2, 3, 5, 10, 20, 21, 25, 26

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.last_id = 0
        self.heard_bye = False

    def send(self, body, content, request=True):
        self.last_id += request
        frame = (number(1, self.last_id) if request else b"") + text(body, content)
        self.stream.write(varint(len(frame)) + frame)
        self.stream.flush()
        return self.last_id

    def read(self):
        """The next frame: what it answers, which body it has, and the body's fields."""

        def exactly(count):
            data = self.stream.read(count)
            if len(data) < count:
                raise EOFError("the server closed the connection")
            return data

        fields = decode(exactly(read_varint(exactly)))
        reply_to = integer(fields, 1)
        body = next(field for field in fields if field != 1)
        content = decode(fields[body][0])
        if body == self.PING:
            self.send(self.PONG, number(1, integer(content, 1)), request=False)
            return self.read()
        return reply_to, body, content

    def ask(self, body, content):
        """Sends a request and waits for its answer; the events before it are shown."""
        request = self.send(body, content)
        while True:
            reply_to, kind, fields = self.read()
            if reply_to == request:
                if kind == self.ERROR:
                    raise SystemExit(f"error {integer(fields, 1)} {string(fields, 2)}")
                return fields
            self.show(kind, fields)

    def show(self, kind, fields):
        if kind == self.MESSAGE:
            print("message", integer(fields, 2), string(fields, 3), string(fields, 4), flush=True)
            self.heard_bye |= string(fields, 4) == "bye"
        elif kind == self.PRESENCE:
            for name in fields.get(3, []):
                print("came", name.decode(), flush=True)


def main(port, name, room):
    chat = Chat(port)
    welcome = chat.ask(Chat.HELLO, number(1, 1) + text(2, name) + text(3, "python"))
    print("welcome", string(welcome, 2), flush=True)

    joined = chat.ask(Chat.JOIN, text(1, room) + number(2, 10))
    for message in map(decode, joined.get(6, [])):
        print("before", integer(message, 2), string(message, 3), string(message, 4), flush=True)
    print("joined", integer(joined, 2), ",".join(member.decode() for member in joined[3]), flush=True)

    for line in sys.stdin:
        say = text(1, room) + text(2, line.rstrip("\n")) + text(3, str(uuid.uuid4()))
        said = chat.ask(Chat.SAY, say)
        print("said", integer(said, 2), flush=True)

    again = chat.ask(Chat.SAY, say)
    print("again", integer(again, 2), bool(integer(again, 4)), flush=True)

    while not chat.heard_bye:
        _, kind, fields = chat.read()
        chat.show(kind, fields)

    goodbye = chat.ask(Chat.QUIT, b"")
    print("goodbye", string(goodbye, 1), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
