"""Two verbs, or a verb and a registration, on one host at once: one goes after the other, whole."""

import os
from datetime import timedelta
from functools import partial

import pytest
import verbs
from interrupted import STEPS, counted, run_and_kill
from server_folder import ADUPONT, NOW, ByHand, Site

from backuppc_register.backuppc import lock
from backuppc_register.lifecycle import purge
from backuppc_register.person import Person
from backuppc_register.protocol.errors import HostsFileError, RegisterError
from backuppc_register.system.deadline import Deadline


@pytest.fixture(autouse=True)
def _on_disk_at_once(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody is killed here


BDURAND = Person("bdurand", "Bernard Durand", "entryUUID:3")
LATER = NOW + timedelta(days=1)


def purge_due(site):
    verbs.purge_due("dormeur", site.custody(now=LATER))
    purge.sweep(site.server())


WORK = {
    "retire": lambda site: verbs.retire("dormeur", site.custody()),
    "resume": lambda site: verbs.resume("dormeur", site.custody()),
    "transfer": lambda site: verbs.transfer("dormeur", ADUPONT, site.custody()),
    "transfer to a third": lambda site: verbs.transfer("dormeur", BDURAND, site.custody()),
    "purge": lambda site: verbs.purge("dormeur", 1, site.custody()),
    "purge --due": purge_due,
    "registration": lambda site: site.ask(),
    "the new person's registration": lambda site: site.ask("adupont"),
    "reconcile": lambda site: site.reconcile(),
}
PAIRS = [
    ("transfer", "transfer to a third"),
    ("transfer", "transfer"),
    ("transfer", "retire"),
    ("transfer", "purge"),
    ("transfer", "registration"),
    ("transfer", "the new person's registration"),
    ("transfer", "reconcile"),
    ("retire", "resume"),
    ("retire", "registration"),
    ("retire", "purge"),
    ("purge", "resume"),
    ("purge", "registration"),
    ("purge --due", "registration"),
    ("purge --due", "the new person's registration"),
    ("purge --due", "resume"),
    ("purge --due", "transfer"),
    ("purge --due", "purge --due"),
    ("purge --due", "reconcile"),
]


def prepared(folder, pair, *, by_hand):
    site = ByHand(folder) if by_hand else Site(folder)
    site.hosts.write_text(site.hosts.read_text() + "calmar 0 cmartin\n")
    if "resume" in pair:
        verbs.retire("dormeur", site.custody())
    if "purge --due" in pair:
        verbs.purge("dormeur", 1, site.custody())
    site.reconcile()
    return site


def met(site, first, second, *, at):
    """Do *first* in a child, and *second* right before its step number *at*; tell what became of that."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        done = 0

        def step():
            nonlocal done
            done += 1
            if done == at + 1:
                os.write(writer, outcome(second, site).encode())

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name), step))
        vars(lock)["Deadline"] = lambda patience: Deadline(0)
        try:
            first(site)
        except RegisterError as error:
            os.write(writer, f" first: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read().decode()


def outcome(work, site):
    try:
        work(site)
    except HostsFileError as error:
        return "locked out" if "held BackupPC's lock" in str(error.detail) else f"fault: {error}"
    except RegisterError as error:
        return f"refused: {error}"
    return "done"


def is_whole(site, pair):
    """Tell whether nothing is lost, nobody reads what is not theirs, and nothing contradicts anything."""
    purged = "purge --due" in pair and not (site.folder / "data/pc/dormeur").exists()
    archived = any(name.startswith("dormeur_") for name in site.users())
    readers = set() if purged and not archived else {"cmartin"}
    return (site.readers(), site.reconcile(), site.contradictions()) == (readers, [], [])


@pytest.mark.parametrize("by_hand", [False, True], ids=["registered", "by hand"])
@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_who_comes_in_between_waits_and_both_end_in_a_state_without_contradictions(tmp_path, pair, by_hand):
    for one, other in dict.fromkeys((pair, pair[::-1])):
        first, second = WORK[one], WORK[other]
        reference = prepared(tmp_path / one / "reference", pair, by_hand=by_hand)
        steps = run_and_kill(partial(first, reference), at=None)
        told = []
        for at in range(0, steps, 3):
            site = prepared(tmp_path / one / str(at), pair, by_hand=by_hand)

            told.append(met(site, first, second, at=at))

            if not told[-1]:
                continue  # a new second has begun, which saved a step
            assert told[-1].startswith(("locked out", "done", "refused")), (one, other, at, told)
            # What waited outside may have made the host another person's, or none's.
            assert " first: " not in told[-1].replace(" first: refusing to re-register", "")
            assert is_whole(site, pair), (one, other, at, told)
            assert not outcome(second, site).startswith(("fault", "locked"))
            assert is_whole(site, pair), (one, other, at, "again")
        assert any(one.startswith("locked out") for one in told) or not steps
