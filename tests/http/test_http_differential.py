"""Malformed requests against Belfry's HTTP server and, as peers, nginx and HAProxy.

Belfry has to refuse its own list whole, and whatever either peer refuses as malformed (400): a
request that one program in a row of them refuses and another reads is how requests are smuggled.
"""
import asyncio
import concurrent.futures
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BELFRY_BUILD", TOP / "build"))
HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


# --- the list of specs/gateway.md 5.3 ------------------------------------------------------------

MUST_REFUSE = {
    "length and chunked": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length list": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "length sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "length minus": POST + b"Content-Length: -5\r\n\r\nhello",
    "length hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length empty": POST + b"Content-Length:\r\n\r\n",
    "length blank inside": POST + b"Content-Length: 5 0\r\n\r\nhello",
    "length overflow": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF in the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF behind a header": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "CR CR LF": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X\0: a\r\n\r\n",
    "blank before colon": b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n",
    "tab before colon": b"GET / HTTP/1.1\r\n" + HOST + b"X\t: a\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "blank before the first header": b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "empty name": b"GET / HTTP/1.1\r\n" + HOST + b": a\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n",
    "no token in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X(Y): a\r\n\r\n",
    "control in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x01b\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "Host is not the target's": b"GET http://b/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunk size minus": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk size plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size none": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "chunk size no hex": CHUNKED + b"g\r\nhello\r\n0\r\n\r\n",
    "chunk size too long": CHUNKED + b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size blank": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk bare LF": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "chunk extension too long": CHUNKED + b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n",
    "chunk extension bare LF": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunk too short": CHUNKED + b"5\r\nhell\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk without CRLF": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "trailer with a length": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer with credentials": CHUNKED + b"0\r\nAuthorization: x\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "h2c": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "unknown expectation": POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello",
    "GET with a body": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "HEAD with a body": b"HEAD / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "DELETE with a body": b"DELETE / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "path with NUL": b"GET /a%00b HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with encoded slash": b"GET /public/..%2fadmin HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with encoded backslash": b"GET /a%5cb HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with backslash": b"GET /a\\b HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with dots": b"GET /a/../b HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with encoded dots": b"GET /a/%2e%2e/b HTTP/1.1\r\n" + HOST + b"\r\n",
    "path with two slashes": b"GET //admin HTTP/1.1\r\n" + HOST + b"\r\n",
    "path overlong": b"GET /%c0%af HTTP/1.1\r\n" + HOST + b"\r\n",
    "path bad escape": b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    "path raw UTF-8": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "two blanks": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank at the end": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "version lower case": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "version 2": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "version 0.9": b"GET /\r\n\r\n",
    "method lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "line too long": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "head too long": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 33000 + b"\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 120 + b"\r\n",
    "TLS handshake": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
}

MUST_ACCEPT = {
    "GET": (b"GET /a%20b?c=d HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /a b "),
    "absolute form": (b"GET http://a/x HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /x "),
    "OPTIONS": (b"OPTIONS /x HTTP/1.1\r\n" + HOST + b"\r\n", b"OPTIONS /x "),
    "1.0": (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", b"GET / "),
    "length": (POST + b"Content-Length: 5\r\n\r\nhello", b"POST / hello"),
    "chunked": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"POST / hello"),
    "chunk extension": (CHUNKED + b"5;a=\"b\"\r\nhello\r\n0\r\n\r\n", b"POST / hello"),
    "trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"POST / hello"),
    "empty value": (b"GET / HTTP/1.1\r\n" + HOST + b"X:\r\n\r\n", b"GET / "),
    "expect": (POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", b"POST / hello"),
}


def mutations(seed, count):
    """Requests with one to three small faults, the same ones for a seed."""
    chance = random.Random(seed)
    bases = [request for request, _ in MUST_ACCEPT.values()]
    spice = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"\x0b", b"\x7f", b"\x80", b",", b";",
             b"0", b"5", b"-", b"+", b"a", b"%", b"%00", b"/", b"\\", b"Content-Length: 5\r\n",
             b"Transfer-Encoding: chunked\r\n", HOST, b"HTTP/1.1"]
    for _ in range(count):
        request = bytearray(chance.choice(bases))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(request) + 1)
            drop = chance.choice([0, 0, 1, 1, 2])
            request[at:at + drop] = chance.choice(spice) if chance.random() < 0.8 else b""
        yield bytes(request)


# --- the three servers ---------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_open(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


class Backend:
    """Behind the peers: answers 200 to whatever they let through, without looking."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.answer, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def answer(self, reader, writer):
        try:
            await reader.read(65536)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


@pytest.fixture(scope="module")
def belfry_port():
    process = subprocess.Popen([BUILD / "tests/http/http-echo"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    yield int(process.stdout.readline())
    process.stdin.close()
    assert process.wait(20) == 0


@pytest.fixture(scope="module")
def backend():
    backend = Backend()
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def nginx_port(tmp_path_factory, backend):
    binary = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not binary:
        pytest.skip("no nginx on this machine")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 512; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass http://127.0.0.1:{backend.port}; }}
            }}
        }}""")
    process = subprocess.Popen([binary, "-p", folder, "-c", folder / "nginx.conf"],
                               stderr=subprocess.DEVNULL)
    wait_open(port)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def haproxy_port(tmp_path_factory, backend):
    binary = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if not binary:
        pytest.skip("no haproxy on this machine")
    folder, port = tmp_path_factory.mktemp("haproxy"), free_port()
    (folder / "haproxy.cfg").write_text(f"""
defaults
    mode http
    option http-buffer-request
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout http-request 5s
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    server s 127.0.0.1:{backend.port}
""")
    process = subprocess.Popen([binary, "-q", "-db", "-f", folder / "haproxy.cfg"],
                               stderr=subprocess.DEVNULL)
    wait_open(port)
    yield port
    process.terminate()
    process.wait(20)


# --- asking --------------------------------------------------------------------------------------

def status_of(answer):
    """Of the first answer that is not an interim one; None where there is none."""
    while answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 2 and parts[0].startswith(b"HTTP/1.") else None


def ask(port, request, patience=0.6):
    """(status, bytes): what comes back; status None when the server waits for more or just closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        try:
            peer.sendall(request)
            peer.settimeout(patience)
            while status_of(answer) is None or b"\r\n\r\n" not in answer:
                piece = peer.recv(65536)
                if not piece:
                    break
                answer += piece
            if status_of(answer) == 200:
                peer.settimeout(10)
                wanted = int(answer.rpartition(b"Content-Length: ")[2].split(b"\r")[0] or 0) \
                    if b"Content-Length: " in answer else 0
                while len(answer.rpartition(b"\r\n\r\n")[2]) < wanted:
                    answer += peer.recv(65536)
        except (TimeoutError, ConnectionError):
            pass
    return status_of(answer), answer


def ask_all(port, requests):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda request: ask(port, request)[0], requests))


# --- tests ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", MUST_ACCEPT)
def test_belfry_accepts(belfry_port, name):
    request, body = MUST_ACCEPT[name]
    status, answer = ask(belfry_port, request, 10)
    assert (status, answer.rpartition(b"\r\n\r\n")[2]) == (200, body)


@pytest.mark.parametrize("name", MUST_REFUSE)
def test_belfry_refuses(belfry_port, name):
    """With an answer of 4xx or 5xx, and nothing behind it is read as a request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    with socket.create_connection(("127.0.0.1", belfry_port), 10) as peer:
        peer.sendall(MUST_REFUSE[name] + smuggled)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    assert status_of(answer) in (400, 413, 414, 431, 501, 505), answer
    assert answer.count(b"\r\nDate: ") == 1
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("peer", ["nginx", "haproxy"])
def test_whatever_a_peer_refuses(request, belfry_port, peer):
    peer_port = request.getfixturevalue(f"{peer}_port")
    requests = list(MUST_REFUSE.values()) + [r for r, _ in MUST_ACCEPT.values()]
    requests += list(mutations(20261125, 1500))
    refused = [r for r, status in zip(requests, ask_all(peer_port, requests)) if status == 400]
    assert len(refused) > 100
    lenient = [r for r, status in zip(refused, ask_all(belfry_port, refused)) if status == 200]
    assert not lenient, f"{len(lenient)} accepted by Belfry, refused by {peer}: {lenient[:10]}"
