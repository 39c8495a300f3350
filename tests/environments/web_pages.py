"""BackupPC's pages behind a real Apache, a real Chromium, and the pages of a site that attacks."""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass

from lab import Host, Lab, Server, Service

PASSWORD = "s3cret"
ORIGIN = "https://dugong.univ-brest.fr"
PAGES = f"{ORIGIN}/backuppc/index.cgi"
# As Debian's README says: https instead of `Require local`. The certificate is for all names here.
PREPARE = f"""
set -eu
cd /etc/apache2
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=univ-brest.fr -keyout own.pem -out cert.pem
cat cert.pem >> own.pem
chmod 644 own.pem
printf '<VirtualHost *:443>\n SSLEngine on\n SSLCertificateFile /etc/apache2/own.pem\n</VirtualHost>\n' \
    > sites-available/own.conf
echo 'ServerName dugong.univ-brest.fr' > conf-available/own.conf
sed 's/^\t*Require local//' /etc/backuppc/apache.conf > conf-available/backuppc.conf
printf 'backuppc:%s\\ncmartin:%s\\n' $(openssl passwd -apr1 {PASSWORD} {PASSWORD}) > /etc/backuppc/htpasswd
rm -f conf-enabled/backuppc.conf
a2enmod -q cgid ssl
a2enconf -q backuppc own
a2ensite -q own
mkdir -p /run/apache2 /var/log/apache2
"""
BROWSER = """
import json, sys, time
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
options = webdriver.ChromeOptions()
for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
               "--disable-popup-blocking", "--disable-dev-shm-usage"):
    options.add_argument(switch)
options.set_capability("acceptInsecureCerts", True)
browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
browser.set_page_load_timeout(30)
answers = []
try:
    first = browser.current_window_handle
    for step, *words in json.load(sys.stdin):
        try:
            if step == "open":
                browser.get(*words)
            elif step == "click":
                browser.find_element("css selector", *words).click()
                time.sleep(0.1)  # a form may be on its way only now
            elif step == "fill":
                field = browser.find_element("css selector", words[0])
                field.clear()
                field.send_keys(words[1])
            elif step == "run":
                browser.execute_script(*words)
            elif step == "rest":
                time.sleep(*words)
            answer = browser.page_source
        except Exception as error:
            answer = f"error: {error}"
        for other in set(browser.window_handles) - {first}:
            browser.switch_to.window(other)
            browser.close()
        browser.switch_to.window(first)
        answers.append(answer)
finally:
    browser.quit()
print(json.dumps(answers))
"""
CLIENT = f"""
import base64, http.client, json, ssl, sys
for one in json.load(sys.stdin):
    headers = dict(one["headers"])
    if one["user"]:
        login = base64.b64encode(f"{{one['user']}}:{PASSWORD}".encode()).decode()
        headers["Authorization"] = "Basic " + login
    if one["scheme"] == "http":
        connection = http.client.HTTPConnection("127.0.0.1")
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", context=ssl._create_unverified_context())
    headers.setdefault("Host", "dugong.univ-brest.fr")
    method = "POST" if one["body"] else "GET"
    connection.request(method, one["path"] + one["query"], one["body"] or None, headers)
    print(connection.getresponse().status)
"""
# The site that attacks: what is asked for is in the address itself, so that each test makes its own page.
ATTACKER = """
import http.server, ssl, urllib.parse
class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.send_response(302 if "to" in asked else 200)
        if "to" in asked:
            self.send_header("Location", asked["to"])
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(asked.get("html", "").encode())
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("", 443), Pages)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/own.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Request:
    """A request for a page of BackupPC's with these *headers*, by *user*, "" for nobody."""

    query: str
    headers: dict[str, str]
    user: str = "backuppc"
    scheme: str = "https"
    body: str = ""
    path: str = "/backuppc/index.cgi"


class WebServer:
    """The backup server of the lab with Apache before BackupPC's pages."""

    def __init__(self, lab: Lab) -> None:
        self.host: Server = lab.server("dugong.univ-brest.fr")
        self.host.run(PREPARE, check=True)
        listens = lambda: self.host.listens(443)  # noqa: E731
        command = ["/usr/sbin/apache2ctl", "-D", "FOREGROUND"]
        self.apache = Service(self.host, "apache2", command, listens)
        self.apache.start()
        self.add("dormeur")

    def add(self, host: str) -> None:
        """Add a host of cmartin's."""
        line = (
            f"printf '{host} 0 cmartin\\n' >> /etc/backuppc/hosts; touch -d '1 hour ago' /etc/backuppc/hosts"
        )
        self.host.run(line, check=True)
        self.host.message("server reload")

    def statuses(self, *requests: Request) -> list[int]:
        """Send what is no browser's request, or only looks so; give the statuses."""
        asked = json.dumps([vars(one) for one in requests])
        done = self.host.run(["/usr/bin/python3", "-c", CLIENT], input=asked, check=True)
        return [int(status) for status in done.lines]

    def run(self, commands: str) -> None:
        """Run what an administrator types; Apache is restarted, because nothing reloads it here."""
        self.host.run(commands.replace("systemctl reload apache2", "true"), check=True)
        self.apache.restart()

    def answered(self, query: str) -> list[int]:
        """Give the statuses of the answers to requests with *query*."""
        log = self.host.run("cat /var/log/apache2/*access.log").stdout
        return [int(status) for status in re.findall(rf'{re.escape(query)} HTTP/1.1" ([0-9]+) ', log)]


class Browser:
    """A host with Chromium; it also serves the pages of the sites that attack, under their own names."""

    def __init__(self, lab: Lab, server: WebServer) -> None:
        self.host: Host = lab.host("chef.univ-brest.fr", "10.77.0.50")
        names = "10.77.0.1 dugong.univ-brest.fr\n10.77.0.50 evil.example www.univ-brest.fr\n"
        self.host.run("cat >> /etc/hosts", input=names, check=True)
        self.host.write("/root/own.pem", server.host.read("/etc/apache2/own.pem"))
        listens = lambda: self.host.listens(443)  # noqa: E731
        Service(self.host, "attacker", ["/usr/bin/python3", "-c", ATTACKER], listens).start()

    def follow(self, *steps: tuple[object, ...]) -> list[str]:
        """Log in as BackupPC's administrator, follow the *steps*, and give the page after each."""
        login = ("open", PAGES.replace("//", f"//backuppc:{PASSWORD}@"))
        program = ["/usr/bin/python3", "-c", BROWSER]
        done = self.host.run(program, input=json.dumps([login, *steps]), timeout=300, check=True)
        pages: list[str] = json.loads(done.stdout)
        return pages


def page(site: str, **asked: str) -> str:
    """Give the address of a page of *site*: its *html*, or where it leads *to*."""
    return f"https://{site}/?{urllib.parse.urlencode(asked)}"
