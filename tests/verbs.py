"""Plan and apply a change of a host at once, as a command that is confirmed at once does; return the plan."""

from backuppc_register.lifecycle import purge as purging
from backuppc_register.lifecycle import resume as resuming
from backuppc_register.lifecycle import retire as retiring
from backuppc_register.lifecycle import transfer as transferring
from backuppc_register.lifecycle import transfer_to_administrators as revoking
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.lifecycle.purge import DeletionPlan, PurgePlan
from backuppc_register.lifecycle.resume import ResumePlan
from backuppc_register.lifecycle.retire import RetirePlan
from backuppc_register.lifecycle.transfer_plan import ReturnPlan, TransferPlan
from backuppc_register.lifecycle.transfer_to_administrators import RevokePlan
from backuppc_register.person import Person


def retire(host: str, operation: Operation, *, final: bool = False) -> RetirePlan:
    plan = retiring.plan(host, operation, final=final)
    retiring.apply(plan, operation)
    return plan


def resume(host: str, operation: Operation) -> ResumePlan:
    plan = resuming.plan(host, operation)
    resuming.apply(plan, operation)
    return plan


def purge(host: str, days: int | None, operation: Operation) -> PurgePlan | DeletionPlan:
    plan = purging.plan(host, days, operation)
    purging.apply(plan, operation)
    return plan


def purge_due(host: str, operation: Operation) -> DeletionPlan:
    plan = purging.plan_due(host, operation)
    purging.apply(plan, operation)
    return plan


def transfer(
    host: str, person: Person, operation: Operation, *, purge_in: int | None = None
) -> ReturnPlan | TransferPlan:
    plan = transferring.plan(host, person, operation, purge_in=purge_in)
    transferring.apply(plan, operation)
    return plan


def transfer_to_administrators(host: str, operation: Operation) -> RevokePlan:
    plan = revoking.plan(host, operation)
    revoking.apply(plan, operation)
    return plan
