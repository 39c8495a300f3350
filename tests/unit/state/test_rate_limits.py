"""How much is asked at one time and by one address, counted by real processes."""

import ipaddress
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest
from pytest_mock import MockerFixture
from slowness import within

from backuppc_register import config
from backuppc_register.protocol.errors import (
    BadUser,
    DirectoryUnavailable,
    HostsFileError,
    InvalidDnsName,
    OtherOwner,
    RegisterError,
    TooManyRequests,
)
from backuppc_register.protocol.request import Address
from backuppc_register.state import rate_limits, request_counts
from backuppc_register.state.rate_limits import Limits
from backuppc_register.system.deadline import Deadline

PEER = ipaddress.ip_address("192.0.2.17")
OTHER = ipaddress.ip_address("2001:db8::17")


@pytest.fixture
def clock(mocker: MockerFixture) -> Callable[[float], None]:
    """Stop the clock; give what moves it by seconds."""
    now = 1_795_000_000.5
    patched = mocker.patch("time.time", return_value=now)

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds
        patched.return_value = now

    return move


def of(folder: Path, *, per_address: int = 0, at_once: int = 0) -> Limits:
    """Return the limits in a folder that need not be there yet."""
    return Limits(folder / "limits", config.Limits(per_address=per_address, at_once=at_once))


def ask(counted: Limits, peer: Address = PEER) -> bool:
    """Tell whether a request of *peer*, ended at once, is admitted."""
    try:
        with counted.admitted(peer):
            return True
    except TooManyRequests:
        return False


# One address


def test_an_address_gets_its_number_a_minute_and_no_more(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    counted = of(tmp_path, per_address=3)

    assert [ask(counted) for _ in range(5)] == [True, True, True, False, False]


def test_a_minute_later_it_may_ask_again(tmp_path: Path, clock: Callable[[float], None]) -> None:
    counted = of(tmp_path, per_address=2)
    ask(counted)
    clock(30)
    ask(counted)

    clock(29)
    assert not ask(counted)
    clock(1)
    assert [ask(counted), ask(counted)] == [True, False]
    clock(30)
    assert [ask(counted), ask(counted)] == [True, False]


def test_a_refused_request_does_not_count(tmp_path: Path, clock: Callable[[float], None]) -> None:
    counted = of(tmp_path, per_address=1)
    ask(counted)
    before = (tmp_path / "limits/requests").read_bytes()

    for _ in range(6):
        clock(9)
        assert not ask(counted)

    assert (tmp_path / "limits/requests").read_bytes() == before
    clock(6)
    assert ask(counted)


def test_addresses_do_not_share(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)
    texts = ("192.0.2.1", "192.0.2.10", "192.0.2.11", "2001:db8::1", "2001:db8:0:1::1", "::1")

    assert [ask(counted, ipaddress.ip_address(text)) for text in texts] == [True] * 6
    assert [ask(counted, ipaddress.ip_address(text)) for text in texts] == [False] * 6


def test_a_machine_does_not_count_anew_with_each_of_its_ipv6_addresses(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=3)
    first = ipaddress.IPv6Address("2001:db8:17:42::")
    of_the_subnet = [first + n for n in (1, 2**32, 2**63, 2**64 - 1)]

    assert [ask(counted, peer) for peer in of_the_subnet] == [True, True, True, False]
    assert [ask(counted, peer) for peer in (first - 1, first + 2**64)] == [True, True]


def test_the_administrator_reads_which_subnet_it_was(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)
    ask(counted, OTHER)

    with pytest.raises(TooManyRequests, match=r"per_address: 1 .* 2001:db8::/64"), counted.admitted(OTHER):
        pass


def test_an_ipv4_mapped_peer_counts_as_the_ipv4_address(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)

    assert ask(counted, ipaddress.ip_address("::ffff:192.0.2.1"))
    assert not ask(counted, ipaddress.ip_address("192.0.2.1"))
    assert ask(counted, ipaddress.ip_address("::ffff:192.0.2.2"))


def test_a_link_local_peer_does_not_count_anew_on_each_interface(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)

    assert ask(counted, ipaddress.ip_address("fe80::1%eth0"))
    assert not ask(counted, ipaddress.ip_address("fe80::1%eth1"))


def test_nought_is_no_limit_and_keeps_no_file(tmp_path: Path) -> None:
    counted = of(tmp_path)

    assert all(ask(counted) for _ in range(200))
    assert list(tmp_path.iterdir()) == []


def test_the_administrator_reads_which_limit_it_was(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1, at_once=1)
    with counted.admitted(PEER), pytest.raises(TooManyRequests, match="at_once: 1 "), counted.admitted(OTHER):
        pass
    with pytest.raises(TooManyRequests, match=r"per_address: 1 .* 192\.0\.2\.17"), counted.admitted(PEER):
        pass


def test_a_flood_from_many_addresses_neither_fills_the_disk_nor_shuts_anybody_out(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=2)
    ask(counted)
    now = int(time.time())
    flood = "".join(
        f"2001:db8:{n:x}:ffff:ffff:ffff:ffff:ffff {now} 1\n" for n in range(request_counts._MOST_ROWS)
    )
    with (tmp_path / "limits/requests").open("a") as file:
        file.write(flood)

    begun = time.monotonic()
    assert ask(counted, OTHER)
    took = time.monotonic() - begun

    assert (tmp_path / "limits/requests").stat().st_size < 250_000
    assert (tmp_path / "limits/requests").read_bytes().count(b"\n") == request_counts._MOST_ROWS
    assert [ask(counted, OTHER), ask(counted, OTHER)] == [True, False]
    assert within(took, 0.5)


def test_a_clock_that_is_put_back_locks_nobody_out(tmp_path: Path, clock: Callable[[float], None]) -> None:
    counted = of(tmp_path, per_address=1)
    ask(counted)

    clock(-86_400)
    assert [ask(counted), ask(counted)] == [True, False]
    clock(+86_400)
    assert [ask(counted), ask(counted)] == [True, False]


GARBAGE = {
    "binary": b"\x00\xff\xfe",
    "text": b"hello\n",
    "half a line": b"192.0.2.17 17950",
    "no numbers": b"192.0.2.17 now many\n",
    "a number without end": b"192.0.2.17 1 " + b"9" * 10_000 + b"\n",
    "very long": b"a" * 1_000_000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_begun_anew(content: bytes, tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits/requests").write_bytes(content)

    assert [ask(counted), ask(counted)] == [True, False]
    assert (tmp_path / "limits/requests").stat().st_size < 100


# Budgets apart: an address, and each machine with a name there

NAME = "dormeur.univ-brest.fr"


def answered(
    counted: Limits,
    name: str = "",
    *,
    logon: str = "cmartin",
    peer: Address = PEER,
    error: RegisterError | None = None,
) -> str:
    """Return the code of what a request ends with; without *name* the DNS gives the peer none of ours."""
    try:
        with counted.asking(peer) as admission:
            if not name:
                raise InvalidDnsName(detail="no PTR")
            admission.named(name, logon)
            if error:
                raise error
    except RegisterError as told:
        return told.code
    return "success"


def test_refusals_of_an_address_shut_out_no_machine_with_a_name_there(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=3, at_once=4)

    told = [answered(counted) for _ in range(5)]

    assert told == ["dns-name"] * 3 + ["too-many-requests"] * 2
    assert [answered(counted, NAME) for _ in range(4)] == ["success"] * 3 + ["too-many-requests"]


def test_malformed_requests_shut_out_no_machine_with_a_name(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=3)

    assert [ask(counted) for _ in range(5)] == [True] * 3 + [False] * 2
    assert answered(counted, NAME) == "success"
    assert answered(counted) == "too-many-requests"


def test_machines_with_a_name_use_up_nothing_of_their_address(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=2)

    for n in range(40):
        assert answered(counted, f"poste{n}.univ-brest.fr", peer=OTHER) == "success"
        assert answered(counted, f"poste{n}.univ-brest.fr", peer=OTHER, logon=f"e{n}") == "success"

    assert answered(counted, peer=OTHER) == "dns-name"


def test_of_a_machine_over_its_budget_only_a_success_is_told(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=3)

    guesses = [answered(counted, NAME, logon=f"guess{n}", error=BadUser(logon=f"guess{n}")) for n in range(5)]

    assert guesses == ["bad-user"] * 3 + ["too-many-requests"] * 2
    assert answered(counted, NAME) == "success"
    more = [answered(counted, NAME, logon=f"more{n}", error=BadUser(logon=f"more{n}")) for n in range(27)]
    assert set(more) == {"too-many-requests"}
    with pytest.raises(TooManyRequests, match=f"33 in a minute from {NAME}"):
        count_named(counted)
    assert answered(counted, "sirene.univ-brest.fr") == "success"


def test_one_person_uses_up_no_more_than_the_budget_of_one(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=3)

    told = [answered(counted, NAME, logon=logon) for logon in ("cmartin", "CMartin", "CMARTIN", "cmartin")]

    assert told == ["success"] * 3 + ["too-many-requests"]
    assert answered(counted, NAME, logon="adupont") == "success"


def test_a_budget_is_there_again_a_minute_later(tmp_path: Path, clock: Callable[[float], None]) -> None:
    counted = of(tmp_path, per_address=1)
    assert [answered(counted, NAME), answered(counted, NAME)] == ["success", "too-many-requests"]
    assert [answered(counted), answered(counted)] == ["dns-name", "too-many-requests"]

    clock(60)

    assert [answered(counted, NAME), answered(counted)] == ["success", "dns-name"]


def test_a_fault_is_told_as_a_fault_also_over_the_budget(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=2)
    down = DirectoryUnavailable(detail="ldap1: timed out")

    told = [answered(counted, NAME, logon=f"e{n}", error=down) for n in range(5)]

    assert told == ["directory-unavailable"] * 5


def test_the_administrator_reads_what_a_request_over_the_budget_would_have_been_told(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)
    answered(counted, NAME)

    with pytest.raises(TooManyRequests) as refusal, counted.asking(PEER) as admission:
        admission.named(NAME, "adupont")
        raise OtherOwner(host="dormeur", logon="adupont", detail="the hosts file says cmartin")

    assert "per_address: 1 in a minute from dormeur.univ-brest.fr; else " in refusal.value.detail
    assert "the hosts file says cmartin" in refusal.value.detail
    assert refusal.value.values == {"host": "dormeur", "logon": "adupont"}


def count_named(counted: Limits) -> None:
    with counted.asking(PEER) as admission:
        admission.named(NAME, "cmartin")


def test_the_administrator_reads_which_person_asked_too_much(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1)
    count_named(counted)

    with pytest.raises(TooManyRequests, match=f"1 in a minute from {NAME} cmartin"):
        count_named(counted)


def test_addresses_over_their_budget_leave_half_of_the_places_to_others(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1, at_once=8)
    answered(counted)

    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(counted.asking(PEER))
        with pytest.raises(TooManyRequests, match="is over per_address"), counted.asking(PEER):
            pass
        for _ in range(4):
            stack.enter_context(counted.asking(OTHER))
        with pytest.raises(TooManyRequests, match="8 requests are in work"), counted.asking(OTHER):
            pass


@pytest.mark.parametrize("name", [NAME, ""], ids=["named", "unnamed"])
def test_the_counts_are_read_once(tmp_path: Path, mocker: MockerFixture, name: str) -> None:
    counted = of(tmp_path, per_address=9, at_once=9)
    read = mocker.spy(request_counts, "read")

    answered(counted, name)

    assert read.call_count == 1


def test_there_is_a_place_for_an_address_over_its_budget_however_few_there_are(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1, at_once=1)
    answered(counted)

    assert answered(counted, NAME) == "success"


def test_no_limit_is_none_for_machines_with_a_name_either(tmp_path: Path) -> None:
    counted = of(tmp_path)

    assert {answered(counted, NAME) for _ in range(100)} == {"success"}
    assert list(tmp_path.iterdir()) == []


def test_long_names_leave_short_rows_and_nobodys_logon(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=2)
    name = ".".join(["a" * 63] * 3 + ["univ-brest.fr"])

    assert [answered(counted, name, logon="c" * 64) for _ in range(3)][1:] == ["success", "too-many-requests"]

    content = (tmp_path / "limits/requests").read_text()
    assert "aaa" not in content
    assert "ccc" not in content
    assert max(map(len, content.splitlines())) < 80


def test_counts_of_an_earlier_release_are_understood(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=2)
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits/requests").write_text(f"{PEER} {int(time.time())} 2\n")

    assert answered(counted) == "too-many-requests"
    assert answered(counted, NAME) == "success"


def test_a_machine_gets_no_more_from_many_processes(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=5, at_once=40)
    children = [child(lambda n=n: say(counted, f"e{n}")) for n in range(20)]  # type: ignore[misc]

    told = "".join(sorted(said().decode() for _, said in children))
    for pid, _ in children:
        os.waitpid(pid, 0)

    assert told == "+" * 5 + "-" * 15


def say(counted: Limits, logon: str) -> None:
    """Tell whether the answer to a wrong logon says that it is wrong."""
    code = answered(counted, NAME, logon=logon, error=BadUser(logon=logon))
    os.write(1, {"bad-user": b"+", "too-many-requests": b"-"}.get(code, b"?"))


# All at once


def test_as_many_as_there_are_places_are_in_work(tmp_path: Path) -> None:
    counted = of(tmp_path, at_once=2)

    with counted.admitted(PEER), counted.admitted(PEER):
        assert not ask(counted, OTHER)
    assert ask(counted, OTHER)


def test_a_request_that_fails_gives_its_place_back(tmp_path: Path) -> None:
    counted = of(tmp_path, at_once=1)

    with pytest.raises(FileNotFoundError, match="of the work itself"), counted.admitted(PEER):
        raise FileNotFoundError("of the work itself")

    assert ask(counted)


def test_a_refusal_by_the_address_gives_the_place_back(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1, at_once=1)
    ask(counted)
    assert not ask(counted)

    assert ask(counted, OTHER)


def test_a_request_that_finds_no_place_does_not_count(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=1, at_once=1)
    with counted.admitted(PEER):
        assert not ask(counted, OTHER)

    assert ask(counted, OTHER)


def test_a_killed_process_gives_its_place_back(tmp_path: Path) -> None:
    counted = of(tmp_path, at_once=1)
    pid, said = child(lambda: hold(counted, PEER))
    assert said() == b"+"
    assert not ask(counted)

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert ask(counted)


def test_a_program_that_is_left_running_keeps_no_place(tmp_path: Path) -> None:
    counted = of(tmp_path, at_once=1)
    with counted.admitted(PEER):
        pid = os.posix_spawn("/bin/sleep", ["sleep", "30"], {})
    try:
        # The kernel lets us go on a moment before it closes the new program's descriptors.
        patience = Deadline(5)
        while not ask(counted):
            assert patience.remaining()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# Many processes


def child(act: Callable[[], object]) -> tuple[int, Callable[[], bytes]]:
    """Fork; the child's first line of standard output, one byte, can be waited for."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.close(read)
        try:
            act()
        finally:
            os._exit(0)
    os.close(write)

    def said() -> bytes:
        with os.fdopen(read, "rb", closefd=True) as pipe:
            return pipe.read(1)

    return pid, said


def hold(counted: Limits, peer: Address) -> None:
    """Say whether the request is admitted, and stay in work."""
    try:
        with counted.admitted(peer):
            os.write(1, b"+")
            time.sleep(60)
    except TooManyRequests:
        os.write(1, b"-")
    except HostsFileError:
        os.write(1, b"?")


def herd(counted: Limits, peers: Iterator[Address]) -> str:
    """Let all *peers* ask at one time, each in a process; return what they were told, sorted."""
    children = [child(lambda peer=peer: hold(counted, peer)) for peer in peers]  # type: ignore[misc]
    try:
        return "".join(sorted(said().decode() for _, said in children))
    finally:
        for pid, _ in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_sixty_processes_share_forty_places(tmp_path: Path) -> None:
    told = herd(of(tmp_path, at_once=40), (PEER for _ in range(60)))

    assert told == "+" * 40 + "-" * 20
    assert len(list((tmp_path / "limits").iterdir())) == 40


def test_no_count_is_lost_among_forty_processes(tmp_path: Path) -> None:
    told = herd(of(tmp_path, per_address=25, at_once=40), (PEER for _ in range(40)))

    assert told == "+" * 25 + "-" * 15


def test_forty_machines_at_one_time_are_all_admitted(tmp_path: Path) -> None:
    peers = (ipaddress.ip_address(f"192.0.2.{n}") for n in range(40))

    assert herd(of(tmp_path, per_address=30, at_once=40), peers) == "+" * 40


def test_a_process_killed_while_it_counts_locks_nobody_out(tmp_path: Path, mocker: MockerFixture) -> None:
    counted = of(tmp_path, per_address=2)
    ask(counted)

    def killed() -> None:
        mocker.patch.object(request_counts, "to_bytes", lambda rows: os.kill(os.getpid(), signal.SIGKILL))
        ask(counted)

    pid, _ = child(killed)
    _, status = os.waitpid(pid, 0)

    assert os.WIFSIGNALED(status)
    assert ask(counted)


def test_who_sits_on_the_counts_stops_nobody_for_ever(tmp_path: Path, mocker: MockerFixture) -> None:
    counted = of(tmp_path, per_address=2)
    mocker.patch.object(rate_limits, "_TIMEOUT", 0.2)
    pid, said = child(lambda: sit_on(counted, tmp_path / "limits/requests"))
    assert said() == b"+"

    begun, used = time.monotonic(), time.process_time()
    try:
        with pytest.raises(HostsFileError, match="locked"), counted.admitted(PEER):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    took = time.monotonic() - begun
    assert took >= 0.2
    assert within(took, 2)
    assert within(time.process_time() - used, 0.1)
    assert ask(counted)


def sit_on(counted: Limits, path: Path) -> None:
    """Lock the counts and keep them."""
    ask(counted)
    with path.open("r+b") as file:
        assert rate_limits._locked(file.fileno())
        os.write(1, b"+")
        time.sleep(60)


# Faults


def test_counts_that_cannot_be_kept_are_a_fault_and_never_let_anybody_in(tmp_path: Path) -> None:
    (tmp_path / "limits").write_bytes(b"")

    for counted in (of(tmp_path, per_address=1), of(tmp_path, at_once=1)):
        with pytest.raises(HostsFileError), counted.admitted(PEER):
            pytest.fail("admitted")


def test_a_state_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(HostsFileError), of(tmp_path / "nowhere", at_once=1).admitted(PEER):
        pytest.fail("admitted")


@pytest.mark.parametrize("name", ["requests", "place-0"])
def test_a_link_is_not_followed(name: str, tmp_path: Path) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "limits" / name).symlink_to(tmp_path / "victim")

    with pytest.raises(HostsFileError), of(tmp_path, per_address=1, at_once=1).admitted(PEER):
        pytest.fail("admitted")

    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_full_disk_is_a_fault_for_as_long_as_it_is_full(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=9, at_once=1)
    ask(counted)
    soft, hard = getrlimit(RLIMIT_FSIZE)

    setrlimit(RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(HostsFileError), counted.admitted(PEER):
            pytest.fail("admitted")
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))

    assert ask(counted)


def test_nobody_else_reads_who_asked(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        ask(of(tmp_path, per_address=1, at_once=1))
    finally:
        os.umask(umask)

    for path in (tmp_path / "limits").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO
    assert not stat.S_IMODE((tmp_path / "limits").stat().st_mode) & stat.S_IRWXO


def test_a_request_costs_little(tmp_path: Path) -> None:
    counted = of(tmp_path, per_address=100_000, at_once=40)
    ask(counted)

    used = time.process_time()
    for _ in range(100):
        ask(counted)

    assert within((time.process_time() - used) / 100, 0.003)
