"""The gateway itself: what it believes, where it listens, how it stops."""
import http.client
import re
import signal
import socket
import ssl
import subprocess

import pytest

from belfry import Belfry, BINARY, PASSWORD, free_port, http_call, wait_for


def raw(port, text):
    """Sends bytes as they are, and returns the status of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = b""
        while b"\r\n" not in answer:
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
        return int(answer.split(b" ")[1]) if answer else 0


NAMES = ["X-Belfry-Identity", "x-belfry-identity", "X_Belfry_Identity", "X.Belfry.Identity",
         "X-Belfry_Identity", "X-BELFRY-PRINCIPAL", "X-Belfry-User", "X-User-Id", "x_user_name",
         "X-User-Role", "X-Auth-Request-User", "X-Tenant-Id", "X-Internal-Call", "Remote-User",
         "X-Forwarded-User", "X-Remote-User", "X-Original-URL", "X-HTTP-Method-Override"]


@pytest.mark.parametrize("name", NAMES)
def test_spoofed_identity_is_nobody(belfry, name):
    for value in ("admin", "1", "/api/v1/setup", "GET"):
        for path in ("/api/v1/session", "/api/v1/users"):
            status = raw(belfry.port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{belfry.port}\r\n"
                                      f"{name}: {value}\r\nConnection: close\r\n\r\n")
            assert status in (400, 401), (name, path, status)


@pytest.mark.parametrize("name", NAMES)
def test_spoofed_identity_adds_no_rights(belfry, name):
    key = belfry.new_key(grants=[{"group": "default", "role": "viewer"}])
    answer = belfry.api("GET", "/api/v1/users", key=key, headers={name: "admin"})
    assert answer.status in (400, 403)


def test_forwarded_for_of_strangers_counts_nothing(belfry):
    made = belfry.api("POST", "/api/v1/keys", {"name": "k", "addresses": ["203.0.113.9"]},
                      expect=201).json
    for name in ("X-Forwarded-For", "X-Real-IP", "X_Forwarded_For", "True-Client-IP"):
        answer = belfry.api("GET", "/api/v1/session", key=made["key"],
                            headers={name: "203.0.113.9"})
        assert answer.status == 401, name
    answer = belfry.api("GET", "/api/v1/session", key=made["key"],
                        headers={"Forwarded": "for=203.0.113.9"})
    assert answer.status == 401


def test_request_id(belfry):
    mine = belfry.api("GET", "/api/v1/session", headers={"X-Request-Id": "mine-12345678"})
    assert mine.headers["X-Request-Id"] != "mine-12345678", "a stranger's is not taken over"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        mine.headers["X-Request-Id"])
    refused = belfry.api("GET", "/api/v1/session", key=None)
    assert refused.json["request_id"] == refused.headers["X-Request-Id"]
    wait_for(lambda: refused.headers["X-Request-Id"] in belfry.log(), "the access log line")


def test_access_log_has_no_secrets(belfry):
    belfry.api("GET", "/api/v1/users?name=very-secret-value")
    belfry.api("GET", "/api/v1/session", headers={"Cookie": "belfry=" + "s" * 52}, key=None)
    line = wait_for(lambda: [line for line in belfry.log().splitlines()
                             if "path=/api/v1/users " in line], "the access log line")[-1]
    assert "method=GET" in line and "status=200" in line and "request=" in line
    assert "very-secret-value" not in belfry.log()
    assert "s" * 52 not in belfry.log() and belfry.key not in belfry.log()


def test_page(belfry):
    page = http_call(belfry.port, "GET", "/")
    assert page.status == 200 and "belfry user setup" in page.text
    assert "script" not in page.text and "style" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in page.headers
    assert "钟楼" in http_call(belfry.port, "GET", "/", headers={"Accept-Language": "zh"}).text
    assert http_call(belfry.port, "POST", "/", {}).status == 404
    assert http_call(belfry.port, "GET", "/favicon.ico").status == 404


def test_no_cors(belfry):
    for method in ("GET", "OPTIONS"):
        answer = belfry.api(method, "/api/v1/session", headers={"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_rate_limits():
    with Belfry(settings={"http.rate_address": 50, "http.rate_principal": 5}) as belfry:
        statuses = [belfry.api("GET", "/api/v1/session").status for _ in range(40)]
        assert statuses[0] == 200 and 429 in statuses
        refused = next(answer for answer in
                       (belfry.api("GET", "/api/v1/session") for _ in range(200))
                       if answer.status == 429)
        assert refused.json["code"] == "throttled" and int(refused.headers["Retry-After"]) >= 1
        strangers = [belfry.api("GET", "/api/v1/session", key=None).status for _ in range(200)]
        assert set(strangers) == {401, 429}
        wait_for(lambda: belfry.api("GET", "/api/v1/session").status == 200, "the bucket to fill")
        assert http_call(belfry.port, "GET", "/healthz").status == 200


def serve(settings, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "BELFRY_DATA": str(tmp_path / "data"),
                   "BELFRY_METRICS_LISTEN": "off", **settings}
    return subprocess.run([BINARY, "serve"], env=environment, cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)


def test_plain_http_elsewhere_is_refused(tmp_path):
    result = serve({"BELFRY_HTTP_LISTEN": f"0.0.0.0:{free_port()}"}, tmp_path)
    assert result.returncode == 78
    assert "http.insecure_plain" in result.stderr and "http.tls_certificate" in result.stderr


def test_plain_http_elsewhere_takes_keys_only(tmp_path):
    data = tmp_path / "data"
    with Belfry(data=data) as belfry:
        key = belfry.key
    port = free_port()
    with Belfry(data=data, set_up=False, port=port,
                settings={"http.listen": f"0.0.0.0:{port}", "http.insecure_plain": "true"}) as belfry:
        assert belfry.api("GET", "/api/v1/session", key=key).status == 200
        answer = belfry.api("POST", "/api/v1/session", {"name": "admin", "password": PASSWORD},
                            key=None)
        assert answer.status == 403 and "Set-Cookie" not in answer.headers
        assert "sign-in is refused" in belfry.log()


def test_tls(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key.pem",
                    "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    settings = {"http.tls_certificate": tmp_path / "cert.pem", "http.tls_key": tmp_path / "key.pem"}
    with Belfry(settings=settings, set_up=False, ready=False) as belfry:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")

        def call(method, path, body=None, **headers):
            connection = http.client.HTTPSConnection("localhost", belfry.port, context=context)
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer

        def ready():
            try:
                return call("GET", "/readyz").status == 200
            except OSError:
                return False
        wait_for(ready, "TLS to answer")
        body = '{"code":"%s","name":"admin","password":"%s"}' % (belfry.setup_code(), PASSWORD)
        assert call("POST", "/api/v1/setup", body).status == 201
        answer = call("POST", "/api/v1/session", '{"name":"admin","password":"%s"}' % PASSWORD)
        assert answer.status == 201
        cookie = answer.getheader("Set-Cookie")
        assert cookie.startswith("__Host-belfry=") and "; Secure" in cookie
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
        assert call("GET", "/api/v1/session", Cookie=cookie.split(";")[0]).status == 200
        assert answer.getheader("Strict-Transport-Security")


def test_drain_answers_what_runs(fresh_belfry):
    """A request that is being answered (a hash takes its time) is, and no new one is taken."""
    belfry = fresh_belfry
    body = '{"name":"admin","password":"%s"}' % PASSWORD
    with socket.create_connection(("127.0.0.1", belfry.port), timeout=30) as connection:
        connection.sendall((f"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1:{belfry.port}\r\n"
                            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                            f"\r\n{body}").encode())
        wait_for(lambda: belfry.metrics()["belfry_gateway_connections"] >= 1, "the connection")
        belfry.process.send_signal(signal.SIGTERM)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 201 ") and b"connection: close" in answer.lower()
    assert belfry.process.wait(30) == 0


def test_metrics(fresh_belfry):
    belfry = fresh_belfry
    before = belfry.metrics()
    belfry.api("GET", "/api/v1/session", key="bf_" + "a" * 12 + "_" + "b" * 52, expect=401)
    belfry.api("POST", "/api/v1/session", {"name": "admin", "password": "wrong"}, key=None,
               expect=401)
    belfry.api("GET", "/api/v1/nothing", expect=404)
    after = belfry.metrics()

    def grown(name):
        return after[name] - before[name]
    assert grown('belfry_auth_checks_total{result="refused"}') == 1
    assert grown('belfry_auth_sign_ins_total{result="refused"}') == 1
    assert grown('belfry_gateway_refused_total{why="route"}') == 1
    assert grown('belfry_gateway_answers_total{class="4xx"}') == 3
    assert after["belfry_auth_setup_complete"] == 1
