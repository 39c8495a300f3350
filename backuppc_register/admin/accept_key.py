"""The verb `accept-key`: accept the new ssh host key of a reinstalled machine."""

import argparse

from backuppc_register.admin.context import Context
from backuppc_register.admin.options import DRY_RUN, HOST, option
from backuppc_register.lifecycle.operation import examined, host_named
from backuppc_register.protocol.errors import NotRegistered
from backuppc_register.verification import accept_key

SUMMARY = "accept the new ssh host key of a reinstalled machine, as its refused verify met it"
EXAMPLE = "backuppc-register-admin accept-key dormeur SHA256:LFlyTI/7wXCMQAv7DhTR9ZJN0sEqpfn/ajbxqZPk6CI"
OPTIONS = (
    HOST,
    option("fingerprint", metavar="FINGERPRINT", help="ask the machine's owner: ssh-keygen -lf"),
    DRY_RUN,
)


def run(context: Context, options: argparse.Namespace) -> int:
    """Pin the ssh host key that a refused verify met."""
    host = host_named(options.host)
    with examined(host, context.server) as status:
        if status.line is None or status.record is None:
            raise NotRegistered(host=host)
        person = status.line.user
        if options.dry_run:
            return _compare(context, host, options.fingerprint)
        key = accept_key.accept(context.folders, host, options.fingerprint)
    context.log("accept-key", host=host, person=person, detail=key.fingerprint)
    context.say(f"Accepted {key.fingerprint} as the ssh host key of {host}.")
    return 0


def _compare(context: Context, host: str, fingerprint: str) -> int:
    offered = context.folders.offered_key(host)
    if offered is None:
        context.say(f"No verify of {host} was refused because of its ssh host key.")
        return 1
    context.say(f"The last refused verify of {host} met {offered.fingerprint}.")
    if fingerprint.removeprefix("SHA256:") != offered.fingerprint.removeprefix("SHA256:"):
        context.say("That is another key: it would not be accepted.")
        return 1
    context.say(f"would: accept that key as the ssh host key of {host}")
    return 0
