"""The table of all checks: name, function, and the advice if the check itself fails."""

from backuppc_register.diagnosis import (
    backuppc_checks,
    dns_checks,
    hosts_file_checks,
    ldap_checks,
    login_checks,
    machine_checks,
    pause_checks,
    penalty_checks,
    ping_checks,
    reconcile_checks,
    replace_checks,
    ssh_file_checks,
    sshd_checks,
    sshd_limit_checks,
    this_program,
    version_checks,
    web_checks,
    web_request_checks,
)
from backuppc_register.diagnosis.finding import Check

_STATE = "See who may read [state] directory, and whether its disk is mounted."
_CONFIG_DIR = "See [backuppc] config_dir, and who may enter it."

_TABLE = (
    Check("configuration", this_program.configuration, "See docs/configuration.md."),
    Check("account", this_program.account, _CONFIG_DIR),
    Check("state", this_program.state, this_program.STATE_ADVICE),
    Check("state-files", this_program.state_files, _STATE),
    Check("program", this_program.program, "See who may read the installed program: ls -l"),
    Check("reconcile", reconcile_checks.reconcile, reconcile_checks.ADVICE),
    Check("undecided", this_program.undecided, this_program.UNDECIDED_ADVICE),
    Check("purges", this_program.purges, _STATE),
    Check("disks", machine_checks.disks, "See [backuppc] data_dir and [state] directory: are they mounted?"),
    Check("clock", machine_checks.clock, "See who may read [state] directory and [backuppc] data_dir."),
    Check("syslog", machine_checks.syslog, "See [syslog] socket; systemctl status rsyslog"),
    Check("hosts-file", hosts_file_checks.hosts_file, hosts_file_checks.ADVICE),
    Check("hosts-replace", replace_checks.replaceable, hosts_file_checks.ADVICE),
    Check("lock", hosts_file_checks.lock, _CONFIG_DIR),
    Check("backuppc-config", backuppc_checks.settings, backuppc_checks.SETTINGS_ADVICE),
    Check("settings-files", backuppc_checks.settings_files, _CONFIG_DIR),
    Check("host-settings", backuppc_checks.host_settings, _CONFIG_DIR),
    Check("ssh-files", ssh_file_checks.ssh_files, _STATE),
    Check("ping", ping_checks.ping, ping_checks.ADVICE),
    Check("top-dir", backuppc_checks.top_dir, "See [backuppc] data_dir: is its disk mounted?"),
    Check("daemon", backuppc_checks.daemon, "systemctl status backuppc; see also [backuppc] socket."),
    Check("paused", pause_checks.pauses, "systemctl status backuppc"),
    Check("web", web_checks.web, "See [server] url."),
    Check("web-requests", web_request_checks.requests, web_request_checks.ADVICE),
    Check("web-editor", web_checks.web_editor, web_checks.HARDEN),
    Check("admin-users", web_checks.admin_users, "See CgiAdminUsers in config.pl."),
    Check("sshd", sshd_checks.sshd, "systemctl status ssh"),
    Check("sshd-limits", sshd_limit_checks.sshd_limits, sshd_limit_checks.ADVICE),
    Check("register-login", login_checks.register_login, login_checks.ADVICE),
    Check("sshd-penalties", penalty_checks.penalties, "See PerSourcePenalties in /etc/ssh/sshd_config."),
    Check("authorized-keys", sshd_checks.authorized_keys, "See who may read authorized_keys: ls -l"),
    Check("directory", ldap_checks.directory, "See [directory] servers."),
    Check("persons", ldap_checks.persons, _STATE),
    Check("dns", dns_checks.dns, "See [dns] nameservers and /etc/resolv.conf."),
    Check("backuppc", version_checks.backuppc, "Is BackupPC installed? apt-get install backuppc"),
    Check("backuppc-rsync", version_checks.backuppc_rsync, version_checks.RSYNC_ADVICE),
    Check("libraries", version_checks.libraries, "See dpkg -s python3-ldap3 python3-dnspython"),
    Check("clients", version_checks.clients, _STATE),
)

CHECKS = {check.name: check for check in _TABLE}
