"""Every change leaves an entry, and the chain shows what was done to it."""
import sqlite3

from belfry import Belfry, PASSWORD


def actions(belfry, **query):
    return [entry["action"] for entry in belfry.items("/api/v1/audit?service=auth", **query)]


def test_every_change_has_its_entry(fresh_belfry):
    b = fresh_belfry
    user = b.api("POST", "/api/v1/users", {"name": "chen", "password": PASSWORD}, expect=201).json
    path = f"/api/v1/users/{user['id']}"
    b.api("PATCH", path, {"display_name": "陈"}, expect=200)
    b.api("PUT", path + "/grants", {"grants": [{"group": "default", "role": "viewer"}]}, expect=200)
    session = b.sign_in("chen")
    made = b.api("POST", "/api/v1/keys", {"name": "k"}, key=None, headers=session, expect=201).json
    key = f"/api/v1/keys/{made['id']}"
    b.api("POST", key + "/rotate", {}, key=None, headers=session, expect=200)
    b.api("DELETE", key, key=None, headers=session, expect=204)
    b.api("DELETE", "/api/v1/session", key=None, headers=session, expect=204)
    b.api("PUT", path + "/password", {"password": "another passphrase"}, expect=204)
    b.api("DELETE", path + "/sessions", expect=204)
    b.api("DELETE", path, expect=204)
    assert actions(b)[:11] == [
        "user.delete", "user.sign-out", "user.password-reset", "session.delete", "key.revoke",
        "key.rotate", "key.create", "session.create", "user.grant", "user.change", "user.create"]
    entries = b.items("/api/v1/audit?object=user/chen")
    grant = next(entry for entry in entries if entry["action"] == "user.grant")
    assert grant["detail"] == {"before": "", "after": "viewer of default"}
    assert grant["actor_kind"] == "key" and grant["address"] == "127.0.0.1"
    text = b.api("GET", "/api/v1/audit?limit=200").text
    assert PASSWORD not in text and made["key"][20:] not in text


def test_refused_changes_leave_none(fresh_belfry):
    b = fresh_belfry
    before = b.items("/api/v1/audit")
    b.api("POST", "/api/v1/users", {"name": "x", "password": PASSWORD}, expect=400)
    b.api("DELETE", "/api/v1/users/1", expect=409)
    b.api("DELETE", "/api/v1/users/77", expect=404)
    assert b.items("/api/v1/audit") == before


def test_pages_and_filters(fresh_belfry):
    b = fresh_belfry
    for i in range(12):
        b.api("POST", "/api/v1/users", {"name": f"user{i:02}", "password": PASSWORD}, expect=201)
    whole = b.api("GET", "/api/v1/audit?limit=200", expect=200).json["items"]
    for limit in (1, 4, 200):
        assert b.items("/api/v1/audit", limit=limit) == whole
    created = [e["object"] for e in b.items("/api/v1/audit?action=user.create", limit=5)]
    assert created == [f"user/user{i:02}" for i in reversed(range(12))]
    assert len(b.items("/api/v1/audit?object=user/user03")) == 1
    assert b.items("/api/v1/audit?actor=nobody") == []
    middle = whole[5]["at"].replace("+", "%2B")
    assert all(e["at"] >= whole[5]["at"] for e in b.items(f"/api/v1/audit?from={middle}"))
    assert all(e["at"] < whole[5]["at"] for e in b.items(f"/api/v1/audit?until={middle}"))


def test_chain_shows_what_was_done_to_it(tmp_path):
    def verdict(belfry):
        answer = belfry.api("GET", "/api/v1/audit/verify", expect=200).json
        chain = next(c for c in answer["chains"] if c["service"] == "auth")
        assert answer["whole"] == all(c["whole"] for c in answer["chains"])
        return chain["whole"], chain.get("broken_at")

    def tamper(sql):
        database = sqlite3.connect(tmp_path / "data" / "belfry.db")
        with database:
            assert database.execute(sql).rowcount == 1
        database.close()

    with Belfry(data=tmp_path / "data") as belfry:
        for i in range(5):
            belfry.api("POST", "/api/v1/users", {"name": f"user{i}", "password": PASSWORD},
                       expect=201)
        assert verdict(belfry) == (True, None)
        for change, undo, at in [
                ("UPDATE audit_entry SET actor_name='li' WHERE sequence=4 AND service='auth'",
                 "UPDATE audit_entry SET actor_name=(SELECT actor_name FROM audit_entry WHERE "
                 "sequence=5 AND service='auth') WHERE sequence=4 AND service='auth'", 4),
                ("DELETE FROM audit_entry WHERE service='auth' AND sequence="
                 "(SELECT max(sequence) FROM audit_entry WHERE service='auth')", None, None)]:
            belfry.stop()
            tamper(change)
            belfry.start()
            whole, broken_at = verdict(belfry)
            assert not whole and (at is None or broken_at == at)
            if undo:
                belfry.stop()
                tamper(undo)
                belfry.start()
                assert verdict(belfry) == (True, None)
