"""setup.ps1: what a parser and rules can tell about a file that nobody has run on Windows yet."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from backuppc_register import errors
from backuppc_register.admin import bundle

CHECKOUT = Path(__file__).resolve().parents[1]
SETUP = CHECKOUT / "clients/setup.ps1"
TEXT = SETUP.read_text("utf-8-sig")
HEADER = TEXT.partition("param(")[0]
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"
BUNDLED = bundle.filled("windows", "dugong.univ-brest.fr", KEY, [HOST_KEY]).decode("utf-8-sig")

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
ROOT = PARSER.parse(TEXT.encode()).root_node

STRING = r"'((?:[^']|'')*)'"
SPEAKS = r"\b(?:Say|Complain|Invoke-Change|Read-YesOrNo|Stop-Setup \d+|Get-Text)"
# All of Windows PowerShell 5.1, on 64-bit Windows 10.
CMDLETS = {
    "Add-LocalGroupMember",
    "Add-WindowsCapability",
    "Copy-Item",
    "ForEach-Object",
    "Get-Acl",
    "Get-AuthenticodeSignature",
    "Get-ChildItem",
    "Get-CimInstance",
    "Get-FileHash",
    "Get-Item",
    "Get-LocalGroup",
    "Get-LocalGroupMember",
    "Get-LocalUser",
    "Get-NetFirewallProfile",
    "Get-NetFirewallRule",
    "Get-Service",
    "Get-UICulture",
    "Join-Path",
    "New-Item",
    "New-LocalUser",
    "New-NetFirewallRule",
    "New-Object",
    "Out-Null",
    "Read-Host",
    "Remove-Item",
    "Remove-LocalUser",
    "Remove-NetFirewallRule",
    "Remove-WindowsCapability",
    "Resolve-Path",
    "Restart-Service",
    "Set-Service",
    "Set-StrictMode",
    "Start-Service",
    "Stop-Service",
    "Test-Path",
    "Where-Object",
    "Write-Host",
}
CHANGES = re.compile(
    r"(?:Add-(?:Local|Windows)|Copy-|New-(?:Item|Local|Net)|Remove-(?:Item|Local|Net|Windows)|Restart-S|Set-Serv"
    r"|Start-Serv|Stop-Serv)"
)


def nodes(node: tree_sitter.Node = ROOT) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def text_of(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def name_of(command: tree_sitter.Node) -> str:
    return text_of(command).split(None, 1)[0]


def functions() -> dict[str, tree_sitter.Node]:
    found = [node for node in nodes() if node.type == "function_statement"]
    return {text_of(node).split()[1]: node for node in found}


def commands(node: tree_sitter.Node = ROOT) -> list[tree_sitter.Node]:
    return [each for each in nodes(node) if each.type == "command"]


def waits_for_consent(command: tree_sitter.Node) -> bool:
    """Whether Invoke-Change decides if *command* is executed."""
    above = command.parent
    while above is not None:
        if above.type == "command" and name_of(above) == "Invoke-Change":
            return True
        above = above.parent
    return False


def switch_words(function: str) -> set[str]:
    return set(re.findall(r"^        '([a-z-]+)' \{$", text_of(functions()[function]), re.MULTILINE))


@pytest.mark.parametrize("text", [TEXT, BUNDLED], ids=["as it is", "bundled"])
def test_the_parser_finds_no_fault(text: str) -> None:
    tree = PARSER.parse(text.encode())

    faults = [node.start_point for node in nodes(tree.root_node) if node.type == "ERROR" or node.is_missing]
    assert faults == []


def test_the_parser_would_find_an_open_brace() -> None:
    tree = PARSER.parse(TEXT.replace("        exit $Status\n", "").replace("{\n", "\n", 1).encode())

    assert tree.root_node.has_error


def test_powershell_5_reads_the_accents() -> None:
    assert SETUP.read_bytes().startswith(b"\xef\xbb\xbf")
    assert b"\r" not in SETUP.read_bytes()


def test_no_typographic_quote_or_dash_ends_a_string() -> None:
    # PowerShell takes U+2018 to U+201E for quotes, and U+2013 to U+2015 for dashes.
    assert re.findall("[\u2013-\u2015\u2018-\u201f]", TEXT) == []


def test_there_is_one_statement_a_line() -> None:
    for block in [node for node in nodes() if node.type == "statement_list"]:
        rows = [each.start_point[0] for each in block.children if each.is_named and each.type != "comment"]
        assert len(rows) == len(set(rows)), text_of(block)[:80]
    assert [name for name, node in functions().items() if node.start_point[0] == node.end_point[0]] == []
    assert re.findall(r"^[^'#]*;[^']*$", re.sub(r"^\s*for \(.*$", "", TEXT, flags=re.M), re.M) == []


def test_nothing_is_newer_than_powershell_5() -> None:
    assert re.findall(r"&&|\|\||\?\?|\?\.\w", re.sub(STRING, "''", TEXT)) == []


@pytest.mark.parametrize(
    "word",
    [
        "Invoke-Expression", "iex ", "DownloadString", "DownloadFile", "WebClient", "Invoke-WebRequest",
        "Invoke-RestMethod", "Start-BitsTransfer", "Start-Process", "HttpClient", "AsPlainText", "net user",
    ],
)  # fmt: skip
def test_nothing_is_downloaded_and_no_text_becomes_code(word: str) -> None:
    assert word.lower() not in TEXT.lower()


def test_every_command_is_one_of_ours_or_of_windows() -> None:
    ours, names = functions(), {name_of(command) for command in commands()}

    assert {name for name in names if name not in ours and name not in CMDLETS} == {"&"}
    assert {text_of(each).strip() for each in commands() if name_of(each) == "&"} == {"& $Action", "& $Plan"}
    assert [name for name in ours if name not in names] == []


def test_ssh_is_called_in_one_place_and_pinned() -> None:
    assert TEXT.count("'ssh.exe'") == 1
    body = text_of(functions()["Send-Request"])
    for option in (
        "'-x', '-a', '-T'", "'-F', 'none'", "IdentitiesOnly=yes", "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        '"UserKnownHostsFile=$KnownHostsFile"', '"GlobalKnownHostsFile=$KnownHostsFile"', "ConnectTimeout=15",
        "LogLevel=ERROR",
    ):  # fmt: skip
        assert option in body
    assert "'ssh.exe'" in body


def test_every_message_has_its_french() -> None:
    said = 0
    for line in TEXT.splitlines():
        for match in re.finditer(SPEAKS + r" (?=')", line):
            both = re.match(f"{STRING} {STRING}", line[match.end() :])
            assert both, line
            english, french = both[1], both[2]
            assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", french)), line
            assert english != french or english == "{0}", line
            said += 1
    assert said > 90


def test_no_message_goes_round_the_two_languages() -> None:
    for line in TEXT.splitlines():
        if "WriteLine(" in line or "Write-Host" in line:
            assert re.search(r"Get-(?:Text|Printable)|\$line|unknown option, option inconnue", line), line


def test_every_error_of_the_server_has_advice() -> None:
    assert switch_words("Show-Advice") == {error.code for error in errors.table()}


def test_every_step_of_verify_has_advice() -> None:
    protocol = (CHECKOUT / "docs/protocol.md").read_text()
    table = protocol[protocol.index("| `step` |") :].partition("\n\n")[0]
    steps = set(re.findall(r"`([a-z-]+)`", "".join(line.split("|")[1] for line in table.splitlines())))

    assert steps - {"step", "host-key-changed"} <= switch_words("Show-StepAdvice")


def test_what_comes_from_the_server_is_compared_to_the_letter() -> None:
    for name in ("Read-Reply", "Read-ReplyLine", "Test-Registration", "Test-PublicKey", "Test-Address"):
        body = text_of(functions()[name])
        assert not re.search(r" -(?:match|notmatch|contains|notcontains|replace) ", body), name
        assert not re.search(r" -(?:eq|ne) '", body), name
        assert "^" not in body.replace("[^A-Za-z0-9 ._@:+-]", "")  # \A and \z: $ would let a newline in


def test_nothing_is_changed_before_consent() -> None:
    ours = functions()
    changing = {"Write-Plain", "Add-Receipt", "Remove-Receipt", "Invoke-Needed"}
    before: set[str] = set()
    while changing != before:
        before = set(changing)
        for name, node in ours.items():
            loose = [name_of(each) for each in commands(node) if not waits_for_consent(each)]
            if any(word in changing or CHANGES.match(word) for word in loose):
                changing.add(name)

    assert changing.isdisjoint({"Invoke-Steps", "Invoke-Setup", "Remove-Setup", "Set-File", "Set-Folder"})
    assert changing.isdisjoint({"Register-Computer", "Set-Sshd", "Open-Firewall", "Confirm-Plan"})
    assert {"New-Account", "Protect-Path", "Remove-Tree"} <= changing
    outside = [name_of(each) for each in commands() if not inside_function(each)]
    assert not changing & set(outside)


def inside_function(node: tree_sitter.Node) -> bool:
    above = node.parent
    while above is not None and above.type != "function_statement":
        above = above.parent
    return above is not None


def test_the_header_names_every_option_and_exit_status() -> None:
    parameters = re.findall(r"^    \[\w+\]\$(\w+)", TEXT[TEXT.index("param(") :].partition("\n)")[0], re.M)
    statuses = set(re.findall(r"(?:Stop-Setup|exit) (\d+)", TEXT))

    assert re.findall(r"^#   -(\w+)", HEADER, re.M) == parameters
    told = HEADER[HEADER.index("# Exit status:") :]
    assert {number for number in re.findall(r"\b(\d+) [a-z]", told) if number != "10"} == statuses


@pytest.mark.parametrize("english", ["docs/client/windows.en.md", "docs/manual-checklist.md", "CHANGELOG.md"])
def test_the_documents_say_that_it_is_experimental(english: str) -> None:
    assert re.search("experimental", (CHECKOUT / english).read_text(), re.IGNORECASE)


def test_whoever_runs_it_is_told_that_it_is_experimental() -> None:
    french = (CHECKOUT / "docs/client/windows.fr.md").read_text()
    begin = text_of(functions()["Invoke-Setup"])

    assert "EXPERIMENTAL" in HEADER
    assert "EXPERIMENTAL" in begin
    assert begin.index("EXPERIMENTAL") < begin.index("Test-System")
    assert "xpérimental" in french


def test_the_account_is_no_administrator_and_cannot_write_everything() -> None:
    assert "Add-LocalGroupMember -SID" not in TEXT
    assert TEXT.count("Add-LocalGroupMember ") == 1  # OpenSSH Users
    assert "'SeRestorePrivilege'" not in TEXT
    assert "SeDenyInteractiveLogonRight" in TEXT
