"""The other names of hosts, as their .pl files have them."""

import pytest

from backuppc_register.backuppc import client_names
from backuppc_register.protocol.errors import StateError


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"", ()),
        (b"$Conf{XferMethod} = 'rsync';\n1;\n", ()),
        (b"$Conf{ClientNameAlias} = 'a.univ-brest.fr';", ("a.univ-brest.fr",)),
        (b'$Conf{ClientNameAlias} = "10.0.0.9";', ("10.0.0.9",)),
        (b"$Conf{'ClientNameAlias'}='2001:db8::9';", ("2001:db8::9",)),
        (b"$Conf{ClientNameAlias} = [\n  'a',\n  'B.fr'\n];\n", ("a", "B.fr")),
        (b"$Conf{ClientNameAlias} = 'a';\n$Conf{ClientNameAlias} = 'b';", ("a", "b")),
        (b"# $Conf{ClientNameAlias} = 'a';\n", ()),
        (b'$Conf{ClientNameAlias} = "$name.fr";', None),
        (b"$Conf{ClientNameAlias} = 'a' . 'b';", None),
        (b"$Conf{ClientNameAlias} = ['a', # first\n 'b'];", None),
        (b"@Conf{qw(ClientNameAlias PingCmd)} = ('a', '');", None),
        (b"$Conf{ClientNameAlias} = lc(hostname());", None),
        (b"$Conf{ClientNameAlias} = 'a'", None),
    ],
)
def test_literal_names_are_read_and_anything_else_is_left_to_perl(content, names):
    assert client_names.written(content) == names


def test_only_hosts_with_a_pl_of_their_own_are_looked_at(tmp_path):
    (tmp_path / "a.pl").write_text("$Conf{ClientNameAlias} = 'x';")
    (tmp_path / "c.pl").write_text("$Conf{ClientNameAlias} = 'y';")

    assert client_names.of(["a", "b"], tmp_path) == {"a": ("x",)}


def test_where_the_settings_of_hosts_have_a_folder_of_their_own_it_counts_too(tmp_path):
    (tmp_path / "pc").mkdir()
    (tmp_path / "a.pl").write_text("$Conf{ClientNameAlias} = 'x';")
    (tmp_path / "pc/b.pl").write_text("$Conf{ClientNameAlias} = 'y';")
    for path in (tmp_path / "c.pl", tmp_path / "pc/c.pl"):
        path.write_text("$Conf{ClientNameAlias} = 'z';")

    assert client_names.of(["a", "b", "c", "d"], tmp_path) == {"a": ("x",), "b": ("y",), "c": None}


def test_debians_link_to_the_folder_itself_is_no_second_folder(tmp_path):
    (tmp_path / "pc").symlink_to(".")
    (tmp_path / "a.pl").write_text("$Conf{ClientNameAlias} = 'x';")

    assert client_names.of(["a"], tmp_path) == {"a": ("x",)}


def test_what_cannot_be_read_is_a_fault(tmp_path):
    (tmp_path / "a.pl").mkdir()

    with pytest.raises(StateError, match=r"a.pl is not a regular file"):
        client_names.of(["a"], tmp_path)
    with pytest.raises(StateError):
        client_names.of(["a"], tmp_path / "gone")
