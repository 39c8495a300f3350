"""The verb `check`: a request replayed outside the lab, where no DNS answers."""

import pytest
from admin_door import admin_site


@pytest.fixture(scope="module")
def site():
    with admin_site() as made:
        made.add_host("dormeur")
        yield made


@pytest.mark.parametrize(
    ("asked", "code", "steps"),
    [
        ("beos:cmartin", "ostype-unknown", ["form"]),
        ("verify:linux:cmartin", "ostype-unknown", ["form"]),
        ("linux:c martin", "bad-user", ["form"]),
        ("linux:cmartin", "dns-unavailable", ["form", "state", "name"]),
    ],
)
def test_a_request_that_would_be_refused_is_told_step_by_step(site, asked, code, steps):
    site.as_the_owner()
    before = site.picture()
    done = site.run("check", asked, "--from", "10.77.0.11")
    told = site.told("check", asked, "--from", "10.77.0.11")

    assert done.returncode == 1
    assert "would be refused" in done.stdout
    assert [step["step"] for step in told["steps"]] == steps
    assert [step["ok"] for step in told["steps"]] == [True] * (len(steps) - 1) + [False]
    assert told["verdict"]["code"] == code
    assert all(step["ms"] >= 0 and step["of"] and step["asked"] for step in told["steps"])
    assert site.picture() == before
    assert site.logged() == []


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ("cmartin", "neither OS:LOGON nor VERB:OS:LOGON: cmartin"),
        ("check:cmartin", "not an OS of this site: check"),
        ("a:b:c:d", "neither OS:LOGON nor VERB:OS:LOGON: a:b:c:d"),
        ("beos:cmartin", "not an OS of this site: beos"),
        ("verify:linux:cmartin", "verify needs the machine itself: check linux:cmartin"),
    ],
)
def test_what_is_wrong_with_the_form_is_told_as_it_was_typed(site, asked, detail):
    assert site.told("check", asked, "--from", "10.77.0.11")["verdict"]["detail"] == detail


@pytest.mark.parametrize("json", [[], ["--json"]])
@pytest.mark.parametrize("arguments", [[], ["linux:cmartin"], ["linux:cmartin", "--from", "dormeur"]])
def test_without_an_address_it_is_a_usage_error(site, arguments, json):
    done = site.run("check", *arguments, *json)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--from" in done.stderr or "OS:LOGON" in done.stderr
