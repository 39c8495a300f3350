"""The configuration is read and checked, and all its problems are reported at once."""

import re
import tomllib
import traceback
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast

import pytest
from checkout import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from backuppc_register import config
from backuppc_register.config.directory_kinds import KINDS
from backuppc_register.protocol.errors import Misconfigured

REFERENCE = CHECKOUT / "docs" / "configuration.md"
SECTIONS = [field.name for field in fields(config.Config)]

# The example of the design, to the letter: these names are fixed.
EXAMPLE = """
[server]
url = "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}"
os = ["linux", "mac", "windows"]
from = ["134.158.240.3"]            # optional: where backups come from

[directory]
servers = ["ldaps://ldap1.univ-brest.fr", "ldap://ldap2.univ-brest.fr:3890"]   # tried in this order
base = "ou=people,dc=univ-brest,dc=fr"
filter = "(uid={logon})"            # optional; {logon} is escaped
logon_attribute = "uid"             # optional
name_attribute = "cn"               # optional: told as `person:`; empty = not told
bind_dn = ""                        # optional; empty = anonymous
bind_password_file = ""             # optional; must not be readable by others
start_tls = false                   # optional
ca_file = ""                        # optional
timeout = 5                         # seconds, optional

[dns]
domains = ["univ-brest.fr"]
nameservers = ["127.0.0.1"]         # optional; default: the system's
port = 53                           # optional
timeout = 5                         # seconds, optional
networks = []                       # optional: only peers inside these
refuse = []                         # optional: patterns of names that are no machine's own
host_name = "short"                 # optional: "short" or "full"

[backuppc]
hosts = "/etc/backuppc/hosts"
config_dir = "/etc/backuppc"
data_dir = "/var/lib/backuppc"                  # optional: BackupPC's TopDir
socket = "/run/backuppc/BackupPC.sock"          # optional; empty = do not tell BackupPC
templates = "/etc/backuppc-register/templates"  # optional: a site's own OS.pl, instead of ours

[state]
directory = "/var/lib/backuppc-register"

[limits]
per_address = 30                    # requests a minute from one address, optional; 0 = no limit
at_once = 40                        # requests in work at one time, optional

[syslog]
facility = "local3"                 # optional
socket = "/dev/log"                 # optional
"""

REQUIRED = {
    "server": ["url"],
    "directory": ["servers", "base"],
    "dns": ["domains"],
    "backuppc": ["hosts", "config_dir"],
    "state": ["directory"],
}


def example(**changes):
    """Return the example as a document; a change is section__key=value, or section=table."""
    document = tomllib.loads(EXAMPLE)
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            document[section][key] = value
        else:
            document[section] = value
    return document


def problems(document):
    """Return what is wrong with *document*, one text per problem, nothing where it is right."""
    try:
        config.check(document)
    except Misconfigured as error:
        return error.detail.split("; ")
    return []


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret-Pässword\n", "utf-8")
    path.chmod(0o640)
    return path


def with_bind(path, **changes):
    bind = {"directory__bind_dn": "cn=reader,dc=fr", "directory__bind_password_file": str(path)}
    return example(**(bind | {"directory__servers": ["ldaps://ldap1.univ-brest.fr"]} | changes))


# what it holds


def test_the_example_of_the_design_is_valid():
    read = config.check(example())

    assert read.server.url == "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}"
    assert read.server.sources == ("134.158.240.3",)
    assert read.directory.servers == ("ldaps://ldap1.univ-brest.fr", "ldap://ldap2.univ-brest.fr:3890")
    assert read.dns.nameservers == ("127.0.0.1",)
    assert read.backuppc.hosts == Path("/etc/backuppc/hosts")
    assert read.state.directory == Path("/var/lib/backuppc-register")
    assert read.limits.per_address == 30
    assert read.syslog == config.Syslog("local3", "/dev/log")


def test_what_is_optional_in_the_design_has_the_defaults_of_the_design():
    whole = example()
    shortest = {section: {key: whole[section][key] for key in keys} for section, keys in REQUIRED.items()}

    read = config.check(shortest)

    assert read.server == config.Server(whole["server"]["url"], ("linux", "mac", "windows"), ())
    for name in SECTIONS[1:]:
        told = {key: tuple(v) if isinstance(v, list) else v for key, v in whole.get(name, {}).items()}
        told |= {"nameservers": ()} if name == "dns" else {}
        given = {key: getattr(getattr(read, name), key) for key in told}
        assert {key: str(v) if isinstance(v, Path) else v for key, v in given.items()} == told


def test_nothing_of_it_can_be_changed():
    read = config.check(example())

    for section in SECTIONS:
        for field in fields(getattr(read, section)):
            with pytest.raises(AttributeError):
                setattr(getattr(read, section), field.name, "x")


# what is wrong with it


@pytest.mark.parametrize(("section", "key"), [(s, key) for s, keys in REQUIRED.items() for key in keys])
def test_a_missing_key_is_named(section, key):
    document = example()
    del document[section][key]

    assert problems(document) == [f"[{section}] {key}: is missing"]


@pytest.mark.parametrize("section", REQUIRED)
def test_a_missing_section_is_told_key_by_key(section):
    document = example()
    del document[section]

    assert problems(document) == [f"[{section}] {key}: is missing" for key in REQUIRED[section]]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("key", ["spare", "timeuot", "password", "sources", ""])
def test_an_unknown_key_is_named_and_its_value_is_not(section, key):
    document = example()
    document[section][key] = "hush"

    assert problems(document) == [f"[{section}] {key}: is not a known key"]


@pytest.mark.parametrize("value", [{}, {"key": 1}, "text", 5, []])
def test_an_unknown_section_is_named(value):
    assert problems(example(sever=value)) == ["[sever] is not a known section"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["text", 5, True, [], [{"url": "x"}]])
def test_what_is_no_section_is_named(section, value):
    assert problems(example(**{section: value})) == [f"[{section}] is not a section"]


WRONG_TYPES = {
    "text": [5, 5.5, True, ["a"], {"a": "b"}],
    "list of texts": ["univ-brest.fr", 5, False, ["a", 5], [["a"]], {"a": "b"}],
    "number": ["5", 5.0, True, False, [5], {}],
    "switch": ["true", 1, 0, [True], {}],
}
EVERY_KEY = [
    (section, key, kind)
    for section, kinds in {
        "server": {"text": ["url"], "list of texts": ["os", "from"], "switch": ["lower_case_logons"]},
        "directory": {
            "text": [
                "base",
                "kind",
                "filter",
                "logon_attribute",
                "name_attribute",
                "ca_file",
                "bind_dn",
                "bind_password_file",
            ],
            "list of texts": ["servers"],
            "switch": ["start_tls"],
            "number": ["timeout"],
        },
        "dns": {
            "list of texts": ["domains", "nameservers", "networks", "refuse"],
            "number": ["port", "timeout"],
            "text": ["host_name"],
        },
        "backuppc": {"text": ["hosts", "config_dir", "data_dir", "socket", "templates", "install_dir"]},
        "state": {"text": ["directory"]},
        "limits": {
            "number": ["per_address", "at_once", "hosts_per_person", "unverified_days", "longest_pause_days"]
        },
        "syslog": {"text": ["facility", "socket"]},
    }.items()
    for kind, keys in kinds.items()
    for key in keys
]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [(section, key, value) for section, key, kind in EVERY_KEY for value in WRONG_TYPES[kind]],
)
def test_a_value_of_the_wrong_type_is_named(section, key, value):
    (problem,) = problems(example(**{f"{section}__{key}": value}))

    assert re.fullmatch(
        rf"\[{section}\] {key}: is not (a text|a list of texts|a whole number|true or false)", problem
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server__url", ""),
        ("server__url", "https://dugong.univ-brest.fr/"),
        ("server__url", "dugong.univ-brest.fr?host={host}"),
        ("server__url", "ftp://dugong/{host}"),
        ("server__url", "https:///?host={host}"),
        ("server__url", "https://dugong/ {host}"),
        ("server__url", "https://dugong/{host}\nkey: x"),
        ("server__url", "https://dugong/é{host}"),
        ("server__url", "https://dugong/\\{host}"),
        ("server__url", "https://[dugong/{host}"),
        ("server__os", []),
        ("server__os", ["Linux"]),
        ("server__os", ["linux", ""]),
        ("server__os", ["mac:x"]),
        ("server__os", ["../x"]),
        ("server__os", ["mac os"]),
        ("server__os", ["mac\n"]),
        ("server__from", ["dugong.univ-brest.fr"]),
        ("server__from", ["134.158.240.3,1.2.3.4"]),
        ("server__from", ["134.158.240.3/24"]),
        ("server__from", ["134.158.240.0/255.255.255.0"]),
        ("server__from", ["fe80::1%eth0"]),
        ("server__from", ['fe80::1%",command="x']),
        ("server__from", ["134.158.240.3\n"]),
        ("server__from", [""]),
        ("directory__servers", []),
        ("directory__servers", [""]),
        ("directory__servers", ["ldap1.univ-brest.fr"]),
        ("directory__servers", ["http://ldap1.univ-brest.fr"]),
        ("directory__servers", ["ldapi:///"]),
        ("directory__servers", ["ldap://"]),
        ("directory__servers", ["ldap://:389"]),
        ("directory__servers", ["ldap://ldap1:0"]),
        ("directory__servers", ["ldap://ldap1:65536"]),
        ("directory__servers", ["ldap://ldap1:x"]),
        ("directory__servers", ["ldap://ldap1/dc=fr"]),
        ("directory__servers", ["ldap://ldap1?x"]),
        ("directory__servers", ["ldap://me:secret@ldap1"]),
        ("directory__servers", ["ldap://[::1"]),
        ("directory__servers", [" ldap://ldap1"]),
        ("directory__servers", ["LDAP://ldap1"]),
        ("directory__servers", ["ldap://ldap1\n"]),
        ("directory__servers", ["ldap://ld\tap1"]),
        ("directory__base", ""),
        ("directory__base", "  "),
        ("directory__filter", ""),
        ("directory__filter", "(uid=cmartin)"),
        ("directory__filter", "uid={logon}"),
        ("directory__filter", "(uid={logon}"),
        ("directory__filter", "(uid={logon})(mail=*)"),
        ("directory__filter", ")uid={logon}("),
        ("directory__filter", "(uid={logon}) "),
        ("directory__logon_attribute", ""),
        ("directory__logon_attribute", "uid)(cn"),
        ("directory__logon_attribute", "uid\n"),
        ("directory__name_attribute", "c n"),
        ("directory__bind_password_file", "password"),
        ("directory__ca_file", "ca.pem"),
        ("directory__ca_file", "/nowhere/ca.pem"),
        ("directory__timeout", 0),
        ("directory__timeout", -1),
        ("directory__timeout", 61),
        ("dns__domains", []),
        ("dns__domains", [""]),
        ("dns__domains", ["fr"]),
        ("dns__domains", [".univ-brest.fr"]),
        ("dns__domains", ["univ-brest.fr."]),
        ("dns__domains", ["univ_brest.fr"]),
        ("dns__domains", ["-univ.fr"]),
        ("dns__domains", ["univ-brest.fr\n"]),
        ("dns__domains", ["univ-brést.fr"]),
        ("dns__domains", ["\u212aiel.fr"]),
        ("dns__nameservers", ["localhost"]),
        ("dns__nameservers", ["127.0.0.1:53"]),
        ("dns__nameservers", ["fe80::1%a b"]),
        ("dns__port", 0),
        ("dns__port", 65536),
        ("dns__timeout", 0),
        ("dns__timeout", 61),
        ("dns__networks", ["10.0.0.1/8"]),
        ("dns__networks", ["10.0.0.0/33"]),
        ("dns__networks", ["10.*"]),
        ("dns__refuse", [""]),
        ("dns__refuse", ["dhcp_*"]),
        ("dns__refuse", ["[a-z]*"]),
        ("dns__host_name", ""),
        ("dns__host_name", "Short"),
        ("backuppc__hosts", ""),
        ("backuppc__hosts", "hosts"),
        ("backuppc__hosts", "/"),
        ("backuppc__hosts", "/etc/backuppc/hosts\n"),
        ("backuppc__config_dir", "etc"),
        ("backuppc__config_dir", "/etc/\x00"),
        ("backuppc__data_dir", ""),
        ("backuppc__socket", "BackupPC.sock"),
        ("backuppc__templates", ""),
        ("state__directory", ""),
        ("state__directory", "state"),
        ("state__directory", "/var/lib/our state"),
        ("state__directory", "/var/lib/../register"),
        ("state__directory", "/var/lib/register/"),
        ("state__directory", "/var/lib/$client"),
        ("state__directory", "/var/lib/%h"),
        ("limits__per_address", -1),
        ("limits__at_once", -1),
        ("limits__hosts_per_person", -1),
        ("syslog__facility", ""),
        ("syslog__facility", "local8"),
        ("syslog__facility", "LOCAL3"),
        ("syslog__socket", ""),
        ("syslog__socket", "log"),
    ],
)
def test_a_value_that_cannot_be_is_named(name, value):
    (problem,) = problems(example(**{name: value}))[:1]

    section, _, key = name.partition("__")
    assert problem.startswith(f"[{section}] {key}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server__url", "http://localhost:8080/{host}"),
        ("server__url", "https://[::1]/{host}/%20~"),
        ("server__os", ["linux", "mac-m1", "bsd_13"]),
        ("server__from", ["134.158.240.3", "2001:660:7202::3", "10.0.0.0/8"]),
        ("directory__servers", ["ldap://ldap1", "ldaps://[2001:db8::1]:636", "ldap://127.0.0.1:3890/"]),
        ("directory__filter", "(&(objectClass=person)(|(uid={logon})(mail={logon}@*)))"),
        ("directory__name_attribute", ""),
        ("directory__timeout", 60),
        ("dns__domains", ["univ-brest.fr", "IUEM.univ-brest.fr", "9.example"]),
        ("dns__nameservers", ["::1", "fe80::1%eth0.5", "10.0.0.1"]),
        ("dns__networks", ["10.0.0.1", "2001:660::/32"]),
        ("dns__refuse", ["dhcp-*", "wifi-??", "*.lab.univ-brest.fr"]),
        ("dns__host_name", "full"),
        ("backuppc__hosts", "/etc/backup pc/hôtes"),
        ("backuppc__socket", ""),
        ("limits__per_address", 0),
        ("limits__at_once", 0),
        ("limits__hosts_per_person", 3),
        ("syslog__facility", "authpriv"),
    ],
)
def test_a_value_that_can_be_is_taken(name, value):
    assert problems(example(**{name: value})) == []


def test_all_problems_are_told_at_once_each_with_section_and_key(password_file):
    password_file.chmod(0o644)
    document = with_bind(
        password_file,
        directory__servers=["ldap://ldap1.univ-brest.fr"],
        directory__timeout=0,
        dns__domains="univ-brest.fr",
        spare={},
        backuppc={"hosts": "hosts", "topdir": "/x"},
        syslog=3,
    )
    del document["server"]["url"]

    assert sorted(problem.partition(": ")[0] for problem in problems(document)) == sorted(
        [
            "[spare] is not a known section",
            "[server] url",
            "[directory] timeout",
            "[directory] servers",
            "[directory] bind_password_file",
            "[dns] domains",
            "[backuppc] topdir",
            "[backuppc] hosts",
            "[backuppc] config_dir",
            "[syslog] is not a section",
        ]
    )


# the secret


def test_the_password_is_read_without_its_last_newline(password_file):
    read = config.check(with_bind(password_file))

    assert read.directory.password.reveal() == "s3cret-Pässword"


def test_a_newline_before_the_last_one_belongs_to_the_password(password_file):
    password_file.write_text("a\n\n")

    assert config.check(with_bind(password_file)).directory.password.reveal() == "a\n"


def test_no_text_of_the_configuration_shows_the_password(password_file):
    read = config.check(with_bind(password_file))

    for shown in (repr(read), str(read), f"{read}", repr(read.directory), str(read.directory.password)):
        assert "s3cret" not in shown
    assert "Secret(...)" in repr(read)


@pytest.mark.parametrize("mode", [0o644, 0o642, 0o641, 0o604, 0o666, 0o777])
def test_a_password_file_that_is_open_to_everybody_is_told_without_its_content(password_file, mode):
    password_file.chmod(mode)

    (problem,) = problems(with_bind(password_file))

    assert (
        problem
        == f"[directory] bind_password_file: {str(password_file)!r} is accessible to others (chmod o=)"
    )


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_owner_and_group_may_read_the_password_file(password_file, mode):
    password_file.chmod(mode)

    assert problems(with_bind(password_file)) == []


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_password_would_bind_anonymously_and_is_reported(password_file, content):
    password_file.write_bytes(content)

    (problem,) = problems(with_bind(password_file))

    assert problem.endswith("is empty")


def test_a_password_that_is_not_utf8_is_told_without_a_byte_of_it(password_file):
    password_file.write_bytes(b"s3cret-P\xe9ssword\n")

    with pytest.raises(Misconfigured) as raised:
        config.check(with_bind(password_file))

    shown = "".join(traceback.format_exception(raised.value))
    assert "is not UTF-8" in shown
    assert "s3cret" not in shown
    assert "xe9" not in shown


def test_the_password_written_where_its_files_name_belongs_is_not_quoted():
    (first, *_) = problems(with_bind("s3cret"))

    assert first == "[directory] bind_password_file: is not an absolute path"


def test_no_traceback_of_a_wrong_configuration_shows_the_password(password_file):
    with pytest.raises(Misconfigured) as raised:
        config.check(with_bind(password_file, dns__port=0))

    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert "s3cret" not in "".join(shown.format())
    assert "s3cret" not in repr(raised.value)


@pytest.mark.parametrize("place", ["missing", "."])
def test_a_password_file_that_cannot_be_read_is_told(tmp_path, place):
    tmp_path.chmod(0o700)

    (problem,) = problems(with_bind(tmp_path / place))

    assert re.search(r": (No such file or directory|Is a directory)$", problem)


@pytest.mark.parametrize(
    ("bind_dn", "name"), [("cn=reader,dc=fr", None), ("", "password")], ids=["no password", "no name"]
)
def test_a_name_without_a_password_or_a_password_without_a_name_is_told(password_file, bind_dn, name):
    document = with_bind(password_file if name else "", directory__bind_dn=bind_dn)

    assert problems(document) == ["[directory] bind_dn and bind_password_file: set both or neither"]


@pytest.mark.parametrize(
    "server",
    [
        "ldap://ldap1.univ-brest.fr",
        "ldap://10.0.0.1:389",
        "ldap://[2001:db8::1]",
        "ldap://localhost.univ-brest.fr",
        "ldap://127.0.0.1.univ-brest.fr",
        "ldap://0.0.0.0",
    ],
)
def test_a_bind_password_does_not_go_over_the_network_in_clear(password_file, server):
    (problem,) = problems(with_bind(password_file, directory__servers=["ldaps://ldap1", server]))

    assert problem == f"[directory] servers: {server!r} would get the bind password without TLS"


@pytest.mark.parametrize("server", ["LDAP://ldap1", "Ldap://ldap1", " ldap://ldap1", "ld\nap://ldap1"])
def test_no_odd_spelling_of_a_url_passes_for_an_encrypted_one(password_file, server):
    assert problems(with_bind(password_file, directory__servers=[server]))


@pytest.mark.parametrize(
    "server", ["ldap://localhost", "ldap://127.0.0.1:3890", "ldap://127.9.9.9", "ldap://[::1]"]
)
def test_a_bind_password_may_go_to_this_machine_itself_in_clear(password_file, server):
    assert problems(with_bind(password_file, directory__servers=[server])) == []


def test_a_bind_password_may_go_where_starttls_is_asked_for(password_file):
    document = with_bind(password_file, directory__servers=["ldap://ldap1"], directory__start_tls=True)

    assert problems(document) == []


def test_an_anonymous_bind_needs_no_tls():
    assert problems(example(directory__servers=["ldap://ldap1.univ-brest.fr"])) == []


# the file


def write(folder, content):
    path = folder / "config.toml"
    path.write_bytes(content)
    return path


def test_the_example_is_read_from_its_file(tmp_path):
    assert config.read(write(tmp_path, EXAMPLE.encode())) == example()


@pytest.mark.parametrize(
    "content",
    [b"[server", b"[server]\n[server]\n", b"a = 1\na = 2", b"\xe9 = 1", b"\x00", b"a = " + b"[" * 100_000],
    ids=["cut", "twice", "key twice", "not UTF-8", "NUL", "deep"],
)
def test_a_file_that_is_no_toml_is_told_with_its_name(tmp_path, content):
    path = write(tmp_path, content)

    with pytest.raises(Misconfigured, match=re.escape(str(path))):
        config.read(path)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path, name):
    with pytest.raises(Misconfigured, match=re.escape(str(tmp_path / name))):
        config.read(tmp_path / name)


# what is asked of a document before it is known to be right


@pytest.mark.parametrize(
    "document", [{}, {"syslog": {}}, {"syslog": 5}, {"syslog": []}, {"syslog": {"spare": 1}}]
)
def test_where_the_configuration_cannot_say_how_to_log_the_default_serves(document):
    assert config.syslog(document) == config.Syslog("local3", "/dev/log")


def test_what_it_can_say_of_how_to_log_is_taken():
    told = {"syslog": {"facility": "local99", "socket": "/run/log"}}

    assert config.syslog(told) == config.Syslog("local3", "/run/log")


@pytest.mark.parametrize(
    "section",
    [None, 5, {}, {"config_dir": 5}, {"config_dir": ""}, {"config_dir": "etc"}, {"config_dir": "/\x00"}],
)
def test_where_the_folder_is_not_told_all_problems_are(section):
    document = example(backuppc=section, dns__port=0)

    with pytest.raises(Misconfigured) as raised:
        config.config_dir(document)

    assert "[backuppc]" in raised.value.detail
    assert "[dns] port: " in raised.value.detail


def test_the_folder_is_told_whatever_else_is_wrong():
    assert config.config_dir({"backuppc": {"config_dir": "/etc/backuppc"}, "x": 1}) == Path("/etc/backuppc")


# whatever the document


toml_values = st.recursive(
    st.one_of(
        st.text(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.booleans(),
        st.datetimes(),
        st.dates(),
        st.times(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)
near_values = st.sampled_from(
    [
        "https://[x/{host}",
        "ldap://[",
        "ldap://x:٣",
        "ldap://" + "x" * 300,
        "{logon}",
        "(" * 500 + "{logon}" + ")" * 500,
        "fe80::1%",
        "::/129",
        "/x",
        "/\x00",
        "/" + "x" * 10_000,
        "\u212a.fr",
        ["ldap://u:p@h"],
        ["::1%2"],
        10**30,
        -1,
    ]
)
a_section = st.one_of(
    toml_values,
    st.dictionaries(
        st.sampled_from(sorted({key for _, key, _ in EVERY_KEY})),
        toml_values | near_values | near_values.map(lambda v: [v]),
    ),
)
documents = st.dictionaries(st.sampled_from(SECTIONS) | st.text(), a_section)


@given(documents)
def test_any_document_is_a_configuration_or_misconfigured_and_nothing_else(document):
    whole = example()
    for section, table in document.items():
        merge = isinstance(table, dict) and isinstance(whole.get(section), dict)
        whole[section] = whole[section] | table if merge else table

    for tried in (document, whole):
        try:
            assert isinstance(config.check(tried), config.Config)
        except Misconfigured as error:
            assert error.detail
        assert isinstance(config.syslog(tried), config.Syslog)


@given(st.binary())
def test_any_file_is_a_document_or_misconfigured_and_nothing_else(tmp_path_factory, content):
    path = write(tmp_path_factory.getbasetemp(), content)

    try:
        assert isinstance(config.read(path), dict)
    except Misconfigured as error:
        assert error.detail.startswith(str(path))


# the reference


def described():
    """Return the keys of the reference: (section, key) to the default, as TOML has it."""
    keys = {}
    for section, text in re.findall(r"(?ms)^## \[(\w+)\]$(.*?)(?=^## |\Z)", REFERENCE.read_text("utf-8")):
        rows = re.findall(r"(?m)^\| `(\w+)` \| ([a-z ]+) \| (required|`[^`]*`) \| (.+) \|$", text)
        for key, kind, default, meaning in rows:
            assert meaning.endswith(".")
            keys[section, key] = (
                kind,
                None if default == "required" else tomllib.loads(f"x = {default.strip('`')}")["x"],
            )
    return keys


def test_the_reference_describes_every_key_with_its_type_and_default():
    known = {}
    types: dict[Any, str] = {
        str: "text",
        Path: "text",
        int: "number",
        bool: "switch",
        tuple[str, ...]: "list of texts",
    }
    for section in fields(config.Config):
        for field in fields(cast(Any, section.type)):
            if field.metadata.get("internal"):
                continue
            default = None if field.default is MISSING else field.default
            default = list(default) if isinstance(default, tuple) else default
            default = str(default) if isinstance(default, Path) else default
            known[section.name, field.metadata["name"] or field.name] = types[field.type], default

    assert described() == known


OWN = {"filter": "(|(uid={logon})(mail={logon}))", "logon_attribute": "mail", "name_attribute": ""}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_directory_brings_what_is_not_written_by_hand(kind):
    table = {"servers": ["ldaps://dc1.univ-brest.fr"], "base": "ou=staff,dc=univ-brest,dc=fr", "kind": kind}

    brought = config.check(example(directory=table)).directory
    own = config.check(example(directory=table | OWN)).directory

    wanted = KINDS[kind]
    assert problems(example(directory=table | {"filter": brought.filter})) == []
    assert (brought.filter, brought.logon_attribute, brought.name_attribute) == (
        wanted.filter, wanted.logon_attribute, wanted.name_attribute,
    )  # fmt: skip
    assert {word: getattr(own, word) for word in OWN} == OWN


@pytest.mark.parametrize(
    ("kind", "base", "searched"),
    [
        ("freeipa", "dc=univ-brest,dc=fr", "cn=users,cn=accounts,dc=univ-brest,dc=fr"),
        ("freeipa", " DC=univ-brest, DC = fr", "cn=users,cn=accounts, DC=univ-brest, DC = fr"),
        ("freeipa", "dc=fr", "cn=users,cn=accounts,dc=fr"),
        ("freeipa", "cn=users,cn=accounts,dc=univ-brest,dc=fr", "cn=users,cn=accounts,dc=univ-brest,dc=fr"),
        ("freeipa", "ou=people,dc=univ-brest,dc=fr", "ou=people,dc=univ-brest,dc=fr"),
        ("freeipa", "o=univ", "o=univ"),
        ("ad", "dc=ad,dc=univ-brest,dc=fr", "dc=ad,dc=univ-brest,dc=fr"),
        ("openldap", "dc=univ-brest,dc=fr", "dc=univ-brest,dc=fr"),
    ],
)
def test_the_persons_of_freeipa_are_in_one_branch_of_the_domain(kind, base, searched):
    assert config.check(example(directory__kind=kind, directory__base=base)).directory.base == searched


@pytest.mark.parametrize("kind", ["", "AD", "ldap", "389", 3, ["ad"]])
def test_another_kind_of_directory_is_a_problem(kind):
    assert [problem.partition(":")[0] for problem in problems(example(directory__kind=kind))] == [
        "[directory] kind"
    ]


def test_the_tables_of_this_file_know_every_key():
    assert {(section, key): kind for section, key, kind in EVERY_KEY} == {
        where: kind for where, (kind, _) in described().items()
    }


def test_the_shortest_configuration_of_the_reference_is_valid():
    text = REFERENCE.read_text("utf-8").partition("## The shortest one")[2].partition("\nAll that")[0]

    assert problems(tomllib.loads(text)) == []


def test_every_facility_of_the_reference_is_one_and_none_is_left_out():
    (told,) = re.findall(r"Syslog's facility: ([^.|]*)", REFERENCE.read_text("utf-8"))
    words = set(re.findall(r"`(\w+)`", told)) | {f"local{n}" for n in range(8)}

    assert words == set(config.FACILITIES)


@pytest.mark.parametrize(
    ("folder", "told", "expected"),
    [
        ("/etc/backuppc", None, "/run/backuppc/BackupPC.sock"),
        ("/etc/BackupPC", None, "/run/BackupPC/BackupPC.sock"),
        ("/srv/bpc", None, "/run/backuppc/BackupPC.sock"),
        ("/etc/BackupPC", "", ""),
        ("/etc/BackupPC", "/run/x.sock", "/run/x.sock"),
    ],
)
def test_the_socket_that_is_not_told_is_the_usual_one_of_the_configuration_folder(folder, told, expected):
    document = example(backuppc__config_dir=folder)
    del document["backuppc"]["socket"]
    if told is not None:
        document["backuppc"]["socket"] = told

    assert config.check(document).backuppc.socket == expected
