"""The names that hosts and archived backups can have."""

import pytest

from backuppc_register import names


@pytest.mark.parametrize("name", ["dormeur", "a", "0", "dormeur.univ-brest.fr", "dormeur_20261122-2", "a..b"])
def test_a_host_can_have_it(name: str) -> None:
    assert names.is_host(name)


@pytest.mark.parametrize(
    "name", ["", ".new", "..", "-a", "_a", "a/b", "a b", "a\n", "A", "é", "\u212a", "a\0", "~purged"]
)
def test_no_host_can_have_it(name: str) -> None:
    assert not names.is_host(name)


def test_an_archive_has_the_day_behind_the_host_and_perhaps_a_number() -> None:
    assert names.is_archive_of("dormeur", "dormeur_20261122")
    assert names.is_archive_of("dormeur", "dormeur_20261122-12")
    for name in ("dormeur", "dormeur_2026112", "dormeur_20261122-", "dormeur_20261122x", "simplet_20261122"):
        assert not names.is_archive_of("dormeur", name)
    assert not names.is_archive_of("a.b", "axb_20261122")


def test_a_machine_never_has_the_name_of_an_archive() -> None:
    assert names.is_machine("dormeur.univ-brest.fr")
    assert not names.is_machine("dormeur_20261122")
