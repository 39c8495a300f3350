"""The system of another Debian, from the mirror that apt uses here, kept until that has something newer."""

import fcntl
import hashlib
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .host import CHECKOUT
from .parts import LabError

KEPT = CHECKOUT / ".systems"  # tar files, each named by all that it depends on
APT_HELPER = "/usr/lib/apt/apt-helper"
AS_IT_IS = ["--numeric-owner", "--xattrs", "--xattrs-include=*"]
TRIES, PAUSE = 3, 1.0  # seconds between two of them
FETCH_SECONDS, MAKE_SECONDS = 20, 300
# What apt would have fetched stands in apt's configuration, whether it has done so yet or not.
TARGETS = ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)\t$(RELEASE) $(COMPONENT)",
           "Created-By: Packages"]  # fmt: skip


class NotGiven(Exception):
    """The mirror that apt uses here does not give that release, or does not answer."""


@dataclass(frozen=True)
class System:
    """What mmdebstrap is to make: the release's code name, packages besides the smallest set, a last touch.

    `hook` is a piece of shell in which $1 is the new root.
    """

    suite: str
    packages: str
    hook: str

    @property
    def words(self) -> list[str]:
        """Give mmdebstrap's options."""
        return ["--variant=minbase", f"--include={self.packages}", f"--customize-hook={self.hook}"]


def unpack(system: System, folder: Path) -> None:
    """Lay *system* out in the new *folder*. Raises NotGiven, LabError."""
    sources = sources_of(system.suite)
    with locked(KEPT):
        kept = kept_or_made(system, sources)
        folder.mkdir()
        run(["tar", "-C", str(folder), *AS_IT_IS, "-xpf", str(kept)])


def sources_of(suite: str) -> dict[str, str]:
    """Give apt's own sources of Debian with *suite* in the place of its release: line → URL of its InRelease.

    Raises NotGiven.
    """
    own = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    known = {f"{own}{kind} main": f"{suite}{kind}" for kind in ("", "-updates", "-security")}
    pairs = [row.split("\t") for row in run(TARGETS).splitlines()]
    found = {f"deb {uri} {known[what]} main": f"{uri}dists/{known[what]}/InRelease"
             for uri, what in pairs if what in known}  # fmt: skip
    if not found:
        raise NotGiven(f"apt has no source of {own or 'a Debian'} here, so none of {suite}")
    return found


def kept_or_made(system: System, sources: dict[str, str]) -> Path:
    """Give the tar file of *system*: the kept one if the mirror's lists are still those it was made from."""
    tar = KEPT / f"{key_of(system, sources)}.tar"
    if not tar.exists():
        for older in KEPT.glob("*.tar*"):
            older.unlink()
        make(system, sources, tar)
    return tar


def key_of(system: System, sources: dict[str, str]) -> str:
    """Give a digest of all that makes one system another, the mirror's signed lists of today included."""
    digest = hashlib.sha256()
    for fact in (repr(system), run(["mmdebstrap", "--version"]), platform.machine(), *sources):
        digest.update(fact.encode() + b"\0")
    for url in sources.values():
        digest.update(fetched(url))
    return digest.hexdigest()


def fetched(url: str) -> bytes:
    """Fetch *url* the way that apt does. Raises NotGiven."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "file")
        words = ["timeout", str(FETCH_SECONDS), APT_HELPER, "download-file", url, str(target)]
        for number in range(TRIES):
            time.sleep(PAUSE if number else 0)
            if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                return target.read_bytes()
    raise NotGiven(f"apt cannot fetch {url}, {TRIES} times")


def make(system: System, sources: dict[str, str], tar: Path) -> None:
    """Let mmdebstrap write *tar*, which is there when all of it is on the disk. Raises LabError."""
    new = tar.with_suffix(".tar.new")
    limit = ["timeout", "--kill-after=10", str(MAKE_SECONDS)]
    words = ["mmdebstrap", "--format=tar", *system.words, system.suite, str(new), "-"]
    run([*limit, *words], given="".join(f"{line}\n" for line in sources))
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.rename(tar)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make *folder*, and let nobody else into it meanwhile."""
    folder.mkdir(exist_ok=True)
    with (folder / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(words: list[str], *, given: str = "") -> str:
    """Give what a command of the machine says. Raises LabError with what it complains of."""
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{words[0]} ended with {done.returncode}: {done.stderr[-4000:]}")
    return done.stdout
