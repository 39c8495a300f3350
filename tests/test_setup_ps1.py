"""setup.ps1: what a parser and rules can tell about a file that nobody has run on Windows yet."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from backuppc_register.admin import bundle
from backuppc_register.protocol import errors

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
SPEAKS = r"\b(?:Say|Complain|Add-Fault|Invoke-Change|Read-YesOrNo|Stop-Setup \d+|Get-Text)"
# All of Windows PowerShell 5.1, on 64-bit Windows 10.
CMDLETS = {
    "Add-LocalGroupMember",
    "Add-WindowsCapability",
    "Copy-Item",
    "Disable-NetFirewallRule",
    "ForEach-Object",
    "Get-Acl",
    "Get-ChildItem",
    "Get-CimInstance",
    "Get-FileHash",
    "Get-Item",
    "Get-LocalGroup",
    "Get-LocalGroupMember",
    "Get-LocalUser",
    "Get-NetFirewallProfile",
    "Get-NetFirewallRule",
    "Get-Process",
    "Get-Service",
    "Get-UICulture",
    "Join-Path",
    "New-Item",
    "New-LocalUser",
    "New-NetFirewallRule",
    "New-Object",
    "Out-Null",
    "Read-Host",
    "Remove-CimInstance",
    "Remove-Item",
    "Remove-LocalUser",
    "Remove-NetFirewallRule",
    "Remove-WindowsCapability",
    "Resolve-Path",
    "Restart-Service",
    "Set-Service",
    "Set-StrictMode",
    "Sort-Object",
    "Start-Service",
    "Stop-Service",
    "Test-Path",
    "Where-Object",
    "Write-Host",
}
# What .NET Framework 4.6, which comes with the first Windows 10, has of this; some is gone from later .NET.
STATICS = {
    "Console::Error", "Convert::ToBase64String", "Convert::ToByte", "DateTime::UtcNow",
    "Environment::GetFolderPath", "Environment::Is64BitProcess", "Environment::MachineName",
    "Environment::OSVersion", "Environment::SystemDirectory", "Math::Max", "NullString::Value",
    "StringComparison::Ordinal", "System.Diagnostics.Process::Start",
    "System.IO.Directory::CreateDirectory", "System.IO.Directory::SetAccessControl",
    "System.IO.File::Delete", "System.IO.File::Move", "System.IO.File::Open",
    "System.IO.File::ReadAllBytes", "System.IO.File::ReadAllLines", "System.IO.File::Replace",
    "System.IO.File::SetAccessControl", "System.IO.FileAccess::ReadWrite",
    "System.IO.FileAttributes::ReparsePoint", "System.IO.FileMode::CreateNew",
    "System.IO.FileMode::OpenOrCreate", "System.IO.FileOptions::WriteThrough", "System.IO.FileShare::None",
    "System.IO.Path::GetDirectoryName", "System.IO.Path::GetPathRoot", "System.Net.Dns::GetHostAddresses",
    "System.Net.IPAddress::TryParse", "System.Security.AccessControl.FileSystemRights::Write",
    "System.Security.Cryptography.RandomNumberGenerator::Create",
    "System.Security.Principal.WindowsIdentity::GetCurrent",
    "System.Security.Principal.WindowsBuiltInRole::Administrator", "System.Text.Encoding::ASCII",
    "System.Text.Encoding::GetEncoding", "regex::Escape", "regex::Matches", "regex::Replace",
}  # fmt: skip
# What PowerShell itself sets; none of it may be assigned.
AUTOMATIC = {"_", "args", "false", "matches", "null", "psscriptroot", "pscommandpath", "pshome", "true"}
READ_ONLY = AUTOMATIC | {
    "error",
    "host",
    "home",
    "input",
    "pid",
    "profile",
    "this",
    "foreach",
    "switch",
    "event",
    "sender",
}
CHANGES = re.compile(
    r"(?:Add-(?:Local|Windows)|Copy-|Disable-|New-(?:Item|Local|Net)|Remove-(?:Cim|Item|Local|Net|Windows)|Restart-S"
    r"|Set-Serv|Start-Serv|Stop-Serv)"
)


def nodes(node: tree_sitter.Node = ROOT) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def text_of(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def name_of(command: tree_sitter.Node) -> str:
    return text_of(command).split(None, 1)[0]


@cache
def functions() -> dict[str, tree_sitter.Node]:
    found = [node for node in nodes() if node.type == "function_statement"]
    return {text_of(node).split()[1]: node for node in found}


@cache
def commands(node: tree_sitter.Node = ROOT) -> list[tree_sitter.Node]:
    return [each for each in nodes(node) if each.type == "command"]


def body(function: str) -> str:
    return text_of(functions()[function])


def calls(*names: str) -> list[tree_sitter.Node]:
    return [each for each in commands() if name_of(each) in names]


def waits_for_consent(command: tree_sitter.Node) -> bool:
    """Whether Invoke-Change decides if *command* is executed."""
    above = command.parent
    while above is not None:
        if above.type == "command" and name_of(above) == "Invoke-Change":
            return True
        above = above.parent
    return False


def parameters(function: str) -> list[tuple[str, bool]]:
    """Name of each parameter, in lower case, and whether it may be left out."""
    block = re.search(r"^    param\(\n(.*?)^    \)\n", body(function), re.S | re.M)
    found = re.findall(r"^        \[[\w.\[\]]+\]\$(\w+)( =)?", block[1] if block else "", re.M)
    return [(name.lower(), bool(default)) for name, default in found]


def assigned(node: tree_sitter.Node) -> set[str]:
    """The names, in lower case, that *node* itself gives a value to, those of its script blocks too."""
    found = set()
    for each in nodes(node):
        if each.type == "left_assignment_expression":
            found |= {text_of(one)[1:].lower() for one in nodes(each) if one.type == "variable"}
        elif each.type == "foreach_statement":
            found.add(text_of(next(one for one in each.children if one.type == "variable"))[1:].lower())
    return {name for name in found if ":" not in name}


def of_the_script(prefix: str = "") -> set[str]:
    """The names, in lower case, of the script's variables written with *prefix*, and of its options."""
    options = re.findall(r"^    \[\w+\]\$(\w+)", TEXT[TEXT.index("param(") :].partition("\n)")[0], re.M)
    outside = re.sub(r"^function .*?^\}$", "", TEXT, flags=re.S | re.M)
    return {name.lower() for name in [*options, *re.findall(rf"^\${prefix}(\w+) = ", outside, re.M)]}


def blocks() -> list[list[str]]:
    """The statements of each block, in their order."""
    lists = [node for node in nodes() if node.type == "statement_list"]
    return [
        [text_of(each) for each in node.children if each.is_named and each.type != "comment"]
        for node in lists
    ]


def switch_words(function: str) -> set[str]:
    return set(re.findall(r"^        '([a-z-]+)' \{$", body(function), re.M))


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
    text = body("Invoke-Ssh")
    for option in (
        "'-x', '-a', '-T'", "'-F', 'none'", "IdentitiesOnly=yes", "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        '"UserKnownHostsFile=$KnownHostsFile"', '"GlobalKnownHostsFile=$KnownHostsFile"', "ConnectTimeout=15",
        "LogLevel=ERROR",
    ):  # fmt: skip
        assert option in text
    assert "'ssh.exe'" in text


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
        text = body(name)
        assert not re.search(r" -(?:match|notmatch|contains|notcontains|replace) ", text), name
        assert not re.search(r" -(?:eq|ne) '", text), name
        assert "^" not in text.replace("[^A-Za-z0-9 ._@:+-]", "")  # \A and \z: $ would let a newline in


def test_nothing_is_changed_before_consent() -> None:
    ours = functions()
    deeds = r"\[System\.IO\.(?:File\]::(?:Delete|Move|Open|Replace|Set)|Directory\]::)|System\.IO\.FileStream"
    changing = {"Invoke-Needed"} | {name for name, node in ours.items() if re.search(deeds, text_of(node))}
    changing -= {"Lock-Setup", "Clear-CallKey", "Install-Cygwin", "Set-SshdConfig"}  # see the next test
    before: set[str] = set()
    while changing != before:
        before = set(changing)
        for name, node in ours.items():
            if name == "Invoke-Change":
                continue
            loose = [name_of(each) for each in commands(node) if not waits_for_consent(each)]
            if any(word in changing or CHANGES.match(word) for word in loose):
                changing.add(name)

    assert changing.isdisjoint({"Invoke-Steps", "Invoke-Setup", "Remove-Setup", "Set-File", "Set-Folder"})
    assert changing.isdisjoint({"Register-Computer", "Set-Sshd", "Open-Firewall", "Confirm-Plan"})
    assert changing.isdisjoint(
        {"Invoke-Doctor", "Invoke-Verify", "Set-Places", "Set-Account", "Set-Wrapper", "Set-Access"}
    )
    assert {
        "New-Account",
        "Protect-Path",
        "Write-Receipt",
        "Write-File",
        "New-Folder",
        "Add-Rules",
    } <= changing
    outside = [name_of(each) for each in commands() if not inside_function(each)]
    assert not changing & set(outside)


def test_what_is_no_deed_of_a_plan_has_its_own_guard() -> None:
    gate = body("Invoke-Change")
    (below,) = re.findall(r"^    if \(-not \$script:Planning\) \{\n(.*?)^    \}", gate, re.S | re.M)

    assert "Remove-Receipt 'verified '" in below
    assert "& $Action" in below
    assert gate.count("Remove-Receipt") == gate.count("& $Action") == 1
    lock = body("Lock-Setup")
    assert lock.index("$script:Planning") < lock.index("::Open(")
    assert "if ($script:CallKeyMade) {\n        [System.IO.File]::Delete($KeyFile)" in body("Clear-CallKey")
    assert TEXT.count("$script:CallKeyMade = $true") == 1
    deeds = {"Request-WayBack", "Add-SshdBlock"}  # which are called in deeds alone
    assert all(waits_for_consent(each) for each in calls(*deeds))
    loose = [each for each in calls("Set-CallFiles", "Set-SshdConfig") if not waits_for_consent(each)]
    assert {function_of(each) for each in loose} == deeds


def function_of(node: tree_sitter.Node) -> str:
    above = node.parent
    while above is not None and above.type != "function_statement":
        above = above.parent
    return text_of(above).split()[1] if above is not None else ""


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
    assert re.search("experimental", (CHECKOUT / english).read_text(), re.I)


def test_whoever_runs_it_is_told_that_it_is_experimental() -> None:
    french = (CHECKOUT / "docs/client/windows.fr.md").read_text()
    begin = body("Invoke-Setup")

    assert "EXPERIMENTAL" in HEADER
    assert "EXPERIMENTAL" in begin
    assert begin.index("EXPERIMENTAL") < begin.index("Test-System")
    assert "xpérimental" in french


def test_the_account_is_no_administrator_and_cannot_write_everything() -> None:
    assert "Add-LocalGroupMember -SID" not in TEXT
    assert TEXT.count("Add-LocalGroupMember ") == 1  # OpenSSH Users
    assert "'SeRestorePrivilege'" not in TEXT
    assert "SeDenyInteractiveLogonRight" in TEXT


# ---------------------------------------------------------------- slips that the first run would show


def test_our_functions_are_called_with_as_many_arguments_as_they_take() -> None:
    ours, looked_at = functions(), 0
    for command in commands():
        if name_of(command) not in ours:
            continue
        parts = [node for node in command.children if node.type == "command_elements"]
        given = [each for part in parts for each in part.children if each.type != "command_argument_sep"]
        takes = parameters(name_of(command))
        optional = [name for name, default in takes if default or name == "action"]
        assert len(takes) - len(optional) <= len(given) <= len(takes), text_of(command)
        assert not any(each.type == "command_parameter" for each in given), text_of(command)
        looked_at += 1
    assert looked_at > 300


def test_every_variable_has_a_value() -> None:
    known, kept = of_the_script() | AUTOMATIC, of_the_script("script:")
    for name, function in functions().items():
        own = {each for each, _ in parameters(name)} | assigned(function)
        used = {
            text_of(node).strip("${}").lower()
            for node in nodes(function)
            if node.type in ("variable", "braced_variable")
        }
        ours = {each.removeprefix("script:") for each in used if each.startswith("script:")}
        assert ours <= kept, name
        assert {each for each in used if ":" not in each} <= own | known, name


def test_no_variable_hides_one_of_the_script_from_what_is_called() -> None:
    # Scopes are dynamic, names have no case: a local $state would be the State of all that is called.
    for name, function in functions().items():
        own = {each for each, _ in parameters(name)} | assigned(function)
        assert own & of_the_script() == set(), name
        assert own & (READ_ONLY - {"null"}) == set(), name  # null swallows what is given to it
    assert {"english", "french", "values", "action"} == {each for each, _ in parameters("Invoke-Change")}
    for command in calls("Invoke-Change"):
        block = next((node for node in nodes(command) if node.type == "script_block_expression"), command)
        assert not re.search(r"\$(?:English|French|Values|Action)\b", text_of(block)), text_of(command)


def test_every_static_member_is_one_of_the_net_framework() -> None:
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    found = set(re.findall(r"\[([\w.]+)\]::(\w+)", bare))

    assert {f"{kind}::{member}" for kind, member in found} == STATICS


def test_a_path_is_never_taken_for_a_pattern() -> None:
    words = (
        "Test-Path",
        "Get-Item",
        "Remove-Item",
        "Copy-Item",
        "Get-Acl",
        "Get-ChildItem",
        "Get-FileHash",
        "Resolve-Path",
    )
    for command in calls(*words):
        assert " -LiteralPath " in text_of(command), text_of(command)


# ---------------------------------------------------------------- who is trusted


def test_the_environment_and_a_persons_modules_lead_nowhere() -> None:
    assert re.findall(r"\$env:\w+", TEXT, re.I) == ["$env:PSModulePath"]
    before = TEXT.partition("$env:PSModulePath = ")[0]
    assert {name_of(each) for each in commands() if each.start_point[0] < before.count("\n")} == {
        "Set-StrictMode"
    }
    assert "powershell -NoProfile " in HEADER


def test_what_is_started_is_windows_own_or_was_judged_in_this_run() -> None:
    judged = {
        "(Join-Path $OpenSsh 'ssh.exe')", "(Join-Path $OpenSsh 'ssh-keygen.exe')",
        "(Join-Path $System32 'cmd.exe')", "(Get-TrustedProgram 'editrights')", "$Sshd",
    }  # fmt: skip
    for command in calls("Invoke-Program", "Invoke-Needed"):
        if function_of(command) == "Invoke-Needed":
            continue
        what = text_of(next(node for node in command.children if node.type == "command_elements").children[1])
        function = body(function_of(command))
        if what == "$CygwinCopy":
            at = [
                function.index(word)
                for word in ("Copy-Item", "Protect-Path $CygwinCopy", "Test-CygwinSetup $CygwinCopy")
            ]
            assert at == sorted(at)
            assert at[-1] < function.index("Invoke-Needed $CygwinCopy")
        elif what in ("$program", "$icacls"):
            source = {
                "$program": "Get-TrustedProgram 'editrights'",
                "$icacls": "Join-Path $System32 'icacls.exe'",
            }[what]
            assert f"{what} = {source}\n" in function
        else:
            assert what in judged, text_of(command)
    assert TEXT.count("[System.Diagnostics.Process]::Start(") == 1
    for place in ("$Base", "$Cygwin", "$folder", "$library.FullName", "$program"):
        assert f"Test-Safe {place}\n" in body("Get-TrustedProgram")


def test_cygwin_is_known_by_its_hash_alone() -> None:
    assert "authenticode" not in TEXT.lower()
    judge = body("Test-CygwinSetup")
    assert "if ($CygwinSha256 -ceq '' -or (Get-FileHash " in judge
    assert "return" not in judge
    assert "if ($CygwinSha256 -ceq '' -or -not (Test-Path " in body("Find-CygwinSetup")
    for document in ("docs/client/windows.en.md", "docs/client/windows.fr.md"):
        assert "-CygwinSha256" in (CHECKOUT / document).read_text()


def test_every_right_that_changes_something_counts_as_writing() -> None:
    # winnt.h: FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_WRITE_EA, FILE_WRITE_ATTRIBUTES, FILE_DELETE_CHILD,
    # DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_WRITE, GENERIC_ALL.
    bits = [0x2, 0x4, 0x10, 0x100, 0x40, 0x10000, 0x40000, 0x80000, 0x40000000, 0x10000000]
    (line,) = re.findall(r"^\$Writing = (.*)$", TEXT, re.M)
    writing = sum(int(word, 16) for word in line.split(" -bor "))
    masks = {name: int(mask, 16) for name, mask in re.findall(r"^    (F|M|RX|R) = (0x\w+)$", TEXT, re.M)}

    assert writing == sum(bits)
    assert {name for name, mask in masks.items() if mask & writing} == {"F", "M"}
    # FILE_ALL_ACCESS, FILE_GENERIC_READ, _EXECUTE, _WRITE, DELETE.
    read, execute, write, delete = 0x120089, 0x1200A0, 0x120116, 0x10000
    assert masks == {"F": 0x1F01FF, "R": read, "RX": read | execute, "M": read | execute | write | delete}


def test_what_is_there_is_judged_and_its_access_list_set_in_every_run() -> None:
    for name in ("Set-Folder", "Set-File"):
        text = body(name)
        assert (
            text.index("Test-Safe $Path")
            < text.index("Set-Access $Path $Others")
            < text.index("Invoke-Change")
        )
    assert "Get-ForeignWriter $Path $Others" in body("Test-Safe")
    judge = body("Get-ForeignWriter")
    assert judge.index("-cnotcontains $owner") < judge.index(
        "$trusted += "
    )  # who may modify it may not own it
    assert "New-Item" not in TEXT
    writers = [name for name, node in functions().items() if "::SetAccessControl(" in text_of(node)]
    assert writers == ["Protect-Path"]


def test_a_folder_that_is_there_is_only_used_if_this_setup_made_it() -> None:
    text = body("Set-Places")
    refusal = "if ((Test-Path -LiteralPath $Base) -and -not (Test-Receipt 'base')) {\n        Stop-Setup 1 "
    assert text.index(refusal) < text.index("Set-Folder $Base")


# ---------------------------------------------------------------- errors, kills, second runs


def test_an_error_is_no_no() -> None:
    assert not re.search(r"SilentlyContinue|-ErrorAction|-EA\b|Preference = '(?!Stop')", TEXT, re.I)
    # By name, "not found" and "could not look" are the same error: these are asked for the whole list.
    for command in calls("Get-LocalUser", "Get-LocalGroup", "Get-NetFirewallRule"):
        assert text_of(command).strip() == name_of(command)
    assert calls("Get-Service") == []
    handlers = re.findall(r"^ *catch(?: \[[\w.]+\])? \{\n(.*?)^ *\}", TEXT, re.S | re.M)
    assert len(handlers) == 9
    for body in handlers:
        assert re.search(r"# It |Stop-Setup 1|Complain|continue", body), body


def test_files_are_replaced_whole() -> None:
    assert not re.search(
        r"::(?:WriteAll|AppendAll|OpenWrite)|(?:Set|Add)-Content|Out-File|StreamWriter", TEXT
    )
    streams = re.findall(r"System\.IO\.FileStream\((\$\w+), \[System\.IO\.FileMode\]::(\w+),", TEXT)
    assert streams == [("$Fresh", "CreateNew")]
    callers = {function_of(each) for each in calls("Write-Fresh")}
    assert callers == {"Write-File", "Set-SshdConfig"}
    for name in callers:
        text = body(name)
        assert "$fresh = $" in text
        assert text.index("Write-Fresh $fresh") < text.index("Move-Over $fresh")
    assert {function_of(each) for each in calls("Move-Over")} == callers


def test_files_of_others_keep_their_bytes() -> None:
    assert re.findall(r"::ReadAllLines\((.*?)\)", TEXT) == ["$PSCommandPath"]  # the help, which is ours
    assert "$Latin1 = [System.Text.Encoding]::GetEncoding(28591)\n" in TEXT
    assert "$Latin1.GetString([System.IO.File]::ReadAllBytes($Path))" in body("Read-File")
    assert "$Latin1.GetBytes($Text)" in body("Write-Fresh")
    assert "Trim" not in body("Add-SshdBlock") + body("Remove-SshdBlock")


def test_bytes_are_compared_as_bytes() -> None:
    # -ceq, StartsWith and EndsWith pass over what a language passes over: soft hyphens, control characters.
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    ends = re.findall(r"\.(?:Starts|Ends)With\((.*?)\)(?= |\)|$)", bare, re.M)
    assert len(ends) > 12
    assert [end for end in ends if not end.endswith("[StringComparison]::Ordinal")] == []
    for name in ("Set-File", "Remove-Match", "Test-KeyInPlace"):
        assert "Test-Same" in body(name)
        assert not re.search(r"-c(?:eq|ne) (?:\$text|\$rest|\(Get-Receipt 'key')", body(name), re.I), name
    cleaned = body("Send-Request")
    assert cleaned.index("'[^\\n\\t -~]', '?'") < cleaned.index("$script:Reply.Output = $text")


@pytest.mark.parametrize(
    "before",
    [b"", b"Port 22\r\n", b"# caf\xe9\n\n\nPort 22\n \n", b"Port 22", b"\xef\xbb\xbfPort 2\x80\r\n\t"],
)
@pytest.mark.parametrize("after", [b"", b"Match all\r\n# \xe9t\xe9"])
def test_our_lines_come_out_of_sshd_config_as_they_went_in(before: bytes, after: bytes) -> None:
    source = body("Remove-SshdBlock")
    (line,) = re.findall(r"\$pattern = (.*)\n", source)
    begin, end = (re.findall(rf"^\${name} = '(.*)'$", TEXT, re.M)[0] for name in ("BlockBegin", "BlockEnd"))
    words = {"[regex]::Escape($BlockBegin)": begin, "[regex]::Escape($BlockEnd)": end}
    pattern = "".join(words.get(part, part.strip("'")) for part in line.split(" + ")).replace("\\z", "\\Z")
    block = f"{begin}\r\nMatch User bckpciuem\r\nMatch all\r\n{end}\r\n"
    joint = "" if not before or before.endswith(b"\n") else "\r\n"  # noted as line-end, and taken out again

    with_ours = before.decode("latin-1") + joint + block + after.decode("latin-1")

    assert re.sub(pattern, "", with_ours) == before.decode("latin-1") + joint + after.decode("latin-1")


def test_a_deed_that_was_noted_before_it_was_done_is_looked_for_and_not_read() -> None:
    before: set[str] = set()
    behind: set[str] = set()
    for block in blocks():
        for at, statement in enumerate(block):
            word = re.match(r"(?:Add|Set)-Receipt [\"']([a-z-]+)", statement)
            if word:
                done = all(
                    re.match(r"(?:Add|Set|Remove)-Receipt |Show-|return", later) for later in block[at + 1 :]
                )
                (behind if done else before).add(word[1])
    skips = set(
        re.findall(r"if \((?:[^\n]*-(?:and|or) )?\(Test-Receipt '([a-z-]+)[^\n]*\n        return\n", TEXT)
    )

    assert {"capability", "account", "base", "match", "firewall"} <= before
    assert {"cygwin", "restarted", "narrowed", "opened", "registered", "verified"} <= behind
    assert skips <= behind - before, skips
    assert {"cygwin", "restarted", "narrowed"} <= skips


def test_what_the_server_found_is_forgotten_at_any_change() -> None:
    adds = [each for each in calls("Add-Receipt", "Set-Receipt") if "verified" in text_of(each)]
    assert [function_of(each) for each in adds] == ["Save-Verified"]
    assert "-not $Verify -and $tested -and $script:Changes -eq 0" in body("Test-WayBack")


def test_a_second_run_keeps_what_the_first_was_given() -> None:
    for option in ("Share", "Restore", "From"):
        assert f"    [string]${option} = ''," in TEXT
    assert "    [int]$Port = 0," in TEXT
    for word in ("from", "port", "allowed"):
        assert f"Get-Receipt '{word}'" in body("Restore-Settings")
        assert f"Set-Receipt '{word}'" in body("Save-Registration")
    assert "@(Read-WrapperConfig)" in body("Get-WrapperConfig")
    assert "$script:From -cne (Get-Receipt 'from')" in body("Test-Registered")


def test_the_register_key_goes_however_the_setup_ends() -> None:
    assert re.search(r"^finally \{\n    Clear-CallKey\n\}\nexit 0\s*\Z", TEXT, re.M)
    makers = [each for each in calls("Set-File") if "$KeyFile" in text_of(each)]
    assert [function_of(each) for each in makers] == ["Set-CallFiles"]
    assert "Set-CallFiles" in body("Request-WayBack")
    assert "Remove-OurFile $KeyFile" in body("Set-Places")  # of a run that was killed


def test_the_firewall_is_opened_for_the_port_that_sshd_has() -> None:
    assert re.findall(r"-LocalPort (\S+)", TEXT) == ["$Ports"]
    assert "Get-SshdPorts" in body("Open-Firewall")
    assert "Get-SshdPorts" in body("Test-Opened")


def test_the_open_rule_of_the_ssh_server_is_switched_off_if_we_installed_it() -> None:
    text = body("Limit-Sshd")
    assert "if ($NoFirewall -or -not (Test-Receipt 'capability') -or (Test-Receipt 'narrowed ')) {" in text
    steps = [name_of(each) for each in commands(functions()["Install-Programs"])]
    assert steps == ["Install-Sshd", "Limit-Sshd", "Start-Sshd", "Limit-Sshd", "Install-Cygwin"]
    for document, word in (
        ("docs/client/windows.en.md", "password"),
        ("docs/client/windows.fr.md", "mot de passe"),
    ):
        assert "OpenSSH-Server-In-TCP" in (CHECKOUT / document).read_text()
        assert word in (CHECKOUT / document).read_text()


def test_uninstall_takes_what_is_gone_for_gone_and_leaves_what_is_not_ours() -> None:
    assert "-not (Test-Path -LiteralPath $SshdConfig)" in body("Remove-Match")
    config = body("Set-SshdConfig")
    assert config.index("if (Test-Path -LiteralPath $Sshd)") < config.index("@('-t', '-f', $fresh)")
    assert "$there -cne $sid" in body("Remove-Account")
    assert "Remove-AccountProfile" in body("Remove-Account")
    assert "holds other keys too" in body("Remove-OurKey")
    assert "if ($script:Kept.Count -eq 0) {\n        Remove-Match\n" in body("Remove-Setup")


# ---------------------------------------------------------------- the protocol


def test_every_word_of_a_reply_is_read_or_passed_over_on_purpose() -> None:
    protocol = (CHECKOUT / "docs/protocol.md").read_text()
    table = protocol[protocol.index("| keyword | value |") :].partition("\n\n")[0]
    words = set(re.findall(r"^\| `([a-z]+)` \|", table, re.M))
    (read,) = re.findall(r"@\((.*?)\) -cnotcontains \$word", body("Read-ReplyLine"))

    assert words - set(re.findall(r"'([a-z]+)'", read)) == {"status", "request"}
    for word in ("step", "fingerprint", "error"):
        assert f"Get-ReplyLine '{word}'" in TEXT


def test_no_reply_is_waited_for_or_kept_without_end() -> None:
    assert "$MaxReply = 65536\n" in TEXT
    assert "$Outlet.Kept.Length -le $MaxReply" in body("Read-Outlet")
    patience = [int(number) for number in re.findall(r"Send-Request \([^)]*\) .*? (\d+)$", TEXT, re.M)]
    assert sorted(patience) == [90, 90, 180]
    assert "TimedOut" in body("Send-Request")
