"""Requests to bytes, bytes to replies, and connections that both servers are asked through."""

import functools
import re
import select


class Difference(Exception):
    """The servers do not agree."""


class Astray(Exception):
    """The servers hold other data from here on, for a reason that is known: the rest of the program tells nothing."""


class Closed(Exception):
    """The server has closed the connection."""


class Incomplete(Exception):
    """The bytes end within a reply."""


@functools.lru_cache(20_000)
def bulk(word):
    """A word of a request, as it is sent. Most come again and again."""
    return b"$%d\r\n%s\r\n" % (len(word), word)


def encoded(words):
    """The bytes of a request."""
    return b"*%d\r\n%s" % (len(words), b"".join(map(bulk, words)))


PLAIN = re.compile(rb"[!#-&(-\[\]-~]+").fullmatch


@functools.lru_cache(20_000)
def quoted(word):
    """A word of an inline command."""
    return word if PLAIN(word) else b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"'


def inline(words):
    """The bytes of a request on one line."""
    return b" ".join(map(quoted, words)) + b"\r\n"


class Replies:
    """Reads replies from bytes, one after another."""

    def __init__(self, held):
        self.held = held
        self.at = 0

    def reply(self):
        """One reply as a tree: (type, text) or (type, [replies]); a null of RESP2 is (type and "-", nothing)."""
        end = self.held.find(b"\r\n", self.at)
        if end < 0:
            raise Incomplete
        line = bytes(self.held[self.at : end])
        self.at = end + 2
        kind, rest = line[:1], line[1:]
        if kind in b"$*" and rest == b"-1":
            # No value of that kind: not to be taken for the text "-1".
            return (kind + b"-", b"")
        if kind in b"$=":
            end = self.at + int(rest)
            if len(self.held) < end + 2:
                raise Incomplete
            text = bytes(self.held[self.at : end])
            if self.held[end : end + 2] != b"\r\n":
                raise Difference(f"a bulk without its end: {line!r}")
            self.at = end + 2
            return (kind, text)
        if kind in b"*~%>":
            return (kind, self.items(int(rest) * (2 if kind == b"%" else 1)))
        if kind not in b"+-:$*_,#(":
            raise Difference(f"bytes that are no reply: {line[:100]!r}")
        return (kind, rest)

    def items(self, count):
        """So many replies. Mostly they are texts, which are read here: half of all time was spent for each in `reply`."""
        held, items = self.held, []
        at = self.at
        while len(items) < count:
            if held[at : at + 1] != b"$" or held[at + 1 : at + 2] == b"-":
                self.at = at
                items.append(self.reply())
                at = self.at
                continue
            begin = held.find(b"\r\n", at) + 2
            if begin < 2:
                raise Incomplete
            end = begin + int(held[at + 1 : begin - 2])
            if held[end : end + 2] != b"\r\n":
                raise Incomplete if len(held) < end + 2 else Difference(f"a bulk without its end: {bytes(held[at:begin])!r}")
            items.append((b"$", bytes(held[begin:end])))
            at = end + 2
        self.at = at
        return items

    def is_at_end(self):
        """Whether all bytes are read."""
        return self.at == len(self.held)


class Link:
    """A connection to one server. `held` are the bytes that have come and are not looked at yet."""

    def __init__(self, server, connection=None):
        self.socket = connection or server.connect()
        self.socket.settimeout(20)
        self.held = bytearray()

    def more(self):
        """Waits for some bytes."""
        try:
            received = self.socket.recv(1 << 18)
        except TimeoutError:
            raise Difference(f"no answer within 20 s; so far {bytes(self.held[:200])!r}") from None
        except ConnectionError:
            received = b""
        if not received:
            raise Closed
        self.held += received

    def until(self, end):
        """Takes what has come as soon as it ends like this."""
        while not self.held.endswith(end):
            self.more()
        taken = bytes(self.held)
        self.held.clear()
        return taken

    def reply(self):
        """The next reply."""
        while True:
            replies = Replies(self.held)
            try:
                reply = replies.reply()
            except Incomplete:
                self.more()
                continue
            del self.held[: replies.at]
            return reply

    def send(self, held):
        """Sends while taking what comes, so that neither side waits for the other."""
        view = memoryview(held)
        while view:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 20)
            if not readable and not writable:
                raise Difference("a server takes no more bytes")
            try:
                if writable:
                    view = view[self.socket.send(view[: 1 << 16]) :]
                if readable:
                    self.more()
            except (Closed, ConnectionError):
                return

    def ask(self, *words):
        """A request and its reply."""
        self.send(encoded(words))
        return self.reply()

    def ask_all(self, requests):
        """Many requests and their replies."""
        self.send(b"".join(map(encoded, requests)))
        return [self.reply() for _ in requests]

    def until_closed(self):
        """What comes until the server closes."""
        try:
            while True:
                self.more()
        except Closed:
            return bytes(self.held)

    def close(self):
        """Ends it."""
        self.socket.close()


def shown(reply):
    """A reply for people, not too long."""
    text = repr(reply)
    return text if len(text) <= 400 else f"{text[:380]}... ({len(text)} characters)"
