"""Signing in: the cookie, CSRF, throttling, what ends a session."""
import http.cookies
import itertools
import time

import pytest

from belfry import Belfry, PASSWORD, wait_for

OTHER = "another long passphrase"


def sign_in(belfry, name="admin", password=PASSWORD, **headers):
    return belfry.api("POST", "/api/v1/session", {"name": name, "password": password}, key=None,
                      headers=headers)


def cookie_of(answer):
    return http.cookies.SimpleCookie(answer.headers["Set-Cookie"])


def until_throttled(attempt, count):
    statuses = []
    while len(statuses) < count and 429 not in statuses:
        statuses.append(attempt())
    return statuses


def status(belfry, cookie, method="GET", path="/api/v1/session", **headers):
    return belfry.api(method, path, key=None, headers={"Cookie": cookie, **headers}).status


@pytest.fixture(scope="module")
def server():
    # each test comes from an address of its own, so that their failures do not add up
    with Belfry(settings={"http.trusted_proxies": "127.0.0.1"}) as belfry:
        yield belfry


@pytest.fixture
def user(server, request):
    name = request.node.name.replace("test_", "")[:40].replace("[", ".").replace("]", "")
    user = server.api("POST", "/api/v1/users",
                      {"name": name, "password": PASSWORD,
                       "grants": [{"group": "default", "role": "operator"}]}, expect=201).json
    yield user
    server.api("DELETE", f"/api/v1/users/{user['id']}", expect=204)


def test_cookie_on_loopback(server):
    answer = sign_in(server)
    assert answer.status == 201
    cookie = cookie_of(answer)["belfry"]
    assert len(cookie.value) == 52
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert not cookie["secure"] and not cookie["domain"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["user"] == "admin" and answer.json["kind"] == "session"
    assert cookie.value not in server.log()


def test_cookie_needs_a_loopback_host(server):
    for host in ("belfry.example.com", "localhost.example.com", "10.0.0.1"):
        answer = sign_in(server, Host=host)
        assert answer.status == 403 and "Set-Cookie" not in answer.headers, host
        spoofed = sign_in(server, Host=host, **{"X-Belfry-Cookie": "belfry"})
        assert spoofed.status == 403, "only the gateway says which cookie is fitting"
    cookie = f"belfry={cookie_of(sign_in(server))['belfry'].value}"
    assert status(server, cookie) == 200
    assert status(server, cookie, Host="belfry.example.com") == 401


def test_cookie_behind_a_tls_proxy(server):
    headers = {"Host": "belfry.example.com", "X-Forwarded-Proto": "https",
               "X-Forwarded-For": "203.0.113.7"}
    answer = sign_in(server, **headers)
    assert answer.status == 201
    cookie = cookie_of(answer)["__Host-belfry"]
    assert cookie["secure"] and cookie["path"] == "/" and not cookie["domain"]
    assert "Strict-Transport-Security" in answer.headers
    assert status(server, f"__Host-belfry={cookie.value}", **headers) == 200
    assert status(server, f"belfry={cookie.value}", **headers) == 401


def test_wrong_password_and_unknown_user_look_alike(server):
    wrong = sign_in(server, password="not the password", **{"X-Forwarded-For": "203.0.113.8"})
    unknown = sign_in(server, name="nobody", **{"X-Forwarded-For": "203.0.113.8"})
    assert wrong.status == unknown.status == 401
    strip = ("request_id",)
    assert ({k: v for k, v in wrong.json.items() if k not in strip} ==
            {k: v for k, v in unknown.json.items() if k not in strip})
    assert "Set-Cookie" not in wrong.headers


def test_unknown_user_takes_as_long(server):
    def fastest(name):
        times = []
        for i in range(3):
            start = time.monotonic()
            sign_in(server, name=name, password="not the password",
                    **{"X-Forwarded-For": f"203.0.113.{20 + i}"})
            times.append(time.monotonic() - start)
        return min(times)
    assert fastest("nobody.at.all") > 0.5 * fastest("admin")


def test_throttled_per_account_then_let_in(server, user):
    addresses = itertools.count(1)

    def attempt(password):
        return sign_in(server, name=user["name"], password=password,
                       **{"X-Forwarded-For": f"2001:db8:{next(addresses):x}::1"})
    # where a hash takes longer than the first waits, a later one of the doubling ones is met
    statuses = until_throttled(lambda: attempt("wrong password").status, 14)
    assert statuses[:6] == [401] * 6 and statuses[-1] == 429
    refused = attempt(PASSWORD)
    assert refused.status == 429 and refused.json["code"] == "throttled"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert sign_in(server, **{"X-Forwarded-For": "198.51.100.250"}).status == 201, "others may"
    wait_for(lambda: attempt(PASSWORD).status == 201, "the wait to be over", timeout=90, pause=0.2)


def test_throttled_per_address(server):
    names = (f"nobody{i}" for i in range(40))
    statuses = until_throttled(lambda: sign_in(server, name=next(names),
                                               **{"X-Forwarded-For": "192.0.2.1"}).status, 30)
    assert statuses[:21] == [401] * 21 and statuses[-1] == 429
    assert sign_in(server, name="nobody", **{"X-Forwarded-For": "192.0.2.2"}).status == 401


def test_csrf(server, user):
    session = server.sign_in(user["name"])
    path = "/api/v1/keys"
    body = {"name": "made in a browser"}

    def post(**headers):
        return server.api("POST", path, body, key=None,
                          headers={name.replace("_", "-"): value for name, value in headers.items()
                                   if value is not None})
    good = {"Cookie": session["Cookie"], "X_Belfry_CSRF": session["X-Belfry-CSRF"]}
    assert post(**{**good, "X_Belfry_CSRF": None}).status == 403
    assert post(**{**good, "X_Belfry_CSRF": ""}).status == 403
    assert post(**{**good, "X_Belfry_CSRF": session["X-Belfry-CSRF"][:-1] + "a"}).status in (403, 201)
    other = server.sign_in()["X-Belfry-CSRF"]
    assert post(**{**good, "X_Belfry_CSRF": other}).status == 403, "another session's token"
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{server.port}"):
        assert post(**good, Origin=origin).status == 403, origin
    for site in ("cross-site", "same-site"):
        assert post(**good, Sec_Fetch_Site=site).status == 403, site
    assert post(**good, Origin=server.url, Sec_Fetch_Site="same-origin").status == 201
    assert post(**good).status == 201
    key = post(**good).json["key"]
    without = server.api("POST", path, body, key=key)
    assert without.status == 201, "a key needs no CSRF token"
    cross = sign_in(server, name=user["name"], Origin="http://evil.example")
    assert cross.status == 403, "no page of another site signs anybody in"


def test_get_never_changes(server, user):
    session = server.sign_in(user["name"])
    before = server.items("/api/v1/audit")
    for path in ("/api/v1/session", "/api/v1/sessions", "/api/v1/keys", "/api/v1/setup"):
        assert status(server, session["Cookie"], path=path) == 200
    assert server.items("/api/v1/audit") == before


def test_sign_out(server, user):
    session = server.sign_in(user["name"])
    answer = server.api("DELETE", "/api/v1/session", key=None, headers=session)
    assert answer.status == 204
    assert cookie_of(answer)["belfry"]["max-age"] == "0"
    assert status(server, session["Cookie"]) == 401, "at once, in spite of the gateway's cache"


def test_sign_in_makes_a_new_token(server, user):
    first, second = (server.sign_in(user["name"])["Cookie"] for _ in range(2))
    assert first != second
    fixed = server.api("POST", "/api/v1/session", {"name": user["name"], "password": PASSWORD},
                       key=None, headers={"Cookie": first})
    assert cookie_of(fixed)["belfry"].value not in first


def test_sessions_are_listed_and_ended(server, user):
    one, two = server.sign_in(user["name"]), server.sign_in(user["name"])
    rows = server.api("GET", "/api/v1/sessions", key=None, headers=one, expect=200).json["items"]
    assert len(rows) == 2 and [row["current"] for row in rows] == [False, True]
    assert all(row["address"] == "127.0.0.1" for row in rows)
    other = next(row["id"] for row in rows if not row["current"])
    server.api("DELETE", f"/api/v1/sessions/{other}", key=None, headers=one, expect=204)
    assert status(server, two["Cookie"]) == 401 and status(server, one["Cookie"]) == 200
    admin = server.sign_in()
    mine = next(row["id"] for row in rows if row["current"])
    foreign = server.api("DELETE", f"/api/v1/sessions/{mine}", key=None, headers=admin)
    assert foreign.status == 404, "not even an administrator under this path"
    assert status(server, one["Cookie"]) == 200


def test_changing_the_password_ends_all_sessions(server, user):
    one, two = server.sign_in(user["name"]), server.sign_in(user["name"])
    key = server.new_key(user["name"])

    def change(current, password):
        return server.api("PUT", "/api/v1/password", {"current": current, "password": password},
                          key=None, headers=one)
    wrong = change("not the password", OTHER)
    assert wrong.status == 400 and wrong.json["path"] == "current"
    weak = change(PASSWORD, "short")
    assert weak.status == 400 and weak.json["path"] == "password"
    answer = change(PASSWORD, OTHER)
    assert answer.status == 200
    fresh = f"belfry={cookie_of(answer)['belfry'].value}"
    assert status(server, one["Cookie"]) == status(server, two["Cookie"]) == 401
    assert status(server, fresh) == 200
    assert server.api("GET", "/api/v1/session", key=key).status == 200, "programs go on"
    assert sign_in(server, name=user["name"]).status == 401
    assert sign_in(server, name=user["name"], password=OTHER).status == 201


def test_reset_and_disable_end_sessions(server, user):
    path = f"/api/v1/users/{user['id']}"
    session, key = server.sign_in(user["name"]), server.new_key(user["name"])
    server.api("PUT", path + "/password", {"password": OTHER}, expect=204)
    assert status(server, session["Cookie"]) == 401
    session = server.sign_in(user["name"], OTHER)
    assert server.api("GET", "/api/v1/session", key=key).status == 200
    server.api("PATCH", path, {"disabled": True}, expect=200)
    assert status(server, session["Cookie"]) == 401
    assert server.api("GET", "/api/v1/session", key=key).status == 401
    assert sign_in(server, name=user["name"], password=OTHER).status == 401
    server.api("PATCH", path, {"disabled": False}, expect=200)
    assert status(server, session["Cookie"]) == 401, "what was ended stays so"
    assert server.api("GET", "/api/v1/session", key=key).status == 200
    session = server.sign_in(user["name"], OTHER)
    server.api("DELETE", path + "/sessions", expect=204)
    assert status(server, session["Cookie"]) == 401


def test_sessions_outlive_a_restart(fresh_belfry):
    session = fresh_belfry.sign_in()
    fresh_belfry.kill9()
    fresh_belfry.restart()
    assert status(fresh_belfry, session["Cookie"]) == 200


@pytest.mark.parametrize("cookie", ["belfry=", "belfry=short", "belfry=" + "a" * 52,
                                    "belfry=" + "a" * 5000, 'belfry="x"', "belfry=a; belfry=b",
                                    "Belfry=" + "a" * 52, "=;;==;belfry", "belfry=%00" + "a" * 49])
def test_bad_cookies_are_nobody(server, cookie):
    assert status(server, cookie) == 401
