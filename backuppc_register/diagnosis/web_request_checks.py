"""Check whether other web sites can send requests to BackupPC's pages by an administrator's browser."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from backuppc_register.diagnosis.finding import Answer, green, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.network import banner

ADVICE = "See [server] url, and packaging/apache.conf."

_TIMEOUT = 5.0  # seconds
# BackupPC has no such action; our rule refuses it all the same, because it is none that only shows something.
_CHANGE = "action=backuppc-register"


def requests(facts: ServerFacts) -> Iterator[Answer]:
    """Send what a browser sends for a link of another site, without a login: it should be refused."""
    parts = urlsplit(facts.config.server.url.replace("{host}", "localhost"))
    if not parts.hostname:
        yield yellow("skipped: [server] url is not set", "See docs/configuration.md.")
        return
    url = f"{parts.scheme}://{parts.netloc}{parts.path}?{_CHANGE}"
    try:
        own, foreign = (_status(url, site) for site in ("same-origin", "cross-site"))
    except OSError as error:
        yield yellow(f"the web pages cannot be checked: {url}: {error}", "See [server] url.")
        return
    if foreign in (200, 401) or 300 <= foreign < 400:  # the page, or a login first
        advice = "backuppc-register-admin init, then: a2enconf backuppc-register && systemctl reload apache2"
        yield yellow(
            "a link of any web site can change BackupPC's settings, if an administrator opens it", advice
        )
    elif foreign == 403 and own != 403:
        yield green("the web pages refuse changes that other web sites ask for")
    else:
        what = f"it is not known whether other web sites can change BackupPC's settings: {url}: {foreign}"
        yield yellow(what, "Compare packaging/apache.conf with the configuration of the web server.")
    if parts.scheme == "http":
        what = "over http, passwords are readable, and browsers may not say from which site a request comes"
        yield yellow(what, "Give the web server a certificate, and [server] url https.")


def _status(url: str, site: str) -> int:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    return banner.page(url, _TIMEOUT, headers).status
