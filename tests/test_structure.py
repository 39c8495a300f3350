"""The house of the design: who may import whom, and who may touch the world outside."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath

import pytest

from backuppc_register.admin import VERBS

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "backuppc_register"

# From the ground up: a room imports from lower floors alone, never from another room of its own floor.
FLOORS = (
    ("person", "host_key", "names"),
    ("protocol",),
    ("system",),
    ("config",),
    ("syslog_line",),
    ("network", "backuppc", "state"),
    ("inventory",),
    ("lifecycle",),
    ("registration", "reconciliation"),
    ("verification", "diagnosis"),
    ("forced_command", "admin", "console", "control"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
DOORS = FLOORS[-1]

LIBRARIES = {
    "ldap3": "network/ldap_connection.py",
    "dns": "network/reverse_dns.py",
    "paramiko": "none: OpenSSH talks to machines",
}

OUTSIDE = {
    "os.environ",
    "os.environb",
    "os.getenv",
    "os.getenvb",
    "os.putenv",
    "os._exit",
    "sys.argv",
    "sys.exit",
    "sys.stdin",
    "sys.stdout",
    "sys.stderr",
    "print",
    "input",
    "exit",
    "quit",
    "SystemExit",
    "logging",
    "warnings",
}

WRITERS = {
    "system/atomic_files.py": "the one place",
    "state/host_folder.py": "renames whole folders, which are not files",
    "state/attic.py": "renames whole folders, which are not files",
    "backuppc/data_folder.py": "renames whole folders of backups, which are not files",
    "state/key_pairs.py": "ssh-keygen makes a pair in a folder of its own, from where it is renamed",
    "state/register_keys.py": "likewise, and renames the folder of a whole pair",
    "state/rate_limits.py": "counts of a minute, which nobody misses",
    "backuppc/lock.py": "an empty file, made to be locked",
}
REPLACING = {
    "rename",
    "renames",
    "write_text",
    "write_bytes",
    "touch",
    "symlink_to",
    "hardlink_to",
    "link",
    "symlink",
}
REPLACING |= {"truncate", "move", "copy", "copy2", "copyfile", "copytree", "copyfileobj"}
CREATING = {"os.O_CREAT", "os.O_TRUNC", "os.O_WRONLY", "os.O_RDWR", "os.O_APPEND"}

LONGEST_MODULE, LONGEST_FUNCTION = 300, 40

# The tests of a module PATH/NAME.py are unit/PATH/test_NAME.py or integration/PATH/test_NAME.py. For others,
# the first row that fits names the file that covers them.
COVERED_BY = {
    "admin/init/*": "unit/admin/init/test_init.py",
    "admin/context.py": "unit/admin/test_admin.py",
    "admin/diagnose.py": "unit/diagnosis/test_checks.py",
    "admin/host_overview.py": "unit/admin/test_show.py",
    "admin/next_backup.py": "unit/admin/test_show.py",
    "admin/options.py": "unit/admin/test_admin.py",
    "admin/people.py": "unit/admin/test_verbs.py",
    "admin/program_paths.py": "unit/admin/init/test_init.py",
    "admin/root_facts.py": "unit/diagnosis/test_checks.py",
    "admin/*": "unit/admin/test_host_change.py",
    "backuppc/daemon/*": "unit/backuppc/daemon/test_status.py",
    "backuppc/hosts/*": "integration/backuppc/hosts/test_hosts.py",
    "backuppc/main_settings.py": "unit/diagnosis/test_checks.py",
    "backuppc/retired_config.py": "unit/lifecycle/test_operation.py",
    "backuppc/rsync_command.py": "integration/backuppc/test_settings.py",
    "config/*": "unit/config/test_reader.py",
    "diagnosis/*": "unit/diagnosis/test_checks.py",
    "inventory/server.py": "integration/test_forced_command.py",
    "inventory/*": "unit/reconciliation/test_reconcile.py",
    "lifecycle/*": "unit/lifecycle/test_operation.py",
    "network/banner.py": "unit/diagnosis/test_checks.py",
    "network/dns_transport.py": "integration/network/test_reverse_dns.py",
    "network/directory_facts.py": "integration/network/test_directories.py",
    "network/ldap_connection.py": "integration/network/test_ldap.py",
    "protocol/escaping.py": "unit/protocol/test_reply.py",
    "protocol/unreachable.py": "unit/protocol/test_reply.py",
    "reconciliation/reconcile.py": "unit/reconciliation/test_reconcile.py",
    "reconciliation/inconsistency.py": "unit/reconciliation/test_inconsistencies.py",
    "reconciliation/orphans.py": "unit/reconciliation/test_inconsistencies.py",
    "reconciliation/owner_mismatch.py": "unit/reconciliation/test_inconsistencies.py",
    "reconciliation/retired_hosts.py": "unit/reconciliation/test_inconsistencies.py",
    "reconciliation/*": "unit/reconciliation/test_reconcile.py",
    "registration/*": "unit/registration/test_register.py",
    "state/authorized_keys.py": "unit/state/test_register_keys.py",
    "state/pinned_key.py": "unit/verification/test_verify.py",
    "state/*": "unit/state/test_host_folder.py",
    "system/uptime.py": "unit/lifecycle/test_purge.py",
    "verification/*": "unit/verification/test_verify.py",
}


@dataclass(frozen=True)
class Module:
    """A module's path below the package, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def place(self) -> PurePosixPath:
        return PurePosixPath(self.path)

    @property
    def room(self) -> str:
        return self.place.with_suffix("").parts[0]


def imports(module: Module) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names that *module* imports, wherever in it, each as its parts."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ("backuppc_register", *module.place.parent.parts)
            base = origin[: len(origin) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield from ((*base, alias.name) for alias in node.names)


def upward_imports(module: Module) -> Iterator[str]:
    """Yield the imports that do not point down, and the libraries that another module stands for."""
    if module.room not in FLOOR_OF and module.path != "__init__.py":
        yield f"is in no room of the house: {module.room}"
    for parts in imports(module):
        if parts[0] in LIBRARIES and LIBRARIES[parts[0]] != module.path:
            yield f"imports {parts[0]}"
        other = parts[1] if parts[0] == "backuppc_register" and len(parts) > 1 else module.room
        if other != module.room and FLOOR_OF.get(other, -1) >= FLOOR_OF.get(module.room, -1):
            yield f"imports {'.'.join(parts)}"


def uses(module: Module) -> Iterator[str]:
    """Yield every name and attribute that *module* uses, dotted, and what it imports by name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id
    yield from (".".join(parts) for parts in imports(module))


def outside(module: Module) -> Iterator[str]:
    """Yield what only a door may do: read the environment, print, exit."""
    if module.room not in DOORS:
        yield from (f"uses {name}" for name in uses(module) if name in OUTSIDE)


def writing(module: Module) -> Iterator[str]:
    """Yield what only `atomic_files` may do: create, replace or overwrite a file."""
    if module.path in WRITERS:
        return
    yield from (
        f"uses {name}" for name in uses(module) if name in CREATING or name in {"os.replace", "os.rename"}
    )
    for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        # A text's replace() takes two arguments, a path's takes one.
        path_replace = name == "replace" and len(call.args) == 1 and isinstance(call.func, ast.Attribute)
        if name in REPLACING or (path_replace and not call.keywords):
            yield f"calls {name}()"
        if name in {"open", "fdopen"} and any(_is_writing_mode(argument) for argument in _arguments(call)):
            yield f"calls {name}() to write"


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is_writing_mode(argument: ast.expr) -> bool:
    mode = argument.value if isinstance(argument, ast.Constant) else None
    return (
        isinstance(mode, str)
        and re.fullmatch(r"[rwxabt+]{1,4}", mode) is not None
        and set(mode) & set("wxa+") != set()
    )


def guards(module: Module) -> Iterator[str]:
    """Yield the asserts: they are gone under `python -O`, and an AssertionError is no error of ours."""
    yield from (
        f"asserts in line {node.lineno}" for node in ast.walk(module.tree) if isinstance(node, ast.Assert)
    )


def starting(module: Module) -> Iterator[str]:
    """Yield what only `processes` may do: start a program.

    One that keeps our terminal or environment runs as BackupPC's account while root may be at the terminal.
    """
    if module.path != "system/processes.py":
        starts = re.compile(r"subprocess(\..*)?|os\.(exec|spawn|posix_spawn|system|popen).*|pty(\..*)?")
        yield from (f"uses {name}" for name in uses(module) if starts.fullmatch(name))


def undescribed(module: Module) -> Iterator[str]:
    """Yield the public names without a docstring."""
    if not ast.get_docstring(module.tree):
        yield "has no docstring"
    yield from _undescribed_in(module.tree, "")


def _undescribed_in(scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in scope.body:
        if not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"does not describe {prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undescribed_in(node, f"{node.name}.")


def too_long(module: Module) -> Iterator[str]:
    """Yield the module and the functions that have grown past the length that a reader takes in."""
    lines = module.text.count("\n")
    if lines > LONGEST_MODULE:
        yield f"has {lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{node.name} has {length} lines"


CHECKS = [upward_imports, outside, writing, guards, starting, undescribed, too_long]
MODULES = [Module(str(p.relative_to(PACKAGE)), p.read_text("utf-8")) for p in sorted(PACKAGE.rglob("*.py"))]


def test_the_house_is_there():
    assert {"protocol/errors.py", "config/sections.py", "system/atomic_files.py", "forced_command.py"} <= {
        module.path for module in MODULES
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_every_module_keeps_to_its_place(module, check):
    assert list(check(module)) == []


def test_a_request_of_a_known_host_imports_no_more_than_it_needs():
    needed = (
        "backuppc.daemon.status",
        "registration.register",
        "state.host_folder",
        "state.rate_limits",
        "forced_command",
    )
    program = f"import sys, {', '.join(f'backuppc_register.{name}' for name in needed)}; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )

    imported = set(done.stdout.split())
    assert "backuppc_register.registration.register" in imported
    late = (
        "reconciliation.reconcile",
        "inventory.hosts_snapshot",
        "lifecycle.operation",
        "verification.verify",
        "state.snapshot_file",
    )
    assert imported.isdisjoint(f"backuppc_register.{name}" for name in late)
    assert imported.isdisjoint({*LIBRARIES, "subprocess", "logging", "ssl"})


def test_no_two_modules_have_the_same_name_but_a_verb_and_its_capability():
    """A name leads to one file; a verb of admin/ may share its name with the capability behind it."""
    names: dict[str, list[str]] = {}
    for module in MODULES:
        if module.place.name != "__init__.py" and module.place.parent != PurePosixPath("admin"):
            names.setdefault(module.place.stem, []).append(module.path)

    assert {name: paths for name, paths in names.items() if len(paths) > 1} == {}
    others = {m.place.stem for m in MODULES if m.place.parent == PurePosixPath("admin")} & names.keys()
    assert others <= set(VERBS.values())


def covering(module: Module) -> list[str]:
    """Give the files, below the folder of the tests, that have the name of the module or of its row."""
    name = module.place.parent.name if module.place.name == "__init__.py" else module.place.stem
    own = [f"{ring}/{module.place.parent}/test_{name}.py" for ring in ("unit", "integration")]
    row = next((file for pattern, file in COVERED_BY.items() if fnmatch(module.path, pattern)), "")
    return [path for path in own if (TESTS / path).is_file()] or [row]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_every_module_has_its_tests(module):
    if any(not isinstance(node, ast.Expr | ast.Assign) for node in module.tree.body):
        assert all((TESTS / path).is_file() for path in covering(module))


def test_every_row_of_the_tests_covers_a_module():
    used = {path for module in MODULES for path in covering(module)}

    assert [file for file in COVERED_BY.values() if file not in used] == []


TEST_FILES = [Module(str(p.relative_to(TESTS)), p.read_text("utf-8")) for p in sorted(TESTS.rglob("*.py"))]
TEST_NAMES = {file.place.name for file in TEST_FILES}


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: file.path)
def test_no_file_imports_a_test(file):
    names = {part for parts in imports(file) for part in parts}

    assert not [name for name in names if name.startswith("test_") and f"{name}.py" in TEST_NAMES]


@pytest.mark.parametrize("path", WRITERS)
def test_every_exception_is_still_needed(path):
    text = (PACKAGE / path).read_text("utf-8")

    assert list(writing(Module("elsewhere.py", text)))


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (upward_imports, "protocol/request.py", "from backuppc_register.inventory import policy"),
        (upward_imports, "protocol/request.py", "from backuppc_register.network.ldap import Ldap"),
        (upward_imports, "protocol/request.py", "from backuppc_register import state"),
        (upward_imports, "protocol/request.py", "import backuppc_register.forced_command"),
        (upward_imports, "protocol/request.py", "from ..backuppc import hosts"),
        (upward_imports, "protocol/request.py", "from .. import inventory"),
        (
            upward_imports,
            "protocol/request.py",
            "def late():\n    from backuppc_register.state import records",
        ),
        (upward_imports, "state/records.py", "from backuppc_register.backuppc import hosts"),
        (upward_imports, "state/records.py", "from ..backuppc import hosts"),
        (upward_imports, "network/reverse_dns.py", "import backuppc_register.state.records"),
        (upward_imports, "network/reverse_dns.py", "from backuppc_register.inventory.server import Server"),
        (upward_imports, "inventory/policy.py", "from backuppc_register.forced_command import run"),
        (upward_imports, "inventory/policy.py", "from backuppc_register.admin.verbs import run"),
        (upward_imports, "forced_command.py", "from backuppc_register.admin import verbs"),
        (upward_imports, "helpers/text.py", "import backuppc_register.protocol.errors"),
        (upward_imports, "inventory/policy.py", "import ldap3"),
        (upward_imports, "network/dns_transport.py", "import dns.message"),
        (upward_imports, "network/ldap.py", "from paramiko.client import SSHClient"),
        (outside, "config/sections.py", "import os\nos.environ['HOME']"),
        (outside, "config/sections.py", "from os import environ"),
        (outside, "config/sections.py", "import os\nos.getenv('HOME')"),
        (outside, "inventory/policy.py", "print('x')"),
        (outside, "inventory/policy.py", "import sys\nsys.exit(1)"),
        (outside, "inventory/policy.py", "raise SystemExit"),
        (outside, "inventory/policy.py", "import sys\nsys.stderr.write('x')"),
        (outside, "state/records.py", "import logging"),
        (writing, "state/records.py", "import os\nos.rename('a', 'b')"),
        (writing, "state/records.py", "import os\nos.replace('a', 'b')"),
        (writing, "state/records.py", "from os import replace"),
        (writing, "state/records.py", "path.rename(other)"),
        (writing, "state/records.py", "path.replace(other)"),
        (writing, "state/records.py", "path.write_text('x')"),
        (writing, "state/records.py", "path.open('w')"),
        (writing, "state/records.py", "open(path, mode='ab')"),
        (writing, "state/records.py", "open(path, 'r+')"),
        (writing, "state/records.py", "import os\nos.open(path, os.O_WRONLY)"),
        (writing, "state/records.py", "import shutil\nshutil.move(path, other)"),
        (guards, "state/records.py", "assert path"),
        (starting, "state/records.py", "import subprocess\nsubprocess.run(['perl'], check=True)"),
        (starting, "state/records.py", "def late():\n    from subprocess import run"),
        (starting, "state/records.py", "import os\nos.execv('/usr/bin/perl', ['perl'])"),
        (starting, "state/records.py", "import os\nos.system('perl')"),
        (starting, "state/records.py", "from os import posix_spawn"),
        (too_long, "state/records.py", "x = 1\n" * 301),
        (too_long, "state/records.py", "def read():\n" + "    x = 1\n" * 40),
        (undescribed, "state/records.py", "x = 1"),
        (undescribed, "state/records.py", "'''Say.'''\ndef read(): pass"),
        (
            undescribed,
            "state/records.py",
            "'''Say.'''\nclass Record:\n    '''Say.'''\n    def read(self): pass",
        ),
    ],
)
def test_a_module_out_of_its_place_is_seen(check, path, text):
    assert list(check(Module(path, text)))


def test_a_module_in_its_place_is_let_alone():
    text = '''
"""Say."""
import os
import backuppc_register
from dataclasses import replace
from backuppc_register import __version__
from backuppc_register.system import atomic_files
from backuppc_register.protocol.errors import Fault
from backuppc_register.state import safe_files
from . import key_pairs

def read(path):
    """Say."""
    os.open(path, os.O_RDONLY)
    return replace(path.read_text().replace("a", "b"), x=open(path, "rb"))
'''

    assert [problem for check in CHECKS for problem in check(Module("state/records.py", text))] == []
