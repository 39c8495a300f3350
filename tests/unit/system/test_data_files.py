"""The files that come with the program are found in a checkout and in an installation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import CHECKOUT

from backuppc_register.protocol.errors import Misconfigured
from backuppc_register.system import data_files

ASK = "import sys; from backuppc_register.system import data_files; print(data_files.find(sys.argv[1]))"


def installed(site: Path) -> Path:
    """Copy the package to *site*, as pip and Debian do; give it."""
    package = CHECKOUT / "backuppc_register"
    shutil.copytree(package, site / "backuppc_register", ignore=shutil.ignore_patterns("__pycache__"))
    return site


def find(site: Path, name: str) -> str:
    command = [sys.executable, "-B", "-c", ASK, name]
    return subprocess.run(command, cwd=site, capture_output=True, text=True, check=False).stdout.strip()


def test_in_a_checkout_templates_are_in_the_package_and_clients_beside_it() -> None:
    assert data_files.find("templates/linux.pl") == CHECKOUT / "backuppc_register/templates/linux.pl"
    assert data_files.find("clients") == CHECKOUT / "clients"


@pytest.mark.parametrize("below", ["lib/python3.11/site-packages", "lib/python3/dist-packages"])
def test_an_installed_package_has_its_clients_in_the_share_folder_of_its_prefix(
    tmp_path: Path, below: str
) -> None:
    site = installed(tmp_path / "prefix" / below)
    share = tmp_path / "prefix/share/backuppc-register"
    (share / "clients").mkdir(parents=True)

    assert find(site, "clients") == str(share / "clients")
    assert find(site, "templates/mac.pl") == str(site / "backuppc_register/templates/mac.pl")


def test_a_folder_of_that_name_beside_an_installed_package_belongs_to_another_package(tmp_path: Path) -> None:
    site = installed(tmp_path / "lib/python3.11/site-packages")
    (site / "clients").mkdir()

    assert find(site, "clients") == ""


def test_what_did_not_come_with_the_program_is_a_misconfiguration() -> None:
    with pytest.raises(Misconfigured, match="templates/amiga"):
        data_files.find("templates/amiga.pl")
