"""The fixtures of the lab, and the one place where tests are skipped: for want of a lab or of Debian 13."""

import compileall
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest
from checkout import CHECKOUT
from lab import Lab, NotGiven, System, available, unpack
from laptops import Site

# A run in the background ignores these keys, and so would all that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of tests/integration/test_faults.py."""
    help_ = (
        "how many faults each kind of work has in tests/integration/test_faults.py; 0: at every system call"
    )
    parser.addoption("--faults", type=int, default=14, metavar="N", help=help_)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once: the programs that tests start may not write beside its modules."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(CHECKOUT / "backuppc_register", quiet=1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes long; skip what is marked `lab` where the machine cannot hold one, and say why.

    Each file is run in one process: the short ones fill what is left of the time.
    """
    items.sort(key=lambda item: (not item.get_closest_marker("long"), not item.get_closest_marker("lab")))
    in_lab = [item for item in items if item.get_closest_marker("lab")]
    if in_lab and (reason := available()):
        for item in in_lab:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Give a lab of the test's own, with no hosts yet."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Give the server of the stories of laptops, and laptops one after the other."""
    with Lab() as lab:
        yield Site(lab)


@pytest.fixture(scope="session")
def older_rsync() -> None:
    """Make sure that tests/prepare.sh has found an rsync before 3.5."""
    if not (CHECKOUT / ".systems/older-rsync/usr/bin/rsync").exists():
        pytest.skip("no rsync before 3.5: bin/test keeps one if apt gives it")


@pytest.fixture(scope="session")
def log_daemons() -> None:
    """Make sure that tests/prepare.sh has the packages of other syslog daemons."""
    if not (CHECKOUT / ".systems/log-daemons").exists():
        pytest.skip("no other syslog daemons: bin/test keeps their packages if apt gives them")


@pytest.fixture(scope="module")
def root_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[System], str]]:
    """Give what lays out a system and gives its folder; where no mirror gives that, the tests are skipped."""
    folder = tmp_path_factory.mktemp("systems")

    def root_of(system: System) -> str:
        try:
            unpack(system, folder / system.suite)
        except NotGiven as reason:
            pytest.skip(f"no {system.suite} for the lab: {reason}")
        return str(folder / system.suite)

    yield root_of
    shutil.rmtree(folder)
