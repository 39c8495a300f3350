"""A server that only has BackupPC is made ready, a laptop registers with one file, and what is known then."""

import json

import pytest
from lab import Lab
from lab.laptop import MARTIN
from services import slapd

pytestmark = pytest.mark.lab

ADMIN = "/opt/backuppc-register/bin/backuppc-register-admin"
KEYS = "/var/lib/backuppc/.ssh/authorized_keys"
CONFIG_PL = "/etc/backuppc/config.pl"
LIMITS = "/etc/ssh/sshd_config.d/backuppc-register.conf"
FOREIGN = 'from="::1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1 x\n'
TOLD = [
    "--url", "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}", "--ldap", "ldap://127.0.0.1",
    "--base", slapd.BASE, "--domain", "univ-brest.fr",
]  # fmt: skip
# The lab's own installation goes: what is left is Debian's BackupPC, with its web editor wide open.
PRISTINE = f"""
set -eu
rm -rf /etc/backuppc-register /var/lib/backuppc-register /root/register-key* {KEYS}
rm -f /etc/rsyslog.d/backuppc-register.conf /etc/logrotate.d/backuppc-register /etc/cron.d/backuppc-register
rm -f /etc/ssh/sshd_config.d/backuppc-register.conf
mkdir -p /etc/cron.d
chmod g-s /etc/backuppc
python3 - <<'CODE'
from pathlib import Path
config, snippet = Path("{CONFIG_PL}"), Path("/opt/backuppc-register/packaging/backuppc-hardening.pl")
config.write_text(config.read_text().replace(snippet.read_text(), ""))
CODE
"""
# All that init may touch.
PLACES = (
    "/etc/backuppc", "/etc/rsyslog.d", "/etc/logrotate.d", "/etc/cron.d", "/etc/systemd/system", "/etc/ssh",
    "/var/lib/backuppc", "/root",
)  # fmt: skip
EDITABLE = "no warnings; do './config.pl'; print $Conf{CgiUserConfigEdit}{RsyncSshArgs}"


def admin(server, *arguments, **settings):
    return server.run([ADMIN, *arguments], env={"SUDO_USER": "jdoe"}, **settings)


def told(server, *arguments):
    return json.loads(admin(server, *arguments, "--json", check=False).stdout)


def picture(server):
    seen = server.picture(*PLACES, *(p for p in ("/var/lib/backuppc-register",) if server.exists(p)))
    return {path: what for path, what in seen.items() if not path.endswith("/LOCK") and "/log" not in path}


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def pristine(lab):
    """A server with BackupPC and its people's directory, and nothing of ours but the program."""
    dugong = lab.server("dugong.univ-brest.fr")
    dugong.run(PRISTINE, check=True)
    return dugong


@pytest.fixture(scope="module")
def dugong(pristine):
    """The same server after `init`, whatever the tests of init itself have done before."""
    admin(pristine, "init", *TOLD, check=True)
    return pristine


@pytest.fixture(scope="module")
def dormeur(lab, dugong):
    """A laptop that has registered with the one file, been verified, and been backed up once."""
    laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11", users=(MARTIN,))
    assert set_up(dugong, laptop).status == 0
    dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "its first backup")
    return laptop


def set_up(server, laptop, *arguments, logon="cmartin"):
    made = admin(server, "bundle", "--os", "linux", "-o", "/root/setup.sh", *arguments, check=True)
    assert "/root/setup.sh" in made.stdout
    laptop.write("/root/setup.sh", server.read("/root/setup.sh"))
    return laptop.run(f"sh /root/setup.sh --unattended --logon {logon}", timeout=60)


def test_a_dry_run_of_init_changes_nothing(pristine):
    before = picture(pristine)

    done = admin(pristine, "init", *TOLD, "--dry-run")

    assert done.status == 0
    assert done.stdout.count("would be done") >= 7
    assert picture(pristine) == before
    assert not pristine.exists("/etc/backuppc-register")


def test_init_asks_on_the_terminal_for_what_it_was_not_told(pristine):
    before = picture(pristine)
    terminal = pristine.terminal([ADMIN, "init", "--dry-run", *TOLD[:4]])

    terminal.expect("Kind of directory")
    terminal.type("\n")
    terminal.expect("Entry that has all persons below it")
    terminal.type("\n")
    terminal.expect("Domains of the machines")
    terminal.type("\n")

    assert terminal.wait() == 0
    assert picture(pristine) == before


@pytest.mark.parametrize("trap", ["/var/lib/backuppc/.ssh", CONFIG_PL, "/var/lib/backuppc-register"])
def test_root_follows_no_path_that_backuppcs_account_has_bent(pristine, trap):
    pristine.run("mkdir -p /root/trap && echo secret > /root/trap/authorized_keys", check=True)
    pristine.run(f"if test -e {trap}; then mv {trap} {trap}.away; fi; ln -s /root/trap {trap}", check=True)
    before = pristine.picture("/root/trap")

    done = admin(pristine, "init", *TOLD)

    after = pristine.picture("/root/trap")
    pristine.run(f"rm {trap}; if test -e {trap}.away; then mv {trap}.away {trap}; fi", check=True)
    assert (done.status, after) == (1, before)
    assert "Traceback" not in done.stderr


def test_the_web_editor_is_left_alone_if_asked_and_the_first_key_is_bound_as_asked(pristine):
    pristine.run(PRISTINE, check=True)  # of what other tests of init have begun
    editor = pristine.read(CONFIG_PL)
    bounds = ["--label", "spring", "--from", "10.77.0.0/16", "--expires", "2099-01-01"]

    open_ = admin(pristine, "init", *TOLD, *bounds, "--no-harden", "--backups-from", "10.77.0.1", check=True)
    left, keys = pristine.read(CONFIG_PL), pristine.read(KEYS)
    closed = admin(pristine, "init", "--from", "10.88.0.0/16", "--url", "https://other/{host}", check=True)
    config = pristine.read("/etc/backuppc-register/config.toml")
    told = admin(pristine, "init", "--no-harden", check=True).stdout
    pristine.run(PRISTINE, check=True)

    assert left == editor
    assert "every owner of a host can run commands" in open_.stdout
    assert 'from = ["10.77.0.1"]' in config
    assert ' --register-key spring",from="10.77.0.0/16",expiry-time="20990101" ssh-ed25519 ' in keys
    assert [line for line in closed.stdout.splitlines() if line.startswith("  done ")] == [
        f"  done             {CONFIG_PL} takes the web editor's dangerous settings away from owners"
        " (owners can do harm)"
    ]
    assert "config.toml exists: --url" in closed.stdout
    assert "there is a register-key: --from" in closed.stdout
    assert "every owner of a host can run commands" not in told


def without_our_block(server):
    """Give BackupPC's config.pl as it is then: other tests of init leave the lines around our settings."""
    server.run(f"{PRISTINE}sed -i '/^# \\(BEGIN\\|END\\) backuppc-register/d' {CONFIG_PL}", check=True)
    return server.read(CONFIG_PL)


UNDONE = {
    "__END__ before them": ("", "__END__\n$Conf{X} = 1;\n"),
    "another setting behind them": ("block", "$Conf{CgiUserConfigEdit}{RsyncSshArgs} = 1;\n"),
    "they stand behind __END__": ("behind", ""),
}


@pytest.mark.parametrize(("where", "more"), UNDONE.values(), ids=UNDONE)
def test_the_web_editor_is_closed_by_what_backuppc_reads_and_not_by_what_stands_there(pristine, where, more):
    editor = without_our_block(pristine)
    admin(pristine, "init", *TOLD, "--no-harden", check=True)
    if where:
        admin(pristine, "init", check=True)
    text = pristine.read(CONFIG_PL)
    if where == "behind":
        text = f"{editor}__END__\n{text.removeprefix(editor)}"
    pristine.run(f"cat > {CONFIG_PL}", input=text + more, check=True)

    first = admin(pristine, "init", check=True).stdout
    second = admin(pristine, "init", check=True).stdout
    found = json.loads(admin(pristine, "diagnose", "--only", "web-editor", "--json").stdout)
    left = pristine.read(CONFIG_PL)
    pristine.run(f"cat > {CONFIG_PL}", input=editor, check=True)
    pristine.run(PRISTINE, check=True)

    step = f"{CONFIG_PL} takes the web editor's dangerous settings away from owners"
    assert f"  done             {step}" in first
    assert f"  already done     {step}" in second
    assert [one["level"] for one in found] == ["green"]
    assert left.count("# BEGIN backuppc-register") == 1
    assert more in left


def test_what_init_cannot_close_is_told(pristine):
    before = without_our_block(pristine)
    stop = "$Conf{CgiUserConfigEdit}{RsyncSshArgs} = 1; return 1;\n"
    pristine.run(f"cat > {CONFIG_PL}", input=before + stop, check=True)

    done = admin(pristine, "init", *TOLD)
    pristine.run(f"cat > {CONFIG_PL}", input=before, check=True)
    pristine.run(PRISTINE, check=True)

    assert done.status == 1
    harm = "every owner of a host can run programs on this server"
    assert f"undoes the settings that init has added: {harm}" in done.stderr


# What init must not touch or cannot use, and what it says then.
OWN_SSHD = {
    "a Match of the administrator's": (
        "printf 'Match User backuppc\\n X11Forwarding no\\n' >> /etc/ssh/sshd_config",
        "there is a Match for backuppc already in /etc/ssh/sshd_config",
    ),
    "one for some addresses only": (
        "printf 'match  Address 10.9.0.0/16 user \"root,backuppc\"\\n MaxSessions 4\\n'"
        " > /etc/ssh/sshd_config.d/50-site.conf",
        "there is a Match for backuppc already in /etc/ssh/sshd_config.d/50-site.conf",
    ),
    "one for its group": (
        "printf 'Match Group back*\\n MaxSessions 4\\n' >> /etc/ssh/sshd_config",
        "there is a Match for backuppc already",
    ),
    "no folder for more settings": (
        "mv /etc/ssh/sshd_config.d /etc/ssh/d",
        "there is no /etc/ssh/sshd_config.d",
    ),
    "a folder that is not read": (
        "sed -i /^Include/d /etc/ssh/sshd_config",
        "sshd does not read it, so it is deleted again: add the line Include /etc/ssh/sshd_config.d/*.conf",
    ),
    "a folder that is read within a Match": (
        "sed -i /^Include/d /etc/ssh/sshd_config;"
        "printf 'Match User root\\n Include /etc/ssh/sshd_config.d/*.conf\\n' >> /etc/ssh/sshd_config",
        "sshd refuses it, so it is deleted again: ",
    ),
    "an sshd that does not know a word": (
        "sed -i s/UnusedConn/UnknownConn/ /opt/backuppc-register/packaging/sshd.conf",
        "sshd refuses it: ",
    ),
    "settings that sshd refuses already": (
        "echo 'MaxSessions many' >> /etc/ssh/sshd_config",
        "sshd cannot be asked for its settings: ",
    ),
}


@pytest.mark.parametrize(("change", "told"), OWN_SSHD.values(), ids=OWN_SSHD)
def test_an_sshd_that_init_cannot_limit_stays_as_it_is(pristine, change, told):
    pristine.run(f"{PRISTINE}cp -a /etc/ssh /opt/backuppc-register/packaging/sshd.conf /root/", check=True)
    pristine.run(change, check=True)
    before = files_of_sshd(pristine)

    done = admin(pristine, "init", *TOLD, "--no-harden")
    after = files_of_sshd(pristine)

    undo = "rm -r /etc/ssh; mv /root/ssh /etc/; mv /root/sshd.conf /opt/backuppc-register/packaging/"
    pristine.run(f"{PRISTINE}{undo}", check=True)
    assert done.status == 0
    assert told in done.stdout
    assert "See packaging/sshd.conf" in done.stdout
    assert "reload ssh" not in done.stdout
    assert after == before


def files_of_sshd(server):
    """Give the files, but not the times of the folder, where a file may come and go."""
    return {path: what for path, what in server.picture("/etc/ssh").items() if not what.startswith("d")}


def test_limits_for_all_accounts_are_left_out_where_the_site_has_its_own(pristine):
    pristine.run(
        f"{PRISTINE}cp -a /etc/ssh /root/; echo 'MaxStartups 30' >> /etc/ssh/sshd_config", check=True
    )

    told = admin(pristine, "init", *TOLD, "--no-harden", check=True).stdout
    written = pristine.read(LIMITS)
    effective = pristine.run("sshd -T -C user=backuppc,host=x,addr=10.9.9.9", check=True).stdout

    pristine.run(f"{PRISTINE}rm -r /etc/ssh; mv /root/ssh /etc/", check=True)
    assert f"  done             {LIMITS}" in told
    assert "Next: systemctl reload ssh" in told
    assert "Startups" not in written
    assert "\nmaxstartups 30:" in effective
    assert "\nmaxsessions 2\n" in effective


def test_a_server_is_made_ready_and_the_second_time_nothing_is_left_to_do(pristine):
    pristine.run(f"install -D -o backuppc -g backuppc -m 600 /dev/stdin {KEYS}", input=FOREIGN, check=True)
    owners = pristine.run("stat -c '%U:%G %a' /etc/backuppc/config.pl", check=True).stdout
    admin(pristine, "init", *TOLD, check=True)
    ready = picture(pristine)

    again = admin(pristine, "init", *TOLD)

    assert again.status == 0
    assert "  done " not in again.stdout
    assert picture(pristine) == ready
    keys = pristine.read(KEYS)
    assert keys.startswith(FOREIGN)
    assert keys.removeprefix(FOREIGN).startswith('restrict,command="/usr/bin/python3 -I /opt/')
    assert " init request=" in pristine.syslog()[-1]
    assert "detail=by jdoe " in pristine.syslog()[-1]
    assert pristine.run("stat -c '%U:%G %a' /etc/backuppc/config.pl", check=True).stdout == owners
    assert pristine.read(CONFIG_PL).count("# BEGIN backuppc-register") == 1
    assert pristine.run(["perl", "-e", f"chdir '/etc/backuppc'; {EDITABLE}"], user="backuppc").stdout == "0"


def test_what_backuppcs_account_does_not_own_is_roots_and_the_rest_is_its_own(dugong):
    def owner(path):
        return dugong.run(["stat", "-c", "%U:%G %a", path], check=True).stdout.strip()

    assert owner("/etc/backuppc-register") == "root:root 755"
    assert owner("/etc/backuppc-register/config.toml") == "root:backuppc 640"
    assert owner("/etc/rsyslog.d/backuppc-register.conf") == "root:root 644"
    assert owner("/etc/logrotate.d/backuppc-register") == "root:root 644"
    assert owner("/etc/cron.d/backuppc-register") == "root:root 644"
    assert owner(LIMITS) == "root:root 644"
    assert owner("/var/lib/backuppc-register") == "backuppc:backuppc 750"
    assert owner(KEYS) == "backuppc:backuppc 600"
    assert owner("/etc/backuppc") == "backuppc:www-data 2755"


@pytest.mark.parametrize("verb", ["reconcile", "purge"])
def test_what_cron_will_run_runs_as_the_account_that_it_names(dugong, verb):
    (line,) = (one for one in dugong.read("/etc/cron.d/backuppc-register").splitlines() if f" {verb} " in one)
    user, command = line.split("  ", 1)[1].split("  ", 1)

    done = dugong.run(command, user=user)

    assert (user, done.status, done.stdout, done.stderr) == ("backuppc", 0, "", "")


def test_a_laptop_registers_with_the_one_file_and_is_backed_up(dugong, dormeur):
    (host,) = (one for one in told(dugong, "list") if one["host"] == "dormeur")

    assert host["person"] == "cmartin"
    assert host["record"]["verified"]
    assert host["last_backup"]["files"] > 0
    assert host["problems"] == []
    assert len(host["host_keys"]) == 1


def test_show_tells_what_backuppc_says_and_when_the_next_backup_is_due(dugong, dormeur):
    known = told(dugong, "show", "dormeur")
    shown = admin(dugong, "show", "dormeur").stdout

    assert known["backuppc"]["state"] == "Status_idle"
    assert "BackupPC's first wakeup after that" in known["next"]
    assert "Status_idle" in shown
    own = dormeur.run("cat /etc/ssh/ssh_host_*.pub | ssh-keygen -lf -", check=True).stdout
    assert known["host_keys"][0] in own


def test_check_replays_a_request_step_by_step_and_changes_nothing(dugong, dormeur):
    before = picture(dugong)

    fine = told(dugong, "check", "linux:cmartin", "--from", "10.77.0.11")
    refused = told(dugong, "check", "linux:adupont", "--from", "10.77.0.11")
    unknown = told(dugong, "check", "linux:nobody", "--from", "10.77.0.11")

    steps = ["form", "state", "name", "host", "person", "line", "record", "data", "config"]
    assert [step["step"] for step in fine["steps"]] == steps
    assert (fine["accepted"], fine["verdict"]["status"]) == (True, "unchanged")
    assert (refused["accepted"], refused["verdict"]["code"]) == (False, "other-owner")
    assert [step["step"] for step in refused["steps"]] == steps
    assert (unknown["verdict"]["code"], unknown["steps"][-1]["step"]) == ("bad-user", "person")
    assert picture(dugong) == before
    assert admin(dugong, "check", "linux:cmartin", "--from", "10.77.0.11").status == 0
    assert admin(dugong, "check", "linux:adupont", "--from", "10.77.0.11").status == 1


def test_the_log_tells_the_requests_of_a_laptop(dugong, dormeur):
    asked = told(dugong, "log", "dormeur")

    assert [one["status"] for one in asked][-2:] == ["new", "verified"]
    assert {one["register_key"] for one in asked} == {"main"}
    assert [one["request"] for one in told(dugong, "log", asked[-1]["request"])] == [asked[-1]["request"]]


def test_one_register_key_is_revoked_and_the_other_goes_on(lab, dugong, dormeur):
    admin(dugong, "register-key", "add", "spring", check=True)
    sirene = lab.laptop("sirene.univ-brest.fr", "10.77.0.12")
    assert set_up(dugong, sirene, "--key", "spring", logon="adupont").status == 0

    admin(dugong, "register-key", "revoke", "spring", check=True)

    again = sirene.run("sh /root/setup.sh --unattended --force --logon adupont", timeout=60)
    mimosa = lab.laptop("mimosa.univ-brest.fr", "10.77.0.13")
    refused = copied(sirene, mimosa)
    assert (again.status, refused.status) == (4, 4)
    assert "mimosa" not in dugong.hosts()
    assert told(dugong, "list", "--person", "adupont")[0]["host"] == "sirene"  # it stays registered
    assert set_up(dugong, mimosa, "--key", "main", logon="adupont").status == 0


def copied(other, laptop):
    """Run on *laptop* the file that *other* has."""
    laptop.write("/root/setup.sh", other.read("/root/setup.sh"))
    return laptop.run("sh /root/setup.sh --unattended --logon adupont", timeout=60)


@pytest.mark.parametrize("limit", [("--expires", "2099-01-01"), ("--from", "10.99.0.0/16")])
def test_a_register_key_is_good_as_long_and_from_where_it_was_made_for(lab, dugong, limit):
    label = limit[0].strip("-")
    admin(dugong, "register-key", "add", label, *limit, check=True)
    dugong.run(f"sed -i s/20990101/20200101/ {KEYS}", check=True)  # as if its day had come
    key = f"/var/lib/backuppc-register/register-keys/{label}/key"
    other = lab.laptop(f"{label}.univ-brest.fr", "10.77.0.21" if label == "from" else "10.77.0.22")
    other.write("/root/key", dugong.read(key), mode=0o600)
    other.write("/root/.ssh/known_hosts", dugong.known_hosts, mode=0o600)

    asked = other.run("ssh -o BatchMode=yes -i /root/key -l backuppc 10.77.0.1 check:linux:cmartin")

    admin(dugong, "register-key", "revoke", label, check=True)
    assert asked.status == 255
    assert "Permission denied" in asked.stderr


def test_whose_person_has_left_the_directory_is_listed(dugong, dormeur):
    def gone():
        return {one["host"]: one["person_gone"] for one in told(dugong, "list", "--person-gone")}

    assert "dormeur" not in gone()
    dugong.slapd.remove("cmartin")
    try:
        assert gone()["dormeur"] == "not in the directory, or disabled there"
    finally:
        dugong.slapd.add(slapd.person("cmartin", "Christophe Martin"))
    assert gone()["dormeur"] == "another person has the logon now"
