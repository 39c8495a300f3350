"""The file that counts the requests of the last minute: any content is read, and what is written is read."""

from hypothesis import given
from hypothesis import strategies as st

from backuppc_register.state import request_counts

NOW = 1_795_000_000
KEYS = st.text(st.sampled_from("0123456789abcdef.:/"), min_size=1, max_size=43)


@given(st.binary())
def test_no_content_at_all_is_an_error(content: bytes) -> None:
    counts = request_counts.read(content, NOW)

    assert all(isinstance(count, int) for count in counts.rows.values())


@given(st.lists(KEYS, max_size=20))
def test_what_is_written_counts_for_a_minute(keys: list[str]) -> None:
    counts = request_counts.read(b"", NOW)
    for key in keys:
        counts.add(key)
    written = request_counts.to_bytes(counts.rows)

    for later, share in ((0, 1), (59, 1), (60, 0), (-1, 0)):
        again = request_counts.read(written, NOW + later)
        assert [again.of(key) for key in keys] == [keys.count(key) * share for key in keys]
