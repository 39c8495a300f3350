"""setup.ps1: what a parser and rules can show about a file that was never run on Windows.

The parser stays: without it a missing brace, a misspelled variable or a wrong number of arguments would only
show on the first Windows that runs the file.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell
from checkout import CHECKOUT

from backuppc_register.admin import bundle

SETUP = CHECKOUT / "clients/setup.ps1"
TEXT = SETUP.read_text("utf-8-sig")
HEADER, _, REST = TEXT.partition("param(")
OPTIONS = re.findall(r"^    \[\w+\]\$(\w+)", REST.partition("\n)")[0], re.M)
DOCUMENTS = [CHECKOUT / f"docs/client/windows.{language}.md" for language in ("en", "fr")]
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1"
BUNDLED = bundle.filled("windows", "dugong.univ-brest.fr", KEY, [HOST_KEY]).decode("utf-8-sig")

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
ROOT = PARSER.parse(TEXT.encode()).root_node

# Part of Windows PowerShell 5.1, on 64-bit Windows 10.
CMDLETS = {
    "Add-LocalGroupMember", "Copy-Item", "ForEach-Object", "Get-Acl", "Get-ChildItem", "Get-CimInstance",
    "Get-FileHash", "Get-Item",
    "Get-LocalGroup", "Get-LocalUser", "Get-NetFirewallRule", "Get-Process", "Get-Random",
    "Join-Path", "New-LocalUser",
    "New-NetFirewallRule", "New-Object", "Out-Null", "Read-Host", "Remove-CimInstance", "Remove-Item",
    "Remove-LocalUser", "Remove-NetFirewallRule", "Restart-Service", "Set-StrictMode", "Sort-Object",
    "Start-Sleep", "Test-Path", "Where-Object", "Write-Host",
}  # fmt: skip
# Part of .NET Framework 4.6, which comes with the first Windows 10; later .NET has lost some of it.
STATICS = {
    "Console::Error", "Convert::ToBase64String", "Environment::GetFolderPath",
    "Environment::Is64BitProcess", "Environment::MachineName", "Environment::OSVersion",
    "Environment::SystemDirectory", "NullString::Value", "StringComparison::Ordinal",
    "System.Diagnostics.Process::Start", "System.IO.Directory::CreateDirectory",
    "System.IO.Directory::SetAccessControl", "System.IO.File::Delete", "System.IO.File::Move",
    "System.IO.File::ReadAllBytes", "System.IO.File::Replace", "System.IO.File::SetAccessControl",
    "System.IO.FileAttributes::ReparsePoint", "System.IO.FileMode::CreateNew",
    "System.IO.FileOptions::WriteThrough", "System.IO.FileShare::None", "System.IO.MemoryStream::new",
    "System.IO.Path::GetPathRoot", "System.Net.Dns::GetHostAddresses", "System.Net.IPAddress::TryParse",
    "System.Security.AccessControl.FileSystemRights::Write",
    "System.Security.Cryptography.RandomNumberGenerator::Create",
    "System.Security.Principal.WindowsBuiltInRole::Administrator",
    "System.Security.Principal.WindowsIdentity::GetCurrent", "System.Text.Encoding::ASCII",
    "System.Text.Encoding::GetEncoding", "System.Text.Encoding::UTF8",
    "System.Threading.Tasks.Task::WaitAny", "regex::Escape", "regex::Replace",
}  # fmt: skip
# PowerShell sets these variables; none of them may be assigned.
AUTOMATIC = {"_", "args", "false", "matches", "null", "psscriptroot", "pshome", "true"}
READ_ONLY = AUTOMATIC | {
    "error", "host", "home", "input", "pid", "profile", "this", "foreach", "switch", "event", "sender",
}  # fmt: skip
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


def function_of(node: tree_sitter.Node) -> str:
    """Return the name of the function around *node*, or ""."""
    above = node.parent
    while above is not None and above.type != "function_statement":
        above = above.parent
    return text_of(above).split()[1] if above is not None else ""


def waits_for_consent(command: tree_sitter.Node) -> bool:
    """Return whether *command* is in the action of Invoke-Change."""
    above = command.parent
    while above is not None:
        if above.type == "command" and name_of(above) == "Invoke-Change":
            return True
        above = above.parent
    return False


def parameters(function: str) -> list[tuple[str, bool]]:
    """Return each parameter's name, in lower case, and whether it is optional."""
    block = re.search(r"^    param\((.*)\)$", body(function), re.M)
    found = re.findall(r"\[[\w.\[\]]+\]\$(\w+)( =)?", block[1] if block else "")
    return [(name.lower(), bool(default)) for name, default in found]


def assigned(node: tree_sitter.Node) -> set[str]:
    """Return the names, in lower case, that *node* itself assigns, also in its script blocks."""
    found = set()
    for each in nodes(node):
        if each.type == "left_assignment_expression":
            found |= {text_of(one)[1:].lower() for one in nodes(each) if one.type == "variable"}
        elif each.type == "foreach_statement":
            found.add(text_of(next(one for one in each.children if one.type == "variable"))[1:].lower())
    return {name for name in found if ":" not in name}


def of_the_script(prefix: str = "") -> set[str]:
    """Return the names, in lower case, of the script's variables written with *prefix* and its options."""
    outside = re.sub(r"^function .*?^\}$", "", TEXT, flags=re.S | re.M)
    return {name.lower() for name in [*OPTIONS, *re.findall(rf"^\${prefix}(\w+) = ", outside, re.M)]}


def in_order(function: str, *words: str) -> bool:
    """Return whether *function* has all *words*, the first of each in this order."""
    places = [body(function).find(word) for word in words]
    return -1 not in places and places == sorted(places)


# ---------------------------------------------------------------- syntax


@pytest.mark.parametrize("text", [TEXT, BUNDLED], ids=["as it is", "bundled"])
def test_the_parser_finds_no_fault(text: str) -> None:
    tree = PARSER.parse(text.encode())

    faults = [node.start_point for node in nodes(tree.root_node) if node.type == "ERROR" or node.is_missing]
    assert faults == []


def test_the_parser_would_find_an_open_brace() -> None:
    tree = PARSER.parse(TEXT.replace("    exit $Status\n", "").replace("{\n", "\n", 1).encode())

    assert tree.root_node.has_error


def test_powershell_5_reads_the_file_as_utf_8() -> None:
    assert SETUP.read_bytes().startswith(b"\xef\xbb\xbf")
    assert b"\r" not in SETUP.read_bytes()
    assert TEXT.isascii()  # PowerShell takes typographic quotes for quotes


def test_there_is_one_statement_a_line() -> None:
    for block in [node for node in nodes() if node.type == "statement_list"]:
        rows = [each.start_point[0] for each in block.children if each.is_named and each.type != "comment"]
        assert len(rows) == len(set(rows)), text_of(block)[:80]
    assert re.findall(r"^[^'#\"]*;[^'\"]*$", re.sub(r"^\s*for \(.*$", "", TEXT, flags=re.M), re.M) == []


def test_no_function_has_more_than_40_lines() -> None:
    assert [name for name, node in functions().items() if text_of(node).count("\n") >= 40] == []


def test_nothing_is_newer_than_powershell_5() -> None:
    code = TEXT.encode()
    for node in nodes():
        if node.type in ("comment", "string_literal"):
            code = code[: node.start_byte] + b" " * (node.end_byte - node.start_byte) + code[node.end_byte :]

    assert re.findall(rb"&&|\|\||\?\?|\?\.\w", code) == []
    assert b"Invoke-Setup" in code


def test_every_command_is_one_of_ours_or_of_windows() -> None:
    ours, names = functions(), {name_of(command) for command in commands()}

    assert {name for name in names if name not in ours and name not in CMDLETS} == {"&"}
    assert {text_of(each).strip() for each in calls("&")} == {"& $Action", "& $Plan"}
    assert CMDLETS - names == set()
    assert [name for name in ours if name not in names] == []


def test_our_functions_are_called_with_as_many_arguments_as_they_take() -> None:
    ours, seen = functions(), 0
    for command in commands():
        if name_of(command) not in ours:
            continue
        parts = [node for node in command.children if node.type == "command_elements"]
        given = [each for part in parts for each in part.children if each.type != "command_argument_sep"]
        takes = parameters(name_of(command))
        optional = [name for name, default in takes if default]
        assert len(takes) - len(optional) <= len(given) <= len(takes), text_of(command)
        assert not any(each.type == "command_parameter" for each in given), text_of(command)
        seen += 1
    assert seen > 150


def test_every_variable_has_a_value() -> None:
    known, kept = of_the_script() | AUTOMATIC, of_the_script("script:")
    for name, function in functions().items():
        own = {each for each, _ in parameters(name)} | assigned(function)
        used = {
            text_of(node).strip("${}@").lower()
            for node in nodes(function)
            if node.type in ("variable", "braced_variable")
        }
        ours = {each.removeprefix("script:") for each in used if each.startswith("script:")}
        assert ours <= kept, name
        assert {each for each in used if ":" not in each} <= own | known, name


def test_no_variable_hides_one_of_the_script_from_called_functions() -> None:
    # Scopes are dynamic and names have no case: a local $state would be $State for all called functions.
    for name, function in functions().items():
        own = {each for each, _ in parameters(name)} | assigned(function)
        assert own & (of_the_script() | of_the_script("script:")) == set(), name
        assert own & (READ_ONLY - {"null"}) == set(), name  # null discards what it is given
    assert {each for each, _ in parameters("Invoke-Change")} == {"deed", "action"}
    for command in calls("Invoke-Change"):
        block = next(node for node in nodes(command) if node.type == "script_block_expression")
        assert not re.search(r"\$(?:Deed|Action)\b", text_of(block), re.I), text_of(command)


def test_every_static_member_is_one_of_the_net_framework() -> None:
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    found = set(re.findall(r"\[([\w.]+)\]::(\w+)", bare))

    assert {f"{kind}::{member}" for kind, member in found} == STATICS


def test_a_path_is_never_a_pattern() -> None:
    words = (
        "Test-Path", "Get-Item", "Remove-Item", "Copy-Item", "Get-Acl", "Get-ChildItem", "Get-FileHash",
    )  # fmt: skip
    for command in calls(*words):
        assert " -LiteralPath " in text_of(command), text_of(command)


# ---------------------------------------------------------------- options and documents


def test_the_header_names_every_option_and_exit_status() -> None:
    statuses = set(re.findall(r"(?:Stop-Setup|exit) (\d+)", TEXT))

    assert re.findall(r"^#   -(\w+)", HEADER, re.M) == OPTIONS
    told = HEADER[HEADER.index("# Exit status:") :]
    assert set(re.findall(r"\b(\d+) [a-z]", told)) == statuses


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, CHECKOUT / "docs/manual-checklist.md"], ids=lambda path: path.name
)
def test_the_documents_name_only_options_that_exist(document: Path) -> None:
    text = document.read_text()
    if "## Windows 10" in text:
        text = text.partition("## Windows 10")[2]
    named = set(re.findall(r"(?<![\w-])-([A-Z]\w+)", text))

    assert named
    assert named - set(OPTIONS) - {"NoProfile", "ExecutionPolicy", "File"} == set()


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, CHECKOUT / "docs/manual-checklist.md", CHECKOUT / "CHANGELOG.md"],
    ids=lambda p: p.name,
)
def test_the_documents_say_that_it_is_experimental(document: Path) -> None:
    assert re.search("exp[eé]rimental", document.read_text(), re.I)


def test_whoever_runs_it_reads_that_it_is_experimental() -> None:
    assert "EXPERIMENTAL" in HEADER
    assert in_order("Invoke-Setup", "EXPERIMENTAL", "Test-System")


def forms() -> dict[str, str]:
    """Return the pattern of each option that has one, for Python."""
    found = re.findall(r"^        @\('(\w+)', .*, '(.*)'\),?$", body("Test-Options"), re.M)
    return {option: form.replace(r"\z", r"\Z") for option, form in found}


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ("Server", ["dugong.univ-brest.fr", "2001:db8::1"], ["", "-oProxyCommand=x", "a b", "a\n"]),
        ("Logon", ["", "c.martin-2_x"], ["-x", "a:b", "a" * 65, "a\n", "a b"]),
        (
            "Share",
            ["", "/cygdrive/c", "/cygdrive/c/Users,/cygdrive/d/Mes photos", "/cygdrive/c/..a"],
            ["C:\\Users", "/home", "/cygdrive/c/", "/cygdrive/c/..", "/cygdrive/c/../d", "/cygdrive/c/a,",
             ",", "/cygdrive/c/a\nrestore=full", "/cygdrive/c/a//b"],
        ),
        ("Port", ["22", "65535"], ["", "0", "022", "22 ", "123456"]),
        ("CygwinSha256", ["", "aB" * 32], ["a" * 63, "g" * 64, "a" * 64 + "\n"]),
    ],
)  # fmt: skip
def test_an_option_has_one_form(option: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not re.search(forms()[option], text)] == []
    assert [text for text in bad if re.search(forms()[option], text)] == []


def test_every_option_that_takes_text_has_a_form() -> None:
    texts = re.findall(r"^    \[string\]\$(\w+)", REST.partition("\n)")[0], re.M)

    assert set(texts) == set(forms())


# ---------------------------------------------------------------- what the setup trusts


def test_the_environment_and_a_persons_modules_have_no_effect() -> None:
    assert re.findall(r"\$env:\w+", TEXT, re.I) == ["$env:PSModulePath"]
    before = TEXT.partition("$env:PSModulePath = ")[0]
    assert {name_of(each) for each in commands() if each.start_point[0] < before.count("\n")} == {
        "Set-StrictMode"
    }
    assert "powershell -NoProfile " in HEADER


@pytest.mark.parametrize(
    "word",
    [
        "Invoke-Expression", "iex ", "DownloadString", "DownloadFile", "WebClient", "Invoke-WebRequest",
        "Invoke-RestMethod", "Start-BitsTransfer", "Start-Process", "HttpClient", "AsPlainText", "net user",
        "authenticode",
    ],
)  # fmt: skip
def test_nothing_is_downloaded_and_no_text_becomes_code(word: str) -> None:
    assert word.lower() not in TEXT.lower()


def test_only_programs_of_windows_and_of_our_cygwin_are_started() -> None:
    started = {
        text_of(next(node for node in each.children if node.type == "command_elements").children[1])
        for each in calls("Invoke-Program", "Invoke-Needed")
    }

    assert started == {
        "$Path", "$CygwinCopy", "$EditRights", "$Sshd", "$icacls", "(Join-Path $OpenSsh 'ssh.exe')",
        "(Join-Path $System32 'cmd.exe')",
    }  # fmt: skip
    assert "$icacls = Join-Path $System32 'icacls.exe'\n" in body("Reset-Tree")
    assert "$EditRights = Join-Path $Cygwin " in TEXT
    assert TEXT.count("[System.Diagnostics.Process]::Start(") == 1


def test_cygwin_is_known_by_its_hash_alone() -> None:
    check = "(Get-FileHash -LiteralPath $CygwinCopy -Algorithm SHA256).Hash -ne $CygwinSha256"
    steps = ("if ($CygwinSha256 -ceq '' -or ", "Copy-Item", "Protect-Path $CygwinCopy", check, "Stop-Setup 1")

    assert in_order("Install-Cygwin", *steps, "Invoke-Needed $CygwinCopy")
    for document in DOCUMENTS:
        assert "-CygwinSha256" in document.read_text()


def test_a_link_or_a_foreign_owner_stops_the_setup() -> None:
    judge = body("Test-Owner")
    assert judge.count("Stop-Setup 1 ") == 2
    assert "::ReparsePoint) -ne 0" in judge
    assert "if (@($System, $Administrators, $TrustedInstaller) -cnotcontains $owner) {" in judge
    for name, place in (("Read-Receipt", "$Receipt"), ("Set-File", "$Path"), ("Set-Folder", "$Path")):
        assert in_order(name, f"Test-Owner {place}\n", "Test-Path"), name
    assert in_order(
        "Set-Sshd", "Test-Owner $SshFolder\n", "Test-Owner $SshdConfig\n", "Read-File $SshdConfig"
    )
    assert in_order(
        "Remove-OurSettings", "Test-Owner $SshFolder\n", "Test-Owner $SshdConfig\n", "Invoke-Change"
    )
    assert {"Test-Owner $State", "Test-Owner $Base"} <= {text_of(each) for each in calls("Test-Owner")}
    assert in_order("Invoke-Setup", "Test-System", "Read-Receipt", "Invoke-Plan")


def test_new_files_and_folders_have_their_own_access_list_at_once() -> None:
    security = body("New-Security")
    assert '"O:BAD:P(A;$flags;FA;;;SY)(A;$flags;FA;;;BA)"' in security
    assert "SetAccessRuleProtection($true, $false)" in security
    assert "CreateDirectory($Path, (New-Security $true $Others))" in body("New-Folder")
    assert in_order("New-Folder", "CreateDirectory", "Test-Owner", "Protect-Path", "Get-ChildItem", "throw")
    assert "WriteThrough, $security)" in body("Write-NewFile")
    assert "New-Item" not in TEXT
    writers = [name for name, node in functions().items() if "::SetAccessControl(" in text_of(node)]
    assert writers == ["Protect-Path"]


def test_the_account_may_change_nothing_but_the_restored_files() -> None:
    given = re.findall(r"@\(\"\$(?:sid|\(Get-AccountSid\))=(\w+|\$\w+)\"\)", TEXT)
    lines = [line.strip() for line in TEXT.splitlines() if "=$Modify" in line]

    assert lines == ['Set-Folder $Restored @("$sid=$Modify")']
    assert set(given) == {"$Modify", "$ReadExecute", "FR"}
    assert len(given) == TEXT.count("$sid=") + TEXT.count("$(Get-AccountSid)=")
    assert "$ReadExecute = 'FRFX'\n" in TEXT


def test_a_folder_is_only_used_if_this_setup_made_it() -> None:
    refusal = "if ((Test-Path -LiteralPath $Base) -ne ((Get-Note 'base') -cne '')) {\n        Stop-Setup 1 "

    assert in_order("Set-Places", refusal, "New-Folder $Base")
    assert in_order("Set-Places", "if (-not (Test-Path -LiteralPath $Receipt)) {", "New-Folder $State")
    assert in_order(
        "Set-Account", "if ($sid -cne (Get-Note 'sid')) {\n        Stop-Setup 1 ", "New-LocalUser"
    )


def test_the_account_is_no_administrator_and_cannot_write_everything() -> None:
    assert re.findall(r"Add-LocalGroupMember (.*)", TEXT) == ["-Name $group.Name -Member $Account"]
    assert "$_.Name -eq 'OpenSSH Users' })) {\n            Add-LocalGroupMember" in body("Set-Account")
    assert re.findall(r"^\$Rights = (.*)$", TEXT, re.M) == [
        "@('SeBackupPrivilege', 'SeDenyInteractiveLogonRight', 'SeDenyRemoteInteractiveLogonRight')"
    ]
    assert "SeRestorePrivilege" not in TEXT


# ---------------------------------------------------------------- plan, interruptions, uninstall


def test_nothing_is_changed_before_consent() -> None:
    ours = functions()
    deeds = r"\[System\.IO\.(?:File\]::(?:Delete|Move|Replace|Set)|Directory\]::)|System\.IO\.FileStream"
    changing = {"Invoke-Needed", "Remove-Tree"} | {
        name for name, node in ours.items() if re.search(deeds, text_of(node))
    }
    changing.remove("Install-Cygwin")  # its deletion of an old copy is in an action, see below
    before: set[str] = set()
    while changing != before:
        before = set(changing)
        for name, node in ours.items():
            if name == "Invoke-Change":
                continue
            loose = [name_of(each) for each in commands(node) if not waits_for_consent(each)]
            if any(word in changing or CHANGES.match(word) for word in loose):
                changing.add(name)

    steps = {name_of(each) for each in commands(ours["Invoke-Steps"])} - {"Write-Host"}
    planned = steps | {"Invoke-Steps", "Remove-Setup", "Remove-OurSettings", "Remove-Account", "Remove-Base"}
    assert planned | {"Set-File", "Set-Folder", "Invoke-Plan", "Invoke-Setup"} <= set(ours)
    assert changing.isdisjoint(planned | {"Set-File", "Set-Folder", "Invoke-Plan", "Invoke-Setup"})
    assert {"Protect-Path", "Set-Note", "Write-File", "New-Folder", "Add-OurRule"} <= changing
    assert in_order("Install-Cygwin", "Invoke-Change", "::Delete(")
    outside = [name_of(each) for each in commands() if not function_of(each)]
    assert not changing & set(outside)


def test_a_plan_carries_out_nothing() -> None:
    gate = body("Invoke-Change")
    assert "    if (-not $script:Planning) {\n        & $Action | Out-Null\n    }\n" in gate
    assert gate.count("& $Action") == TEXT.count("& $Action") == 1
    plan = ("$script:Planning = $true", "& $Plan", "if ($DryRun) {", "return", "Read-Consent")
    assert in_order("Invoke-Plan", *plan, "$script:Planning = $false")
    assert body("Invoke-Plan").rindex("& $Plan") > body("Invoke-Plan").index("$script:Planning = $false")
    assert TEXT.count("$script:Planning = $false") == 2  # the other gives the variable its first value
    (refusal,) = re.findall(r"if \((.*)\) \{\n        Stop-Setup 1 \$Otherwise", body("Read-Consent"))
    assert refusal == "-not $Unattended -and (Read-Host $Question) -ne 'yes'"


def test_what_uninstall_undoes_is_noted_before_it_is_done() -> None:
    assert in_order("Set-Places", "Set-Note 'base'", "New-Folder $Base")
    assert in_order("Set-Account", "Set-Note 'account'", "New-LocalUser")
    assert in_order("Set-Sshd", "Set-Note 'match' 'added'", "Set-SshdConfig")
    undone = body("Remove-Setup") + body("Remove-OurSettings") + body("Remove-Account") + body("Remove-Base")
    for word in ("base", "account", "match"):
        assert f"Get-Note '{word}'" in undone


def test_what_was_done_is_noted_afterwards() -> None:
    assert in_order("Install-Cygwin", "Invoke-Needed $CygwinCopy", "Reset-Tree", "Set-Note 'cygwin'")
    assert in_order(
        "Set-Account", "New-LocalUser", "Invoke-Needed $EditRights", "Protect-Path", "Set-Note 'sid'"
    )
    assert in_order("Set-Sshd", "Set-SshdConfig", "Set-Note 'match' 'restarted'")
    assert in_order("Register-Computer", "Install-Key", "Set-Note 'logon'")


def test_an_error_is_not_taken_for_no() -> None:
    assert not re.search(r"SilentlyContinue|-ErrorAction|-EA\b|Preference = '(?!Stop')", TEXT, re.I)
    # By name, "not found" and "could not look" are the same error: these list everything.
    for command in calls("Get-LocalUser", "Get-LocalGroup", "Get-NetFirewallRule"):
        assert text_of(command).strip() == name_of(command)
    handlers = re.findall(r"^ *catch(?: \[[\w.]+\])? \{\n(.*?)^ *\}", TEXT, re.S | re.M)
    assert len(handlers) == 1
    for handler in handlers:
        assert "Complain" in handler, handler


def test_no_rule_of_others_is_removed_from_the_firewall() -> None:
    # Without a name, it would remove all rules.
    assert [text_of(each).strip() for each in calls("Remove-NetFirewallRule", "Disable-NetFirewallRule")] == [
        "Remove-NetFirewallRule -Name $rule.Name"
    ]
    assert "$FirewallRules -ccontains $_.Name" in body("Remove-OurRules")


def test_the_setup_starts_no_ssh_server_and_says_how_to_do_that_with_the_open_rule_disabled() -> None:
    assert not calls("Add-WindowsCapability", "Set-Service", "Start-Service")
    steps = ("passwords", "Add-WindowsCapability", "Disable-NetFirewallRule", "Start-Service", "Stop-Setup 7")
    assert in_order("Test-Sshd", *steps)
    assert in_order("Invoke-Steps", "Test-Sshd", "Set-Places")
    for document, word in zip(DOCUMENTS, ("password", "mot de passe"), strict=True):
        assert "OpenSSH-Server-In-TCP" in document.read_text()
        assert word in document.read_text()


def test_files_are_replaced_whole() -> None:
    assert not re.search(
        r"::(?:WriteAll|AppendAll|OpenWrite)|(?:Set|Add)-Content|Out-File|StreamWriter\(", TEXT
    )
    streams = re.findall(r"System\.IO\.FileStream\((\$\w+), \[System\.IO\.FileMode\]::(\w+),", TEXT)
    assert streams == [("$Path", "CreateNew")]
    callers = {function_of(each) for each in calls("Write-NewFile")}
    assert callers == {function_of(each) for each in calls("Move-Over")} == {"Write-File", "Set-SshdConfig"}
    for name in callers:
        assert in_order(name, "$fresh = $", "Write-NewFile $fresh", "Move-Over $fresh"), name
    assert in_order("Set-SshdConfig", "@('-t', '-f', $fresh)", "Stop-Setup 1", "Move-Over")


def test_bytes_stay_bytes() -> None:
    # -ceq, StartsWith and EndsWith skip what a language skips: soft hyphens, control characters.
    assert "$Latin1 = [System.Text.Encoding]::GetEncoding(28591)\n" in TEXT
    assert "$Latin1.GetString([System.IO.File]::ReadAllBytes($Path))" in body("Read-File")
    assert "$Latin1.GetBytes($Text)" in body("Write-NewFile")
    assert ".Equals($Text, [StringComparison]::Ordinal)" in body("Set-File")
    ends = re.findall(r"\.(?:Starts|Ends)With\((.*?\]::Ordinal|.*)\)", TEXT)
    assert len(ends) == 1
    assert [end for end in ends if not end.endswith("[StringComparison]::Ordinal")] == []


@pytest.mark.parametrize(
    "before",
    [b"", b"Port 22\r\n", b"# caf\xe9\n\n\nPort 22\n \n", b"Port 22", b"\xef\xbb\xbfPort 2\x80\r\n\t"],
)
@pytest.mark.parametrize("after", [b"", b"Match all\r\n# \xe9t\xe9", b"\r\n\n Port 2"])
def test_our_lines_leave_sshd_config_without_a_trace(before: bytes, after: bytes) -> None:
    (line,) = re.findall(r"\$pattern = (.*)\n", body("Remove-SshdBlock"))
    begin, end = (re.findall(rf"^\${name} = '(.*)'$", TEXT, re.M)[0] for name in ("BlockBegin", "BlockEnd"))
    words = {"[regex]::Escape($BlockBegin)": begin, "[regex]::Escape($BlockEnd)": end}
    pattern = "".join(words.get(part, part.strip("'")) for part in line.split(" + ")).replace("\\z", "\\Z")
    block = f"{begin}\r\nMatch User bckpciuem\r\nMatch all\r\n{end}\r\n"
    joint = "" if not before or before.endswith(b"\n") else "\r\n"  # a missing line end is added and stays

    with_ours = before.decode("latin-1") + joint + block + after.decode("latin-1")

    assert re.sub(pattern, "", with_ours) == before.decode("latin-1") + joint + after.decode("latin-1")


def test_the_register_key_is_deleted_however_the_setup_ends() -> None:
    ending = (
        r"^finally \{\n    if \(\$script:CallKeyMade\) \{\n        \[System.IO.File\]::Delete\(\$KeyFile\)\n"
    )
    assert re.search(ending, TEXT, re.M)
    assert [function_of(each) for each in calls("Set-File") if "$KeyFile" in text_of(each)] == [
        "Set-CallFiles"
    ]
    assert in_order("Set-CallFiles", "$script:CallKeyMade = $true", "Set-File $KeyFile")
    assert all(waits_for_consent(each) for each in calls("Set-CallFiles"))


def test_uninstall_leaves_what_is_not_ours() -> None:
    assert "@('', $sid) -cnotcontains (Get-Note 'sid')) {\n        return" in body("Remove-Account")
    assert in_order("Remove-Account", "Invoke-Program $EditRights", "Remove-CimInstance", "Remove-LocalUser")
    assert in_order(
        "Remove-Setup", "$script:Notes.Count -eq 0", "Stop-Setup", "Invoke-Change", "Remove-Tree $State"
    )
    assert in_order(
        "Remove-Base", "Get-ChildItem -LiteralPath $Restored", "Stop-Setup 1", "Remove-Tree $Base"
    )


# ---------------------------------------------------------------- the protocol


def test_ssh_is_called_in_one_place_and_pinned() -> None:
    assert TEXT.count("'ssh.exe'") == body("Invoke-Ssh").count("'ssh.exe'") == 1
    for option in (
        "'-x', '-a', '-T'", "'-F', 'none'", "IdentitiesOnly=yes", "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        '"UserKnownHostsFile=$KnownHostsFile"', '"GlobalKnownHostsFile=$KnownHostsFile"', "ConnectTimeout=15",
        "LogLevel=ERROR",
    ):  # fmt: skip
        assert option in body("Invoke-Ssh")


def test_no_control_character_of_the_server_reaches_the_terminal() -> None:
    shown = calls("Write-Host", "Complain", "Stop-Setup", "Read-Host", "Read-Consent")
    foreign = r"Reply\.|\.Output|\.Errors|Get-Word|\$complaint"
    loose = []
    for line in {text_of(each).strip() for each in shown if re.search(foreign, text_of(each))}:
        bare = re.sub(r"Get-Printable (?:\$[\w.:]+|\((?:[^()]|\([^()]*\))*\))", "", line)
        loose += [line] if re.search(foreign, bare) else []

    assert len(shown) > 40
    assert [line for line in loose if "'url'" not in line] == []
    # Only printable bytes without a blank match here.
    assert in_order("Register-Computer", r"'\Ahttps?://[!-~]+\z'", "(Get-Word 'url')\"")
    assert r"'[^\n -~]', '?'" in body("Get-Printable")
    assert in_order("Send-Request", r"'[^\n\t -~]', '?'", "TimedOut")
    assert "Set-Note 'host' (Get-Printable (Get-Word 'host'))" in body("Register-Computer")


def test_the_servers_words_are_compared_to_the_letter() -> None:
    for name in ("Read-Reply", "Read-ReplyLine", "Get-PublicKey", "Test-AddressList"):
        text = body(name)
        assert not re.search(r" -(?:match|notmatch|contains|notcontains|replace) ", text), name
        assert not re.search(r" -(?:eq|ne) '", text), name
        assert not re.search(r"'[^'\n]*(?:(?<!\[)\^|\$)'", text), name  # \A and \z: $ would let a newline in


def test_every_word_of_a_reply_is_read_or_skipped_on_purpose() -> None:
    protocol = (CHECKOUT / "docs/protocol.md").read_text()
    table = protocol[protocol.index("| keyword | value |") :].partition("\n\n")[0]
    words = set(re.findall(r"^\| `([a-z]+)` \|", table, re.M))
    (read,) = re.findall(r"@\((.*?)\) -cnotcontains \$word", body("Read-ReplyLine"))
    known = set(re.findall(r"'([a-z]+)'", read))

    assert words - known == {"status", "request", "shares", "port", "lacking"}
    assert known == set(re.findall(r"Get-Word '([a-z]+)'", TEXT))
    assert 'if ($script:Words.ContainsKey($word)) {\n        Stop-OnReply "' in body("Read-ReplyLine")


def test_a_reply_is_only_used_if_it_is_whole() -> None:
    whole = ("-gt $MaxReply", "Stop-OnReply 'it is empty", "$lines[0] -cne 'success'", "Stop-OnReply ''")
    assert in_order(
        "Read-Reply", *whole, "$script:Reply.Status -ne 0", "Stop-OnReply 'it was", "Read-ReplyLine"
    )
    for asker in ("Register-Computer", "Confirm-Person", "Request-Verification"):
        assert in_order(asker, "Send-Request ", "Read-Reply\n", "Get-Word"), asker
    assert in_order(
        "Register-Computer", "Confirm-Person", "Get-PublicKey", "Test-AddressList", "Stop-OnReply", "Set-Note"
    )
    ends = [text_of(each).strip() for each in commands(functions()["Stop-OnReply"])]
    assert [each[:12] for each in ends] == [
        "Complain 'Th",
        "Complain (Ge",
        "Get-Printabl",
        "Stop-Setup 1",
        "Stop-Setup 8",
    ]
    assert body("Stop-OnReply").endswith("    exit 4\n}")


def test_no_reply_is_awaited_or_kept_without_end() -> None:
    assert "$MaxReply = 65536\n" in TEXT
    assert "$MaxOutput = 1048576\n" in TEXT
    assert "New-Object byte[] $MaxOutput\n" in body("New-Capture")
    assert in_order("Invoke-Program", "WaitForExit(1000 * $Timeout)", "if (-not $ended) {", "$process.Kill()")
    timeouts = [int(number) for number in re.findall(r"Send-Request \([^)]*\) .*? (\d+)$", TEXT, re.M)]
    assert sorted(timeouts) == [90, 90, 180]
    assert in_order("Send-Request", "TimedOut", "Stop-Setup 5")


def test_what_may_work_later_is_tried_again_after_a_random_wait() -> None:
    loop = (
        "foreach ($longest in @(6, 12, 24, 48, 0))",
        "Invoke-Ssh",
        "Test-MayWorkLater",
        "Get-Random",
        "Start-Sleep",
    )
    assert in_order("Send-Request", *loop, "Stop-NotConnected")
    assert "Status -eq 75" in body("Test-MayWorkLater")
    (form,) = re.findall(r"\$closed = '(.*)'\n", body("Test-TurnedAway"))
    for closed in ("kex_exchange_identification: read: Connection reset by peer\r\n",
                   "x\r\nkex_exchange_identification: Connection closed by remote host\r\n",
                   "Connection reset by 10.77.0.1 port 22\r\n"):  # fmt: skip
        assert re.search(form, closed)
    for other in ("ssh: connect to host dugong port 22: Connection refused\r\n", "Permission denied\r\n",
                  "Host key verification failed.\r\n",
                  "Connection to dugong closed by remote host.\r\n"):  # fmt: skip
        assert not re.search(form, other)


def test_blanks_around_a_logon_are_dropped() -> None:
    (form,) = re.findall(r"Replace\(\$Text, '(.*)', ''\)", body("Get-WithoutBlanks"))
    for copied in (" cmartin\r", "\tcmartin\u00a0", "\ufeffcmartin\u200b", "\u202fcmartin \u3000"):
        assert re.sub(form.replace(r"\z", r"\Z"), "", copied) == "cmartin"
    assert in_order("Test-Options", "Get-WithoutBlanks", "Contains('@')", "$rules")
    assert in_order("Confirm-Person", "Get-WithoutBlanks", "Contains('@')", "Send-Request")


def test_a_key_from_the_server_has_no_options() -> None:
    (form,) = re.findall(r"-cnotmatch '(.*)'\)", body("Get-PublicKey"))
    form = form.replace(r"\z", r"\Z")
    assert re.search(form, f"{HOST_KEY} backuppc server to client dormeur ssh key")
    for bad in (f'command="x" {HOST_KEY}', f"no-pty,{HOST_KEY}", HOST_KEY[:-1], f"{HOST_KEY}\n{HOST_KEY}"):
        assert not re.search(form, bad)
    assert "[regex]::Replace([string]$Matches[2], '[^A-Za-z0-9 ._@:+-]', '')" in body("Get-PublicKey")
    assert in_order(
        "Install-Key", "$options = 'restrict'", ',from="', ',command="', "Set-File $AuthorizedKeys"
    )


@pytest.mark.parametrize(
    ("good", "text"),
    [
        *((True, text) for text in (
            "134.158.240.3", "10.0.0.0/8", "10.0.0.1/32", "2001:db8::1", "fe80::/64", "::/128",
        )),
        *((False, text) for text in (
            "1", "0x7f.1", "1.2.3", "1.2.3.4.5", "1.2.3.4.", "010.1.1.1", "1.2.3.4/33", "2001:db8::/129",
            "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/7",
            "10.0.0.0/08", "::/0", "2000::/3", "fc00::/31",
            "abcd", "*", "", "1.2.3.4\n", '1.2.3.4",command="x', "1.2.3.4 ",
        )),
    ],
)  # fmt: skip
def test_an_address_has_one_form(good: bool, text: str) -> None:
    four, six = (
        re.findall(rf"\${name} = '(.*)'\n", body("Test-AddressList"))[0].replace(r"\z", r"\Z")
        for name in ("four", "six")
    )

    assert bool(re.search(four, text) or re.search(six, text)) == good
