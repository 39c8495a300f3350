"""The setup on laptops, networks and servers where something is amiss."""

import time

import pytest
from checkout import CHECKOUT
from lab import Laptop
from laptops import (
    ERROR,
    GIVEN,
    IMPOSTOR,
    LEFT_TO_DO,
    OK,
    PLACE,
    REFUSED,
    SETUP,
    UNREACHABLE,
    USAGE,
    Site,
    contents,
    receipt,
    set_up,
    sit_down,
    stamp,
    touched,
    without_accounts_files,
)

pytestmark = [pytest.mark.lab, pytest.mark.long]

# The server of before `check` and `error:`, as the original describes its replies.
ORIGINAL_SERVER = """#!/bin/sh
echo "$SSH_ORIGINAL_COMMAND" >>/tmp/asked
case $SSH_ORIGINAL_COMMAND in
    linux:cmartin)
        printf 'success\\nurl: http://dugong/backuppc/?host=dormeur\\nkey: %s\\n' "$(cat /srv/host.pub)" ;;
    *) printf '%s ostype is unknown\\n' "$SSH_CONNECTION" ;;
esac
"""


def test_a_logon_that_nobody_has_may_be_corrected(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as terminal:
        terminal.answer("Your logon", "c martin")
        terminal.answer("letters, digits.*Your logon", "cmartim")
        terminal.answer("no such logon.*Your logon", "CMartin")
        terminal.answer("yes/no", "yes")
        assert terminal.wait() == OK

    assert site.dugong.owner_of(laptop.name) == "cmartin"


@pytest.mark.parametrize("lang", ["fr_FR.UTF-8", "C"])
def test_three_wrong_logons_are_enough(site: Site, lang: str) -> None:
    laptop = site.laptop()

    with sit_down(laptop, lang=lang) as terminal:
        for _ in range(3):
            terminal.answer(r"(logon|identifiant) \[", "nobody")
        assert terminal.wait() == REFUSED

    assert "bad user request : nobody" in terminal.shown
    assert len(site.log_of(laptop)) == 3
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")
    assert not site.is_registered(laptop)


def test_whoever_says_no_is_not_registered(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop, "--logon adupont --no-verify") as terminal:
        terminal.answer("yes/no", "perhaps")
        terminal.answer("yes/no", "no")
        assert terminal.wait() == ERROR

    assert "What was done so far stays." in terminal.shown
    assert not site.is_registered(laptop)
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")


def test_another_persons_laptop_is_refused_and_keeps_its_key(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    before = contents(laptop)

    done = set_up(laptop, "--logon adupont --unattended --lang fr")

    assert done.status == REFUSED
    assert "refusing to re-register client host with username" in done.stderr
    assert "au nom de quelqu\u2019un d\u2019autre" in done.stderr
    assert contents(laptop) == before


def test_a_server_with_another_host_key_gets_nothing(site: Site) -> None:
    stranger = site.laptop()
    laptop = site.laptop(known_hosts=f"dugong.univ-brest.fr {stranger.ssh_host_keys[0]}\n")

    done = set_up(laptop)

    assert done.status == IMPOSTOR
    assert site.log_of(laptop) == []
    assert not laptop.exists(f"{PLACE}/.ssh/authorized_keys")
    assert not laptop.exists(f"{PLACE}/register-key")


def test_a_server_without_a_known_host_key_is_not_even_called(site: Site) -> None:
    laptop = site.laptop(known_hosts="elsewhere ssh-ed25519 AAAA\n")

    assert set_up(laptop).status == USAGE
    assert not laptop.exists(PLACE)
    assert site.log_of(laptop) == []


def test_a_server_that_does_not_answer_is_told_from_one_that_refuses(site: Site) -> None:
    laptop = site.laptop()
    site.dugong.sshd.stop()
    try:
        done = set_up(laptop)
    finally:
        site.dugong.sshd.start()

    assert done.status == UNREACHABLE
    assert set_up(laptop).status == OK


def test_a_register_key_that_was_revoked_is_told(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("rm /root/register-key; ssh-keygen -q -t ed25519 -N '' -f /root/register-key", check=True)

    done = set_up(laptop)

    assert done.status == REFUSED
    assert "new copy" in done.stderr


def test_a_laptop_without_an_ipv6_name_registers_over_ipv4(site: Site) -> None:
    laptop = site.laptop(ipv6=True)
    site.lab.names.point(laptop.addresses[1])

    done = set_up(laptop)

    assert done.status == OK
    assert [line.split(": ", 1)[1].split()[0] for line in site.log_of(laptop)] == [
        laptop.addresses[1], laptop.addresses[0], laptop.addresses[0],
    ]  # fmt: skip


def another_server(site: Site, laptop: Laptop, program: str) -> Laptop:
    """Give a host where the register-key, which is now *laptop*'s, starts *program*."""
    server = site.laptop()
    folders = "install -d -m 755 -o backuppc /var/lib/backuppc /var/lib/backuppc/.ssh"
    server.run(f"ssh-keygen -q -t ed25519 -N '' -f /srv/key && chmod 755 /srv && {folders}", check=True)
    server.write("/usr/local/bin/answer", program, mode=0o755)
    line = f'command="/usr/local/bin/answer" {server.read("/srv/key.pub")}'
    server.write("/var/lib/backuppc/.ssh/authorized_keys", line, owner="backuppc", mode=0o600)
    laptop.write("/root/register-key", server.read("/srv/key"), mode=0o600)
    laptop.write("/root/known_hosts", server.known_hosts)
    return server


def test_the_original_server_is_still_understood(site: Site) -> None:
    laptop = site.laptop()
    old = another_server(site, laptop, ORIGINAL_SERVER)
    comment = "backuppc server to client dormeur ssh key"
    old.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", comment, "-f", "/srv/host"])

    asking = f"sh {SETUP} {GIVEN} --no-verify --server {old.fqdn} --no-from"
    with laptop.terminal(asking, env={"LANG": "C"}) as terminal:
        terminal.answer(r"Continue \(yes/no\)\? $", "yes")
        terminal.answer(r"Your logon \[\]: $", "cmartin")
        terminal.expect(r"person: cmartin \(the server gives no name\)")
        terminal.expect("This person will be able to read all backed-up files")
        terminal.answer(r"Is this correct \(yes/no\)\? $", "no")
        assert terminal.wait() == ERROR
    assert old.read("/tmp/asked") == "check:linux:cmartin\n"
    old.run("rm /tmp/asked", check=True)

    done = set_up(laptop, f"--server {old.fqdn} --logon cmartin --unattended --no-from")

    assert done.status == OK, done
    assert old.read("/tmp/asked") == "check:linux:cmartin\nlinux:cmartin\n"
    assert "http://dugong/backuppc/?host=dormeur" in done.stdout
    assert laptop.read(f"{PLACE}/.ssh/authorized_keys").startswith(
        f'restrict,command="/bin/bash -p {PLACE}/rsyncsend.sh" ssh-rsa '
    )


def test_keys_of_others_are_kept_and_ours_is_replaced(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)
    foreign = "# by hand\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw5mvMCIvK62HOzSKbblt4n7L admin"
    old = f'command="{PLACE}/rsyncsend.sh" ssh-ed25519 AAAAold old\n'
    laptop.write(f"{PLACE}/.ssh/authorized_keys", old + foreign, owner="root:bckpciuem", mode=0o640)

    done = set_up(laptop, "--logon cmartin --unattended --force")

    lines = laptop.read(f"{PLACE}/.ssh/authorized_keys").splitlines()
    assert done.status == OK
    assert "left as they are" in done.stdout
    assert lines[:2] == foreign.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("restrict,from=")


def test_an_sshd_that_keeps_the_server_out_is_told_and_left_alone(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", "AllowUsers cmartin\n")
    before = contents(laptop, "/etc/ssh")

    done = set_up(laptop)

    assert done.status == LEFT_TO_DO
    assert "AllowUsers" in done.stderr
    assert contents(laptop, "/etc/ssh") == before


def test_an_sshd_that_listens_on_another_address_is_let_be(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", f"ListenAddress {laptop.addresses[0]}\n")
    laptop.sshd.restart()
    laptop.run("mkdir -p /run/systemd/system", check=True)
    laptop.write("/usr/local/sbin/systemctl", "#!/bin/sh\necho $* >>/run/asked\n", mode=0o755)

    done = set_up(laptop, verify=True)
    gone = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert (done.status, gone.status) == (OK, OK), done
    assert "starting sshd" not in done.stdout
    asked = {line.split()[0] for line in laptop.read("/run/asked").splitlines()}
    assert asked <= {"is-active", "show"}


def test_settings_of_sshd_that_ask_for_its_own_address_are_read(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/ssh/sshd_config.d/site.conf", "Match LocalPort 22\n    DenyUsers bckpciuem\n")

    done = set_up(laptop)

    assert done.status == LEFT_TO_DO
    assert "DenyUsers" in done.stderr


def test_an_sshd_that_is_not_running_is_started(site: Site) -> None:
    laptop = site.laptop()
    laptop.sshd.stop()

    done = set_up(laptop)

    assert done.status == OK
    assert "starting sshd" in done.stdout
    assert laptop.listens(22)
    assert site.dugong.full_backup(laptop.name).errors == 0


APT = """#!/bin/sh
printf '%s\\n' "$DEBIAN_FRONTEND $*" >>/tmp/apt
case $* in
    *update*) touch /tmp/updated ;;
    *) [ -e /tmp/updated ] && mv /usr/bin/hidden /usr/bin/rsync ;;
esac
"""
# Debian's package starts sshd as soon as it is there.
APT_WITH_SSHD = """#!/bin/sh
ls /etc/ssh/sshd_config.d >/run/seen
mv /usr/sbin/hidden /usr/sbin/sshd
exec service ssh start
"""
DROP_IN = "/etc/ssh/sshd_config.d/90-bckpciuem.conf"


def ways_in(laptop: Laptop) -> str:
    """Give what sshd answers to a person who has nothing to show: the ways in that it offers."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=none"
    return laptop.run(f"ssh {options} -o BatchMode=yes cmartin@127.0.0.1").stderr


def test_an_sshd_that_comes_for_the_backups_lets_nobody_in_by_password(site: Site) -> None:
    laptop = site.laptop()
    before = ways_in(laptop)
    laptop.sshd.stop()
    laptop.run("mv /usr/sbin/sshd /usr/sbin/hidden", check=True)
    laptop.write("/usr/local/sbin/apt-get", APT_WITH_SSHD, mode=0o755)

    planned = set_up(laptop, "--dry-run")
    done = set_up(laptop)
    after = ways_in(laptop)
    gone = laptop.run(f"sh {SETUP} --uninstall --yes")
    left = laptop.exists(DROP_IN), ways_in(laptop)
    laptop.run("service ssh stop", check=True)

    assert (planned.status, done.status, gone.status) == (OK, OK, OK), done
    for said in (planned.stdout, done.stdout):
        assert "accept keys only, no passwords" in said
        assert f"writing {DROP_IN}" in said
    assert DROP_IN.rsplit("/", 1)[1] in laptop.read("/run/seen")
    assert "Permission denied (publickey,password" in before
    assert "Permission denied (publickey)." in after
    assert left[0]
    assert "Permission denied (publickey)." in left[1]
    assert "stays, so that sshd accepts no passwords" in gone.stdout


def test_a_missing_tool_is_installed_without_a_question(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("mv /usr/bin/rsync /usr/bin/hidden", check=True)
    laptop.write("/usr/local/sbin/apt-get", APT, mode=0o755)

    planned = set_up(laptop, "--dry-run")
    done = set_up(laptop)

    install = "noninteractive -q -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends rsync"
    update = "noninteractive -q -o DPkg::Lock::Timeout=120 update"
    assert (planned.status, done.status) == (OK, OK)
    assert "installing rsync" in planned.stdout
    assert laptop.read("/tmp/apt").splitlines() == [install, update, install]
    assert "package rsync" in laptop.read(f"{PLACE}/receipt").splitlines()


def test_a_tool_that_cannot_be_installed_ends_it_before_anything_else(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("rm /usr/bin/rsync", check=True)
    laptop.write("/usr/local/sbin/apt-get", "#!/bin/sh\necho 'E: no such mirror' >&2\nexit 100\n", mode=0o755)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "E: no such mirror" in done.stderr
    assert laptop.run("getent passwd bckpciuem").stdout == ""


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("useradd --uid 1500 bckpciuem", "number 1500"),
        ("useradd --system --home-dir /home/bckpciuem bckpciuem", "/home/bckpciuem"),
        (f"useradd --system --home-dir {PLACE} --gid users bckpciuem", "group"),
        ("sed -i '1s/^/bckpciuem:x:0:0::\\/root:\\/bin\\/sh\\n/' /etc/passwd", "number 0"),
    ],
)
def test_an_account_that_is_not_ours_is_not_adopted(site: Site, account: str, said: str) -> None:
    laptop = site.laptop()
    laptop.run(account, check=True)
    before = contents(laptop, "/etc", "/usr/local")

    done = set_up(laptop)

    assert done.status == ERROR
    assert said in done.stderr
    assert contents(laptop, "/etc", "/usr/local") == before


GROUPS = {
    "a member": ("groupadd --system -U cmartin bckpciuem", "cmartin"),
    "a person's own group": ("groupadd --system bckpciuem && usermod -g bckpciuem cmartin", "cmartin"),
    "another name of it": (
        "groupadd --system bckpciuem && groupadd -o -g $(getent group bckpciuem | cut -d: -f3) us", "us",
    ),
    "an administrator of it": ("groupadd --system bckpciuem && gpasswd -A cmartin bckpciuem", "cmartin"),
    "a password": ("groupadd --system bckpciuem && groupmod -p '$6$x$y' bckpciuem", "(password)"),
    "a person's number": ("groupadd --gid 1500 bckpciuem", "number 1500"),
    "root's number": ("groupadd -o --gid 0 bckpciuem", "number 0"),
    "a member beside the account": (
        f"useradd --system --home-dir {PLACE} --shell /bin/sh bckpciuem && usermod -aG bckpciuem cmartin",
        "cmartin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", GROUPS)
def test_a_group_that_others_are_in_is_not_taken(site: Site, how: str) -> None:
    laptop = site.laptop()
    prepare, said = GROUPS[how]
    laptop.run(prepare, check=True)
    stamp(laptop)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "group bckpciuem" in done.stderr
    assert said in done.stderr
    assert touched(laptop) == []


def test_a_group_of_that_name_that_nobody_is_in_is_taken(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("groupadd --system bckpciuem", check=True)

    done = set_up(laptop)
    laptop.run(f"sh {SETUP} --uninstall --yes", check=True)

    assert done.status == OK, done
    assert laptop.run("getent group bckpciuem").status == 0


def test_a_locked_account_of_an_older_setup_is_mended(site: Site) -> None:
    laptop = site.laptop()
    laptop.run(f"useradd --system --home-dir {PLACE} --shell /usr/sbin/nologin bckpciuem", check=True)

    done = set_up(laptop)

    entry = laptop.run("getent passwd bckpciuem | cut -d: -f7; getent shadow bckpciuem | cut -d: -f2").lines
    assert (done.status, entry) == (OK, ["/bin/sh", "*"])
    assert site.dugong.full_backup(laptop.name).errors == 0


LINKED = ["/etc/bckpciuem.conf", "/etc/sudoers.d/bckpciuem", f"{PLACE}/rsyncsend.sh", f"{PLACE}/receipt"]


@pytest.mark.parametrize("path", LINKED)
def test_a_link_where_a_file_should_be_is_not_followed(site: Site, path: str) -> None:
    laptop = site.laptop()
    laptop.write("/home/cmartin/victim", "mine\n", owner="cmartin")
    laptop.run(f"mkdir -p {PLACE} && ln -s /home/cmartin/victim {path}", check=True)

    done = set_up(laptop)

    assert done.status == ERROR
    assert path in done.stderr
    assert laptop.read("/home/cmartin/victim") == "mine\n"


def test_what_an_administrator_has_put_in_our_place_is_shown_and_left(site: Site) -> None:
    laptop = site.laptop()
    rule = "backup ALL=(root) NOPASSWD: /usr/bin/rsync\n"
    laptop.write("/etc/sudoers.d/bckpciuem", rule, mode=0o440)
    stamp(laptop)

    done = set_up(laptop)
    undone = laptop.run(f"sh {SETUP} --uninstall --yes")

    assert (done.status, undone.status) == (ERROR, OK)
    assert rule in done.stderr
    assert touched(laptop) == []


def test_a_lost_receipt_is_told_and_found_again_by_another_run(site: Site) -> None:
    laptop = site.laptop()
    before = without_accounts_files(laptop)
    set_up(laptop)
    laptop.run(f"rm {PLACE}/receipt", check=True)

    told = laptop.run(f"sh {SETUP} --uninstall --yes")
    again = set_up(laptop)
    undone = laptop.run(f"sh {SETUP} --uninstall --yes")
    after = without_accounts_files(laptop)

    assert (told.status, again.status, undone.status) == (ERROR, OK, OK)
    assert "/etc/sudoers.d/bckpciuem" in told.stderr
    assert laptop.run("getent passwd bckpciuem; getent group bckpciuem").stdout == ""
    assert {path for path, what in after.items() if what.startswith("f ")} == {
        path for path, what in before.items() if what.startswith("f ")
    }
    assert not laptop.exists(PLACE)


def test_addresses_that_were_given_are_kept_until_others_are(site: Site) -> None:
    laptop = site.laptop()
    keys = f"{PLACE}/.ssh/authorized_keys"
    set_up(laptop)
    named = laptop.read(keys)

    narrower = set_up(laptop, "--logon cmartin --unattended --from 10.77.0.1")
    given = laptop.read(keys)
    second = set_up(laptop)
    repaired = set_up(laptop, "--repair --unattended")
    after_repair = laptop.read(keys)
    anywhere = set_up(laptop, "--logon cmartin --unattended --no-from")
    open_to_all = laptop.read(keys)
    as_at_first = set_up(laptop, "--logon cmartin --unattended --from server")

    runs = (narrower, second, repaired, anywhere, as_at_first)
    assert [run.status for run in runs] == [OK, OK, ERROR, OK, OK], repaired
    assert 'from="10.77.0.1,fd77::1"' in named
    assert 'from="10.77.0.1",' in given
    assert after_repair == given
    assert "nothing was changed" in second.stdout
    assert "from=" not in open_to_all
    assert laptop.read(keys) == named


def test_a_folder_that_the_account_cannot_write_in_is_no_folder_for_restores(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("mkdir '/srv/re stored' /srv/good && chgrp 0 /srv/good", check=True)
    options = "--logon cmartin --unattended --restore-dir '/srv/re stored' --restore-dir /srv/good/"

    refused, registered = set_up(laptop, options, verify=True), site.is_registered(laptop)
    laptop.run("chgrp bckpciuem /srv/*; chmod 770 /srv/*", check=True)
    taken = set_up(laptop, options)

    laptop.run("chmod 750 /srv/good", check=True)
    ill = set_up(laptop, "--doctor")

    assert (refused.status, registered, taken.status, ill.status) == (LEFT_TO_DO, False, OK, ERROR)
    for folder in ("/srv/re stored", "/srv/good"):
        assert f"cannot write in {folder}" in refused.stderr
    assert "cannot write in /srv/good" in ill.stderr
    assert "/srv/re stored" not in ill.stderr
    assert "restore-dir=/srv/re stored\nrestore-dir=/srv/good\n" in laptop.read("/etc/bckpciuem.conf")


def test_two_setups_at_once_do_not_meet(site: Site) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as first:
        first.expect("Your logon")
        second = set_up(laptop)
        doctor = set_up(laptop, "--doctor")
        first.type("cmartin")
        first.answer("yes/no", "yes")
        status = first.wait()

    assert (second.status, doctor.status, status) == (ERROR, ERROR, OK)
    assert "is running on this computer" in second.stderr


def test_the_lock_of_a_run_that_is_gone_counts_for_nothing(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("ln -s 99999999 /var/run/bckpciuem.lock", check=True)

    done = set_up(laptop)

    assert done.status == OK, done
    assert laptop.run("ls -d /var/run/bckpciuem.lock*").stdout == ""


@pytest.mark.parametrize(
    ("lang", "told"), [("C", "/tmp cannot be written"), ("fr_FR.UTF-8", "Impossible d\u2019\u00e9crire /tmp")]
)
@pytest.mark.parametrize("options", ["--logon cmartin --unattended", "--doctor", "--uninstall --yes"])
def test_a_full_tmp_is_told_before_anything_is_done(site: Site, options: str, lang: str, told: str) -> None:
    laptop = site.laptop()
    laptop.run("mount -t tmpfs -o size=64k tmpfs /tmp", check=True)
    stamp(laptop)

    done = set_up(laptop, options, lang)

    assert done.status == ERROR
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert touched(laptop) == []


def test_a_server_that_never_ends_its_answer_is_left(site: Site) -> None:
    laptop = site.laptop()
    hung = another_server(site, laptop, "#!/bin/sh\nyes >&2 &\nexec sleep 1000\n")
    text = (CHECKOUT / "clients/setup.sh").read_text()
    laptop.write("/root/setup.sh", text.replace("TIMEOUT=150", "TIMEOUT=3"))
    given = GIVEN.replace("dugong.univ-brest.fr", hung.fqdn)

    done = laptop.run(
        f"sh /root/setup.sh {given} --wrapper /opt/backuppc-register/clients/rsyncsend.sh "
        "--logon cmartin --unattended", timeout=60,
    )  # fmt: skip

    assert done.status == UNREACHABLE, done
    assert "within 3 seconds" in done.stderr
    assert len(done.stderr) < 200_000
    assert laptop.run("pgrep -u bckpciuem").stdout == ""


def test_a_closed_pipe_ends_it_and_leaves_no_key(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop)

    laptop.run(f"sh {SETUP} {GIVEN} --no-verify --repair --unattended | head -n 1")

    assert not laptop.exists(f"{PLACE}/register-key")
    assert laptop.run("ls -A /tmp").stdout == ""


MADE_BY_HAND = """# Of the site, not to be lost.
#   indented
restore=off

share=/home
rsync=/usr/local/bin/rsync
# before the second folder
share=/srv
restore-delete=no
"""


def test_what_an_administrator_has_written_stays_unless_an_option_says_otherwise(site: Site) -> None:
    laptop = site.laptop()
    laptop.run("install /usr/bin/rsync /usr/local/bin/rsync", check=True)
    laptop.write("/etc/bckpciuem.conf", MADE_BY_HAND)

    kept = set_up(laptop)
    as_it_was = laptop.read("/etc/bckpciuem.conf")
    second = set_up(laptop)
    asked = set_up(laptop, "--logon cmartin --unattended --share /home --share /opt --restore dirs")
    changed = laptop.read("/etc/bckpciuem.conf")

    assert [kept.status, second.status, asked.status] == [OK, OK, OK], kept
    assert as_it_was == MADE_BY_HAND
    assert "nothing was changed" in second.stdout
    expected = MADE_BY_HAND.replace("restore=off", "restore=dirs").replace("share=/srv\n", "")
    expected = expected.replace("share=/home", "share=/home\nshare=/opt") + f"restore-dir={PLACE}-restore\n"
    assert changed == expected
    assert site.dugong.full_backup(laptop.name).errors == 0


def test_a_line_that_is_not_understood_stays_and_is_told(site: Site) -> None:
    laptop = site.laptop()
    text = "share=/home\nrestore=off\nflavour=strawberry\n"
    laptop.write("/etc/bckpciuem.conf", text)

    done = set_up(laptop)

    assert done.status == ERROR
    assert "flavour=strawberry" in done.stderr
    assert laptop.read("/etc/bckpciuem.conf") == text
    assert not site.is_registered(laptop)


def test_an_rsync_that_is_gone_is_replaced(site: Site) -> None:
    laptop = site.laptop()
    laptop.write("/etc/bckpciuem.conf", "# mine\nrsync=/usr/local/bin/rsync\nshare=/home\nrestore=off\n")

    done = set_up(laptop)

    assert done.status == OK, done
    assert laptop.read("/etc/bckpciuem.conf") == "# mine\nrsync=/usr/bin/rsync\nshare=/home\nrestore=off\n"


def test_killed_again_and_again_it_ends_where_an_undisturbed_run_ends(site: Site) -> None:
    undisturbed, disturbed = site.laptop(), site.laptop()
    set_up(undisturbed)
    whole = [line for line in set_up(site.laptop()).lines if line.startswith("  ")]

    for line in whole:
        process = disturbed.start(f"sh {SETUP} {GIVEN} --logon cmartin --unattended --no-verify")
        process.close()
        while process.alive() and line not in process.output():
            time.sleep(0.002)
        process.kill()
    last = set_up(disturbed)

    assert last.status == OK
    assert site.dugong.full_backup(disturbed.name).errors == 0
    expected = {path: what for path, what in contents(undisturbed).items() if undisturbed.name not in what}
    got = contents(disturbed)
    differing = {path for path, what in expected.items() if got.get(path) != what}
    assert differing <= {
        "/etc/hostname", "/etc/hosts", f"{PLACE}/.ssh/authorized_keys", f"{PLACE}/receipt",
    } | {path for path in expected if path.startswith("/etc/ssh/ssh_host_")}  # fmt: skip
    assert receipt(disturbed) == receipt(undisturbed)
    assert disturbed.run(f"find {PLACE} /etc /usr/local -name '*.setup'").stdout == ""


@pytest.mark.parametrize(("key", "statuses"), [("\x03", {130, -2}), ("\x1c", {131, -3})])
def test_an_interrupt_at_a_question_leaves_no_key_behind(site: Site, key: str, statuses: set[int]) -> None:
    laptop = site.laptop()

    with sit_down(laptop) as terminal:
        terminal.expect("Your logon")
        terminal.press(key)
        status = terminal.wait()

    assert status in statuses
    # What holds the terminal may be gone before the setup is.
    laptop.wait_for(lambda: laptop.run("pgrep -f setup[.]sh").stdout == "", "the end of the setup")
    assert not laptop.exists(f"{PLACE}/register-key")
    assert laptop.run("ls -A /tmp").stdout == ""
