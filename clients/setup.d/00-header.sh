#!/bin/sh
# setup.sh - registers this computer with the backup server, so that it is backed up from now on.
# Generated from setup.d/; do not edit. Edit the parts there and run setup.d/assemble.
# What it does and takes is in the help below. What it made is in /var/lib/bckpciuem/receipt.

# shellcheck disable=SC1112  # French apostrophes
# shellcheck disable=SC2317  # it takes the functions of a group that ends with exit for unreachable

# A shell runs a group when it has read the group's end. So a download that was cut anywhere does nothing.
{
# Before anything else runs, the options among it: the caller's programs must not run as root.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
unset TMPDIR BASH_ENV ENV CDPATH

help() {
    case $UI_LANG in
        fr) help_in_french ;;
        *) help_in_english ;;
    esac
}

help_in_english() {
    cat <<'END'
@include help.en
END
}

help_in_french() {
    cat <<'END'
@include help.fr
END
}

set -eu
umask 077

VERSION=0.4.0
ACCOUNT=bckpciuem
STATE_DIR=/var/lib/bckpciuem
RECEIPT=$STATE_DIR/receipt
WRAPPER=$STATE_DIR/rsyncsend.sh
HELPER=/usr/local/libexec/bckpciuem/rsync-helper
# Made by the helper, and always empty.
WALL_FOLDER=/run/bckpciuem
CONFIG=/etc/bckpciuem.conf
SUDOERS=/etc/sudoers.d/bckpciuem
# Read after the files of an administrator, which win. Written only if there was no sshd before the setup.
SSHD_DROP_IN=/etc/ssh/sshd_config.d/90-bckpciuem.conf
RESTORE_FOLDER=/var/lib/bckpciuem-restore
# Seconds for each command that the account runs; a server answers within 30.
TIMEOUT=150
LOCK=/var/run/bckpciuem.lock
# Bytes that must be free in /tmp.
ROOM=1048576
SERVER_ACCOUNT=backuppc
OS_RELEASE=/etc/os-release
OSTREE=/run/ostree-booted
MOUNTS=/proc/mounts
SYSTEMD=/run/systemd/system
SUDOERS_MAIN=/etc/sudoers
MAC_GROUP=com.apple.access_ssh
MAC_SSH=/System/Library/LaunchDaemons/ssh.plist

# "backuppc-register-admin bundle" sets SERVER and puts each file's lines above the line that ends it.
SERVER=''

bundled() {
    case $1 in
        register-key) cat <<'=== register-key ==='
=== register-key ===
            ;;
        known-hosts) cat <<'=== known-hosts ==='
=== known-hosts ===
            ;;
        wrapper) cat <<'=== wrapper ==='
=== wrapper ===
            ;;
    esac
}
