"""Which processes belong to the cluster: enrolment, revocation, and taking that back."""
import pytest

from belfry import Belfry, PASSWORD, free_port, http_call, wait_for

JOIN_KEY = "a join key that is long enough, is it not?"


class Cluster:
    def __init__(self):
        self.ports = {name: free_port() for name in ("auth", "job-admin", "job-execute", "gateway")}
        self.nodes = []

    def make(self, service, **settings):
        registry = {f"registry.{name}": f"http://127.0.0.1:{port}"
                    for name, port in self.ports.items() if name != "gateway"}
        node = Belfry([service], {**registry, "cluster.join_key": JOIN_KEY,
                                  "node.name": f"{service}-1",
                                  "internal.listen": f"127.0.0.1:{self.ports[service]}", **settings},
                      set_up=False, ready=False)
        self.nodes.append(node)
        return node

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.close()


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        cluster.auth = cluster.make("auth").start()
        cluster.gateway = cluster.make("gateway").start()

        def answers():
            try:
                return cluster.gateway.api("GET", "/api/v1/setup").status == 200
            except OSError:
                return False
        wait_for(answers, "the gateway to reach auth")
        code = (cluster.auth.data / "setup-code").read_text().strip()
        cluster.gateway.api("POST", "/api/v1/setup",
                            {"code": code, "name": "admin", "password": PASSWORD}, expect=201)
        cluster.gateway.key = cluster.gateway.new_key()
        yield cluster


def nodes(cluster):
    return {node["name"]: node for node in cluster.gateway.items("/api/v1/nodes")}


def keys(cluster):
    """What a forged enrolment might change; nodes enrol again by themselves, so no times."""
    return {name: (node["public_key"], node["revoked_at"]) for name, node in nodes(cluster).items()}


def test_nodes_enrol_by_themselves(cluster):
    listed = nodes(cluster)
    assert {"auth-1", "gateway-1"} <= set(listed)
    assert listed["gateway-1"]["services"] == "gateway" and not listed["gateway-1"]["revoked_at"]
    assert len(listed["gateway-1"]["public_key"]) == 64
    actions = [entry["action"] for entry in
               cluster.gateway.items("/api/v1/audit?object=node/gateway-1")]
    assert actions == ["node.enrol"]


def test_restart_is_no_news_and_a_new_key_is(cluster):
    def actions():
        entries = cluster.gateway.items("/api/v1/audit?object=node/job-execute-1")
        return [entry["action"] for entry in reversed(entries)]
    with cluster.make("job-execute") as node:
        wait_for(lambda: actions() == ["node.enrol"], "the first enrolment")
        enrolled = nodes(cluster)["job-execute-1"]
        node.restart()
        wait_for(lambda: nodes(cluster)["job-execute-1"]["enrolled_at"] != enrolled["enrolled_at"],
                 "the second enrolment")
        assert actions() == ["node.enrol"]
        node.stop()
        (node.data / "node.key").unlink()
        node.start()
        wait_for(lambda: actions() == ["node.enrol", "node.new-key"], "the new key")


def test_revoked_stays_out_until_forgotten(cluster):
    with cluster.make("job-execute") as node:
        wait_for(lambda: "job-execute-1" in nodes(cluster), "enrolment")
        cluster.gateway.api("POST", "/api/v1/nodes/job-execute-1/revoke", expect=204)
        assert nodes(cluster)["job-execute-1"]["revoked_at"]
        assert cluster.gateway.api("POST", "/api/v1/nodes/job-execute-1/revoke").status == 404
        node.restart()
        wait_for(lambda: "was revoked" in cluster.auth.log(), "auth to refuse it")
        assert nodes(cluster)["job-execute-1"]["revoked_at"]
        cluster.gateway.api("DELETE", "/api/v1/nodes/job-execute-1", expect=204)
        wait_for(lambda: "job-execute-1" in nodes(cluster), "enrolment after it was forgotten")
        assert not nodes(cluster)["job-execute-1"]["revoked_at"]


def test_last_gateway_and_auth_stay(cluster):
    for name in ("gateway-1", "auth-1"):
        assert cluster.gateway.api("POST", f"/api/v1/nodes/{name}/revoke").status == 409
    assert cluster.gateway.api("DELETE", "/api/v1/nodes/gateway-1").status == 409
    assert cluster.gateway.api("GET", "/api/v1/session").status == 200


def test_wrong_join_key_is_refused_and_logged(cluster):
    with cluster.make("job-admin", **{"cluster.join_key": JOIN_KEY + "?"}) as node:
        wait_for(lambda: "not the same as auth's" in node.log(), "the refusal")
        wait_for(lambda: "node=job-admin-1" in cluster.auth.log(), "auth's line")
        assert "job-admin-1" not in nodes(cluster)
        assert JOIN_KEY not in cluster.auth.log() + node.log()


@pytest.mark.parametrize("change", [
    {"proof": "0" * 64}, {"proof": None}, {"name": "gateway-1"}, {"at_ms": 0}, {"public_key": "00"},
    {"nonce": "x"}])
def test_forged_enrolment(cluster, change):
    body = {"name": "evil-1", "public_key": "ab" * 32, "services": "gateway", "nonce": "cd" * 16,
            "at_ms": 1, "proof": "ef" * 32, **change}
    before = keys(cluster)
    answer = http_call(cluster.ports["auth"], "POST", "/internal/v1/auth/node-enrol", body)
    assert answer.status in (400, 401, 403), answer
    assert keys(cluster) == before
