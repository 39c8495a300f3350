"""Checks of BackupPC's web pages: the login, the administrators, the editor."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from backuppc_register.diagnosis.finding import Answer, green, red, some, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.network import banner
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.system import data_files

HARDEN = "Append packaging/backuppc-hardening.pl to config.pl: backuppc-register-admin init does it."

_TIMEOUT = 5.0  # seconds
_PAGES = ("/backuppc/", "/backuppc/index.cgi", "/BackupPC_Admin", "/cgi-bin/BackupPC_Admin")
_OF_BACKUPPC = ("BackupPC_stnd", "BackupPC_retro", "action=adminOpts", "<title>BackupPC")
_CLOSED = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{(\w+)\} = 0;", re.MULTILINE)
_CLOSED_LIKE = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{\$_\} = 0 for grep \{ /(\S+)/ \}", re.MULTILINE)
# These settings reach a command line on this server: an owner who edits one runs programs as BackupPC.
_RUNS = {"RsyncSshArgs", "RsyncArgs", "RsyncArgsExtra", "RsyncFullArgsExtra", "RsyncIncrArgsExtra"}
_RUNS |= {"RsyncRestoreArgs", "RsyncRestoreArgsExtra", "RsyncClientPath", "RsyncBackupPCPath", "XferMethod"}


def web(facts: ServerFacts) -> Iterator[Answer]:
    """Check that BackupPC's pages ask for a login: without one, every visitor is an administrator."""
    parts = urlsplit(facts.config.server.url.replace("{host}", "localhost"))
    if not parts.hostname:
        yield yellow("skipped: [server] url is not set", "See docs/configuration.md.")
        return
    shown, failure = _shown(f"{parts.scheme}://{parts.netloc}", parts.path)
    other = {"http": "https", "https": "http"}[parts.scheme]
    # The login of the other scheme is easily forgotten; often there is no such server.
    shown += _shown(f"{other}://{parts.hostname}", parts.path)[0]
    if shown:
        advice = "Require a login (see /etc/backuppc/apache.conf): without it, all are administrators."
        yield red(f"BackupPC's pages are open to everybody: {some(shown)}", advice)
    elif failure:
        yield yellow(f"the web pages cannot be checked: {failure}", "See [server] url.")
    else:
        yield green("the web pages ask for a login, as seen from this server")


def _shown(origin: str, path: str) -> tuple[list[str], str]:
    """Return the pages of *origin* that BackupPC shows without a login, and the failure that ended it."""
    shown: list[str] = []
    for url in dict.fromkeys(origin + one for one in (path, *_PAGES)):
        try:
            page = banner.page(url, _TIMEOUT)
        except (OSError, ValueError) as error:
            return shown, f"{url}: {error}"
        if page.status == 200 and any(word in page.text for word in _OF_BACKUPPC):
            shown.append(url)
    return shown, ""


def web_editor(facts: ServerFacts) -> Iterator[Answer]:
    """Check which settings owners may edit: some run programs on this server, some stop the backups."""
    yield from open_to_owners(facts.known_settings)


def open_to_owners(settings: dict[str, Any]) -> Iterator[Answer]:
    """Yield the harmful settings that owners may edit, according to config.pl's *settings*."""
    editable = settings.get("CgiUserConfigEdit", {})
    if not settings or not settings.get("CgiUserConfigEditEnable", True) or not isinstance(editable, dict):
        return
    snippet = data_files.find("packaging/backuppc-hardening.pl").read_text("utf-8")
    closed, like = set(_CLOSED.findall(snippet)), [re.compile(one) for one in _CLOSED_LIKE.findall(snippet)]
    # Owners cannot edit what config.pl does not name (CGI/EditConfig.pm).
    open_ = {name for name, value in editable.items() if value not in (0, "0", "", None)}
    runs = sorted(name for name in open_ if name in _RUNS or name.endswith("Cmd"))
    if runs:
        yield red(f"every owner of a host can run programs on this server, by {some(runs)}", HARDEN)
    elif loose := sorted(name for name in open_ if name in closed or any(one.search(name) for one in like)):
        yield yellow(f"owners can edit {some(loose)}", HARDEN)


def admin_users(facts: ServerFacts) -> Iterator[Answer]:
    r"""Find persons who are administrators by accident: BackupPC finds a logon in the list by ``\b``."""
    admins = str(facts.known_settings.get("CgiAdminUsers", "") or "")
    if admins.strip() == "*":
        advice = "Set CgiAdminUsers in config.pl to the administrators' logons."
        yield red("CgiAdminUsers is *: everybody is an administrator", advice)
        return
    meant = set(re.split(r"[\s,]+", admins))
    others = [person for person in facts.persons if person not in meant]
    if by_chance := [one for one in others if re.search(rf"\b{re.escape(one)}\b", admins)]:
        what = f"CgiAdminUsers makes these persons administrators by accident: {some(by_chance)}"
        yield red(what, "Change the names in CgiAdminUsers: jean-admin lets in jean and admin.")
    elif parts := sorted(name for name in meant if re.search(r"\w\W+\w", name)):
        what = f"CgiAdminUsers has {some(parts)}: a person with a part of it as logon is an administrator"
        yield yellow(what, "In CgiAdminUsers, use names of letters and digits alone.")
    if facts.account in meant:
        yield from _same_name_as_account(facts)


def _same_name_as_account(facts: ServerFacts) -> Iterator[Answer]:
    """Find a person with the name of BackupPC's account, which CgiAdminUsers contains by default."""
    from backuppc_register.network.ldap import Ldap  # late: without ldap3, all other checks still run

    if not facts.config.directory.servers:
        return
    try:
        person = Ldap(facts.config.directory).find(facts.account, _TIMEOUT)
    except RegisterError:
        return  # there is no such person, or `directory` reports the failure
    what = f"the directory has a person {person.uid}, and CgiAdminUsers makes that person an administrator"
    yield red(what, f"Replace {facts.account} in CgiAdminUsers by your administrators' logons.")
