"""API keys: what they may, where from, until when."""
import datetime

import pytest

from belfry import Belfry, PASSWORD, wait_for

PROXY = {"http.trusted_proxies": "127.0.0.1"}


@pytest.fixture(scope="module")
def server():
    with Belfry(settings=PROXY) as belfry:
        for name, role, group in (("dev", "developer", "default"), ("boss", "administrator", "*")):
            belfry.api("POST", "/api/v1/users",
                       {"name": name, "password": PASSWORD,
                        "grants": [{"group": group, "role": role}]}, expect=201)
        yield belfry


def create(server, user="dev", by=None, expect=201, **members):
    headers = None if by else server.sign_in(user)
    return server.api("POST", "/api/v1/keys", {"name": "k", **members}, key=by, headers=headers,
                      expect=expect).json


def status(server, key, method="GET", path="/api/v1/session", **headers):
    return server.api(method, path, key=key, headers=headers).status


def soon(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).isoformat()


def test_secret_is_shown_once(server):
    made = create(server)
    assert made["key"].startswith(made["prefix"] + "_") and made["owner"] == "dev"
    shown = server.api("GET", f"/api/v1/keys/{made['id']}", expect=200).json
    assert "key" not in shown and shown["prefix"] == made["prefix"]
    assert made["key"][20:] not in server.log()


def test_grants_default_to_ones_own_and_never_exceed_them(server):
    assert create(server)["grants"] == [{"group": "default", "role": "developer"}]
    assert create(server, grants=[{"group": "default", "role": "viewer"}])
    for grants in ([{"group": "*", "role": "viewer"}],
                   [{"group": "default", "role": "administrator"}]):
        refused = create(server, grants=grants, expect=403)
        assert refused["path"] == "grants"


def test_rights_shrink_with_the_owner(server):
    user = server.api("POST", "/api/v1/users",
                      {"name": "shrinking", "password": PASSWORD,
                       "grants": [{"group": "*", "role": "administrator"}]}, expect=201).json
    key = create(server, "shrinking")["key"]
    assert status(server, key, path="/api/v1/users") == 200
    server.api("PUT", f"/api/v1/users/{user['id']}/grants",
               {"grants": [{"group": "default", "role": "viewer"}]}, expect=200)
    assert status(server, key, path="/api/v1/users") == 403
    session = server.api("GET", "/api/v1/session", key=key, expect=200).json
    assert session["grants"] == [{"group": "default", "role": "viewer"}]
    server.api("DELETE", f"/api/v1/users/{user['id']}", expect=204)
    assert status(server, key) == 401


def test_expiry(server):
    by = create(server)["key"]  # signing in takes a while: the key that expires is made with this one
    key = create(server, by=by, expires_at=soon(3))["key"]
    assert status(server, key) == 200
    wait_for(lambda: status(server, key) == 401, "the key to expire", pause=0.1)
    past = create(server, expires_at=soon(-1), expect=400)
    assert past["path"] == "expires_at"


def test_address_list(server):
    key = create(server, addresses=["203.0.113.0/24", "2001:db8::/32"])["key"]
    assert status(server, key) == 401
    for address, want in [("203.0.113.9", 200), ("203.0.114.9", 401), ("2001:db8::7", 200),
                          ("2001:db9::7", 401), ("::ffff:203.0.113.9", 200)]:
        assert status(server, key, **{"X-Forwarded-For": address}) == want, address
    assert status(server, key, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}) == 401, \
        "what the client wrote itself stands left of what the proxy saw"
    bad = create(server, addresses=["10.0.0.0/8", "10.0.0.1/8"], expect=400)
    assert bad["path"] == "addresses[1]"


def test_revoke_at_once_and_again(server):
    made = create(server)
    assert status(server, made["key"]) == 200
    for _ in range(2):
        server.api("DELETE", f"/api/v1/keys/{made['id']}", key=None,
                   headers=server.sign_in("dev"), expect=204)
    assert status(server, made["key"]) == 401


def test_rotate_with_overlap(server):
    made = create(server)
    session = server.sign_in("dev")
    path = f"/api/v1/keys/{made['id']}/rotate"
    first = server.api("POST", path, {"overlap_seconds": 3600}, key=None, headers=session,
                       expect=200).json
    assert first["prefix"] == made["prefix"] and first["key"] != made["key"]
    assert first["previous_until"]
    assert status(server, made["key"]) == status(server, first["key"]) == 200
    second = server.api("POST", path, {"overlap_seconds": 0}, key=None, headers=session,
                        expect=200).json
    assert status(server, made["key"]) == 401, "two rotations back"
    assert status(server, first["key"]) == 401, "no overlap was asked for"
    assert status(server, second["key"]) == 200


def test_a_key_does_not_outgrow_itself(server):
    small = create(server, "boss", grants=[{"group": "default", "role": "viewer"}],
                   expires_at=soon(3600), addresses=["127.0.0.1"])
    big = create(server, "boss")
    by = small["key"]
    longer = create(server, by=by, expires_at=soon(4000), expect=403)
    assert longer["path"] == "expires_at"
    wider = create(server, by=by, addresses=["0.0.0.0/0"], expect=403)
    assert wider["path"] == "addresses"
    like_it = create(server, by=by)
    assert like_it["expires_at"] == small["expires_at"] and like_it["addresses"] == ["127.0.0.1"]
    more = create(server, by=by, expires_at=soon(60), addresses=["127.0.0.1"],
                  grants=[{"group": "default", "role": "operator"}], expect=403)
    assert more["path"] == "grants"
    assert create(server, by=by, expires_at=soon(60), addresses=["127.0.0.1"])["key"]
    assert server.api("POST", f"/api/v1/keys/{big['id']}/rotate", {}, key=by).status == 403
    assert server.api("DELETE", f"/api/v1/keys/{big['id']}", key=by).status == 403
    assert status(server, big["key"]) == 200
    assert server.api("POST", f"/api/v1/keys/{small['id']}/rotate", {}, key=by).status == 200


def test_keys_of_others(server):
    made = create(server, "boss")
    session = server.sign_in("dev")
    path = f"/api/v1/keys/{made['id']}"
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = server.api(method, path + suffix, key=None, headers=session)
        assert answer.status == 404, (method, answer)
    assert server.api("GET", "/api/v1/keys?all=true", key=None, headers=session).status == 403
    mine = server.api("GET", "/api/v1/keys", key=None, headers=session, expect=200).json["items"]
    assert {key["owner"] for key in mine} == {"dev"}
    others = server.items("/api/v1/keys?all=true", limit=2)
    assert {"dev", "boss", "admin"} <= {key["owner"] for key in others}
    assert len({key["id"] for key in others}) == len(others)
    server.api("DELETE", path, expect=204)
    assert status(server, made["key"]) == 401


def test_sessions_are_not_for_keys(server):
    key = create(server)["key"]
    assert server.api("DELETE", "/api/v1/sessions/1", key=key).status == 403
    assert server.api("DELETE", "/api/v1/session", key=key).status == 409


def test_password_with_a_key_needs_the_password(server):
    server.api("POST", "/api/v1/users", {"name": "forgetful", "password": PASSWORD}, expect=201)
    session, key = server.sign_in("forgetful"), create(server, "forgetful")["key"]

    def change(current, password):
        return server.api("PUT", "/api/v1/password", {"current": current, "password": password},
                          key=key)
    wrong = change("not the password", "quite another one")
    assert wrong.status == 400 and wrong.json["path"] == "current"
    changed = change(PASSWORD, "quite another one")
    assert changed.status == 204 and "Set-Cookie" not in changed.headers
    assert server.api("GET", "/api/v1/session", key=None, headers=session).status == 401
    assert server.sign_in("forgetful", "quite another one")
    statuses = [change("not the password", "yet another one").status for _ in range(8)]
    assert 429 in statuses, "a stolen key is no way to guess the password"


def test_last_use_is_kept(server):
    made = create(server)
    assert made["used_at"] is None
    assert status(server, made["key"], **{"X-Forwarded-For": "203.0.113.77"}) == 200

    def used():
        return server.api("GET", f"/api/v1/keys/{made['id']}", expect=200).json["used_at"]
    wait_for(used, "used_at to be written")
    shown = server.api("GET", f"/api/v1/keys/{made['id']}", expect=200).json
    assert shown["used_address"] == "203.0.113.77"


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", "Basic YTpi", "bearer nothing", "Bearer bf_a_b", "Bearer a b",
    "Bearer bf_aaaaaaaaaaaa_" + "a" * 52, "Bearer " + "a" * 600, "Bearer bf_aaaaaaaaaaaa_\xe4"])
def test_bad_authorization_is_nobody(server, header):
    answer = server.api("GET", "/api/v1/session", key=None, headers={"Authorization": header})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
