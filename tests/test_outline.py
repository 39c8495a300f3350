"""The outline of a DNS answer is what dnspython reads in it, or an error."""

import dns.exception
import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from hypothesis import given, settings
from hypothesis import strategies as st

from backuppc_register.network import outline
from backuppc_register.network.outline import Section

QUESTION = dns.message.make_query("9.0.0.10.in-addr.arpa.", "PTR", use_edns=False)

label = st.binary(min_size=1, max_size=20)
name = st.lists(label, min_size=1, max_size=8).map(lambda labels: dns.name.Name([*labels, b""]))
record = st.one_of(
    st.tuples(name, st.just("PTR"), name.map(str)),
    st.tuples(name, st.just("CNAME"), name.map(str)),
    st.tuples(name, st.just("A"), st.just("10.0.0.9")),
    st.tuples(name, st.just("TXT"), st.just('"x y"')),
    st.tuples(name, st.just("SOA"), name.map(lambda one: f"{one} {one} 1 2 3 4 5")),
)


@st.composite
def messages(draw: st.DrawFn) -> dns.message.Message:
    response = dns.message.make_response(QUESTION)
    for section in (response.answer, response.authority, response.additional):
        for owner, kind, value in draw(st.lists(record, max_size=4)):
            section.append(dns.rrset.from_text(owner, 60, "IN", kind, value))
    return response


@given(messages())
@settings(deadline=None)
def test_sections_types_and_labels_are_those_that_dnspython_reads(message: dns.message.Message) -> None:
    wire = message.to_wire()

    found = outline.records(wire)

    sections = (message.answer, message.authority, message.additional)
    told = [(section, rrset) for section, rrsets in enumerate(sections) for rrset in rrsets]
    assert [(one.section, one.kind, one.ttl) for one in found] == [(s, rrset.rdtype, 60) for s, rrset in told]
    assert outline.size(wire) == len(told)
    assert outline.questions(wire) == 1
    for one, (_, rrset) in zip(found, told, strict=True):
        assert outline.labels(wire, one.owner) == len(rrset.name.labels) - 1
        if rrset.rdtype in (RdataType.PTR, RdataType.CNAME):
            assert outline.labels(wire, one.data) == len(rrset[0].target.labels) - 1


@given(messages())
@settings(deadline=None)
def test_what_is_left_is_the_answer_and_nothing_else(message: dns.message.Message) -> None:
    wire = message.to_wire()
    wanted = {RdataType.PTR, RdataType.CNAME}

    alone = outline.answer_alone(wire, outline.records(wire), wanted)

    read = dns.message.from_wire(alone, ignore_trailing=True)
    before = dns.message.from_wire(wire)
    assert [rrset for rrset in read.answer if rrset.rdtype in wanted] == [
        rrset for rrset in before.answer if rrset.rdtype in wanted
    ]
    assert {rrset.rdtype for rrset in read.answer} <= {*wanted, 65280}
    assert (read.authority, read.additional) == ([], [])
    assert len(alone) == len(wire)


@given(messages(), st.data())
@settings(deadline=None)
def test_of_whatever_bytes_only_a_ValueError_comes(message: dns.message.Message, data: st.DataObject) -> None:
    wire = bytearray(message.to_wire())
    for place in data.draw(st.lists(st.integers(4, len(wire) - 1), min_size=1, max_size=6)):
        wire[place] = data.draw(st.integers(0, 255))
    broken = bytes(wire[: data.draw(st.integers(0, len(wire)))])

    try:
        for one in outline.records(broken):
            if one.section is Section.ANSWER:
                outline.labels(broken, one.owner)
                outline.labels(broken, one.data)
    except ValueError:
        return


@given(messages(), st.integers(1, 12))
@settings(deadline=None)
def test_what_is_cut_short_or_goes_on_is_malformed(message: dns.message.Message, cut: int) -> None:
    wire = message.to_wire()

    for broken in (wire[:-cut], wire + bytes(cut)):
        with pytest.raises(ValueError, match="message"):
            outline.records(broken)


@pytest.mark.parametrize(
    "name", [b"\xc0\x00", b"\xc0\x02\xc0\x00", b"\1a" * 128 + b"\0", b"\1a\xc0\x00"], ids=range(4)
)
def test_a_name_that_never_ends_is_malformed(name: bytes) -> None:
    with pytest.raises(ValueError, match="too long"):
        outline.labels(name, 0)
