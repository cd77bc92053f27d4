"""What is wrong with a request is named by its path, and nothing is stored."""
import pytest

from belfry import PASSWORD

GOOD = {"name": "chen", "password": PASSWORD}

BAD = [
    ('{"name":"chen","password":"%s","admin":true}' % PASSWORD, "admin"),
    ('{"name":"chen","name":"li","password":"%s"}' % PASSWORD, "name"),
    ({"password": PASSWORD}, "name"),
    ({"name": 7, "password": PASSWORD}, "name"),
    ({"name": None, "password": PASSWORD}, "name"),
    ({"name": "Chen", "password": PASSWORD}, "name"),
    ({"name": "c" * 65, "password": PASSWORD}, "name"),
    ({"name": "chen", "password": 1}, "password"),
    ({"name": "chen", "password": "x" * 2000}, "password"),
    ({**GOOD, "display_name": "two\nlines"}, "display_name"),
    ({**GOOD, "grants": {}}, "grants"),
    ({**GOOD, "grants": [7]}, "grants[0]"),
    ({**GOOD, "grants": [{"group": "*"}]}, "grants[0].role"),
    ({**GOOD, "grants": [{"group": "*", "role": "king"}]}, "grants[0].role"),
    ({**GOOD, "grants": [{"group": "*", "role": "none"}]}, "grants[0].role"),
    ({**GOOD, "grants": [{"group": "*", "role": "viewer", "until": 1}]}, "grants[0].until"),
    ({**GOOD, "grants": [{"group": "nowhere", "role": "viewer"}]}, "grants[0].group"),
    ({**GOOD, "grants": [{"group": "*", "role": "viewer"}] * 2}, "grants[1].group"),
    ({**GOOD, "grants": [{"group": "*", "role": "viewer"}] * 201}, "grants"),
]


@pytest.mark.parametrize("body,path", BAD, ids=range(len(BAD)))
def test_member_is_named(belfry, body, path):
    headers = {"Content-Type": "application/json"}
    answer = belfry.api("POST", "/api/v1/users", body, headers=headers)
    assert answer.status == 400, answer
    assert answer.json["code"] == "invalid" and answer.json["path"] == path
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert belfry.api("GET", "/api/v1/users?name=chen", expect=200).json["items"] == []


def test_not_json(belfry):
    json = {"Content-Type": "application/json"}
    for body, headers, status in [("{", json, 400), ("[]", json, 400), ("", json, 400),
                                  (b'{"name":"\xff"}', json, 400),
                                  ("name=chen", {"Content-Type": "text/plain"}, 415)]:
        assert belfry.api("POST", "/api/v1/users", body, headers=headers).status == status, body


def test_bodies_are_bounded_and_have_their_place(belfry):
    json = {"Content-Type": "application/json"}
    assert belfry.api("POST", "/api/v1/users", " " * (1024 * 1024 + 1), headers=json).status == 413
    small = belfry.api("POST", "/api/v1/session", " " * 8193, key=None, headers=json)
    assert small.status == 413, "strangers may send little"
    assert belfry.api("GET", "/api/v1/users", "{}", headers=json).status == 400
    assert belfry.api("POST", "/api/v1/nodes/x/revoke", "{}", headers=json).status == 400


def test_query_is_checked(belfry):
    for path, named in [("/api/v1/users?nmae=chen", "query.nmae"),
                        ("/api/v1/users?limit=0", "query.limit"),
                        ("/api/v1/users?limit=1e3", "query.limit"),
                        ("/api/v1/users?limit=1&limit=2", "query.limit"),
                        ("/api/v1/users?cursor=AAAA", "query.cursor"),
                        ("/api/v1/users/1?x=y", "query.x"),
                        ("/api/v1/keys?all=maybe", "query.all"),
                        ("/api/v1/audit?from=yesterday", "query.from")]:
        answer = belfry.api("GET", path)
        assert answer.status == 400 and answer.json["path"] == named, (path, answer)


def test_ids_that_are_none(belfry):
    for text in ("0", "-1", "999999999", "99999999999999999999", "1e3", "01x", "%00", "admin"):
        answer = belfry.api("GET", f"/api/v1/users/{text}")
        assert answer.status in (400, 404), (text, answer)


def test_language_of_errors(belfry):
    def detail(language):
        return belfry.api("POST", "/api/v1/users", {**GOOD, "password": "short"},
                          headers={"Accept-Language": language}).json["detail"]
    assert detail("en") == "needs at least 12 characters"
    assert "12" in detail("zh-CN,en;q=0.5") and detail("zh-CN") != detail("en")


def test_name_is_taken(belfry):
    user = belfry.api("POST", "/api/v1/users", {**GOOD, "name": "taken"}, expect=201).json
    again = belfry.api("POST", "/api/v1/users", {**GOOD, "name": "taken"})
    assert again.status == 409 and again.json["path"] == "name"
    belfry.api("DELETE", f"/api/v1/users/{user['id']}", expect=204)
    assert belfry.api("GET", f"/api/v1/users/{user['id']}").status == 404


def test_pages_have_every_user_once(belfry):
    names = [f"page{i}" for i in range(7)]
    for name in names:
        belfry.api("POST", "/api/v1/users", {**GOOD, "name": name}, expect=201)
    listed = [user["name"] for user in belfry.items("/api/v1/users", limit=3)]
    assert len(listed) == len(set(listed)) and set(names) <= set(listed)
