"""Define the reasons why the server cannot back a machine up, each with a reason and an advice."""

from enum import Enum

from backuppc_register.protocol.errors import Fault, NotReachable


class Cause(Enum):
    """Why a step of the way back failed: a word for programs, a reason, an advice for the owner."""

    SETTINGS = (
        "settings",
        "BackupPC cannot read its settings for this machine",
        Fault.advice,
    )
    DISABLED = (
        "disabled",
        "its backups are switched off",
        "Ask the help desk to switch the backups of this machine on.",
    )
    ELSEWHERE = (
        "elsewhere",
        "BackupPC's settings for this machine were changed manually: {what}",
        Fault.advice,
    )
    NAME = (
        "name",
        "the backup server finds no address for {what}",
        "Ask the help desk to check this machine's DNS name.",
    )
    PING = (
        "ping",
        "{what} does not answer a ping",
        "Let the backup server ping this machine (ICMP echo) through its firewall.",
    )
    SLOW = (
        "slow",
        "{what} answers a ping too slowly",
        "Try again over a cable, or nearer to the Wi-Fi.",
    )
    REFUSED = (
        "refused",
        "no ssh server listens on {what}",
        "Start this machine's ssh server (sshd; on a Mac: Remote Login) and try again.",
    )
    FIREWALL = (
        "firewall",
        "no answer from {what}",
        "Let the backup server in through this machine's firewall: ssh, TCP port 22.",
    )
    HUNG_UP = (
        "hung-up",
        "{what} closes the connection before ssh begins",
        "The ssh server may have shut the backup server out for a while: try again in some minutes.",
    )
    NOT_SSH = (
        "not-ssh",
        "what answers on {what} is not an ssh server",
        "Let the ssh server (sshd) of this machine listen on that port.",
    )
    NEGOTIATION = (
        "negotiation",
        "its ssh server and the backup server cannot agree how to talk",
        "Update the ssh server of this machine. If that does not help, ask the help desk to read the log.",
    )
    HOST_KEY = (
        "host-key",
        "the machine that answers there is another one: it has another ssh host key",
        "Make sure that no other machine uses this one's address, then run the setup again.",
    )
    LOGIN = (
        "login",
        "it does not let {what} in with the backup server's key",
        "Run the setup again, then with --doctor: AllowUsers in sshd_config, PAM or an expired account.",
    )
    WRAPPER = (
        "wrapper",
        "rsyncsend.sh does not answer as it should",
        "Run the setup again: it puts rsyncsend.sh and its configuration in order.",
    )
    SUDO = (
        "sudo",
        "sudo does not let bckpciuem read the files",
        "Run the setup again; if that does not help, look at /etc/sudoers.d/bckpciuem.",
    )
    UNCLEAN = (
        "unclean",
        "something is printed at the backup server's login, ahead of the backup: {what}",
        "Let nothing print at a login without a terminal: look at /etc/ssh/sshrc and at .bashrc.",
    )
    RSYNC = (
        "rsync",
        "rsync cannot be run there",
        "Install rsync on this machine, or run the setup again.",
    )
    FOLDER = (
        "folder",
        "the folder {what} cannot be read",
        "Make sure that this folder exists and that nothing keeps root from reading it.",
    )
    FILE_SYSTEM = (
        "file-system",
        "the folder {what} is on another file system, which backups leave out",
        "Ask for a backup of the computer where its files really are.",
    )
    EMPTY = (
        "empty",
        "in {what} there is no file that BackupPC would save",
        "Put a file there, or ask the help desk to change what is saved of this machine.",
    )
    SHARE = (
        "share",
        "BackupPC should save {what}, but this machine does not share it",
        "Run the setup again with that folder, or ask the help desk to change what is saved.",
    )
    SILENT = (
        "silent",
        "it did not answer in time",
        "Try again when this machine and the network have less to do.",
    )

    def __init__(self, word: str, reason: str, advice: str) -> None:
        self.word = word
        self.reason = reason
        self.advice = advice


def not_reachable(
    cause: Cause, host: str, *, what: str = "", detail: str = "", advice: str = ""
) -> NotReachable:
    """Return the refusal for *host* by *cause*; the reason may name *what*.

    *detail* is for the administrator only; *advice* replaces that of the cause.
    """
    return NotReachable(
        host=host,
        reason=cause.reason.format(what=what),
        step=cause.word,
        detail=detail,
        advice=advice or cause.advice,
    )
