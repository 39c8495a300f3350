"""A verb on a hosts file without the line that names the columns restores that line with its own."""

import pytest
import verbs
from server_folder import ADUPONT, HEADER, Site

from backuppc_register.backuppc import hosts


@pytest.fixture
def site(tmp_path):
    """Give a site whose hosts file lost its header: BackupPC takes the first line for it."""
    return Site(tmp_path)


def without_header(site, first):
    content = site.hosts.read_text().removeprefix(HEADER)
    site.hosts.write_text(f"{first}{content}")


FIRST = ("ancien 0 u7\n", "# a comment\n\nancien 0 u7\n", "ANCIEN\t1\tu7\tu8,u9\n", "")


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("verb", ["transfer", "transfer to administrators", "purge"])
def test_backuppc_reads_every_user_afterwards(site, first, verb):
    without_header(site, first)
    custody = site.custody()

    match verb:
        case "transfer":
            verbs.transfer("dormeur", ADUPONT, custody)
        case "transfer to administrators":
            verbs.transfer_to_administrators("dormeur", custody)
        case "purge":
            site.hosts.write_text(site.hosts.read_text().replace("dormeur", "sirene"))
            site.ask(name="orque.univ-brest.fr")
            without_header(site, "")
            verbs.purge("orque", None, custody)

    lines = hosts.read(site.hosts).lines
    assert hosts.has_header(site.hosts.read_bytes())
    assert all(line.user for line in lines)
    assert {line.user for line in lines if line.host == "ancien"} <= {"u7"}
    new = {"transfer": "adupont", "transfer to administrators": "backuppc"}.get(verb)
    assert [line.user for line in lines if line.host == "dormeur"] == ([new] if new else [])
    assert not [line for line in lines if line.host == "orque"]
    assert "header" not in [word for word, _ in site.reconcile()]


def test_the_first_line_itself_is_given(site):
    site.hosts.write_text("dormeur 0 cmartin\nancien 0 u7\n")

    verbs.transfer("dormeur", ADUPONT, site.custody())

    users = {line.host: line.user for line in hosts.read(site.hosts).lines}
    assert (users["dormeur"], users["ancien"]) == ("adupont", "u7")


def test_a_retirement_leaves_the_file_to_reconcile(site):
    without_header(site, "ancien 0 u7\n")
    before = site.hosts.read_bytes()

    verbs.retire("dormeur", site.custody())

    assert site.hosts.read_bytes() == before
    assert ("header", "") in site.reconcile()
