"""Identify the applicant of a request: the machine by the DNS, then the person by the directory."""

from collections.abc import Iterator
from contextlib import contextmanager

from backuppc_register.backuppc import installation
from backuppc_register.inventory import policy
from backuppc_register.inventory.ownership import Applicant
from backuppc_register.inventory.server import Server
from backuppc_register.inventory.services import Services
from backuppc_register.person import Person
from backuppc_register.protocol.errors import RegisterError
from backuppc_register.protocol.request import Address, Request
from backuppc_register.registration import host_name, other_names


@contextmanager
def identified(request: Request, peer: Address, server: Server, services: Services) -> Iterator[Applicant]:
    """Identify the applicant; an error in the ``with`` statement gets the host, for the log.

    It also gets the directory's note about servers that failed. Without an error the caller logs that note.

    Raises the errors of the error table; Misconfigured if BackupPC is not there, or is BackupPC 3.
    """
    installation.library(server.backuppc.install_dir)
    trace = services.trace

    def find(logon: str) -> Person:
        return services.directory().find(logon, services.for_questions())

    full_name = trace("name", lambda: services.resolver().name_of(peer, services.for_questions()))
    host, note = trace("host", lambda: host_name.host_of(full_name, server.config.dns)), ""
    try:
        services.admit(full_name, request.logon)
        lower_case = server.config.server.lower_case_logons
        person = trace(
            "person",
            lambda: policy.find_person(request.logon, find, server.account, lower_case=lower_case),
        )
        note = person.note
        applicant = Applicant(host, full_name, person, request.logon, request.os, str(peer))
        yield other_names.chosen(applicant, server, services)
    except RegisterError as error:
        error.add_values(host=host)
        error.add_detail(note)
        raise
