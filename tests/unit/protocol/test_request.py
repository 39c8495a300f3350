"""The command and the connection from sshd are parsed, whatever they contain."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.host_key import UNREADABLE, HostKey
from backuppc_register.protocol.errors import BadUser, NoCommand, OsTypeUnknown, RegisterError
from backuppc_register.protocol.request import Connection, Request, connection, host_keys, parse

OSTYPES = ("linux", "mac", "windows")


def from_bytes(raw):
    """Return *raw* as the environment gives it to us."""
    return raw.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        ("mac:cmartin", Request("register", "mac", "cmartin")),
        ("linux:CMartin", Request("register", "linux", "CMartin")),
        ("windows:c.martin-2_x", Request("register", "windows", "c.martin-2_x")),
        ("check:mac:cmartin", Request("check", "mac", "cmartin")),
        ("verify:mac:cmartin", Request("verify", "mac", "cmartin")),
        ("mac:check", Request("register", "mac", "check")),
        ("mac:_", Request("register", "mac", "_")),
        ("mac:" + "a" * 64, Request("register", "mac", "a" * 64)),
    ],
)
def test_a_request_of_the_form_is_understood(command, request_):
    assert parse(command, OSTYPES) == request_


def test_no_command_is_told_as_such():
    with pytest.raises(NoCommand):
        parse("", OSTYPES)


@pytest.mark.parametrize(
    "command",
    [
        " ",
        "\n",
        "mac",
        ":",
        "::",
        ":::",
        ":cmartin",
        "::cmartin",
        ":mac:cmartin",
        "mac cmartin",
        "mac::cmartin",
        "mac:cmartin:",
        "mac:cmartin:x",
        "check:",
        "check:mac",
        "check::cmartin",
        "check:check:cmartin",
        "check:mac:cmartin:",
        "check:mac:cmartin:x",
        "register:mac:cmartin",
        "verify:",
        "verify:mac",
        "verify::cmartin",
        "verify:mac:cmartin:x",
        "Verify:mac:cmartin",
        "check:verify:cmartin",
        "retire:mac:cmartin",
        "Check:mac:cmartin",
        "CHECK:mac:cmartin",
        " check:mac:cmartin",
        "check :mac:cmartin",
        "Mac:cmartin",
        "MAC:cmartin",
        "ma\u212a:cmartin",
        "chec\u212a:mac:cmartin",
        " mac:cmartin",
        "mac :cmartin",
        "\nmac:cmartin",
        "bsd:cmartin",
        "ma:cmartin",
        "macs:cmartin",
        "(linux, mac):cmartin",
        "mac\uff1acmartin",
        "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "scp -t /etc",
        "rsync --server --sender -logDtpr . /",
        "$(id):cmartin",
        "sh -c 'mac:cmartin'",
    ],
)
def test_what_is_not_of_the_form_is_an_unknown_ostype(command):
    with pytest.raises(OsTypeUnknown):
        parse(command, OSTYPES)


@pytest.mark.parametrize(
    "logon",
    [
        "",
        " ",
        "c martin",
        " cmartin",
        "cmartin ",
        "cmartin\n",
        "cmartin\r",
        "cmartin\t",
        "\ncmartin",
        ".cmartin",
        "-cmartin",
        "-oProxyCommand=id",
        "*",
        "c*",
        "cmartin)(uid=*",
        "cmartin)(|(uid=*",
        "\\2a",
        "cmartin\\00",
        "../../etc/passwd",
        "c/martin",
        "$(id)",
        "`id`",
        "'; system('id'); '",
        'a"b',
        "a;b",
        "a|b",
        "a&b",
        "a#b",
        "a=b",
        "a,b",
        "a+b",
        "a@b",
        "a%b",
        "cmärtin",
        "cmartin\u0301",
        "\u212aim",
        "\u0441martin",
        "\uff43martin",
        "\u0663martin",
        "cmartin\u2028",
        "cmartin\xa0",
        "cmartin\u200b",
        "\ufeffcmartin",
        "\x7f",
        "\x1b[31m",
        "a" * 65,
    ],
)
@pytest.mark.parametrize("form", ["mac:{}", "check:mac:{}", "verify:mac:{}"])
def test_an_impossible_logon_is_a_bad_user_told_as_it_was_asked(form, logon):
    with pytest.raises(BadUser) as raised:
        parse(form.replace("{}", logon), OSTYPES)

    assert raised.value.message() == f"bad user request : {logon}"
    assert raised.value.values == {"logon": logon, "os": "mac"}


@pytest.mark.parametrize("command", ["Mac:c martin", "bsd:", "retire:mac:*", "x:y:z:*"])
def test_the_form_is_judged_before_the_logon(command):
    with pytest.raises(OsTypeUnknown):
        parse(command, OSTYPES)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (b"mac:" + b"a" * 252, BadUser),
        (b"mac:" + b"a" * 253, OsTypeUnknown),
        (b"mac:" + "é".encode() * 126, BadUser),
        (b"mac:" + "é".encode() * 126 + b"a", OsTypeUnknown),
        (b"mac:" + b"\xff" * 252, BadUser),
        (b"mac:" + b"\xff" * 253, OsTypeUnknown),
        (b"mac:" + b"a" * 65536, OsTypeUnknown),
        (b"mac:cmartin" + b" " * 65536, OsTypeUnknown),
        (b":" * 65536, OsTypeUnknown),
    ],
)
def test_the_length_is_that_of_the_bytes_and_256_are_the_most(command, error):
    with pytest.raises(error):
        parse(from_bytes(command), OSTYPES)


def test_a_command_that_is_too_long_is_not_quoted():
    with pytest.raises(OsTypeUnknown) as raised:
        parse("mac:" + "a" * 65536, OSTYPES)

    assert len(raised.value.detail) < 100


def test_the_words_are_the_ones_of_the_configuration():
    assert parse("bsd:cmartin", ("bsd",)).os == "bsd"
    with pytest.raises(OsTypeUnknown):
        parse("mac:cmartin", ("bsd",))


FORMS = st.builds(
    b":".join,
    st.lists(
        st.sampled_from([b"mac", b"check", b"verify", b"cmartin", b"", b"Mac"]) | st.binary(max_size=8),
        min_size=1,
        max_size=4,
    ),
)


@given(st.binary(max_size=300) | FORMS)
def test_any_bytes_are_a_request_or_an_error_of_ours(raw):
    command = from_bytes(raw)
    try:
        understood = parse(command, OSTYPES)
    except RegisterError as error:
        assert isinstance(error, NoCommand | OsTypeUnknown | BadUser)
        return

    told = [understood.os, understood.logon]
    if understood.verb != "register":
        told.insert(0, understood.verb)
    assert ":".join(told) == command
    assert understood.os in OSTYPES
    assert understood.logon.isascii()


# what a machine says of itself

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"
ED25519 = HostKey("ssh-ed25519", KEY)


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        ("", ()),
        (".\n", ()),
        ("\n\r\n", ()),
        (f"hostkey:ssh-ed25519 {KEY}\n", (ED25519,)),
        (f"hostkey: ssh-ed25519 {KEY} root@dormeur\r\n\n", (ED25519,)),
        (f"hostkey:ssh-ed25519 {KEY}", (ED25519,)),
        (f"hostkey:ssh-ed25519 {KEY}\n.\nhostkey:ssh-rsa {KEY}\n", (ED25519,)),
        (f"hostkey:ssh-ed25519 {KEY}\nhostkey:nonsense\n", (ED25519, UNREADABLE)),
    ],
)
def test_the_host_keys_are_the_lines_up_to_a_dot(said, keys):
    assert host_keys(said.encode()) == keys


@pytest.mark.parametrize(
    "line",
    [
        f"ssh-ed25519 {KEY}",
        f"HOSTKEY:ssh-ed25519 {KEY}",
        f" hostkey :ssh-ed25519 {KEY}",
        "hostkey:",
        "hostkey:ssh-ed25519",
        f"hostkey:ssh-rsa {KEY}",
        f"hostkey:ssh-ed25519 {KEY[:-1]}",
        f"hostkey:ssh-ed25519 {KEY[:20]}",
        f"hostkey:ssh-ed25519 {KEY}=",
        f"hostkey:ssh-ed25519 {KEY[:8]} {KEY[8:]}",
        f"hostkey:dormeur ssh-ed25519 {KEY}",
        "hostkey:\u212ah",
        "success",
        "x" * 16384,
        "\0",
        "..",
    ],
)
def test_a_line_that_is_not_of_the_form_is_a_key_that_no_machine_has(line):
    assert host_keys(f"{line}\n".encode()) == (UNREADABLE,)


@given(st.binary(max_size=300))
def test_any_bytes_become_well_formed_keys_or_unreadable(said):
    for key in host_keys(said):
        assert key == UNREADABLE or str(key).isascii()


# who asks


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("82.254.212.144 49631 134.158.240.3 22", "82.254.212.144"),
        ("2001:660:7202::9 49631 2001:660:7202::3 22", "2001:660:7202::9"),
        ("2001:660:7202:0:0:0:0:9 1 ::1 22", "2001:660:7202::9"),
        ("::ffff:82.254.212.144 49631 ::ffff:134.158.240.3 22", "82.254.212.144"),
        ("::ffff:52fe:d490 49631 134.158.240.3 22", "82.254.212.144"),
        ("fe80::1%eth0 49631 fe80::2%eth0 22", "fe80::1%eth0"),
        ("fe80::1%enp0s31f6.5 49631 fe80::2%br-lan_1 22", "fe80::1%enp0s31f6.5"),
        ("fe80::1%wl+p0 1 fe80::2%eth0 22", "fe80::1%wl+p0"),
        ("fe80::1%[<{$(id)}>]'\"^~!# 1 fe80::2%eth0 22", "fe80::1%[<{$(id)}>]'\"^~!#"),
        ("127.0.0.1 65535 127.0.0.1 1", "127.0.0.1"),
    ],
)
def test_the_peer_is_the_first_of_four_fields(text, peer):
    assert connection(text) == Connection(text, ipaddress.ip_address(peer))


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("10.0.0.7 50022 10.0.0.7 22", True),
        ("::ffff:10.0.0.7 50022 10.0.0.7 22", True),
        ("127.0.0.1 50022 127.0.1.1 22", True),
        ("2001:db8::7 1 2001:db8::7 22", True),
        ("10.0.0.8 50022 10.0.0.7 22", False),
        ("2001:db8::8 1 2001:db8::7 22", False),
    ],
)
def test_whether_the_server_asks_itself(text, own):
    found = connection(text)

    assert found is not None
    assert found.own is own


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "UNKNOWN 65535 UNKNOWN 65535",
        "UNKNOWN",
        "82.254.212.144",
        "82.254.212.144 49631 22",
        "82.254.212.144 49631 134.158.240.3",
        "82.254.212.144 49631 134.158.240.3 22 ",
        "82.254.212.144 49631 134.158.240.3 22 x",
        " 82.254.212.144 49631 134.158.240.3 22",
        "82.254.212.144  49631 134.158.240.3 22",
        "82.254.212.144\t49631\t134.158.240.3\t22",
        "82.254.212.144 49631 134.158.240.3 22\n",
        "82.254.212.144 49631 134.158.240.3\n22",
        "82.254.212.144 49631 134.158.240.3 22\nsuccess",
        "82.254.212 49631 134.158.240.3 22",
        "082.254.212.144 49631 134.158.240.3 22",
        "256.254.212.144 49631 134.158.240.3 22",
        "0x52.254.212.144 49631 134.158.240.3 22",
        "1392432272 49631 134.158.240.3 22",
        "dormeur 49631 dugong 22",
        "82.254.212.144/8 49631 134.158.240.3 22",
        "[::1] 49631 ::1 22",
        "fe80::1% 49631 fe80::2 22",
        "fe80::1%a=b 49631 fe80::2 22",
        "fe80::1%é 49631 fe80::2 22",
        "fe80::1%\\x0a 49631 fe80::2 22",
        "fe80::1%a\nsuccess 49631 fe80::2 22",
        "fe80::1%a\x7f 49631 fe80::2 22",
        "fe80::1%a/b 49631 fe80::2 22",
        "fe80::1%a%b 49631 fe80::2 22",
        "fe80::1 49631% fe80::2 22",
        "fe80::1_ 49631 fe80::2 22",
        "82.254.212.144%eth0 49631 134.158.240.3 22",
        "82.254.212.144 x 134.158.240.3 22",
        "82.254.212.144 -1 134.158.240.3 22",
        "82.254.212.144 496310 134.158.240.3 22",
        "82.254.212.144 49631 134.158.240.3 ٢٢",
        "82.254.212.144 49631 dugong 22",
        "82.254.212.144 49631 UNKNOWN 22",
    ],
)
def test_what_sshd_would_not_say_is_no_connection(text):
    assert connection(text) is None


@given(st.binary(max_size=80) | st.text(alphabet="0123456789abcdef:.% \n", max_size=60).map(str.encode))
def test_any_bytes_are_a_connection_or_none(raw):
    made = connection(from_bytes(raw))

    if made is not None:
        assert made.text.encode("ascii") == raw
        assert made.text.isprintable()


@given(st.ip_addresses(), st.ip_addresses(), st.integers(1, 65535))
def test_every_address_is_understood(peer, server, port):
    made = connection(f"{peer} {port} {server} 22")

    assert made is not None
    assert made.peer in (peer, getattr(peer, "ipv4_mapped", None))
