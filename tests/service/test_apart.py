"""Services in processes of their own: enrolment, signed requests, forged ones."""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import time

import pytest

from belfry import PASSWORD, Belfry, free_port, http_call, wait_for

JOIN_KEY = "a join key that is long enough, is it not?"
SERVICES = ("auth", "job-admin", "job-execute", "gateway")


class Cluster:
    """One process for each service named, on SQLite (so only one of them may have a store)."""

    def __init__(self, *services, join_keys=None):
        self.ports = {service: free_port() for service in SERVICES}
        self.nodes = {}
        for service in services:
            settings = {f"registry.{name}": f"http://127.0.0.1:{self.ports[name]}"
                        for name in SERVICES if name != "gateway"}
            settings |= {"internal.listen": f"127.0.0.1:{self.ports[service]}",
                         "node.name": f"{service}-1",
                         "cluster.join_key": (join_keys or {}).get(service, JOIN_KEY)}
            self.nodes[service] = Belfry([service], settings, set_up=False, ready=False)

    def __enter__(self):
        try:
            for node in self.nodes.values():
                node.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            for name, node in self.nodes.items():
                print(f"--- {name}:\n" + "\n".join(node.log().splitlines()[-40:]))
        self.close()

    def close(self):
        for node in self.nodes.values():
            node.close()

    def __getitem__(self, service):
        return self.nodes[service]

    def ready(self, service):
        node, port = self.nodes[service], self.nodes[service].metrics_port

        def asked():
            assert node.process.poll() is None, node.log()
            try:
                return http_call(port, "GET", "/readyz").status == 200
            except OSError:
                return False
        wait_for(asked, lambda: f"{service} to be ready:\n{node.log()}")


@pytest.fixture(scope="module")
def cluster():
    with Cluster("gateway", "auth") as cluster:  # the asker first: it has to try again
        cluster.ready("gateway")
        cluster.ready("auth")
        gateway = cluster["gateway"]
        code = (cluster["auth"].data / "setup-code").read_text().strip()
        gateway.api("POST", "/api/v1/setup", {"code": code, "name": "admin", "password": PASSWORD},
                    key=None, expect=(200, 201))
        gateway.key = gateway.new_key()
        yield cluster


def test_requests_pass_from_process_to_process(cluster):
    gateway = cluster["gateway"]
    names = [user["name"] for user in gateway.items("/api/v1/users")]
    assert names == ["admin"]
    created = gateway.api("POST", "/api/v1/users",
                          {"name": "小王", "password": "another long passphrase"}, expect=201)
    assert created.json["name"] == "小王"
    wrong = gateway.api("POST", "/api/v1/users", {"nam": "x"},
                        headers={"Accept-Language": "zh-CN"}, expect=400)
    assert wrong.headers["Content-Type"] == "application/problem+json"
    assert wrong.json["path"] == "nam" and wrong.json["request_id"] == wrong.headers["X-Request-Id"]
    assert gateway.api("GET", "/api/v1/users", key="bf_wrong").status == 401


def test_services_that_are_away(cluster):
    answer = cluster["gateway"].api("GET", "/api/v1/jobs")
    assert answer.status == 503 and answer.json["code"] == "unavailable"


def test_unsigned_requests_are_refused(cluster):
    port = cluster.ports["auth"]
    assert http_call(port, "GET", "/healthz").status == 200
    assert http_call(port, "GET", "/api/v1/users").status == 401
    assert http_call(port, "POST", "/api/v1/setup", {"code": "x"}).status == 401
    assert http_call(port, "POST", "/internal/v1/auth/check", {}).status == 401
    assert http_call(port, "GET", "/api/v1/jobs").status == 404  # not of this process
    assert http_call(port, "GET", "/metrics").status == 404
    key = {"Authorization": f"Bearer {cluster['gateway'].key}"}
    assert http_call(port, "GET", "/api/v1/users", headers=key).status == 401
    assert http_call(port, "GET", "/api/v1/users", headers={"X-Belfry-Identity": "a.b"}).status == 401


# --- forged identities ------------------------------------------------------------------------------

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Signs as the server does, with libsodium."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")

    def __init__(self, seed):
        self.sodium.sodium_init()
        self.public, self.secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_seed_keypair(self.public, self.secret, seed)

    def header(self, **changes):
        now = int(time.time() * 1000)
        claims = {"iss": "gateway-1", "aud": "auth", "method": "GET", "target": "/api/v1/users",
                  "body": b64(hashlib.blake2b(b"", digest_size=32).digest()),
                  "iat": now, "exp": now + 60000,
                  "sub": {"kind": "user", "id": 1, "name": "admin",
                          "grants": [{"g": 0, "r": 4}]}} | changes
        text = b64(json.dumps(claims).encode()).encode()
        signature = ctypes.create_string_buffer(64)
        self.sodium.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)),
                                         self.secret)
        return {"X-Belfry-Identity": f"{text.decode()}.{b64(signature.raw)}"}


@pytest.fixture(scope="module")
def gateway_signer(cluster):
    return Signer((cluster["gateway"].data / "node.key").read_bytes())


def users_as(cluster, headers, path="/api/v1/users"):
    return http_call(cluster.ports["auth"], "GET", path, headers=headers).status


def test_the_signature_counts(cluster, gateway_signer):
    assert users_as(cluster, gateway_signer.header()) == 200
    now = int(time.time() * 1000)
    for changes in [{"aud": "job-admin"}, {"method": "POST"}, {"target": "/api/v1/keys"},
                    {"body": b64(b"x" * 32)}, {"iss": "nobody"}, {"iss": "auth-1"},
                    {"iat": now - 200000, "exp": now - 140000}, {"exp": now + 120000},
                    {"iat": now + 100000, "exp": now + 160000}]:
        assert users_as(cluster, gateway_signer.header(**changes)) == 401, changes
    assert users_as(cluster, gateway_signer.header(sub=None)) == 401
    assert users_as(cluster, gateway_signer.header(), "/api/v1/users?limit=1") == 401


def test_the_principal_counts(cluster, gateway_signer):
    viewer = {"kind": "user", "id": 1, "name": "v", "grants": [{"g": 0, "r": 1}]}
    assert users_as(cluster, gateway_signer.header(sub=viewer)) == 403
    assert users_as(cluster, gateway_signer.header(sub=viewer | {"grants": []})) == 403
    assert users_as(cluster, gateway_signer.header(sub=viewer | {"kind": "root"})) == 401


def test_a_key_that_nobody_enrolled(cluster):
    assert users_as(cluster, Signer(b"x" * 32).header()) == 401


# --- enrolment ----------------------------------------------------------------------------------------

def test_wrong_join_key_is_refused_and_logged():
    with Cluster("auth", "gateway", join_keys={"gateway": "another join key of some length, or so"}) \
            as cluster:
        cluster.ready("auth")
        gateway, auth = cluster["gateway"], cluster["auth"]
        wait_for(lambda: "auth has not accepted this node yet" in gateway.log(), "the refusal")
        wait_for(lambda: "gateway-1" in auth.log(), "auth's line about it")
        assert http_call(gateway.metrics_port, "GET", "/readyz").status == 503
        assert http_call(gateway.port, "GET", "/api/v1/users").status in (401, 503)


def test_auth_may_restart(cluster):
    gateway, auth = cluster["gateway"], cluster["auth"]
    auth.kill9()
    answer = gateway.api("GET", "/api/v1/users/1")
    assert answer.status in (200, 503)  # known for a moment, but nobody there to ask
    auth.start()
    cluster.ready("auth")
    wait_for(lambda: gateway.api("GET", "/api/v1/users/1").status == 200, "the gateway to find auth")


def test_the_stop_is_orderly(cluster):
    for node in cluster.nodes.values():
        assert node.stop() == 0
