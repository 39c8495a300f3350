"""The whole story in the lab: setup, registration, backups, a restore, and a stranger refused."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from lab import Lab, Laptop, Server, Terminal, User

from .telling import Telling, expect

CHRISTOPHE = User("cmartin", 1000, "Christophe Martin")
ANNE = User("adupont", 1000, "Anne Dupont")
NEW_KEY = "backuppc-register-admin register-key add autumn"
BUNDLE = "backuppc-register-admin bundle --os linux --key autumn --server dugong -o /srv/setup.sh"
DOWNLOADS = "Downloads"
SETUP = "sudo sh setup.sh --restore full"
ASK = "ssh -x -a -i register-key -o UserKnownHostsFile=known_hosts -l backuppc dugong linux:cmartin"
CHANGED = "Documents/rapport 2024.txt"
LOST = "Documents/été à la mer.txt"


@dataclass
class Story:
    """What every step needs: who tells it, and the hosts."""

    telling: Telling
    lab: Lab
    dugong: Server
    dormeur: Laptop


def tell(telling: Telling, *, keep: bool) -> None:
    """Tell the story; with *keep* the hosts stay up afterwards. Raises StoryError and LabError."""
    with ExitStack() as stack:
        story = _build(telling, stack.enter_context(Lab()))
        steps: list[Callable[[Story], None]] = [
            _bundle, _set_up, _ask_again, _look_at_the_server, _full_backup, _incremental, _restore,
            _stranger,
        ]  # fmt: skip
        for step in steps:
            step(story)
        _sum_up(story)
        if keep:
            _keep(story)
            stack.pop_all()


def _build(telling: Telling, lab: Lab) -> Story:
    telling.title("backuppc-register: a laptop enrols itself in BackupPC")
    telling.say("In a network of disposable hosts; this machine stays as it is.")
    telling.step("A network of disposable hosts")
    dugong = lab.server("dugong.univ-brest.fr")
    version = re.search(r'"?Version"? => "([^"]*)"', dugong.message("status info"))
    expect(version, "BackupPC tells its version")
    running = f"sshd, LDAP, DNS, syslog, BackupPC {version[1] if version else ''}, backuppc-register"
    telling.row("dugong", "10.77.0.1", f"the backup server: {running}")
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11", users=[CHRISTOPHE])
    telling.row("dormeur", "10.77.0.11", "Christophe Martin's laptop, with nothing of ours on it")
    telling.say(f"They are up after {telling.seconds:.1f} s.")
    return Story(telling, lab, dugong, dormeur)


def _bundle(story: Story) -> None:
    story.telling.step("The administrator makes the one file that people download")
    for command in (NEW_KEY, BUNDLE):
        story.telling.command("dugong", command)
        story.telling.quote(story.dugong.run(f"/opt/backuppc-register/bin/{command}", check=True).stdout)
    _hand_out(story.dugong, story.dormeur, CHRISTOPHE)


def _hand_out(dugong: Server, laptop: Laptop, person: User) -> None:
    """Give *person* the setup as a site hands it out, and sudo as one has it on one's own laptop."""
    folder = f"{person.home}/{DOWNLOADS}"
    install = ["install", "-o", person.name]
    laptop.run([*install, "-d", folder], check=True)
    laptop.write(f"{folder}/setup.sh", dugong.read("/srv/setup.sh"), owner=person.name)
    laptop.write(f"/etc/sudoers.d/{person.name}", f"{person.name} ALL=(ALL:ALL) NOPASSWD: ALL\n", mode=0o440)


def _set_up(story: Story) -> None:
    story.telling.step("Christophe Martin sets his laptop up")
    story.telling.say(
        "He has downloaded the file. He lets the server put restored files back in their places "
        "(--restore full)."
    )
    with _at_the_terminal(story.telling, story.dormeur, CHRISTOPHE) as terminal:
        terminal.answer(r"Do you want that \(yes/no\)\? $", "yes")
        terminal.answer(r"Continue \(yes/no\)\? $", "yes")
        terminal.answer(r"logon.*: $", "cmartin")
        terminal.answer(r"\(yes/no\)\? $", "yes")
        status = terminal.wait()
    story.telling.quote(terminal.shown)
    expect(status == 0, "the setup ends with status 0")
    expect(story.dugong.owner_of("dormeur") == "cmartin", "dormeur is Christophe Martin's")


def _at_the_terminal(telling: Telling, laptop: Laptop, person: User) -> Terminal:
    telling.command(f"{person.name}@{laptop.name}", SETUP)
    return laptop.terminal(f"cd {person.home}/{DOWNLOADS} && {SETUP}", user=person.name)


def _ask_again(story: Story) -> None:
    story.telling.step("The reply that the setup got")
    story.telling.say(
        "By the plain command line that clients use: the same person gets the same key again, all else stays."
    )
    folder = f"{CHRISTOPHE.home}/{DOWNLOADS}"
    story.dormeur.write(f"{folder}/register-key", story.dugong.register_key, mode=0o600, owner="cmartin")
    story.dormeur.write(f"{folder}/known_hosts", story.dugong.known_hosts, owner="cmartin")
    story.telling.command("cmartin@dormeur", ASK)
    before = story.dugong.hosts()
    result = story.dormeur.run(f"cd {CHRISTOPHE.home}/{DOWNLOADS} && {ASK}", user="cmartin")
    story.telling.quote(result.stdout)
    expect(result.lines[0] == "success", "the first line is success")
    expect("status:unchanged" in result.stdout.replace(" ", ""), "the status is unchanged")
    expect(story.dugong.hosts() == before, "the hosts file is what it was, to the byte")


def _look_at_the_server(story: Story) -> None:
    story.telling.step("What the administrator finds on dugong")
    story.telling.command("dugong", "tail -n 1 /etc/backuppc/hosts")
    line = story.dugong.hosts().splitlines()[-1]
    story.telling.quote(line)
    expect(line.split() == ["dormeur", "0", "cmartin"], "the hosts line is dormeur 0 cmartin")
    story.telling.command("dugong", "cat /var/log/backuppc-register.log    # syslog, facility local3")
    log = story.dugong.syslog()
    story.telling.quote("\n".join(log))
    expect(any(" success " in row and "status=new" in row for row in log), "syslog tells it")


def _full_backup(story: Story) -> None:
    story.telling.step("BackupPC makes a full backup of dormeur")
    story.telling.say("The server has asked for it itself, once its way back to dormeur had worked.")
    dugong = story.dugong
    dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "the first backup", 60)
    (backup,) = dugong.backups("dormeur")
    expect(backup.files > 0 and backup.errors == 0, f"a full backup without errors, not {backup}")
    story.telling.say(
        f"Full backup number {backup.number}: {backup.files} files, {backup.size} bytes, {backup.errors} "
        "errors. Over ssh with dormeur's own key, which starts rsyncsend.sh and nothing else. "
        "Christophe's documents in it:"
    )
    documents = story.dugong.files_of("dormeur", "/home", "/cmartin/Documents")
    story.telling.quote("\n".join(documents))
    expect("été à la mer.txt" in "\n".join(documents), "his documents are in it")


def _incremental(story: Story) -> None:
    story.telling.step("A file changes; BackupPC makes an incremental backup")
    more = f"echo 'Une page de plus.' >> '{CHANGED}'"
    story.telling.command("cmartin@dormeur", more)
    story.dormeur.run(f"cd {CHRISTOPHE.home} && {more}", user="cmartin", check=True)
    backup = story.dugong.incremental("dormeur")
    expect((backup.kind, backup.errors) == ("incr", 0), f"an incremental backup, not {backup}")
    story.telling.say(f"Incremental backup number {backup.number}. The file as it is in there:")
    path = f"/cmartin/{CHANGED}"
    text = story.dugong.backuppc("BackupPC_zcat", "-h", "dormeur", "-n", "-1", "-s", "/home", path).stdout
    story.telling.quote(text)
    expect(text.endswith("Une page de plus.\n"), "the change is in the backup")


def _restore(story: Story) -> None:
    story.telling.step("A file is deleted; BackupPC puts it back")
    lost = f"{CHRISTOPHE.home}/{LOST}"
    original = story.dormeur.read(lost)
    story.telling.command("cmartin@dormeur", f"rm '{LOST}'")
    story.dormeur.run(["rm", lost], user="cmartin", check=True)
    story.dugong.restore("dormeur", "/home", f"/cmartin/{LOST}")
    story.telling.say("Asked for and restored. Back on the laptop:")
    story.telling.command("cmartin@dormeur", f"cat '{LOST}'")
    restored = story.dormeur.run(["cat", lost], user="cmartin").stdout
    story.telling.quote(restored)
    expect(restored == original, "the file is what it was")


def _stranger(story: Story) -> None:
    story.telling.step("Somebody else tries to take dormeur")
    story.telling.say(
        "dormeur is switched off, and the network gives its address, and with it its name, to Anne Dupont's "
        "laptop sirene. Whoever owns the host could read its backups, so Anne must not get it."
    )
    story.dormeur.unplug()
    sirene = story.lab.laptop("sirene.univ-brest.fr", "10.77.0.11", users=[ANNE], published=False)
    _hand_out(story.dugong, sirene, ANNE)
    with _at_the_terminal(story.telling, sirene, ANNE) as terminal:
        terminal.answer(r"Do you want that \(yes/no\)\? $", "yes")
        terminal.answer(r"Continue \(yes/no\)\? $", "yes")
        terminal.answer(r"logon.*: $", "adupont")
        status = terminal.wait()
    story.telling.quote(terminal.shown)
    expect(status == 4, "the setup ends with status 4: refused")
    sirene.unplug()
    story.dormeur.plug()
    story.telling.say("How that reads in syslog, where the administrator also sees whose dormeur is:")
    refusal = story.dugong.syslog()[-1]
    story.telling.quote(refusal)
    expect("code=other-owner" in refusal, "syslog says other-owner")
    expect(story.dugong.owner_of("dormeur") == "cmartin", "dormeur is still Christophe Martin's")


def _sum_up(story: Story) -> None:
    full, incremental = story.dugong.backups("dormeur")[-2:]
    telling = story.telling
    telling.step(f"Done in {telling.seconds:.0f} s")
    telling.row("registered", "dormeur, for Christophe Martin, by himself")
    numbers = f"full backup {full.number} ({full.files} files), incremental backup {incremental.number}"
    telling.row("backed up", numbers)
    telling.row("restored", f"one deleted file, {LOST}")
    telling.row("refused", "Anne Dupont, who wanted the same host")
    telling.say("")
    telling.say(
        "Next: README.md says how to install it on a real server; bin/demo --keep leaves the hosts up."
    )


def _keep(story: Story) -> None:
    entries = story.lab.keep()
    story.telling.step("The hosts stay up")
    story.telling.say("A shell as root on each of them, from a root shell of this machine:")
    for entry in entries:
        command, _, name = entry.partition("   # ")
        story.telling.row(name, f"{command} bash -l")
    story.telling.say("sirene is unplugged. To end them all: bin/demo --stop")
