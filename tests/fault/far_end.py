"""HTTP servers as nobody should write them, by path. Raw sockets: nothing here keeps to the rules."""
import contextlib
import socket
import threading
import zlib

HEAD = b"HTTP/1.1 200 OK\r\n"
BLOCK = b"x" * 65536
TEN_GB = 10 * 10**9


class FarEnd:
    """/hang, /trickle, /trickle-head, /redirect, /ten-gb, /chunks, /gzip-bomb, /headers, /cut,
    /garbage. bytes[path]: how much of an answer was sent until the peer went away."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()
        self.bytes = {}
        self.requests = []
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.close()

    def accept(self):
        while not self.over.is_set():
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                more = peer.recv(65536)
                if not more:
                    return
                head += more
            path = head.split(b" ")[1].decode()
            self.requests.append(path)
            for part in getattr(self, path[1:].replace("-", "_"))():
                peer.sendall(part)
                self.bytes[path] = self.bytes.get(path, 0) + len(part)

    def slowly(self, text):
        """A byte now and then, which no timeout between two bytes would notice."""
        for byte in text:
            if self.over.wait(0.1):
                return
            yield bytes([byte])

    def hang(self):
        self.over.wait()
        return ()

    def trickle(self):
        yield HEAD + b"Content-Length: 100000\r\n\r\n"
        yield from self.slowly(b"x" * 100000)

    def trickle_head(self):
        yield from self.slowly(HEAD + b"X: " + b"y" * 100000)

    def redirect(self):
        yield b"HTTP/1.1 302 Found\r\nLocation: /redirect\r\nContent-Length: 0\r\n\r\n"

    def ten_gb(self):
        yield HEAD + f"Content-Length: {TEN_GB}\r\n\r\n".encode()
        for _ in range(TEN_GB // len(BLOCK)):
            yield BLOCK

    def chunks(self):
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        while not self.over.is_set():
            yield b"10000\r\n" + BLOCK + b"\r\n"

    def gzip_bomb(self):
        pack = zlib.compressobj(9, wbits=31)
        yield HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
        for _ in range(2000):
            yield pack.compress(bytes(1 << 20))
        yield pack.flush()

    def headers(self):
        yield HEAD
        while not self.over.is_set():
            yield b"X-Header: " + b"y" * 1000 + b"\r\n"

    def cut(self):
        yield HEAD + b"Content-Length: 1000\r\n\r\nno more than this"

    def garbage(self):
        yield b"\x00\xff\x16\x03\x01 this is not HTTP at all\r\n\r\n"
