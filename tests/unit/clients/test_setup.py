"""setup.sh, function by function: replies, keys, addresses, languages, options; the lab has the whole."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from setup_functions import BEGIN, END, FUNCTIONS, SCRIPT, TEXT, functions_of

from backuppc_register.protocol import errors, escaping, reply
from backuppc_register.protocol.unreachable import Cause

AWK = r"awk (-v \S+ |-F: )*'.*?'"
USAGE, LEFT_TO_DO, FULL_DISK_ACCESS, OLD_SYSTEM = 2, 7, 9, 77


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the functions to source and some keys."""
    folder = tmp_path_factory.mktemp("setup")
    (folder / "functions").write_text(FUNCTIONS)
    for name, kind in {
        "ed25519": ["-t", "ed25519"],
        "ecdsa": ["-t", "ecdsa"],
        "rsa": ["-t", "rsa", "-b", "2048"],
        "short": ["-t", "rsa", "-b", "1024"],
    }.items():
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "", *kind, "-f", folder / name], check=True)
    return folder


def key(work: Path, name: str = "ed25519") -> str:
    return " ".join((work / f"{name}.pub").read_text().split()[:2])


def shell(work: Path, code: str, *arguments: str, lang: str = "C") -> subprocess.CompletedProcess[str]:
    """Run *code*, in which the setup's functions are known and its arguments are $1, $2 ...."""
    prelude = f"WORK={work}; REPLY_STATUS=0; . {work}/functions; defaults; LC_ALL=C; export LC_ALL\n"
    return subprocess.run(
        ["sh", "-c", prelude + code, "sh", *arguments], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": lang}, timeout=30,
        errors="surrogateescape",
    )  # fmt: skip


# ---------------------------------------------------------------- the reply


def understood(work: Path, text: str, verb: str = "register") -> dict[str, str]:
    """Give what the setup makes of a reply; PROBLEM and whether it is an error of the server's too."""
    (work / "reply").write_text(text)
    code = """
        KEY=
        tr -d '\\r' <"$WORK/reply" >"$WORK/lf"
        if read_reply "$WORK/lf" "$1"; then printf 'ok=yes\\n'; else printf 'ok=no\\n'; fi
        printf '%s\\n' "problem=$PROBLEM" "key=$KEY" "url=$REPLY_URL" "host=$REPLY_HOST" \
            "person=$REPLY_PERSON" "from=$REPLY_FROM"
    """
    done = shell(work, code, verb)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_a_reply_of_today_is_understood(work: Path) -> None:
    answer = reply.Success(
        host="dormeur", person="Christophe Martin", status="new", sources=("134.158.240.3", "2001:db8::3"),
        key=f"{key(work)} backuppc server to client dormeur ssh key", url="https://dugong/backuppc/?host=dormeur",
    )  # fmt: skip

    got = understood(work, reply.success(answer, "12345").decode())

    assert got == {
        "ok": "yes", "problem": "", "key": f"{key(work)} backuppc server to client dormeur ssh key",
        "url": "https://dugong/backuppc/?host=dormeur", "host": "dormeur", "person": "Christophe Martin",
        "from": "134.158.240.3,2001:db8::3",
    }  # fmt: skip


def test_a_reply_of_the_original_server_is_understood(work: Path) -> None:
    text = (
        "success\r\nurl: http://dugong.univ-brest.fr/backuppc/?host=dormeur\r\n"
        f'key: {key(work, "rsa")} backuppc server to client dormeur ssh key"\r\n'
    )

    got = understood(work, text)

    assert (got["ok"], got["key"]) == ("yes", f"{key(work, 'rsa')} backuppc server to client dormeur ssh key")


def test_unknown_words_and_lines_without_a_word_are_skipped(work: Path) -> None:
    text = f"success\nnovel: thing\n\nno word here\nKEY: x\nkey:{key(work)}\nkey2: x\n:\nurl:\n"

    assert understood(work, text)["ok"] == "yes"


def test_the_answer_to_a_check_needs_no_key(work: Path) -> None:
    assert understood(work, "success\nhost: dormeur\n", "check")["ok"] == "yes"


K = "{key}"
MALFORMED = {
    "nothing": "",
    "an empty first line": f"\nsuccess\nkey: {K}\n",
    "a blank before success": f" success\nkey: {K}\n",
    "a blank after success": f"success \nkey: {K}\n",
    "success in capitals": f"Success\nkey: {K}\n",
    "success among others": f"success!\nkey: {K}\n",
    "a warning before success": f"Warning: Permanently added\nsuccess\nkey: {K}\n",
    "all on one line": f"success url: http://x/ key: {K}\n",
    "no key": "success\nurl: http://x/\n",
    "an empty key": "success\nkey:\n",
    "a key twice": f"success\nkey: {K}\nkey: {K}\n",
    "a url twice": f"success\nkey: {K}\nurl: http://x/\nurl: http://y/\n",
    "a person twice": f"success\nkey: {K}\nperson: a\nperson: b\n",
    "an option before the key": f'success\nkey: command="sh" {K}\n',
    "options without blanks before the key": f"success\nkey: no-pty,{K}\n",
    "a key of no known type": "success\nkey: ssh-dss AAAAB3NzaC1kc3MAAACB\n",
    "a certificate authority": f"success\nkey: cert-authority {K}\n",
    "a type without a body": "success\nkey: ssh-ed25519\n",
    "a body that is no key": "success\nkey: ssh-ed25519 AAAA\n",
    "a body cut short": f"success\nkey: {K[:-1]}CUT" + "}\n",
    "a body of another type": "success\nkey: {as-rsa}\n",
    "a body that is not base64": "success\nkey: ssh-ed25519 AAAA*(\n",
    "a private key": "success\nkey: -----BEGIN OPENSSH PRIVATE KEY-----\n",
    "a short RSA key": "success\nkey: {short}\n",
    "from a name": f"success\nkey: {K}\nfrom: dugong\n",
    "from a pattern": f"success\nkey: {K}\nfrom: 10.*\n",
    "from a negation": f"success\nkey: {K}\nfrom: !10.0.0.1,10.0.0.2\n",
    "from with a quote": f'success\nkey: {K}\nfrom: 10.0.0.1",command="sh\n',
    "from with a blank": f"success\nkey: {K}\nfrom: 10.0.0.1, 10.0.0.2\n",
    "from cut short": f"success\nkey: {K}\nfrom: 10.0.0\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_reply_installs_nothing(work: Path, name: str) -> None:
    good = key(work)
    text = MALFORMED[name].replace("{keyCUT}", good[:-8])
    text = text.replace("{as-rsa}", "ssh-rsa " + good.split()[1]).replace("{short}", key(work, "short"))

    assert understood(work, text.replace(K, good))["ok"] == "no"


@pytest.mark.parametrize("name", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_that_is_still_good_is_taken(work: Path, name: str) -> None:
    assert understood(work, f"success\nkey: {key(work, name)}\n")["key"] == key(work, name)


@pytest.mark.parametrize("comment", ['" ssh-rsa AAAA', "a\\nb", "$(id)", 'x\' "y" `z`', "\x1b[31m", "é"])
def test_the_comment_of_a_key_is_tamed(work: Path, comment: str) -> None:
    got = understood(work, f"success\nkey: {key(work)} {comment}\n")["key"]

    assert re.fullmatch(r"ssh-ed25519 [A-Za-z0-9+/=]+( [A-Za-z0-9 ._@:+-]{1,200})?", got)


@pytest.mark.parametrize(
    ("url", "shown"),
    [("https://x/?a=b&c#d", True), ("http://x/", True), ("ftp://x/", False), ("javascript:alert(1)", False),
     ("http://x/ y", False), ("http://x/\x1b[31m", False), ("http://é/", False), ("https://", False)],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["register", "check", "verify"])
def test_only_a_plain_web_address_is_shown(work: Path, verb: str, url: str, shown: bool) -> None:
    got = understood(work, f"success\nkey: {key(work)}\nurl: {url}\n", verb)

    assert (got["ok"], got["url"]) == ("yes", url if shown else "")


@pytest.mark.parametrize("line", ["x: y", "host:", "advice:" + " " * 60000, "host: " + "a b" * 20000, ": "])
def test_a_server_that_talks_too_much_does_not_stop_the_setup(work: Path, line: str) -> None:
    started = time.monotonic()
    understood(work, "success\n" + (line + "\n") * (65536 // len(line)), "check")

    assert time.monotonic() - started < 10


def test_a_reply_whose_connection_broke_off_is_not_trusted(work: Path) -> None:
    (work / "reply").write_text(f"success\nkey: {key(work)}\n")

    done = shell(work, 'REPLY_STATUS=255; read_reply "$WORK/reply" register || printf "%s" "$PROBLEM"')

    assert done.stdout == "cut off"


ALL_ERRORS = sorted(
    {kind.code for kind in vars(errors).values()
     if isinstance(kind, type) and issubclass(kind, errors.RegisterError) and hasattr(kind, "code")}
)  # fmt: skip


@pytest.mark.parametrize("tongue", ["en", "fr"])
@pytest.mark.parametrize("code", ALL_ERRORS)
def test_every_error_of_the_server_has_advice_of_its_own(work: Path, code: str, tongue: str) -> None:
    advice, other = (
        shell(work, f"UI_LANG={tongue}; advise {word}").stderr for word in (code, "something-new")
    )

    assert advice
    assert advice != other


@pytest.mark.parametrize(("tongue", "later"), [("en", "try again later"), ("fr", "Recommencez plus tard")])
def test_what_may_work_later_is_no_internal_problem(work: Path, tongue: str, later: str) -> None:
    advice = {
        status: shell(work, f"UI_LANG={tongue}; REPLY_STATUS={status}; advise could-not-register").stderr
        for status in (errors.TryAgain.exit_status, errors.HostsFileError.exit_status)
    }

    assert later in advice[75]
    assert "intern" not in advice[75]
    assert later not in advice[73]
    assert "intern" in advice[73]


@pytest.mark.parametrize("tongue", ["en", "fr"])
@pytest.mark.parametrize("step", Cause)
def test_every_step_of_the_way_back_has_advice_of_its_own(work: Path, step: Cause, tongue: str) -> None:
    advice, other = (
        shell(work, f"UI_LANG={tongue}; advise_step {word}").stderr for word in (step.word, "something-new")
    )

    assert advice
    assert advice != other


@pytest.mark.parametrize(
    ("tongue", "stopped", "again"),
    [("en", "stopped the backups", "start again"), ("fr", "arrêté les sauvegardes", "reprennent")],
)
def test_a_retired_computer_gets_a_sentence_before_the_verification_and_after_it(
    work: Path, tongue: str, stopped: str, again: str
) -> None:
    (work / "reply").write_text(f"success\nkey: {key(work)}\nstatus: retired\nadvice: have it verified\n")
    (work / "verified").write_text("success\nstatus: resumed\n")
    code = f"""
        UI_LANG={tongue} LOGON=x
        already_registered() {{ return 1; }}; prepare_call() {{ :; }}; confirm_person() {{ :; }}
        install_key() {{ :; }}; receipt_drop() {{ :; }}; receipt_set() {{ :; }}; receipt_add() {{ :; }}
        host_key_lines() {{ :; }}; mark_folders_not_saved() {{ :; }}
        call() {{ case $1 in verify:*) cp "$WORK/verified" "$WORK/reply" ;; esac; }}
        register; printf -- '--%s--' "$REPLY_ADVICE"; STATE_DIR=$WORK; verify
    """

    before, advice, after = shell(work, code).stdout.split("--")

    assert (stopped in before, again in after, advice) == (True, True, "")
    (work / "reply").write_text(f"success\nkey: {key(work)}\nstatus: new\n")
    (work / "verified").write_text("success\nstatus: verified\n")
    told = shell(work, code).stdout
    assert (stopped in told, again in told) == (False, False)


@pytest.mark.parametrize(("version", "where"), [("12.7.6", "sshd-keygen-wrapper"), ("15.4", "Sharing")])
def test_a_folder_that_a_mac_hides_has_a_status_of_its_own_and_is_explained(
    work: Path, version: str, where: str
) -> None:
    mac = f"sw_vers() {{ echo {version}; }}; OS=macos"

    done = shell(work, f"{mac}; advise_step folder; VERIFIED=no; TASK=verify; finish")

    assert done.returncode == FULL_DISK_ACCESS
    for told in ("macOS hides", "even from root", where, "--verify"):
        assert told in done.stderr


def test_what_else_is_left_to_do_comes_before_full_disk_access(work: Path) -> None:
    done = shell(work, "OS=macos; todo a b; advise_step folder; VERIFIED=no; TASK=verify; finish")

    assert done.returncode == LEFT_TO_DO


CALL = """
    as_account() { printf '%s' "$1" >"$WORK/line"; head -c "$BYTES" /dev/zero | tr '\\0' x; }
    SERVER=dugong BYTES=$1 PORT=22; call check:linux:cmartin; wc -c <"$WORK/reply"
"""


def test_the_call_goes_by_no_settings_of_this_computers_and_to_no_unknown_server(work: Path) -> None:
    shell(work, CALL, "10")

    words = (work / "line").read_text().split()
    assert words[-2:] == ["dugong", "check:linux:cmartin"]
    options = set(words[words.index("ssh") :])
    assert {"-F", "/dev/null", "IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null", "LogLevel=ERROR", "-x", "-a", "-T"} <= options  # fmt: skip
    assert words[words.index("-F") + 1] == "/dev/null"


@pytest.mark.parametrize(("sent", "kept"), [(100, 100), (65536, 65536), (100_000, 65536)])
def test_a_reply_is_cut_at_64_kib(work: Path, sent: int, kept: int) -> None:
    assert int(shell(work, CALL, str(sent)).stdout) == kept


@pytest.mark.parametrize(
    ("version", "old"),
    [("3.1.3", True), ("3.2.7", True), ("v3.3.0", True), ("3.3.0", True), ("2.6.9", True),
     ("3.4.0", False), ("3.5.0", False), ("3.10.1", False), ("4.0.0", False), ("openrsync 29", False)],
)  # fmt: skip
def test_an_rsync_with_known_holes_is_told(work: Path, version: str, old: bool) -> None:
    done = shell(work, 'doctor_rsync "$1"', version)

    assert ("before 3.4" in done.stderr) is old
    assert version in (done.stderr if old else done.stdout)


@pytest.mark.parametrize(
    ("wall", "told"),
    [("namespace", "a file system that holds only"), ("confine-root", "rsync keeps itself inside"),
     ("sandbox", "a sandbox keeps rsync inside"), ("none", "Nothing keeps rsync 3.4.1 inside"),
     ("", "Nothing keeps rsync 3.4.1 inside")],
)  # fmt: skip
def test_the_doctor_says_what_keeps_rsync_inside(work: Path, wall: str, told: str) -> None:
    done = shell(work, 'doctor_wall "$1" 3.4.1', wall)

    assert told in done.stdout + done.stderr


def test_what_the_server_shall_compare_is_what_sshd_has(work: Path) -> None:
    (work / "sshd").write_text(f"hostkey {work}/ed25519\nhostkey {work}/alone\nhostkey {work}/missing\n")
    shutil.copy(work / "ecdsa", work / "alone")

    assert shell(work, "host_key_lines").stdout.splitlines() == [
        f"hostkey:{key(work)}", f"hostkey:{key(work, 'ecdsa')}", ".",
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["no-command", "ostype-unknown", "bad-user", "dns-name", "other-owner",
                                  "could-not-register", "no-config-file"])  # fmt: skip
@pytest.mark.parametrize("old", [False, True])
def test_the_code_of_an_error_is_found_even_where_an_old_server_does_not_name_it(
    work: Path, code: str, old: bool
) -> None:
    kind = next(kind for kind in vars(errors).values() if getattr(kind, "code", "") == code)
    text = errors.reply(kind(logon="x", host="h", reason="r"), "123", "fd77::2 1 fd77::1 22").decode()
    (work / "reply").write_text(text.split("\n")[0] + "\n" if old else text)

    assert shell(work, "error_code").stdout == code


def test_an_error_is_shown_whole_and_harmless(work: Path) -> None:
    (work / "reply").write_bytes(b"1.2.3.4 1 5.6.7.8 22 \x1b[2J\x07boo\xc3\xa9\nsecond\nerror:internal\n")

    done = shell(work, "REPLY_STATUS=70; PROBLEM=; reject_reply")

    assert done.returncode == 4
    assert "    1.2.3.4 1 5.6.7.8 22 ?[2J?boo??\n    second\n    error:internal\n" in done.stderr


def test_the_carriage_return_of_sshs_own_lines_is_not_shown(work: Path) -> None:
    line = "ssh: Could not resolve hostname dugong: Temporary failure in name resolution"
    (work / "ssh-errors").write_bytes(line.encode() + b"\r\n\x1b[1mone\rtwo\r\n")

    told = shell(work, "SERVER=dugong; REPLY_STATUS=255; not_connected").stderr

    assert told.startswith(f"{line}\n?[1monetwo\n")


@pytest.mark.parametrize(
    ("lines", "general"),
    [("error:not-reachable\n", True), ("error:not-reachable\nstep:login\n", False),
     ("error:not-reachable\nstep:wrapper\n", False), ("error:not-reachable\nstep:settings\n", False),
     ("error:not-reachable\nstep:file-system\n", False), ("error:not-reachable\nstep:elsewhere\n", False),
     ("error:not-reachable\nstep:something-new\n", False)],
)  # fmt: skip
@pytest.mark.parametrize(("tongue", "words"), [("en", "Is a firewall in the way?"), ("fr", "Un pare-feu")])
def test_a_firewall_is_blamed_only_if_the_server_names_no_step(
    work: Path, lines: str, general: bool, tongue: str, words: str
) -> None:
    (work / "reply").write_text(f"10.0.0.1 1 10.0.0.2 22 could not connect back to x : y\n{lines}")

    told = shell(work, f"UI_LANG={tongue}; REPLY_STATUS=69; RECEIPT=/not/there; not_verified").stderr

    assert (words in told) is general
    assert general or told.rstrip().count("\n") >= 3


# ---------------------------------------------------------------- names of people


def escaped(text: str) -> str:
    return escaping.escape(text)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (escaped("Christophe Martin"), "Christophe Martin"),
        (escaped("François Le Gall-Ñandú"), "François Le Gall-Ñandú"),
        (escaped("Ελένη Жук"), "Ελένη Жук"),
        (escaped("李 😀"), "\\xe6\\x9d\\x8e \\xf0\\x9f\\x98\\x80"),
        (escaped("\u061c\u00ad"), "\\xd8\\x9c\\xc2\\xad"),
        (escaped("a\\b"), "a\\x5cb"),
        (escaped("a\x1b[31m\x07"), "a\\x1b[31m\\x07"),
        (escaped("a\x7f\x85"), "a\\x7f\\xc2\\x85"),
        (escaped("a\u202eb"), "a\\xe2\\x80\\xaeb"),
        (escaped("a\u200bb\ufeff"), "a\\xe2\\x80\\x8bb\\xef\\xbb\\xbf"),
        ("caf\\xc3", "caf\\xc3"),
        ("caf\\xc3\\x28", "caf\\xc3\\x28"),
        ("\\xc0\\xaf", "\\xc0\\xaf"),
        ("\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf"),
        ("\\xe0\\x83\\xa9", "\\xe0\\x83\\xa9"),
        ("\\xf0\\x80\\x83\\xa9", "\\xf0\\x80\\x83\\xa9"),
        ("\\xed\\xa0\\x80", "\\xed\\xa0\\x80"),
        ("\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80"),
        ("\\xff", "\\xff"),
        ("\\0101\\n%s%d", "\\0101\\n%s%d"),
        ("\\xC3\\xA9", "é"),
    ],
)
def test_a_name_is_shown_as_it_is_written_and_controls_nothing(work: Path, sent: str, shown: str) -> None:
    assert shell(work, 'readable "$1"', sent).stdout == shown


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=30))
@example(name="\u00ad\u061c\u2028\ufff9\U000e0001")
def test_no_name_puts_a_control_character_on_the_terminal(work: Path, name: str) -> None:
    shown = shell(work, 'readable "$1"', escaped(name)).stdout

    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", shown)


# ---------------------------------------------------------------- small judgements


# Of everybody, of half of all, of all under another name, of no host; as in the server's configuration.
TOO_WIDE = [
    "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/1,128.0.0.0/1", "10.0.0.1,::/0", "10.0.0.0/7",
    "::/0", "0::/0", "0000:0000::/0", "2000::/3", "8000::/1", "fc00::/7", "2002::/16", "2001:db8::/31",
    "::ffff:0:0/96", "::FFFF:0:0/96", "0:0:0:0:0:ffff:0:0/96", "::ffff:10.0.0.0/104", "::/96", "::/127",
    "64:ff9b::/96", "0064:FF9B:0::/96", "64:ff9b:1::/48", "2001::/32", "2001:0000::/40", "0.0.0.0",
    "0.0.0.0/8", "0.1.2.3", "::", "0:0:0:0:0:0:0:0", "224.0.0.1", "255.255.255.255", "240.0.0.0/8",
    "ff02::1", "ff00::/32", "010.0.0.1", "10.0.0.0/08", "10.0.0.0/0", "10.0.0.0/00", "10.0.0.1/032",
    "fd77::1/0128", "1.2.3.4/32/8",
    ",".join(f"{n}.0.0.0/8" for n in range(1, 18)),
    ",".join(f"2001:{n:x}::/32" for n in range(1, 18)),
    ",".join(f"10.0.0.{n}" for n in range(65)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("10.77.0.1", True), ("10.77.0.1,fd77::1", True), ("10.0.0.0/8,2001:db8::/32", True), ("::1", True),
        ("fe80::", True), ("1:2:3:4:5:6:7:8", True), ("::ffff:10.0.0.1", True),
        ("1::2:3:4:5:6:7", True), ("10.0.0.1/32,fd77::1/128", True), ("64:ff9b::1", True), ("ff::1", True),
        *((text, False) for text in TOO_WIDE),
        ("", False), (",", False), ("10.0.0.1,", False), (",10.0.0.1", False),
        ("10.0.0.1,,10.0.0.2", False), ("10.0.0", False), ("10.0.0.256", False), ("10.0.0.1/33", False),
        ("10.0.0.1/", False), ("1.2.3.4/8/8", False), ("1.2.3.4.5", False), ("fd77::1/129", False),
        ("fd77:::1", False), ("fd77::1::2", False), ("fd77:", False), ("1:2:3:4:5:6:7", False),
        ("1:2:3:4:5:6:7:8:9", False), ("12345::", False), ("a.b.c.d", False), ("10.0.0.1 ", False),
        ("10.0.0.1\n10.0.0.2", False), ("*", False), ("dugong", False), ('1.2.3.4"', False), (":", False),
        ("/", False), ("1", False), ("2130706433", False),
    ],
)  # fmt: skip
def test_from_takes_addresses_and_networks_only(work: Path, text: str, good: bool) -> None:
    assert (shell(work, 'address_list "$1"', text).returncode == 0) is good


@settings(max_examples=40, deadline=None)
@given(name=st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name))
@example(name="/srv/a b=c\\d/été")
@example(name="/srv/*?[x]")
def test_a_folder_is_compared_as_the_server_writes_it(work: Path, name: str) -> None:
    assert shell(work, 'as_server_writes "$1"', name).stdout == escaping.escape_field(name)


@pytest.mark.parametrize(
    ("folder", "saved", "inside"),
    [
        ("/home", "/home", True), ("/home", "/home/", True), ("/home/x", "/srv /home", True),
        ("/home", "/", True), ("", "/", True), ("", "/home", False), ("/home", "/home/x", False),
        ("/home2", "/home", False), ("/srv", "", False), ("/srv", "/home /opt", False),
        ("/a.c", "/abc", False),
    ],
)  # fmt: skip
def test_a_folder_is_saved_where_it_or_one_above_it_is(
    work: Path, folder: str, saved: str, inside: bool
) -> None:
    assert (shell(work, 'is_in_one_of "$1" "$2"', folder, saved).returncode == 0) is inside


@pytest.mark.parametrize("planted", ["nothing that is there", "a file", "a pipe"])
def test_a_log_in_a_services_folder_follows_no_link_that_comes_at_the_last_moment(
    tmp_path: Path, work: Path, planted: str
) -> None:
    target, log = tmp_path / "target", tmp_path / "log"
    if planted == "a file":
        target.write_text("mine\n")
    elif planted == "a pipe":
        os.mkfifo(target)
    code = 'LOG=$1; mv() { :; }; ln -s "$2" "$1"; [ ! -p "$2" ] || exec 8<>"$2"; open_new_log; echo evil >&3'

    done = shell(work, code, str(log), str(target))

    assert done.returncode == USAGE
    assert target.exists() is (planted != "nothing that is there")
    assert planted != "a file" or target.read_text() == "mine\n"


@pytest.mark.parametrize("logon", ["cmartin", "a", "_x", "A.b-c_9", "9lives", "a" * 64])
def test_a_possible_logon_is_taken(work: Path, logon: str) -> None:
    assert shell(work, 'possible_logon "$1"', logon).returncode == 0


@pytest.mark.parametrize(
    "logon",
    ["", "-x", ".x", "a b", "a:b", "é", "a\nb", "a;id", "$(id)", "a" * 65, "*", "a/b", "a@b", "\u212a", "\\"],
)
def test_an_impossible_logon_is_not_even_sent(work: Path, logon: str) -> None:
    assert shell(work, 'possible_logon "$1"', logon).returncode != 0


COPIED = [" cmartin ", "\tcmartin", "cmartin\r", "\u00a0cmartin\u00a0 ", "\u202fcmartin\u200b",
          "\u200ecmartin\u200f", "\ufeffcmartin", "\u3000cmartin\u2009\t\r",
          "\u2060cmartin\u205f\v\f"]  # fmt: skip


@pytest.mark.parametrize("lang", ["C", "C.UTF-8"])
@pytest.mark.parametrize("copied", COPIED)
def test_blanks_around_a_logon_are_dropped_and_inside_it_refused(work: Path, copied: str, lang: str) -> None:
    code = 'options --logon "$1"; check_options; printf "%s" "$LOGON"'

    alone = shell(work, f"SERVER=dugong; {code}", copied, lang=lang)
    two = shell(work, f"SERVER=dugong; {code}", copied + "x", lang=lang)

    assert (alone.returncode, alone.stdout) == (0, "cmartin"), alone.stderr
    assert two.returncode == (0 if copied.endswith("cmartin") else USAGE)


@pytest.mark.parametrize(
    ("answer", "told"),
    [("cmartin@univ-brest.fr", "without the @"), ("@cmartin", "without the @"), ("c@m@x", "without the @"),
     ("UBO\\cmartin", "without the domain"), ("c martin", "letters, digits"), ("", "letters, digits")],
)  # fmt: skip
def test_what_is_no_logon_is_explained_by_what_it_looks_like(work: Path, answer: str, told: str) -> None:
    assert told in shell(work, 'explain_logon "$1"', answer).stderr


@pytest.mark.parametrize(
    ("patterns", "names", "fits"),
    [("bckpciuem", "bckpciuem", True), ("root\nbckp*", "bckpciuem", True),
     ("bckpciuem@10.*", "bckpciuem", True), ("root", "bckpciuem", False), ("", "bckpciuem", False),
     ("staff", "bckpciuem staff", True),
     ("bckpciue", "bckpciuem", False)],
)  # fmt: skip
def test_sshds_lists_of_users_are_read_as_sshd_reads_them(
    work: Path, patterns: str, names: str, fits: bool
) -> None:
    done = shell(work, f'printf "%s\\n" "$1" | matches_any {names}', patterns)

    assert (done.returncode == 0) is fits


@pytest.mark.parametrize(
    ("settings_", "told"),
    [
        ("pubkeyauthentication yes\nforcecommand none", ""),
        ("pubkeyauthentication no", "PubkeyAuthentication"),
        ("allowusers root\nallowusers cmartin", "AllowUsers"),
        ("allowusers root\nallowusers bckpciuem", ""),
        ("authenticationmethods any", ""),
        ("authenticationmethods publickey,password publickey", ""),
        ("authenticationmethods publickey,password", "AuthenticationMethods"),
        ("pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519", ""),
        ("pubkeyacceptedalgorithms rsa-sha2-512,rsa-sha2-256", "PubkeyAcceptedAlgorithms"),
        ("denyusers bck*", "DenyUsers"),
        ("denyusers *@192.0.2.66", ""),
        ("allowgroups ssh-users", "AllowGroups"),
        ("denygroups bckpciuem", "DenyGroups"),
        ("forcecommand /bin/false", "ForceCommand"),
        ("forcecommand /var/lib/bckpciuem/rsyncsend.sh", ""),
        ("maxsessions 0", "MaxSessions"),
        ("maxsessions 1", ""),
        ("maxsessions 10", ""),
        ("chrootdirectory none", ""),
        ("chrootdirectory /srv/jail", "ChrootDirectory"),
        ("refuseconnection yes", "RefuseConnection"),
        ("refuseconnection no", ""),
        ("revokedkeys /not/there", "RevokedKeys"),
        ("revokedkeys none", ""),
    ],
)
@pytest.mark.parametrize("tongue", ["en", "fr"])
def test_what_keeps_the_server_out_of_sshd_is_told_and_left_alone(
    work: Path, settings_: str, told: str, tongue: str
) -> None:
    (work / "sshd").write_text(settings_ + "\n")

    (work / "receipt").write_text('key restrict,command="x" ssh-ed25519 AAAA backuppc\n')

    code = f"UI_LANG={tongue}; RECEIPT={work}/receipt; check_access"
    done = shell(work, f'{code}; printf "%s" "$LEFT_TO_DO"')

    assert done.stdout == ("yes" if told else "no")
    assert told in done.stderr


@pytest.mark.parametrize("form", ["a list", "a binary file", "another key"])
def test_a_key_that_sshd_holds_for_revoked_is_told(work: Path, tmp_path: Path, form: str) -> None:
    line = (work / ("rsa.pub" if form == "another key" else "ed25519.pub")).read_text()
    (tmp_path / "list").write_text(line)
    revoked = tmp_path / "list"
    if form == "a binary file":
        revoked = tmp_path / "krl"
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, tmp_path / "list"], check=True)
    (work / "sshd").write_text(f"revokedkeys {revoked}\n")
    (work / "receipt").write_text(f'key restrict,command="x" {key(work)} backuppc\n')

    told = shell(work, f"RECEIPT={work}/receipt; check_sessions").stderr

    assert ("because it is in" in told) is (form != "another key")


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        (".ssh/authorized_keys .ssh/authorized_keys2", "/var/lib/bckpciuem/.ssh/authorized_keys"),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/bckpciuem"),
        ("/not/there/%u /etc/ssh/%u_keys", "/etc/ssh/bckpciuem_keys"),
        ("/etc/ssh/keys .ssh/authorized_keys", "/var/lib/bckpciuem/.ssh/authorized_keys"),
        ("/etc/ssh/%U", "/etc/ssh/991"),
        ("/etc/ssh/%U/%u", "/etc/ssh/991/bckpciuem"),
        ("/etc/ssh/100%%u", ""),
        ("/etc/ssh/%%u %u.keys", "/var/lib/bckpciuem/bckpciuem.keys"),
        ("/etc/ssh/authorized_keys", ""),
        ("/etc/ssh/keys /root/.ssh/authorized_keys", ""),
        ("/etc/keys%%", ""),
        ("/etc/ssh/%u/../keys", ""),
        ("../keys", ""),
        ("/etc/ssh/%u/..", ""),
        ("%h/../../../etc/keys", ""),
        ("/etc/ssh/%x", ""),
        ("/etc/ssh/%", ""),
        ("%h/keys", "/var/lib/bckpciuem/keys"),
        ("/etc/100%%/%u", "/etc/100%/bckpciuem"),
        ("", "/var/lib/bckpciuem/.ssh/authorized_keys"),
        ("none", ""),
    ],
)
def test_the_key_goes_where_sshd_looks(work: Path, setting: str, path: str) -> None:
    (work / "sshd").write_text(f"authorizedkeysfile {setting}\n" if setting else "")

    done = shell(work, "id() { echo 991; }; check_access; keys_file || :")

    assert done.stdout == path
    assert ("AuthorizedKeysFile" in done.stderr) is (path == "")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("/etc/ssh/all", "from the same file, /etc/ssh/all "),
        ("none", "reads no keys"),
        ("/a /b", "file, /a "),
    ],
)
def test_a_file_of_keys_of_all_accounts_is_told_in_both_languages(
    work: Path, setting: str, told: str
) -> None:
    (work / "sshd").write_text(f"authorizedkeysfile {setting}\n")

    english = shell(work, 'check_access; printf "%s" "$LEFT_TO_DO"')
    french = shell(work, "UI_LANG=fr; check_access")

    assert (english.stdout, told in english.stderr) == ("yes", True)
    assert "AuthorizedKeysFile" in french.stderr
    assert french.stderr != english.stderr


# ---------------------------------------------------------------- languages


@pytest.mark.parametrize(
    ("variables", "tongue"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
        ({"LANG": "fr_FR", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "en_GB", "LC_ALL": "fr_CA.UTF-8"}, "fr"),
        ({"LANG": "de_DE"}, "en"),
        ({"LC_ALL": "fr_FR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "fr"),
    ],
)
def test_the_language_is_that_of_the_session(work: Path, variables: dict[str, str], tongue: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'. {work}/functions; choose_language; printf "%s" "$UI_LANG"'],
        env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == tongue


# ---------------------------------------------------------------- the command line


def run(*arguments: str, lang: str = "C") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=30,
        stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": lang},
        start_new_session=True,
    )  # fmt: skip


WRONG = [
    ("--nonsense", "--nonsense"),
    ("argument", "argument"),
    ("--server", "--server"),
    ("--server dugong --logon=", "--logon"),
    ("--server dugong --logon a;b", "a;b"),
    ("--server dugong --logon=\u00a0", "--logon"),
    ("--server dugong --logon cmartin@univ-brest.fr", "@"),
    ("--server dugong --logon UBO\\cmartin", "UBO\\cmartin"),
    ("--server dugong --logon-file /not/there", "/not/there"),
    ("--server -oProxyCommand=id", "-oProxyCommand=id"),
    ("--server a;id", "a;id"),
    ("--server $(id)", "$(id)"),
    ("--server dugong --port 22x", "22x"),
    ("--server dugong --port 123456", "123456"),
    ("--server dugong --restore all", "--restore"),
    ("--server dugong --from everywhere", "everywhere"),
    ("--server dugong --share home", "home"),
    ("--server dugong --share /home/../etc", "/home/../etc"),
    ("--server dugong --share /not/there", "/not/there"),
    ("--server dugong --share /tmp\t", "/tmp?"),
    ("--server dugong --share /tmp\t", "tab"),
    ("--server dugong --restore-dir /tmp\x7f", "/tmp?"),
    ("--server dugong --share /tmp//x", "/tmp//x"),
    ("--server dugong --share /home\nrestore=full", "--share"),
    ("--server dugong --restore-dir /not/there", "/not/there"),
    ("--server dugong --lang de", "--lang"),
    ("--server dugong --unattended", "--logon"),
    ("--server dugong --log /dev/null", "/dev/null"),
    ("--server dugong --logon-file /dev/null", "/dev/null"),
    ("--server dugong --doctor --repair", "--repair"),
    ("--server dugong --verify", "--verify"),
    ("--server dugong --repair", "--repair"),
    ("", "--server"),
]


@pytest.mark.parametrize(("line", "told"), WRONG)
@pytest.mark.parametrize("lang", ["C", "fr_FR.UTF-8"])
def test_a_wrong_option_is_told_and_nothing_is_done(line: str, told: str, lang: str) -> None:
    done = run(*line.split(" ") if line else [], lang=lang)

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


@pytest.mark.parametrize(
    ("given", "taken"),
    [("/srv/data/", "/srv/data"), ("/srv//", "/srv"), ("/srv", "/srv"), ("/", "/"), ("//", "/")],
)
def test_a_folder_is_taken_as_tab_completes_it(work: Path, given: str, taken: str) -> None:
    done = shell(work, 'option_with_value --share "$1"; printf "%s" "$SHARES"', given)

    assert done.stdout == f"{taken}\n"


@pytest.mark.parametrize("text", [b"cmartin\n", b"cmartin", b"cmartin\r\nx\r\n", b"\xef\xbb\xbfcmartin\r\n"])
def test_a_file_with_the_logon_may_come_from_windows(work: Path, text: bytes) -> None:
    (work / "logon").write_bytes(text)

    assert shell(work, 'printf "%s" "$(logon_in "$WORK/logon")"').stdout == "cmartin"


@pytest.mark.parametrize("tongue", ["en", "fr"])
def test_what_cannot_be_written_is_told_in_words(work: Path, tongue: str) -> None:
    refused = {"en": "/dev/full cannot be written", "fr": "Impossible d\u2019écrire /dev/full"}

    done = shell(work, f"UI_LANG={tongue}; RECEIPT=/dev/full; grep() {{ false; }}; receipt_add x")

    assert done.returncode == 1
    assert refused[tongue] in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("stale", "left"), [("99999999", ""), ("123", "99999999")])
def test_a_lock_that_a_quicker_run_has_taken_meanwhile_is_put_back(work: Path, stale: str, left: str) -> None:
    lock = work / "lock"
    lock.unlink(missing_ok=True)
    lock.symlink_to("99999999")

    shell(work, f'LOCK={lock}; remove_stale_lock "$1"', stale)

    assert [str(path.readlink()) for path in work.glob("lock*")] == [left] * bool(left)


@pytest.mark.parametrize("line", ["--nonsense --lang fr", "--server --lang=fr --port", "--port x --lang fr"])
def test_the_language_asked_for_is_that_of_the_first_error_too(line: str) -> None:
    assert re.search("inconnue|demande|serveur", run(*line.split(" ")).stderr)


def test_another_system_is_told_in_one_sentence(tmp_path: Path) -> None:
    for tool in ("sh", "uname", "id", "sed", "tr", "grep", "cat", "printf", "tail", "head"):
        path = shutil.which(tool, path="/usr/bin:/bin")
        assert path
        (tmp_path / tool).symlink_to(path)
    text = re.sub(r"^PATH=.*$", f"PATH={tmp_path}", TEXT, flags=re.MULTILINE)
    (tmp_path / "setup.sh").write_text(text)

    done = subprocess.run(
        ["sh", tmp_path / "setup.sh", "--server", "dugong"], env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (OLD_SYSTEM, "")
    assert done.stderr.count("\n") == 1


HELP = {"en": "english", "fr": "french"}


def help_in(tongue: str) -> str:
    done = run("--help", "--lang", tongue)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("tongue", HELP)
def test_help_tells_every_option_that_there_is(tongue: str) -> None:
    reading = TEXT[TEXT.index("\noptions() {") : TEXT.index("\nchoose_task() {")]
    taken = set(re.findall(r"--[a-z][a-z-]+", reading))

    assert set(re.findall(r"--[a-z][a-z-]+", help_in(tongue))) == taken - {"--no-colour"}


def statuses_of(text: str) -> set[int]:
    firsts = re.findall(r"^[0-9, ]+", text, re.MULTILINE)
    return {int(number) for number in re.findall(r"\d+", " ".join(firsts))}


@pytest.mark.parametrize("tongue", HELP)
def test_every_exit_status_stands_in_help_and_docs_and_no_other(tongue: str) -> None:
    shell_only = re.sub(AWK, "", TEXT, flags=re.DOTALL)
    used = {int(number) for number in re.findall(r"\b(?:die|exit) (\d+)\b", shell_only)}
    helped = help_in(tongue).split("\n\n")[-1].replace("  ", "")
    page = (SCRIPT.parents[1] / f"docs/client/linux.{tongue}.md").read_text()
    table = re.sub(r"^\| ?", "", page[page.index("|---|") :].split("\n\n")[0], flags=re.MULTILINE)

    assert used == statuses_of(helped) == statuses_of(table)


def test_help_is_the_top_of_the_file_and_stands_there_once() -> None:
    assert TEXT.index("\nhelp_in_english() {") < 900
    assert len(re.findall("^#? *--no-firewall  ", TEXT, re.MULTILINE)) == len(HELP)


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"setup\.sh \d+(\.\d+)+\n", run("--version").stdout)


# ---------------------------------------------------------------- the text of the script


def code_lines() -> list[str]:
    code = re.sub(r"<<('?)END\1\n.*?^END$", "<<END", TEXT, flags=re.MULTILINE | re.DOTALL)  # texts, tables
    return [line for line in code.splitlines() if not line.lstrip().startswith("#")]


BASHISMS = [r"^\s*local\b", r"\[\[ ", r"^\s*echo\b", r"\bfunction\s+\w+\s*\{", r"<<<", r"&>", r"[\s=]\$'",
            r"^\s*source\b", r"\beval\b", r"\bdeclare\b", r"==", r"\$\{\w+//", r"\w+\+=",
            r"\w=\("]  # fmt: skip


@pytest.mark.parametrize("bashism", BASHISMS)
def test_the_script_is_plain_posix_shell(bashism: str) -> None:
    without_awk = re.sub(AWK, "", "\n".join(code_lines()), flags=re.DOTALL)
    lines = [line for line in without_awk.splitlines() if "=== " not in line and "NOPASSWD" not in line]
    marks = [line for line in lines if re.search(bashism, line)]

    assert not marks


def test_the_script_is_functions_and_constants() -> None:
    assert TEXT.endswith(END)
    assert BEGIN in TEXT
    assert "set -eu\numask 077\n" in TEXT
    outside = re.sub(r"^\w+\(\) \{.*?^\}$", "", FUNCTIONS, flags=re.MULTILINE | re.DOTALL)
    rest = [line for line in outside.splitlines() if line and not re.match(r"#|[A-Z_]+=\S*$", line)]
    assert rest == ["export PATH", "unset TMPDIR BASH_ENV ENV CDPATH", "set -eu", "umask 077"]


@pytest.mark.parametrize("option", ["--logon-file {logon}", "--share /home/", "--log {logon}", "--help"])
def test_no_program_of_the_callers_path_runs_while_the_options_are_read(tmp_path: Path, option: str) -> None:
    (tmp_path / "logon").write_text("cmartin\n")
    for name in ("tr", "sed", "cat", "head", "awk", "ls", "id", "printf", "test"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/owned\n")
        (tmp_path / name).chmod(0o755)
    words = option.format(logon=tmp_path / "logon").split()

    done = subprocess.run(
        ["/bin/sh", SCRIPT, *words, "--version"], capture_output=True, text=True, check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "CDPATH": str(tmp_path)},
    )  # fmt: skip

    assert done.stdout
    assert not (tmp_path / "owned").exists()


ENDED = 2**30  # more than any process has


def test_what_a_killed_restore_left_in_a_share_is_found_and_nothing_else(work: Path, tmp_path: Path) -> None:
    share, other = tmp_path / "with blank", tmp_path / "other"
    left = share / f".bckpciuem-restore.{ENDED}"
    kept = [
        share / name
        for name in (
            f".bckpciuem-restore.{os.getpid()}", ".bckpciuem-restore.", ".bckpciuem-restore.1a",
            f".bckpciuem-restore.1.x{ENDED}", f"bckpciuem-restore.{ENDED}", f"sub/.bckpciuem-restore.{ENDED}",
        )
    ]  # fmt: skip
    for folder in (left, *kept, other / left.name):
        folder.mkdir(parents=True)
    (share / f".bckpciuem-restore.{ENDED + 1}").symlink_to(other)
    (share / f".bckpciuem-restore.{ENDED + 2}").write_text("")
    lines = (f"# share={other}", f"share={tmp_path / 'none'}", f"share={share}/", "restore=owner", "")
    (tmp_path / "conf").write_text("\n".join(lines))

    found = shell(work, f"CONFIG={tmp_path}/conf; unsafe_folder() {{ :; }}; leftover_restores")
    unsafe = shell(work, f"CONFIG={tmp_path}/conf; unsafe_folder() {{ echo /tmp; }}; leftover_restores")

    assert (found.stdout, found.stderr) == (f"{left}\n", "")
    assert (unsafe.stdout, unsafe.stderr) == ("", "")


def test_nothing_is_removed_where_others_may_exchange_folders(work: Path, tmp_path: Path) -> None:
    (tmp_path / f".bckpciuem-restore.{ENDED}").mkdir()
    tmp_path.chmod(0o777)
    (tmp_path / "conf").write_text(f"share={tmp_path}\n")

    found = shell(work, f"CONFIG={tmp_path}/conf; leftover_restores")

    assert (found.stdout, found.stderr) == ("", "")


# What changes the computer, and is called by `change` alone.
DEEDS = {
    "replace_file", "add_account", "turn_on_remote_login", "remove_account", "remove_group", "make_state_dir",
    "remove_state_dir", "give_to_root", "os packages_install", "os account_repair", "os sshd_disable",
}  # fmt: skip
WITHIN_DEEDS = {
    *(f"{name}_{os}" for os in ("linux", "macos") for name in (
        "account_add", "account_remove", "account_repair", "group_remove", "packages_install", "sshd_disable"
    )),
    "apt_get", "ufw_open", "ufw_close", "firewalld_open", "firewalld_close", "remove_leftover",
}  # fmt: skip
# What a run has for itself, and takes away again.
OF_THE_RUN = {
    "clean_up",
    "open_work_folder",
    "open_new_log",
    "take_lock",
    "remove_stale_lock",
    "login_trial_linux",
}
CHANGING = (
    r"useradd|userdel|groupadd|groupdel|usermod|mkdir|rmdir|chown|chmod|mv|rm|apt_get|service"
    r"|systemctl .*(?:en|dis)able"
    r"|dscl . -(?:create|delete)|dseditgroup -o edit|launchctl (?:en|dis)able|systemsetup|zypper --|pacman --"
    r"|semanage fcontext -[ad]|restorecon -RF |ufw (?:--force )?(?:allow|delete)|firewall-cmd .*--(?:add|rem)"
)


def test_every_change_passes_through_one_word() -> None:
    """What changes the computer is called by `change`, or in a function that `change` calls."""
    changing = re.compile(rf"^\s*(?:\S+ \|\| |\S+\) )*(?:{CHANGING})\b(?!\()")
    inside, offenders = "", []
    for line in code_lines():
        if match := re.match(r"(\w+)\(\) \{ ?", line):
            inside = match[1]
        command = line[match.end() :] if match else line
        if changing.match(command) and inside not in DEEDS | WITHIN_DEEDS | OF_THE_RUN:
            offenders.append(line)

    assert not offenders
    for name in DEEDS:
        callers = [line for line in code_lines() if re.search(rf"(?<!\w){name}\b(?!\()", line)]
        assert callers
        assert all(re.search(r"change |register-key|\$RECEIPT", line) for line in callers), name


def test_a_bundle_fills_in_what_the_source_leaves_empty(work: Path) -> None:
    text = TEXT.replace("SERVER=''", "SERVER='dugong'")
    for name in ("register-key", "known-hosts", "wrapper"):
        text = text.replace(f"\n=== {name} ===\n", f"\n{name} $HOME\n`line` 2\n=== {name} ===\n", 1)
    (work / "bundle").write_text(functions_of(text))

    done = subprocess.run(
        ["sh", "-c", f". {work}/bundle; bundled register-key; bundled wrapper; printf '%s' \"$SERVER\""],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "register-key $HOME\n`line` 2\nwrapper $HOME\n`line` 2\ndugong"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("HALF_DONE=yes CHANGES=3", True),
        ("HALF_DONE=yes CHANGES=0", False),
        ("HALF_DONE=no CHANGES=3", False),
    ],
)
def test_a_setup_that_ends_early_says_what_stays(work: Path, tmp_path: Path, state: str, told: bool) -> None:
    for tongue, words in (("en", "What was done so far"), ("fr", "Ce qui a été fait")):
        code = f"WORK={tmp_path}/work; UI_LANG={tongue} {state}; trap clean_up EXIT; exit 4"
        done = shell(work, code)

        assert (done.returncode, words in done.stderr) == (4, told)


# ---------------------------------------------------------------- is it still registered?

ASKED = """
    SERVER=dugong LOGON=cmartin RECEIPT=$WORK/receipt
    printf 'registered dugong cmartin\nhost dormeur\nverified dugong cmartin\n' >"$WORK/receipt"
    : >"$WORK/known-hosts"; call_once() { REPLY_STATUS=$status; }
    call_patiently() { call_once; }
"""
REPLIES = {
    # what the server replies, the exit status of ssh; what is made of it
    ("success\nhost: dormeur\nstatus: unchanged\n", 0): "known",
    ("success\nhost: dormeur\nperson: C\n", 0): "known",
    ("success\nhost: dormeur\nstatus: new\n", 0): "gone",
    ("success\nhost: dormeur\nstatus: retired\n", 0): "retired",
    ("success\nhost: nouveau\nstatus: new\n", 0): "renamed",
    ("success\nhost: nouveau\nstatus: unchanged\n", 0): "renamed",
    ("success\nhost: nouveau\nstatus: retired\n", 0): "renamed",
    ("x\nerror:other-owner\n", 77): "refused",
    ("x\nerror:bad-user\n", 67): "refused",
    ("x\nerror:not-allowed\n", 77): "refused",
    ("x\nerror:dns-name\n", 77): "unknown",
    ("x\nerror:dns-unavailable\n", 75): "unknown",
    ("x\nerror:too-many-requests\n", 75): "unknown",
    ("x\nerror:misconfigured\n", 78): "unknown",
    ("x\nerror:something-new\n", 1): "unknown",
    ("x ostype is unknown\n", 64): "known",
    ("success\nhost: dormeur\nhost: nouveau\n", 0): "unknown",
    ("success\nhost: dormeur\nstatus: unchanged\n", 255): "unknown",
    ("This account is not available.\n", 1): "unknown",
    ("", 255): "unknown",
    ("", 124): "unknown",
    ("", 0): "unknown",
}


@pytest.mark.parametrize(("reply_", "status"), REPLIES)
def test_only_the_server_knows_whether_a_registration_holds(work: Path, reply_: str, status: int) -> None:
    (work / "reply").write_text(reply_)
    (work / "ssh-errors").write_text("ssh: connect to host dugong port 22: Connection refused\r\n")
    code = f"status={status}; {ASKED}"

    asked = shell(work, f'{code} ask_registration call_once; printf "%s" "$REGISTRATION"').stdout
    again = shell(work, f'{code} still_registered || echo "not any more"; printf "%s" "$REGISTRATION_STATUS"')
    doctor = shell(work, f"{code} ask_registration call_once; doctor_registration; conclude")

    verdict = REPLIES[reply_, status]
    assert asked == verdict
    assert ("not any more" in again.stdout) is (verdict == "gone")
    assert (again.stdout.endswith("0")) is (verdict not in {"refused", "unknown"})
    assert (doctor.returncode, "No problem was found on" in doctor.stdout) == (
        (0, True) if verdict == "known" else (1, False)
    )
    assert ("--repair" in doctor.stdout) is (verdict == "gone")
    assert ("  ?" in doctor.stderr) is (verdict == "unknown" and (reply_, status) != ("", 255))


CONNECTIONS = {
    "Host key verification failed.": 6,
    "backuppc@dugong: Permission denied (publickey).": 4,
    "ssh: connect to host dugong port 22: No route to host": 5,
    "ssh: Could not resolve hostname dugong: Name or service not known": 5,
    "kex_exchange_identification: Connection closed by remote host": 5,
}


@pytest.mark.parametrize("said", CONNECTIONS)
def test_a_server_that_cannot_be_asked_ends_the_run_with_a_status_of_its_own(work: Path, said: str) -> None:
    (work / "reply").write_text("")
    (work / "ssh-errors").write_text(f"{said}\r\n")
    start = f"status=255; {ASKED}"

    again = shell(work, f"{start} still_registered; finish")
    doctor = shell(work, f"{start} ask_registration call_once; doctor_registration; conclude")

    assert again.returncode == CONNECTIONS[said]
    assert "did not confirm the registration" in again.stderr
    assert "registered with" not in again.stdout
    assert (doctor.returncode, "No problem was found on" in doctor.stdout) == (1, False)
    assert "the server knows this computer" not in doctor.stdout


@pytest.mark.parametrize(
    ("task", "force", "anew"), [("setup", "no", False), ("repair", "yes", False), ("setup", "yes", True)]
)
def test_a_new_name_is_registered_only_if_a_person_says_so(
    work: Path, task: str, force: str, anew: bool
) -> None:
    (work / "reply").write_text(f"success\nhost: nouveau\nstatus: new\nkey: {key(work)}\n")
    code = f"""
        status=0; {ASKED} TASK={task} FORCE={force} YES=yes
        already_registered() {{ return 1; }}; prepare_call() {{ :; }}; install_key() {{ echo installed; }}
        call() {{ call_once; echo "asked $1"; }}; receipt_set() {{ :; }}; receipt_drop() {{ :; }}
        register
    """

    done = shell(work, code)

    assert ("asked linux:cmartin" in done.stdout, "installed" in done.stdout) == (anew, anew), done
    assert ("is called nouveau now" in done.stderr) is not anew


ODD_NAMES = {
    "nou\033]0;x\007veau": "nou?]0;x?veau",
    "nouveau\033[2J": "nouveau?[2J",
    "\\033[31mnouveau": "\\033[31mnouveau",
    "\\x1b[31mnouveau": "\\x1b[31mnouveau",
    "%s%n\u202enouveau": "%s%n???nouveau",
    "d\\xc3\\xa9j\\xc3\\xa0": "déjà",
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_new_name_cannot_speak_to_the_terminal(work: Path, name: str) -> None:
    (work / "reply").write_text(f"success\nhost: {name}\nstatus: new\n")

    done = shell(work, f"status=0; {ASKED} ask_registration call_once; doctor_registration")

    assert f"This computer is called {ODD_NAMES[name]} now" in done.stderr


def test_without_a_probe_no_folder_is_named(work: Path) -> None:
    """If there is no account, the doctor starts none."""
    done = shell(work, 'RECEIPT=$WORK/none; mark_folders_not_saved; cat "$WORK/folders"; echo "$NOT_SAVED"')

    assert (done.returncode, done.stdout, done.stderr) == (0, "no\n", "")


# ---------------------------------------------------------------- the register-key


def keys_that_cannot_work(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Make files that are no register-key, and what is said of each."""
    locked = folder / "locked"
    make = ["ssh-keygen", "-q", "-N", "locked", "-C", ""]
    subprocess.run([*make, "-t", "ed25519", "-f", str(locked)], check=True)
    subprocess.run([*make, "-t", "rsa", "-m", "PEM", "-f", str(folder / "old")], check=True)
    text = locked.read_bytes()
    return {
        "locked": (text, "passphrase"),
        "locked, in the older form": ((folder / "old").read_bytes(), "passphrase"),
        "public": ((folder / "locked.pub").read_bytes(), "public half"),
        "public, in another form": (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "public half"),
        "PuTTY's": (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"),
        "cut in the middle": (text[:200], "damaged"),
        "without its first line": (text.split(b"\n", 1)[1], "damaged"),
        "a page of the web": (b"<html>Not found</html>\n", "damaged"),
        "in UTF-16": (text.decode().encode("utf-16"), "damaged"),
        "zeros": (bytes(400), "damaged"),
        "empty": (b"", "is empty"),
    }


def test_a_register_key_that_cannot_work_is_told_before_anything_is_made(work: Path, tmp_path: Path) -> None:
    for name, (content, told) in keys_that_cannot_work(tmp_path).items():
        path = tmp_path / "given"
        path.write_bytes(content)
        done = shell(work, 'REGISTER_KEY_FILE=$1; given_register_key; echo "went on"', str(path))

        assert (done.returncode, done.stdout) == (USAGE, ""), name
        assert told in done.stderr, name
        assert str(path) in done.stderr, name
        assert done.stderr.count("\n") == 1, name


def test_a_register_key_that_a_mail_or_a_copy_has_changed_a_little_is_taken(
    work: Path, tmp_path: Path
) -> None:
    good = (work / "ed25519").read_bytes()
    changed = {
        "as it is": good, "from Windows": good.replace(b"\n", b"\r\n"), "without a line end": good[:-1],
        "with a byte order mark": b"\xef\xbb\xbf" + good, "with lines below": good + b"\n\n",
    }  # fmt: skip
    for name, content in changed.items():
        path = tmp_path / "given"
        path.write_bytes(content)
        path.chmod(0o666)
        done = shell(
            work, 'REGISTER_KEY_FILE=$1; given_register_key; ssh-keygen -y -f "$WORK/register-key"', str(path)
        )

        assert done.stdout.startswith(key(work)), name


def test_a_folder_or_what_is_not_there_is_no_register_key(work: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        done = shell(work, "REGISTER_KEY_FILE=$1; given_register_key", str(path))

        assert (done.returncode, "cannot be read" in done.stderr) == (USAGE, True)


# ---------------------------------------------------------------- trying again

CLOSED = {
    "kex_exchange_identification: Connection closed by remote host\r\n": True,
    "kex_exchange_identification: read: Connection reset by peer\r\n": True,
    "kex_exchange_identification: banner line contains invalid characters\r\n": False,
    "ssh_exchange_identification: Connection closed by remote host\r\n": True,
    "Connection closed by 10.77.0.1 port 22\r\n": True,
    "Connection reset by 10.77.0.1 port 22\r\n": True,
    "Connection timed out during banner exchange\r\n": True,
    "ssh: connect to host dugong port 22: Connection refused\r\n": False,
    "ssh: Could not resolve hostname dugong: Name or service not known\r\n": False,
    "backuppc@dugong: Permission denied (publickey).\r\n": False,
    "Host key verification failed.\r\n": False,
    "Connection to dugong closed by remote host.\r\n": False,
    "": False,
}


@pytest.mark.parametrize("said", CLOSED)
def test_a_connection_that_is_closed_before_the_login_is_tried_again(work: Path, said: str) -> None:
    (work / "ssh-errors").write_bytes(said.encode())
    code = """
        SERVER=dugong; sleep() { :; }; note() { :; }; : >"$WORK/reply"
        call_once() { printf 'tried\n'; REPLY_STATUS=255; }
        call linux:cmartin
    """

    done = shell(work, code)

    assert done.stdout.count("tried") == (5 if CLOSED[said] else 1)
    assert done.returncode in {4, 5, 6}
    assert ("before the login" in done.stderr) is CLOSED[said]


CALLS = """
    SERVER=dugong PORT=22; echo x >"$WORK/reply"; say() { :; }; note() { printf 'note %s\n' "$2"; }
    sleep() { printf 'sleep %s\n' "$1"; }
    call_once() {
        tried=$((${tried:-0} + 1)); REPLY_STATUS=75
        [ "$tried" -lt "$works" ] || REPLY_STATUS=$last
    }
    works=$1 last=$2; call linux:cmartin; printf 'tried %s, %s\n' "$tried" "$REPLY_STATUS"
"""


@pytest.mark.parametrize(("works", "last"), [(1, 0), (2, 0), (4, 77), (5, 0), (9, 0), (1, 73), (1, 255)])
def test_only_what_may_work_later_is_tried_again_and_not_for_ever(work: Path, works: int, last: int) -> None:
    told = shell(work, CALLS, str(works), str(last)).stdout.splitlines()

    tries = min(works, 5)
    assert told[-1] == f"tried {tries}, {last if works <= 5 else 75}"
    waits = [int(line.split()[1]) for line in told if line.startswith("sleep ")]
    assert len(waits) == tries - 1
    assert all(most // 2 <= wait <= most for wait, most in zip(waits, (6, 12, 24, 48), strict=False))


def test_computers_that_were_refused_together_do_not_come_back_together(work: Path) -> None:
    waits = {shell(work, CALLS, "9", "0").stdout for _ in range(5)}

    assert len(waits) > 1
