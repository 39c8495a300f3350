"""A machine that is backed up already, under another of its names."""

import time
from dataclasses import replace

import pytest
from fakes import Dns
from server_folder import CMARTIN, PEER, Server

from backuppc_register.backuppc import settings
from backuppc_register.inventory.services import Services
from backuppc_register.protocol.errors import DnsUnavailable, HostsFileError, OtherOwner, StateError
from backuppc_register.protocol.request import Request
from backuppc_register.registration import other_names, register
from backuppc_register.system.deadline import Deadline

FULL = "portable26.univ-brest.fr"


class Machine(Server):
    """A server, and the machine portable26; *addresses*: what the DNS has besides."""

    host_name = "short"

    def __init__(self, folder):
        super().__init__(folder)
        self.addresses = {}

    def config(self):
        known = super().config()
        return replace(known, dns=replace(known.dns, host_name=self.host_name))

    def has(self, *lines, **pl):
        """Add hosts lines, and the .pl of hosts by name."""
        with self.hosts.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        for host, content in pl.items():
            (self.folder / f"etc/{host}.pl").write_text(content)

    def asks(self, logon="cmartin", *, verb="register", name=FULL):
        dns = Dns(name, self.addresses)
        services = Services(lambda: dns, lambda: self.people, self.backuppc, Deadline(28))
        site = self.server()
        site.folders.ready()
        return register.serve(Request(verb, "linux", logon), PEER, site, services)


@pytest.fixture
def server(tmp_path):
    return Machine(tmp_path)


def alias(*names):
    listed = ", ".join(f"'{name}'" for name in names)
    return f"$Conf{{ClientNameAlias}} = {listed if len(names) == 1 else f'[{listed}]'};\n1;\n"


@pytest.fixture(params=["full", "label", "alias", "capitals", "list", "address", "cname", "alias-cname"])
def named(server, request):
    """A line of adupont, whose host is this machine by one of its names; give its name."""
    cname = "portable26.labo.univ-brest.fr"
    server.addresses = {cname: (str(PEER), "10.0.0.77")}
    host, names = {
        "full": (FULL, ()),
        "label": ("portable26", ()),
        "alias": ("poste12", (FULL,)),
        "capitals": ("poste12", ("PORTABLE26.Univ-Brest.FR.",)),
        "list": ("poste12", ("gone.univ-brest.fr", "portable26")),
        "address": ("poste12", (str(PEER),)),
        "cname": (cname, ()),
        "alias-cname": ("poste12", (cname,)),
    }[request.param]
    server.host_name = "full" if request.param == "label" else "short"
    server.has(f"{host} 0 adupont", **({host: alias(*names)} if names else {}))
    return host


@pytest.fixture(autouse=True)
def perl(mocker):
    """Let the literal names count as BackupPC's: no Perl is needed here."""

    def each(self, hosts, within):
        read = settings.Settings("rsync", False, (), "", None, (), ())
        folder = self._places.config_dir
        texts = {host: (folder / f"{host}.pl").read_text() for host in hosts}
        return {host: replace(read, clients=tuple(text.split("'")[1::2])) for host, text in texts.items()}

    return mocker.patch.object(settings.SettingsReader, "each", each)


@pytest.mark.parametrize("verb", ["register", "check"])
def test_another_persons_line_by_any_name_is_an_other_owner(server, named, verb):
    before = server.hosts.read_bytes()

    with pytest.raises(OtherOwner) as refused:
        server.asks(verb=verb)

    assert refused.value.detail == f"this machine is {named} too, and the hosts file says adupont"
    assert "adupont" not in refused.value.message()
    assert server.hosts.read_bytes() == before


def test_the_same_persons_line_is_used(server, named):
    before = server.hosts.read_bytes()

    answer = server.asks("adupont")

    assert (answer.host, answer.status) == (named, "new")
    assert server.hosts.read_bytes() == before
    assert server.server().folders.record(named).full_name == FULL
    again = server.asks("adupont")
    assert (again.status, again.key) == ("unchanged", answer.key)
    with pytest.raises(OtherOwner):
        server.asks()


@pytest.mark.parametrize("first", ["short", "full"])
def test_a_registration_counts_after_the_site_has_chosen_other_names(server, first):
    server.host_name = first
    before = server.asks()
    server.host_name = "full" if first == "short" else "short"

    assert server.asks().key == before.key
    assert server.asks().status == "unchanged"
    with pytest.raises(OtherOwner):
        server.asks("adupont")


@pytest.mark.parametrize(
    ("host", "pl"),
    [
        ("portable2", None),
        ("portable26x.univ-brest.fr", None),
        ("portable26.iuem.fr", None),  # its address is another one
        ("portable26.iuem.fr", alias("portable26.iuem.fr")),
        ("poste12", alias("portable27.univ-brest.fr")),
        ("poste12", alias("10.0.0.99")),
        ("poste12", f"# {alias(FULL)}"),
        ("poste12", None),
        ("portable26.univ-brest.fr_20261122", None),  # an archive
    ],
)
def test_the_line_of_another_machine_does_not_matter(server, host, pl):
    server.addresses = {"portable26.iuem.fr": ("10.0.0.99",)}
    server.has(f"{host} 0 adupont", **({host: pl} if pl else {}))

    assert server.asks().status == "new"


def test_a_short_line_with_another_name_is_another_machine(server):
    server.host_name = "full"
    server.has("portable26 0 adupont", portable26=alias("portable26.iuem.fr"))

    assert server.asks().host == FULL


@pytest.mark.parametrize("logon", ["adupont", "cmartin"])
@pytest.mark.parametrize(("line", "pl"), [("portable26", None), ("poste12", alias("portable26"))])
def test_a_short_line_is_not_of_a_machine_whose_name_another_domain_has_too(server, logon, line, pl):
    server.host_name = "full"
    server.addresses = {FULL: ("10.0.0.99", "10.0.0.98"), "portable26.iuem.fr": (str(PEER),)}
    server.has(f"{line} 0 adupont", **({line: pl} if pl else {}))

    assert server.asks(logon, name="portable26.iuem.fr").host == "portable26.iuem.fr"


def test_a_short_line_is_of_the_machine_that_has_the_name_in_each_domain(server):
    server.host_name = "full"
    server.addresses = {FULL: (str(PEER),), "portable26.iuem.fr": ("10.0.0.98", str(PEER))}
    server.has("portable26 0 adupont")

    assert server.asks("adupont", name="portable26.iuem.fr").host == "portable26"


def test_two_domains_with_one_short_name_are_two_machines_with_full_names(server):
    server.host_name = "full"
    server.asks("adupont", name="portable26.iuem.fr")

    assert server.asks().host == FULL


@pytest.mark.parametrize("names", [(FULL,), ("PORTABLE26.univ-brest.fr.",), ("portable26",), ("old", FULL)])
def test_the_host_of_a_renamed_machine_goes_on_if_it_gets_the_new_name(server, names):
    before = server.asks(name="poste12.univ-brest.fr")
    recorded = server.server().folders.record("poste12")
    server.has(poste12=alias(*names))

    for verb in ("check", "register", "check"):
        answer = server.asks(verb=verb)
        assert (answer.host, answer.status) == ("poste12", "unchanged")

    assert server.asks().key == before.key
    assert server.server().folders.record("poste12") == recorded
    with pytest.raises(OtherOwner):
        server.asks("adupont")
    with pytest.raises(OtherOwner):
        server.asks("adupont", name="poste12.univ-brest.fr")


def test_the_host_of_a_renamed_machine_is_not_that_of_the_next_person_with_the_logon(server):
    server.asks(name="poste12.univ-brest.fr")
    server.has(poste12=alias(FULL))
    server.people.people = (replace(CMARTIN, entry_id="entryUUID:9"),)

    with pytest.raises(OtherOwner):
        server.asks()


@pytest.mark.parametrize("target", ["portable26.labo.univ-brest.fr", str(PEER), "autre.univ-brest.fr"])
def test_a_host_that_only_has_the_address_of_a_machine_does_not_become_that_machine(server, target):
    server.addresses = {target: (str(PEER),)}
    server.asks(name="poste12.univ-brest.fr")
    server.has(poste12=alias(target))

    answer = server.asks()

    assert answer.host == "portable26"
    assert "this machine is poste12 too" in answer.note


@pytest.fixture(
    params=["short", "full", "cname", "alias", "short-alias", "list", "subdomain", "shared-label"]
)
def elsewhere(server, request):
    """A line of adupont, whose host the DNS leads to this machine by quite another name; give the host."""
    address = (str(PEER),)
    host, names, server.addresses = {
        "short": ("poste12", (), {"poste12.univ-brest.fr": address}),
        "full": ("poste12.univ-brest.fr", (), {"poste12.univ-brest.fr": address}),
        "cname": ("poste12", (), {"poste12.univ-brest.fr": ("10.0.0.77", str(PEER))}),
        "alias": ("poste12", ("pc-adupont.univ-brest.fr",), {"pc-adupont.univ-brest.fr": address}),
        "short-alias": ("poste12", ("pc-adupont",), {"pc-adupont.univ-brest.fr": address}),
        "list": ("poste12", ("gone.univ-brest.fr", "PC.example.org."), {"pc.example.org": address}),
        "subdomain": ("vieux.labo.univ-brest.fr", (), {"vieux.labo.univ-brest.fr": address}),
        "shared-label": ("poste12", (), {"poste12.iuem.fr": address}),
    }[request.param]
    server.has("poste11 0 adupont", f"{host} 0 adupont", **({host: alias(*names)} if names else {}))
    return host


@pytest.mark.parametrize("verb", ["register", "check"])
def test_another_persons_line_by_quite_another_name_is_an_other_owner(server, elsewhere, verb):
    with pytest.raises(OtherOwner) as refused:
        server.asks(verb=verb)

    assert refused.value.detail == f"this machine is {elsewhere} too, and the hosts file says adupont"


def test_the_same_persons_line_by_quite_another_name_is_used(server, elsewhere):
    answer = server.asks("adupont")

    assert (answer.host, answer.status) == (elsewhere, "new")
    assert server.asks("adupont").status == "unchanged"


@pytest.mark.parametrize(
    ("line", "names", "addresses"),
    [
        ("poste12", (), {"poste12.univ-brest.fr": ("10.0.0.99",)}),
        ("poste12", (), {"poste12.univ-brest.fr": (str(PEER),), "poste12.iuem.fr": ("10.0.0.99",)}),
        ("poste12", ("pc.univ-brest.fr",), {"poste12.univ-brest.fr": (str(PEER),)}),
        ("poste12_20261122", (), {"poste12_20261122.univ-brest.fr": (str(PEER),)}),
        ("10.0.0.99", (), {"10.0.0.99": (str(PEER),)}),
    ],
)
def test_a_name_that_leads_elsewhere_is_another_machine(server, line, names, addresses):
    server.addresses = addresses
    server.has(f"{line} 0 adupont", **({line: alias(*names)} if names else {}))

    answer = server.asks()

    assert (answer.host, "too" in answer.note) == ("portable26", False)


def test_an_alias_that_only_the_text_of_a_pl_has_is_not_believed(server, mocker):
    server.addresses = {"pc.univ-brest.fr": (str(PEER),)}
    server.has("poste12 0 adupont", poste12=f"if (0) {{ {alias('pc.univ-brest.fr')} }}")
    read = settings.Settings("rsync", False, (), "", None, (), ("poste12",))
    mocker.patch.object(settings.SettingsReader, "each", return_value={"poste12": read})

    assert server.asks().host == "portable26"


def test_the_name_of_a_registered_machine_is_not_asked_for(server, mocker):
    server.asks(name="poste12.univ-brest.fr")
    asked = mocker.patch.object(Dns, "addresses_of", return_value=())

    assert server.asks().host == "portable26"
    assert {call.args[0].partition(".")[0] for call in asked.call_args_list} == {"localhost"}


def test_a_doubt_about_the_hosts_of_others_is_named_and_refuses_no_newcomer(server, mocker):
    server.has(*(f"poste{n} 0 adupont" for n in range(5)))
    server.addresses = {"poste9.univ-brest.fr": (str(PEER),)}
    known = Dns(FULL, server.addresses)

    def addresses_of(self, name, timeout):
        if name.startswith("poste9"):
            return known.addresses.get(name, ())
        raise DnsUnavailable(detail="SERVFAIL")

    mocker.patch.object(Dns, "addresses_of", addresses_of)
    answer = server.asks(verb="check")

    assert answer.status == "new"
    assert "not known whether this machine is localhost, poste0, poste1 and 3 more too" in answer.note
    server.has("poste9 0 adupont")
    with pytest.raises(OtherOwner):
        server.asks()


@pytest.mark.parametrize(
    ("limits", "asked", "left"), [({"_MOST_ASKED": 4}, 5, 3), ({"_FOR_OTHERS": 0.0}, 0, 7)]
)
def test_the_questions_about_the_hosts_of_others_end(server, mocker, limits, asked, left):
    mocker.patch.multiple(other_names, **limits)
    dns = mocker.spy(Dns, "addresses_of")
    server.has(*(f"poste{n}.univ-brest.fr 0 adupont" for n in range(9)))

    note = server.asks(verb="check").note

    assert dns.call_count == asked
    assert f"and {left} more too" in note


def test_a_doubt_is_a_fault_and_nothing_is_written(server, mocker):
    server.has("poste12 0 adupont", "portable26.labo.univ-brest.fr 0 adupont", poste12=alias(FULL))
    mocker.patch.object(Dns, "addresses_of", side_effect=DnsUnavailable(detail="SERVFAIL"))
    before = server.hosts.read_bytes()

    with pytest.raises(DnsUnavailable):
        server.asks()
    mocker.patch.object(settings.SettingsReader, "each", return_value={"poste12": "syntax error"})
    with pytest.raises(HostsFileError, match="which machine poste12 is: syntax error"):
        server.asks()
    (server.folder / "etc/poste12.pl").unlink()
    (server.folder / "etc/poste12.pl").mkdir()
    with pytest.raises(StateError, match=r"poste12.pl is not a regular file"):
        server.asks()
    assert server.hosts.read_bytes() == before


def test_a_host_that_is_known_reads_no_other_hosts_files(server, mocker):
    server.asks()
    server.has(*(f"poste{n} 0 adupont" for n in range(50)), poste1=alias(FULL))
    read = mocker.patch("backuppc_register.backuppc.client_names.of")

    assert server.asks().status == "unchanged"
    assert server.asks(verb="check").status == "unchanged"
    read.assert_not_called()


def test_a_newcomer_to_a_large_site_waits_for_no_perl_and_not_for_long(server, mocker):
    with_perl = mocker.patch.object(settings.SettingsReader, "each")
    server.has(*(f"poste{n} 0 adupont" for n in range(2000)))
    for n in range(2000):
        (server.folder / f"etc/poste{n}.pl").write_text(alias(f"poste{n}.univ-brest.fr"))
    began = time.process_time()

    assert server.asks(verb="check").status == "new"

    assert time.process_time() - began < 3
    with_perl.assert_not_called()


def test_the_person_of_a_reused_logon_does_not_get_a_line_that_is_recorded_for_another_entry(server):
    server.asks()
    server.host_name = "full"
    server.people.people = (replace(CMARTIN, entry_id="entryUUID:9"),)

    with pytest.raises(OtherOwner):
        server.asks()
