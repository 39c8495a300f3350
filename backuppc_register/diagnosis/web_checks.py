"""Checks of BackupPC's web pages: who gets in, and what they may change there."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from backuppc_register.diagnosis.finding import Answer, green, otherwise, red, some, yellow
from backuppc_register.diagnosis.server_facts import Situation
from backuppc_register.network import banner
from backuppc_register.system import data_files

_WITHIN = 5.0  # seconds for one question
_PAGES = ("/backuppc/", "/backuppc/index.cgi", "/BackupPC_Admin", "/cgi-bin/BackupPC_Admin")
_OF_BACKUPPC = ("BackupPC_stnd", "BackupPC_retro", "action=adminOpts", "<title>BackupPC")
_HARDEN = "Append packaging/backuppc-hardening.pl to config.pl: backuppc-register-admin init does."
_CLOSED = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{(\w+)\} = 0;", re.MULTILINE)
_CLOSED_LIKE = re.compile(r"^\$Conf\{CgiUserConfigEdit\}\{\$_\} = 0 for grep \{ /(\S+)/ \}", re.MULTILINE)
# What reaches a command line on this server: whoever may edit one of them runs programs as BackupPC.
_RUNS = {"RsyncSshArgs", "RsyncArgs", "RsyncArgsExtra", "RsyncFullArgsExtra", "RsyncIncrArgsExtra"}
_RUNS |= {"RsyncRestoreArgs", "RsyncRestoreArgsExtra", "RsyncClientPath", "RsyncBackupPCPath", "XferMethod"}


@otherwise("See [server] url.")
def web(situation: Situation) -> Iterator[Answer]:
    """Look whether BackupPC's pages ask for a login: whoever has none is an administrator there."""
    url = situation.config.server.url.replace("{host}", "localhost")
    parts = urlsplit(url)
    if not parts.hostname:
        yield yellow("not looked at: no [server] url is told", "See docs/configuration.md.")
        return
    shown, failure = _shown(f"{parts.scheme}://{parts.netloc}", parts.path)
    other = {"http": "https", "https": "http"}[parts.scheme]
    # The same pages by the other way, which a login may have been forgotten for; mostly there is none.
    shown += _shown(f"{other}://{parts.hostname}", parts.path)[0]
    if shown:
        advice = "Let it ask for a login (see /etc/backuppc/apache.conf): who has none is an administrator."
        yield red(f"BackupPC's pages are open to everybody: {some(shown)}", advice)
    elif failure:
        yield yellow(f"the web pages cannot be looked at: {failure}", "See [server] url.")
    else:
        yield green("they ask for a login, seen from here")


def _shown(origin: str, path: str) -> tuple[list[str], str]:
    """Return which pages of *origin* BackupPC shows without a login, and why no more can be looked at."""
    shown: list[str] = []
    for url in dict.fromkeys(origin + one for one in (path, *_PAGES)):
        try:
            page = banner.page(url, _WITHIN)
        except (OSError, ValueError) as error:
            return shown, f"{url}: {error}"
        if page.status == 200 and any(word in page.text for word in _OF_BACKUPPC):
            shown.append(url)
    return shown, ""


@otherwise(_HARDEN)
def web_editor(situation: Situation) -> Iterator[Answer]:
    """Look at what owners may edit: some settings run programs on this server, some stop the backups."""
    yield from open_to_owners(situation.known_settings)


def open_to_owners(told: dict[str, Any]) -> Iterator[Answer]:
    """Yield what owners may edit to somebody's harm, by what config.pl has set, *told*."""
    editable = told.get("CgiUserConfigEdit", {})
    if not told or not told.get("CgiUserConfigEditEnable", True) or not isinstance(editable, dict):
        return
    snippet = data_files.find("packaging/backuppc-hardening.pl").read_text("utf-8")
    closed, like = set(_CLOSED.findall(snippet)), [re.compile(one) for one in _CLOSED_LIKE.findall(snippet)]
    # What config.pl does not name is closed (CGI/EditConfig.pm).
    open_ = {name for name, value in editable.items() if value not in (0, "0", "", None)}
    runs = sorted(name for name in open_ if name in _RUNS or name.endswith("Cmd"))
    if runs:
        yield red(f"every owner of a host can run programs here, by {some(runs)}", _HARDEN)
    elif loose := sorted(name for name in open_ if name in closed or any(one.search(name) for one in like)):
        yield yellow(f"owners can edit {some(loose)}", _HARDEN)


@otherwise("See CgiAdminUsers in config.pl.")
def admin_users(situation: Situation) -> Iterator[Answer]:
    r"""Look who is an administrator without being meant: BackupPC finds a logon in the list by ``\b``."""
    admins = str(situation.known_settings.get("CgiAdminUsers", "") or "")
    if admins.strip() == "*":
        yield red(
            "CgiAdminUsers is *: everybody is an administrator", "Name them: CgiAdminUsers in config.pl."
        )
        return
    meant = set(re.split(r"[\s,]+", admins))
    by_chance = [
        one for one in situation.persons if one not in meant and re.search(rf"\b{re.escape(one)}\b", admins)
    ]
    if by_chance:
        what = f"CgiAdminUsers makes administrators of {some(by_chance)}"
        yield red(what, "Use other names in CgiAdminUsers: jean-admin lets in jean and admin.")
    elif parts := sorted(name for name in meant if re.search(r"\w\W+\w", name)):
        what = f"CgiAdminUsers has {some(parts)}: who is called like a part of it is an administrator"
        yield yellow(what, "Use names of letters and digits alone in CgiAdminUsers.")


CHECKS = {
    "web": web,
    "web-editor": web_editor,
    "admin-users": admin_users,
}
