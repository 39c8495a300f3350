"""The fixtures of the lab, and the one place where tests are skipped: where no lab can be."""

from collections.abc import Iterator

import pytest
from lab import Lab, available

collect_ignore = ["test_sudo_rs.py"]  # needs the network: run when its file is named


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `lab` where the machine cannot hold one, and say why."""
    in_lab = [item for item in items if item.get_closest_marker("lab")]
    if in_lab and (reason := available()):
        for item in in_lab:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Give a lab of the test's own, with no hosts yet."""
    with Lab() as lab:
        yield lab
