"""The verb `register-key`: list, add, revoke."""

import re
from datetime import date, timedelta

import pytest
from admin_door import admin_site


@pytest.fixture
def site():
    with admin_site() as made:
        yield made


def register_key(site, *arguments):
    return site.run("register-key", *arguments, "--authorized-keys", site.authorized_keys)


def listed(site):
    return site.told("register-key", "list", "--authorized-keys", site.authorized_keys)


def test_a_key_is_added_listed_and_revoked_and_the_log_has_the_label(site):
    added = register_key(site, "add", "autumn", "--from", "10.0.0.0/8", "--expires", "2028-10-01")
    (key,) = listed(site)
    revoked = register_key(site, "revoke", "autumn")

    assert (added.returncode, revoked.returncode) == (0, 0)
    assert key["label"] == "autumn"
    assert (key["sources"], key["expires"]) == ("10.0.0.0/8", "20281001")
    program = f"{site.folder}/opt/bin/backuppc-register --config {site.config}"
    assert key["command"].endswith(f"{program} --register-key autumn")
    assert listed(site) == []
    assert [line.split("]: ")[1].split(" request=")[0] for line in site.logged()] == [
        "register-key add",
        "register-key revoke",
    ]


def test_a_label_that_is_taken_is_a_no_and_changes_nothing(site):
    register_key(site, "add", "autumn")
    before = site.picture()

    again = register_key(site, "add", "autumn")

    assert again.returncode == 1
    assert "There is a register-key autumn already." in again.stdout
    assert site.picture() == before


def test_a_label_that_is_not_there_cannot_be_revoked(site):
    register_key(site, "add", "autumn")
    before = site.picture()

    assert register_key(site, "revoke", "spring").returncode == 1
    assert site.picture() == before


@pytest.mark.parametrize("arguments", [("add", "spring"), ("revoke", "autumn")])
def test_a_dry_run_changes_and_logs_nothing(site, arguments):
    register_key(site, "add", "autumn")
    site.logged()
    before = site.picture()

    done = register_key(site, *arguments, "--dry-run")

    assert done.returncode == 0
    assert done.stdout.startswith("Would ")
    assert site.picture() == before
    assert site.logged() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["add"],
        ["add", "../x"],
        ["add", "x", "--from", "dugong.univ-brest.fr"],
        ["add", "x", "--expires", "soon"],
        ["add", "x", "--expires", "2020-01-01"],
        ["add", "x", "--expires", date.today().isoformat()],
        ["add", "x", "--expires", "20990101"],
        ["add", "x", "--expires", "2099-02-30"],
        ["add", "x", "--expires", '20280101",command="sh'],
        ["dance"],
        [],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(site, arguments):
    before = site.picture()

    assert site.run("register-key", *arguments).returncode == 2
    assert site.picture() == before


def test_a_day_that_is_not_to_come_is_refused_in_words(site):
    done = register_key(site, "add", "x", "--expires", "2020-01-01")

    assert done.returncode == 2
    assert "--expires: 2020-01-01 is in the past" in done.stderr


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_day_is_the_servers_wherever_the_administrator_is(site, zone):
    # One of the two has another date than this server at every hour of the day.
    today, tomorrow = (date.today() + timedelta(days=days) for days in (0, 1))

    add = ["register-key", "add", "--authorized-keys", site.authorized_keys, "--expires"]
    late = site.run(*add, today, "a", env={"TZ": zone})
    early = site.run(*add, tomorrow, "b", env={"TZ": zone})

    assert (late.returncode, early.returncode) == (2, 0)
    assert f'expiry-time="{tomorrow:%Y%m%d}"' in site.authorized_keys.read_text()


def test_the_list_tells_which_have_expired_and_which_make_bundles(site):
    for label in ("spring", "autumn", "loose"):
        register_key(site, "add", label, "--expires", "2099-01-01")
    text = site.authorized_keys.read_text().replace("2099", "2019", 1)
    site.authorized_keys.write_text(re.sub(r"(?m)^restrict,(.*label loose|.*key loose)", r"\1", text))

    rows = [line.split() for line in register_key(site, "list").stdout.splitlines()]

    assert [row[:3] + row[5:6] for row in rows] == [
        ["LABEL", "GOOD", "RESTRICTED", "BUNDLES"],
        ["spring", "expired", "yes", "NO"],
        ["autumn", "yes", "yes", "yes"],
        ["loose", "yes", "NO", "NO"],
    ]
    assert [key["expired"] for key in listed(site)] == [True, False, False]
    assert all(key["private"] for key in listed(site))


def test_a_key_whose_line_is_not_where_it_was_looked_for_is_not_called_revoked(site):
    register_key(site, "add", "autumn")
    line = site.authorized_keys.read_text()
    other = site.folder / "ssh/elsewhere"

    missed = site.run("register-key", "revoke", "autumn", "--authorized-keys", other)
    found = register_key(site, "revoke", "autumn")

    assert (missed.returncode, found.returncode) == (1, 0)
    assert f"had no line in {other}" in missed.stdout
    assert "If sshd reads another file, the key is still valid" in missed.stdout
    assert "autumn" in line
    assert site.authorized_keys.read_text() == ""


def test_who_revokes_the_last_one_is_told(site):
    register_key(site, "add", "spring")
    register_key(site, "add", "autumn")

    first, last = register_key(site, "revoke", "spring"), register_key(site, "revoke", "autumn")

    assert ["the last one" in done.stdout for done in (first, last)] == [False, True]


def test_the_list_tells_other_peoples_command_lines_nothing(site):
    site.authorized_keys.write_text("ssh-ed25519 AAAA admin@dugong\n")
    register_key(site, "add", "autumn")

    table = register_key(site, "list").stdout

    assert [line.split()[0] for line in table.splitlines()] == ["LABEL", "autumn"]
