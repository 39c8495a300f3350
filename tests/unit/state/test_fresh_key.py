"""The fresh key of a stopped host takes the place of the earlier one, also if the work is interrupted."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from interrupted import kill_everywhere
from server_folder import Site

from backuppc_register.state import fresh_key, key_pairs

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def stopped(folder: Path) -> Site:
    """Give a site with a retired host whose machine was given a fresh key."""
    site = Site(folder, data=False)
    folders = site.server().folders
    folders.put_record(replace(site.record(), retired=NOW.isoformat()))
    (site.state / "key").rename(site.state / "retired_key")
    site.ask()
    return site


def promote(site: Site) -> None:
    fresh_key.promote(site.folder / "state", site.state, "retired_key", NOW)


def aside(site: Site) -> list[str]:
    """Return what of key pairs is kept aside."""
    return sorted(path.name for path in (site.folder / "state").glob("aside/*/*"))


def test_killed_anywhere_the_next_run_puts_the_fresh_pair_in_place(tmp_path: Path) -> None:
    for site in kill_everywhere(tmp_path, stopped, promote):
        fresh = key_pairs.public_key(site.state, private="fresh_key")
        assert site.server().folders.is_whole("dormeur")

        promote(site)
        (site.state / "retired_key").rename(site.state / "key")
        fresh_key.forget(site.folder / "state", site.state, "dormeur", NOW)

        assert key_pairs.public_key(site.state) == fresh
        assert not [*site.state.glob("fresh_key*")]
        # An interrupted run may leave a second copy of the public half.
        assert [name for name in aside(site) if name != "key.pub"] == ["retired_key"]


def test_of_two_keys_the_one_that_is_not_used_is_kept_aside(tmp_path: Path) -> None:
    site = stopped(tmp_path)
    (site.state / "retired_key").rename(site.state / "key")
    folders = site.server().folders
    folders.let_ssh_use_fresh_key("dormeur", also=True)
    assert "fresh_key" in (site.state / "ssh_config").read_text()

    folders.forget_fresh_key("dormeur", NOW)

    assert key_pairs.public_key(site.state) == site.key
    assert "fresh_key" not in (site.state / "ssh_config").read_text()
    assert aside(site) == ["fresh_key", "fresh_key.pub"]


@pytest.mark.parametrize("strict", [False, True])
def test_which_keys_ssh_uses_changes_nothing_else(tmp_path: Path, strict: bool) -> None:
    site = stopped(tmp_path)
    if strict:
        (site.state / "known_hosts").write_text("dormeur ssh-ed25519 AAAA\n")
        text = (site.state / "ssh_config").read_text()
        (site.state / "ssh_config").write_text(text.replace("accept-new", "yes"))
    before, folders = (site.state / "ssh_config").read_bytes(), site.server().folders

    folders.let_ssh_use_fresh_key("dormeur", also=True)
    folders.let_ssh_use_fresh_key("dormeur", also=False)

    assert (site.state / "ssh_config").read_bytes() == before
