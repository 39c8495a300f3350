"""The parts of setup.sh: clients/setup.sh is what clients/setup.d/assemble makes of them."""

import subprocess
from pathlib import Path

CLIENTS = Path(__file__).resolve().parents[1] / "clients"


def test_setup_sh_is_the_assembly_of_its_parts() -> None:
    done = subprocess.run(
        [CLIENTS / "setup.d/assemble", "--print"], capture_output=True, check=True, timeout=30
    )

    assert (CLIENTS / "setup.sh").read_bytes() == done.stdout
