"""A private key has one copy in the attic, however often a command is interrupted and repeated."""

from functools import partial

import verbs
from interrupted import run_and_kill, steps_of
from server_folder import ADUPONT, Site


def copies_of_files(site, private):
    found = (path for path in (site.folder / "state/aside").rglob("*") if path.is_file())
    return [path for path in found if path.read_bytes() == private]


def test_a_transfer_killed_anywhere_and_repeated_leaves_one_copy(tmp_path):
    def work(site):
        verbs.transfer("dormeur", ADUPONT, site.custody())

    reference = Site(tmp_path / "reference")
    for at in range(steps_of(partial(work, reference))):
        site = Site(tmp_path / str(at))
        private = (site.state / "key").read_bytes()
        for _ in range(2):  # killed twice at the same step, as far as there is one
            run_and_kill(partial(work, site), at=at)
        if site.users()["dormeur"] != "adupont":
            work(site)
        assert len(copies_of_files(site, private)) == 1, at
        assert not [*(site.folder / "state/aside").rglob(".*")], at


def test_another_key_of_the_host_gets_a_place_of_its_own(tmp_path):
    site = Site(tmp_path)
    first = (site.state / "key").read_bytes()
    verbs.transfer("dormeur", ADUPONT, site.custody())
    second = (site.state / "key").read_bytes()
    site.ask("adupont")
    site.add_data()
    verbs.transfer("dormeur", site.find("cmartin"), site.custody())

    assert len(copies_of_files(site, first)) == len(copies_of_files(site, second)) == 1
