"""The first start: nothing works but setup, and setup works once."""
import os
import re
import stat

from belfry import Belfry, PASSWORD, http_call


def routes(belfry):
    return belfry.cli("routes", "--json", check=True).json


def test_everything_is_refused_before_setup():
    with Belfry(set_up=False) as belfry:
        for route in routes(belfry):
            path = re.sub(r"{[^}]*}", "1", route["path"])
            answer = belfry.api(route["method"], path)
            if route["before_setup"]:
                assert answer.status != 503, (route, answer)
            else:
                assert answer.status == 503, (route, answer)
                assert answer.json["code"] == "setup_required"
        assert belfry.api("GET", "/api/v1/nothing").status == 503
        assert http_call(belfry.port, "GET", "/healthz").status == 200
        assert belfry.api("GET", "/api/v1/setup", expect=200).json == {"complete": False}


def test_code_is_printed_and_in_a_private_file():
    with Belfry(set_up=False) as belfry:
        code = belfry.setup_code()
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", code)
        assert f"belfry user setup --code {code}" in belfry.log()
        mode = os.stat(belfry.data / "setup-code").st_mode
        assert stat.S_IMODE(mode) == 0o600
        belfry.restart()
        again = belfry.setup_code()
        assert again != code, "each start has a code of its own"
        refused = belfry.api("POST", "/api/v1/setup",
                             {"code": code, "name": "admin", "password": PASSWORD})
        assert refused.status == 403 and refused.json["path"] == "code"


def test_code_works_once_and_is_gone():
    with Belfry(set_up=False) as belfry:
        code = belfry.setup_code()
        body = {"code": code.lower().replace("-", " "), "name": "admin", "password": PASSWORD}
        user = belfry.api("POST", "/api/v1/setup", body, expect=201).json
        assert user["grants"] == [{"group": "*", "role": "administrator"}]
        assert "password" not in user
        assert not (belfry.data / "setup-code").exists()
        assert belfry.api("GET", "/api/v1/setup", expect=200).json == {"complete": True}
        again = belfry.api("POST", "/api/v1/setup", dict(body, name="second"))
        assert again.status == 409
        assert belfry.api("GET", "/api/v1/users").status == 401
        belfry.restart()
        assert "First start" not in belfry.log_since_start()
        assert belfry.api("POST", "/api/v1/setup", dict(body, name="second")).status == 409
        assert code not in re.sub(r"First start.*", "", belfry.log())


def test_bad_input_is_named_and_stores_nothing():
    with Belfry(set_up=False) as belfry:
        good = {"code": belfry.setup_code(), "name": "admin", "password": PASSWORD}
        for change, path in [({"name": "Admin"}, "name"), ({"name": ""}, "name"),
                             ({"password": "short"}, "password"),
                             ({"password": "admin is my name"}, "password")]:
            answer = belfry.api("POST", "/api/v1/setup", {**good, **change})
            assert answer.status == 400 and answer.json["path"] == path, answer
        assert belfry.api("GET", "/api/v1/setup", expect=200).json == {"complete": False}


def test_guessing_is_throttled():
    with Belfry(set_up=False) as belfry:
        body = {"code": "0000-0000-0000", "name": "admin", "password": PASSWORD}
        statuses = [belfry.api("POST", "/api/v1/setup", body).status for _ in range(8)]
        assert statuses[:6] == [403] * 6 and 429 in statuses[6:]
        refused = belfry.api("POST", "/api/v1/setup", dict(body, code=belfry.setup_code()))
        assert refused.status == 429, "a good guess is no way past the brake"
        assert int(refused.headers["Retry-After"]) >= 1
