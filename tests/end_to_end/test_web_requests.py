"""Other web sites and BackupPC's pages: a real Apache, a real browser, a real BackupPC."""

from __future__ import annotations

import itertools
import re

import pytest
from lab import Lab
from web_pages import ORIGIN, PAGES, Browser, Request, WebServer, page

pytestmark = pytest.mark.lab

ADMIN = ["python3", "-I", "/opt/backuppc-register/bin/backuppc-register-admin"]
SITES = ("evil.example", "www.univ-brest.fr")  # a foreign one, and one of the same domain
_hours = itertools.count(1000)


class Site:
    """The server, an administrator's browser, and the sites that attack."""

    def __init__(self, lab: Lab) -> None:
        self.server = WebServer(lab)
        self.browser = Browser(lab, self.server)
        self.dugong = self.server.host

    def diagnosed(self) -> str:
        return self.dugong.run([*ADMIN, "diagnose", "--only", "web-requests"]).stdout

    def paused(self) -> bool:
        return "backoffTime" in self.dugong.message("status host(dormeur)")

    def go_on(self) -> None:
        self.dugong.message("stop dormeur cmartin 0")


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


def change() -> str:
    """Give the query of a change, another one each time."""
    return f"action=Stop_Dequeue_Backup&host=dormeur&doit=1&backoff={next(_hours)}"


def form(method: str, query: str) -> str:
    fields = (pair.partition("=") for pair in query.split("&"))
    inputs = "".join(f"<input type=hidden name='{name}' value='{value}'>" for name, _, value in fields)
    return f"<form id=form method={method} action='{PAGES}'>{inputs}<button id=go>x</button></form>"


def attacks(site: str, query: str) -> dict[str, list[tuple[object, ...]]]:
    """Give the steps of each attack by a page of *site*; each *query* is as good as another."""
    url, rest, click = f"{PAGES}?{query}", ("rest", 0.3), ("click", "#go")

    def shown(html: str, *more: tuple[object, ...]) -> list[tuple[object, ...]]:
        return [("open", page(site, html=html)), *more]

    return {
        "link": shown(f"<a id=go href='{url}'>x</a>", click),
        "link without a referrer": shown(
            f"<a id=go rel=noreferrer referrerpolicy=no-referrer href='{url}'>x</a>", click
        ),
        "image": shown(f"<img src='{url}'>", rest),
        "image without a referrer": shown(f"<img referrerpolicy=no-referrer src='{url}'>", rest),
        "frame": shown(f"<iframe src='{url}'></iframe>", rest),
        "frame in a sandbox": shown(f"<iframe sandbox='allow-scripts' src='{url}'></iframe>", rest),
        "typed address that leads on": [("open", page(site, to=url))],
        "link that leads on": shown(f"<a id=go href='{page(site, to=url)}'>x</a>", click),
        "image that leads on": shown(f"<img src='{page(site, to=url)}'>", rest),
        "form": shown(form("get", query), click),
        "form by itself": shown(f"{form('get', query)}<script>form.submit()</script>", rest),
        "window": shown(f"<button id=go onclick=\"window.open('{url}')\">x</button>", click, rest),
        "refresh": shown(f"<meta http-equiv=refresh content='0;url={url}'>", rest),
        "script": shown(f"<script src='{url}'></script>", rest),
        "fetch": shown(f"<script>fetch('{url}', {{mode: 'no-cors', credentials: 'include'}})</script>", rest),
        "object": shown(f"<object data='{url}'></object>", rest),
    }


def test_without_the_rules_any_page_can_do_it_and_diagnose_says_so(site):
    queries = [change() for _ in range(4)]
    ways = ("link without a referrer", "typed address that leads on", "form", "window")
    steps = [step for way, query in zip(ways, queries, strict=True) for step in attacks(SITES[0], query)[way]]
    image, post = change(), change()
    steps += attacks(SITES[1], image)["image"]
    steps += [("open", page(SITES[0], html=form("post", post))), ("click", "#go")]

    site.browser.follow(*steps)

    assert [site.server.answered(query) for query in [*queries, image]] == [[200]] * 5
    log = site.dugong.read("/var/lib/backuppc/log/LOG")
    assert log.count("Nothing to do for stop backup of dormeur, request by backuppc") == 6
    assert re.search(
        r"^yellow +web-requests +a link of any web site.*a2enconf", site.diagnosed(), re.M | re.S
    )


def test_init_writes_the_rules_and_names_what_is_left_to_do(site):
    done = site.dugong.run([*ADMIN, "init"], check=True).stdout

    assert "/etc/apache2/conf-available/backuppc-register.conf" in done
    (command,) = re.findall("^Next: (a2enmod .*)$", done, re.M)
    site.server.run(command)
    assert re.search("^green +web-requests", site.diagnosed(), re.M), site.diagnosed()
    assert "a2enconf" not in site.dugong.run([*ADMIN, "init"], check=True).stdout


@pytest.mark.parametrize("attacker", SITES)
def test_with_the_rules_no_page_of_another_site_changes_anything(site, attacker):
    site.go_on()
    config, log = site.dugong.read("/etc/backuppc/config.pl"), site.dugong.read("/var/lib/backuppc/log/LOG")
    ways = {way: change() for way in attacks(attacker, "")}
    steps = [step for way, query in ways.items() for step in attacks(attacker, query)[way]]
    ping = "action=editConfig&saveAction=Save&menu=backup&modified=1&v_zZ_PingCmd=%26%7Bsystem(%27id%27)%7D"
    for method, query in (("post", change()), ("post", ping), ("get", ping)):
        steps += [("open", page(attacker, html=form(method, query))), ("click", "#go")]
    steps += [("open", page(attacker, html=f"<a id=go href='{PAGES}?action=Stop'>x</a>")), ("click", "#go")]

    pages = site.browser.follow(*steps)

    assert [way for way, query in ways.items() if {*site.server.answered(query)} - {401, 403}] == []
    reached = [way for way, query in ways.items() if 403 in site.server.answered(query)]
    assert {"link", "typed address that leads on", "form", "window", "refresh"} <= {*reached}
    assert "Forbidden" in pages[-1]
    assert not site.paused()
    assert site.dugong.read("/etc/backuppc/config.pl") == config
    assert site.dugong.read("/var/lib/backuppc/log/LOG") == log


def test_an_administrators_own_work_goes_on(site):
    hosts = ("host=dormeur", "action=view&type=LOG&host=dormeur", "action=summary", "")
    typed = [("open", f"{PAGES}?{query}") for query in hosts]
    pause = [
        ("open", f"{PAGES}?host=dormeur"),
        ("click", "input[value='Stop/Dequeue Backup']"),
        ("fill", "input[name=backoff]", "5"),
        ("click", "input[value='Stop/Dequeue Backup']"),
    ]
    edit = [
        ("open", f"{PAGES}?action=editConfig&newMenu=email"),
        ("fill", "[name=v_zZ_EMailNotifyMinDays]", "3.5"),
        ("run", "editForm.saveAction.value = 'Save'; editForm.submit()"),
        ("rest", 1),
    ]
    mail = [("open", page(SITES[0], html=f"<a id=go href='{PAGES}?host=dormeur'>x</a>")), ("click", "#go")]
    front = [("open", page(SITES[1], html=f"<a id=go href='{ORIGIN}/backuppc/'>x</a>")), ("click", "#go")]

    pages = site.browser.follow(*typed, *pause, *edit, *mail, *front, ("click", "a[href*='action=summary']"))

    assert [one for one in pages if "Forbidden" in one or one.startswith("error")] == []
    assert "Host dormeur Backup Summary" in pages[1]
    assert "Host dormeur Backup Summary" in pages[-4]
    assert "dormeur" in pages[-1]
    assert site.paused()
    assert "$Conf{EMailNotifyMinDays} = '3.5';" in site.dugong.read("/etc/backuppc/config.pl")
    site.go_on()


CHANGE, SHOWS = "?action=Stop_Dequeue_Backup&host=dormeur&doit=1&backoff=9", "?host=dormeur"
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:78.0) Gecko/20100101 Firefox/78.0"}
OWN, OTHER = f"{ORIGIN}/backuppc/index.cgi?host=dormeur", "https://evil.example/"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def says(where: str, **more: str) -> dict[str, str]:
    return (
        FIREFOX | NAVIGATION | {"Sec-Fetch-Site": where} | {k.replace("_", "-"): v for k, v in more.items()}
    )


REQUESTS = {
    "a program": (Request(CHANGE, {}), 200),
    "the page itself": (Request(CHANGE, says("same-origin")), 200),
    "typed": (Request(CHANGE, says("none")), 403),
    "another site": (Request(CHANGE, says("cross-site")), 403),
    "the same domain": (Request(CHANGE, says("same-site")), 403),
    "a word that no browser says": (Request(CHANGE, says("SAME-ORIGIN, cross-site")), 403),
    "the front page, another site": (Request(CHANGE, says("cross-site"), path="/backuppc/"), 403),
    "the front page, the page itself": (Request(CHANGE, says("same-origin"), path="/backuppc/"), 200),
    "more behind the program": (Request(CHANGE, says("cross-site"), path="/backuppc/index.cgi/image/x"), 403),
    "a path with dots": (Request(CHANGE, says("cross-site"), path="/backuppc/image/..//index.cgi"), 403),
    "reloaded": (Request(CHANGE, says("none", Cache_Control="max-age=0")), 403),
    "another site shows": (Request(SHOWS, says("cross-site")), 200),
    "another site shows in a frame": (Request(SHOWS, says("cross-site", Sec_Fetch_Dest="iframe")), 403),
    "another site shows and changes": (Request(f"{SHOWS}&action=keepBackup&num=1", says("cross-site")), 403),
    "hidden by an escape": (Request(f"{SHOWS}&%61ction=Stop", says("cross-site")), 403),
    "hidden by a semicolon": (Request(f"{SHOWS};action=Stop", says("cross-site")), 403),
    "a value that only looks like more": (Request("?host=x%26action=Stop", says("cross-site")), 200),
    "hidden by a newline": (Request("?host=x%0aaction=Stop&doit=1", says("cross-site")), 403),
    "a longer action": (Request("?action=viewStop", says("cross-site")), 403),
    "a body": (Request(SHOWS, says("cross-site"), body=CHANGE[1:]), 403),
    "an old browser": (Request(CHANGE, FIREFOX | {"Referer": OWN}), 200),
    "an old browser, another site": (Request(CHANGE, FIREFOX | {"Referer": OTHER}), 403),
    "an old browser, another site shows": (Request(SHOWS, FIREFOX | {"Referer": OTHER}), 200),
    "an old browser, no referrer": (Request(CHANGE, FIREFOX), 403),
    "an old browser, a like name": (Request(CHANGE, FIREFOX | {"Referer": f"{ORIGIN}.evil.example/"}), 403),
    "an old browser, our name in it": (Request(CHANGE, FIREFOX | {"Referer": f"{OTHER}?{ORIGIN}/"}), 403),
    "an old browser's form": (Request(SHOWS, FIREFOX | {"Origin": ORIGIN}, body=CHANGE[1:]), 200),
    "its form from another site": (
        Request(SHOWS, FIREFOX | {"Origin": "https://evil.example", "Referer": OWN}, body=CHANGE[1:]), 403,
    ),
    "its form from a sandbox": (Request(SHOWS, FIREFOX | {"Origin": "null"}, body=CHANGE[1:]), 403),
    "a program with another's origin": (Request(CHANGE, {"Origin": "https://evil.example"}), 403),
    "an owner": (Request(CHANGE, says("cross-site"), user="cmartin"), 403),
    "no login": (Request(SHOWS, says("none"), user=""), 401),
    "no login, another site": (Request(CHANGE, says("cross-site"), user=""), 403),
    "over http": (Request(CHANGE, FIREFOX | {"Referer": OTHER}, scheme="http"), 403),
    "over http, the page": (
        Request(CHANGE, FIREFOX | {"Referer": OWN.replace("https", "http")}, scheme="http"), 200,
    ),
}  # fmt: skip


def test_what_browsers_and_programs_say_decides(site):
    statuses = site.server.statuses(*(request for request, _ in REQUESTS.values()))

    wanted = [status for _, status in REQUESTS.values()]
    wrong = [name for name, *both in zip(REQUESTS, statuses, wanted, strict=True) if both[0] != both[1]]
    assert wrong == [], statuses
