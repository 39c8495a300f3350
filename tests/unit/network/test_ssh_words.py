"""What `ssh -v` said is read: how far it got, and why no further."""

import pytest

from backuppc_register.network import ssh_words
from backuppc_register.protocol.unreachable import Cause

CONNECTING = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19\ndebug1: Connecting to 10.0.0.7 [10.0.0.7] port 22.\n"
CONNECTED = f"{CONNECTING}debug1: Connection established.\n"
GREETED = f"{CONNECTED}debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2\n"
AGREED = f"{GREETED}debug1: Authenticating to 10.0.0.7:22 as 'bckpciuem'\ndebug1: SSH2_MSG_NEWKEYS sent\n"
LOGGED_IN = f'{AGREED}Authenticated to 10.0.0.7 ([10.0.0.7]:22) using "publickey".\n'
CLOSED = "kex_exchange_identification: Connection closed by remote host\n"
RESET = "kex_exchange_identification: read: Connection reset by peer\n"
LINE = "debug1: kex_exchange_identification: banner line 0: "

SAID = [
    ("command-line: line 0: Bad configuration option: nonsense\n", Cause.ELSEWHERE),
    ("", Cause.ELSEWHERE),
    (f"{CONNECTING}ssh: connect to host 10.0.0.7 port 22: Connection refused\n", Cause.REFUSED),
    (f"{CONNECTING}ssh: connect to host 10.0.0.7 port 22: Connection timed out\n", Cause.FIREWALL),
    (f"{CONNECTING}ssh: connect to host 10.0.0.7 port 22: No route to host\n", Cause.FIREWALL),
    (f"{CONNECTING}ssh: connect to host fd77::7 port 22: Permission denied\n", Cause.FIREWALL),
    (f"{CONNECTING}ssh: connect to host 10.0.0.7 port 22: Connection reset by peer\n", Cause.HUNG_UP),
    (CONNECTING, Cause.FIREWALL),
    (f"{CONNECTED}{CLOSED}", Cause.HUNG_UP),
    (f"{CONNECTED}{RESET}", Cause.HUNG_UP),
    (f"{CONNECTED}{LINE}Exceeded MaxStartups\n{CLOSED}", Cause.HUNG_UP),
    (f"{CONNECTED}{LINE}Not allowed at this time\n{CLOSED}", Cause.HUNG_UP),
    (f"{CONNECTED}{LINE}HTTP/1.1 400 Bad Request\n{CLOSED}", Cause.NOT_SSH),
    (f"{CONNECTED}kex_exchange_identification: banner line too long\n", Cause.NOT_SSH),
    (f"{CONNECTED}Connection timed out during banner exchange\n", Cause.NOT_SSH),
    (CONNECTED, Cause.NOT_SSH),
    (GREETED, Cause.NEGOTIATION),
    (f"{GREETED}Unable to negotiate with 10.0.0.7 port 22: no matching cipher found.\n", Cause.NEGOTIATION),
    (f"{AGREED}bckpciuem@10.0.0.7: Permission denied (publickey).\n", Cause.LOGIN),
    (f"{AGREED}Connection closed by 10.0.0.7 port 22\n", Cause.LOGIN),
    (f"{LOGGED_IN}channel 0: open failed: administratively prohibited: open failed\n", Cause.WRAPPER),
]


@pytest.mark.parametrize(("said", "cause"), SAID)
def test_the_step_that_ssh_did_not_get_through_is_found(said, cause):
    assert ssh_words.cause(said) is cause


@pytest.mark.parametrize("said", ["", AGREED, LOGGED_IN])
def test_what_is_late_before_ssh_has_begun_or_after_the_host_key_is_silent(said):
    assert ssh_words.cause(said, late=True) is Cause.SILENT


@pytest.mark.parametrize(
    ("software", "word"),
    [
        ("OpenSSH_9.2p1 Debian-2", ""),
        ("dropbear_2022.83", "--no-from"),
        ("dropbear", "--no-from"),
        ("tinyssh_20230101 mVfjSGdB", "one command"),
        ("tinysshd", "one command"),
        ("TinySSH", "one command"),
        ("dropbearish", ""),
        ("", ""),
    ],
)
def test_a_server_that_cannot_take_our_key_line_has_an_advice_of_its_own(software, word):
    said = f"{CONNECTED}debug1: Remote protocol version 2.0, remote software version {software}\n"

    advice = ssh_words.advice(said)

    assert (word in advice) if word else not advice
    assert ssh_words.server(said).name == software.partition(" ")[0]


def test_a_session_that_is_not_opened_has_an_advice():
    said = f"{LOGGED_IN}channel 0: open failed: administratively prohibited: open failed\n"

    assert "MaxSessions" in ssh_words.advice(said)


def test_of_what_was_said_the_report_of_ssh_is_left_out():
    said = f"{LOGGED_IN}debug1: Remote: keys:1: key options: command\nsudo: no\ndebug1: Exit status 1\n"

    assert ssh_words.others(said) == "sudo: no"
    assert ssh_words.complaints(said) == "keys:1: key options: command; sudo: no"


def test_the_last_step_of_ssh_is_told():
    assert ssh_words.last_step(LOGGED_IN) == "SSH2_MSG_NEWKEYS sent"
    assert ssh_words.last_step("") == "it was started"


def test_a_word_of_the_command_without_a_line_end_does_not_hide_in_the_report():
    assert ssh_words.others("ohdebug1: channel 0: free\nno") == "oh\nno"


def test_a_long_complaint_is_cut_to_its_end():
    complaint = ssh_words.complaints("x" * 5000 + " the end")

    assert complaint.endswith("the end")
    assert len(complaint) < 1000


def test_the_account_is_the_one_that_ssh_named():
    assert ssh_words.account(AGREED) == "bckpciuem"
    assert ssh_words.account(GREETED) == "the account"


def test_lines_that_end_as_on_a_terminal_are_lines():
    assert ssh_words.decoded(b"a\r\nb\xff\r\n") == "a\nb�\n"


USED = "debug1: Server accepts key: /var/lib/backuppc-register/hosts/dormeur/{} ED25519 SHA256:x explicit\n"
ACCEPTED = f"{AGREED}{USED.format('key')}{LOGGED_IN.removeprefix(AGREED)}"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (ACCEPTED, "key"),
        (ACCEPTED.replace("/key ", "/fresh_key "), "fresh_key"),
        (f"{ACCEPTED}{USED.format('later')}", "key"),  # a command's own words
        (f"{AGREED}{USED.format('key')}Connection closed by 10.0.0.7 port 22\n", ""),
        (LOGGED_IN, ""),
        (f"{AGREED}debug1: Remote: {USED.format('remote')}{LOGGED_IN.removeprefix(AGREED)}", ""),
    ],
)
def test_the_key_that_let_ssh_in_is_read(said: str, name: str) -> None:
    assert ssh_words.accepted_key(said).rpartition("/")[2] == name
