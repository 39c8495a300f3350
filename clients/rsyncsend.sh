#!/bin/bash -p
# rsyncsend.sh - lets the backup server read this computer's backed-up folders, and nothing else.
#
# One file, two roles, told apart by the name it is started under:
#   rsyncsend.sh   sshd starts it, as the account bckpciuem, for the backup server's key. It hands the
#                  server's command, as one argument, to the helper through sudo.
#   rsync-helper   the same file, root's copy. It checks the command and the arguments that rsync sends on
#                  standard input, and runs rsync with exactly what it has decided.
# On Windows (Cygwin, experimental) there is no sudo: the account, which may read everything and write next to
# nothing, does both in one process.
#
# What may be read, and where files may be restored, stands in /etc/bckpciuem.conf:
#   share=/home                               a folder that is backed up; as many lines as folders
#   restore=off|dirs|full                     nothing; only below restore-dir; in place too, as root
#   restore-dir=/var/lib/bckpciuem-restore    a folder for restored files; as many lines as folders
#   restore-delete=no|yes                     whether a restore may delete files
#   rsync=/usr/bin/rsync
#
# Exit status: rsync's own; 64 refused; 69 something is missing; 78 the configuration is wrong.
#
# bash, because dash reads no NUL-separated lists, and bash 3.2, because that is what macOS has. -p keeps
# bash from reading BASH_ENV and functions out of the environment.

set -u -f
umask 077
PATH=/usr/bin:/bin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

VERSION=1
ACCOUNT=bckpciuem
HELPER=/usr/local/libexec/bckpciuem/rsync-helper
CONFIG=/etc/bckpciuem.conf
TCC=/Library/Application\ Support/com.apple.TCC    # what a Mac keeps its permissions in
ANCHOR=/                # whatever root trusts is root's, from here down
PATIENCE=10             # seconds for the whole list on standard input
MAX_COMMAND=4096        # bytes
MAX_ITEM=4096
MAX_LIST=65536
MAX_ITEMS=256

# What rsync_bpc's server_options() can send and what is harmless, by direction.
BACKUP_LETTERS=svlHogDtprcxAXndIWSz
RESTORE_LETTERS=svlHogDtprcxAXndIWSzRbuOJ

PEER=-
ALONE=no                # yes where no root stands behind us: Cygwin

# ---------------------------------------------------------------- telling

# Text of the server's, fit for a log or a terminal.
shown() {
    local text=${1//[^ -~]/?}
    printf '%s' "${text:0:120}"
}

note() {    # VERDICT [TEXT]: what comes from the server stands last, where it can pass for nothing else
    logger -t "$ACCOUNT" -p auth.info -- "$1 from=$PEER${2:+ $2}" </dev/null >/dev/null 2>&1
}

fail() {    # STATUS REASON VERDICT
    note "$3" "$2"
    printf '%s: %s: %s\n' "$ACCOUNT" "$3" "$2" >&2
    exit "$1"
}

refuse() { fail 64 "$1" refused; }
unavailable() { fail 69 "$1" failed; }
misconfigured() { fail 78 "$CONFIG: $1" misconfigured; }

# ---------------------------------------------------------------- the role that sshd starts

as_forced_command() {
    local command=${SSH_ORIGINAL_COMMAND-} connection=${SSH_CONNECTION-}
    peer_is "${connection%% *}"
    [ -n "$command" ] || refuse 'this key is for backups, it opens no session'
    [ "${#command}" -le "$MAX_COMMAND" ] || refuse 'the command is too long'
    cd / || exit 69
    case $(uname -s) in
        CYGWIN*) alone "$command" ;;
    esac
    command -v sudo >/dev/null || unavailable 'sudo is missing'
    exec env -i PATH="$PATH" LC_ALL=C sudo -n "$HELPER" "$command" "$PEER"
}

# The helper's work, by the account itself. Who could change this file could do without it.
alone() {    # COMMAND
    ALONE=yes
    trusted "$0" || fail 78 "the account can change $0" misconfigured
    as_helper "$1" "$PEER"
    exit 70
}

peer_is() {
    case $1 in
        '' | *[!0-9a-fA-F:.]*) PEER=- ;;
        *) PEER=${1:0:64} ;;
    esac
}

# ---------------------------------------------------------------- the configuration

SHARES=()
RESTORE_DIRS=()
RESTORE=off
RESTORE_DELETE=no
RSYNC=/usr/bin/rsync
VERSION_OF_RSYNC=''     # as rsync_version tells it

read_config() {
    local line
    [ -f "$CONFIG" ] || misconfigured 'there is no such file'
    trusted "$CONFIG" || misconfigured 'others than root can change it'
    while IFS= read -r line || [ -n "$line" ]; do
        setting "$line"
    done <"$CONFIG"
    [ "${#SHARES[@]}" -gt 0 ] || misconfigured 'no share'
    if [ "$RESTORE" = dirs ] && [ "${#RESTORE_DIRS[@]}" -eq 0 ]; then
        misconfigured 'restore=dirs without a restore-dir'
    fi
}

setting() {
    local value=${1#*=}
    case $1 in
        '' | '#'*) ;;
        share=*) absolute "$value"; SHARES[${#SHARES[@]}]=$CLEAN ;;
        restore-dir=*) absolute "$value"; RESTORE_DIRS[${#RESTORE_DIRS[@]}]=$CLEAN ;;
        restore=off | restore=dirs | restore=full) RESTORE=$value ;;
        restore-delete=no | restore-delete=yes) RESTORE_DELETE=$value ;;
        rsync=*) absolute "$value"; RSYNC=$CLEAN ;;
        *) misconfigured "not understood: $(shown "$1")" ;;
    esac
}

absolute() {
    clean "$1" || misconfigured "not an absolute path: $(shown "$1")"
}

# CLEAN = an absolute path without doubled or trailing slashes; false for anything that could mean two things.
clean() {
    CLEAN=$1
    case $CLEAN in
        /*) ;;
        *) return 1 ;;
    esac
    case $CLEAN/ in
        *[[:cntrl:]]* | */../* | */./*) return 1 ;;
    esac
    while [ "$CLEAN" != "${CLEAN//\/\///}" ]; do
        CLEAN=${CLEAN//\/\///}
    done
    [ "$CLEAN" = / ] || CLEAN=${CLEAN%/}
    [ "${#CLEAN}" -le "$MAX_ITEM" ]
}

# Whether PATH and every folder above it are ours (root's) and nobody else can write there. Without a root: whether
# we cannot write there ourselves; Windows' owners and access lists do not show in a mode.
trusted() {
    local path=$1
    [ ! -L "$path" ] || return 1
    while :; do
        if [ "$ALONE" = yes ]; then
            [ ! -w "$path" ] || return 1
        else
            [ -O "$path" ] || return 1
            case $(ls -ldn -- "$path") in
                ?????-??-*) ;;
                *) return 1 ;;      # also where ls could not tell
            esac
        fi
        case $path in
            "$ANCHOR" | /) return 0 ;;
        esac
        path=${path%/*}
        path=${path:-/}
        path=$(cd -P -- "$path" && pwd -P) || return 1
    done
}

# ---------------------------------------------------------------- the command

MODE=''         # backup or restore
CLUSTER=''      # the short options, without s
HIDDEN=no       # whether the rest comes on standard input
OPTIONS=()      # the long ones
TARGET=''       # the one path

decide() {
    read_command "$1"
    if [ "$HIDDEN" = yes ]; then
        read_list
    fi
    read_arguments
}

# Sets MODE, CLUSTER, HIDDEN, and ARGUMENTS, what follows the cluster.
read_command() {
    local words at=0
    [ "${#1}" -le "$MAX_COMMAND" ] || refuse 'the command is too long'
    plain_text "$1"
    IFS=' '
    # shellcheck disable=SC2206  # cut at single blanks, globbing is off
    words=($1)
    unset IFS
    if [ "${words[0]-}" = sudo ]; then
        at=1
        [ "${words[1]-}" != -n ] || at=2
    fi
    case ${words[at]-} in
        rsync | /*/rsync) ;;
        *) refuse "not a backup: $(shown "$1")" ;;
    esac
    [ "${words[at + 1]-}" = --server ] || refuse 'not an rsync server'
    at=$((at + 2))
    MODE=restore
    if [ "${words[at]-}" = --sender ]; then
        MODE=backup
        at=$((at + 1))
    fi
    cluster "${words[at]-}"
    ARGUMENTS=()
    while at=$((at + 1)) && [ "$at" -lt "${#words[@]}" ]; do
        ARGUMENTS[${#ARGUMENTS[@]}]=${words[at]}
    done
}

plain_text() {
    case $1 in
        *[[:cntrl:]]*) refuse 'a control character in the command' ;;
        *[\'\"\`\\\$\;\|\&\<\>\*\?\[\]\{\}\(\)\!\#]*) refuse 'a shell character in the command' ;;
        ' '* | *' ' | *'  '*) refuse 'a blank too many in the command' ;;
    esac
}

cluster() {
    local letters capabilities='' allowed=$BACKUP_LETTERS
    [ "$MODE" = backup ] || allowed=$RESTORE_LETTERS
    case $1 in
        -[!-]*) letters=${1#-} ;;
        *) refuse 'no short options where they belong' ;;
    esac
    case $letters in
        *e.*)
            capabilities=e.${letters#*e.}
            letters=${letters%%e.*}
            ;;
    esac
    case $letters in
        '' | *[!$allowed]*) refuse "short options $(shown "$1")" ;;
        *v*v*)      # more of it tells what a filter's file says, which need not be one of the share
            confines || refuse "short options $(shown "$1")" ;;
    esac
    case ${capabilities#e.} in
        *[!A-Za-z0-9.]*) refuse "short options $(shown "$1")" ;;
    esac
    [ "${#1}" -le 128 ] || refuse 'too many short options'
    # The capability string has an s of its own, which must stay.
    case $letters in
        *s*) HIDDEN=yes ;;
    esac
    CLUSTER=-${letters//s/}$capabilities
    [ "$CLUSTER" != - ] || refuse 'no short options but -s'
}

# ARGUMENTS += the NUL-separated list that rsync -s sends ahead of the protocol. Byte by byte: what follows the
# empty item belongs to rsync.
read_list() {
    local item size=0 count=0 left end=$((SECONDS + PATIENCE))
    while :; do
        left=$((end - SECONDS))
        [ "$left" -gt 0 ] || refuse 'the arguments on standard input took too long'
        IFS= read -r -d '' -n "$MAX_ITEM" -t "$left" item || refuse 'the arguments on standard input ended early'
        [ -n "$item" ] || break
        count=$((count + 1))
        size=$((size + ${#item} + 1))
        if [ "${#item}" -ge "$MAX_ITEM" ] || [ "$size" -gt "$MAX_LIST" ] || [ "$count" -gt "$MAX_ITEMS" ]; then
            refuse 'too many arguments on standard input'
        fi
        if [ "$count" -eq 1 ]; then
            [ "$item" = rsync ] || refuse 'the list on standard input is not for rsync'
        else
            ARGUMENTS[${#ARGUMENTS[@]}]=$item
        fi
    done
    [ "$count" -gt 0 ] || refuse 'no arguments on standard input'
}

# Options, then a dot, then one path.
read_arguments() {
    local word count=${#ARGUMENTS[@]} at=0
    while [ "$at" -lt "$count" ]; do
        word=${ARGUMENTS[at]}
        at=$((at + 1))
        case $word in
            .) break ;;
            --max-size | --min-size)    # the two that rsync_bpc sends apart from their values
                word=$word=${ARGUMENTS[at]-}
                at=$((at + 1))
                ;;
        esac
        option "$word"
    done
    [ "${word-}" = . ] || refuse 'no dot before the path'
    [ "$((count - at))" -eq 1 ] || refuse 'not exactly one path'
    clean "${ARGUMENTS[at]}" || refuse "not a plain absolute path: $(shown "${ARGUMENTS[at]}")"
    TARGET=$CLEAN
}

# OPTIONS += one long option, in exactly the spelling that rsync_bpc uses.
option() {
    local value=${1#*=} ok=no
    case $1 in
        --numeric-ids | --ignore-errors | --no-r | --list-only | --specials | --no-specials) ok=yes ;;
        --use-qsort | --new-compress | --old-compress) ok=yes ;;
        --no-implied-dirs)      # an earlier rsync would then write through a link in the place of a folder
            if [ "$MODE" = backup ] || confines; then ok=yes; fi ;;
        --timeout=* | --bwlimit=* | --checksum-seed=* | --compress-level=* | --modify-window=*)
            consists_of "$value" 0-9 10 && ok=yes ;;
        --max-size=[0-9]* | --min-size=[0-9]*) consists_of "$value" 0-9A-Za-z.+- 24 && ok=yes ;;
        -B*) consists_of "${1#-B}" 0-9 10 && ok=yes ;;
        --iconv=*) consists_of "$value" A-Za-z0-9._,:- 64 && ok=yes ;;
        --checksum-choice=*) consists_of "$value" a-z0-9, 32 && ok=yes ;;
        --log-format=*) consists_of "$value" A-Za-z% 4 && ok=yes ;;
        *) if [ "$MODE" = restore ]; then restore_option "$1" && ok=yes; fi ;;
    esac
    [ "$ok" = yes ] || refuse "option $(shown "$1")"
    OPTIONS[${#OPTIONS[@]}]=$1
}

restore_option() {
    case $1 in
        --super | --stats | --partial | --inplace | --size-only | --existing | --ignore-existing) return 0 ;;
    esac
    [ "$RESTORE_DELETE" = yes ] || return 1
    case $1 in
        --delete | --delete-before | --delete-during | --delete-delay | --delete-after | --force) return 0 ;;
        --max-delete=*) consists_of "${1#*=}" 0-9 10 ;;
        *) return 1 ;;
    esac
}

# Whether TEXT is 1 to LENGTH of the characters of SET.
consists_of() {    # TEXT SET LENGTH
    case $1 in
        '' | *[!$2]*) return 1 ;;
    esac
    [ "${#1}" -le "$3" ]
}

# ---------------------------------------------------------------- where, and as whom

ROOM=''         # the configured folder that TARGET is in
ROOM_IS=''      # the same, as the kernel names it
ROOM_OWNER=''   # the number of its owner
HERE=''         # the folder that we stand in, and that rsync is told to work in
PREFIX=()       # the command that gives rsync its identity
AS_UID=''
AS_GID=''

find_room() {    # FOLDER...
    local folder
    for folder in "$@"; do
        case $TARGET/ in
            "${folder%/}"/*)
                ROOM=$folder
                return 0
                ;;
        esac
    done
    return 1
}

# The path that PATH leads to by no links but those that only root can change.
without_links() {    # PATH
    local rest=$1 at='' part hops=0
    while rest=${rest#/} && [ -n "$rest" ]; do
        part=${rest%%/*}
        rest=${rest#"$part"}
        case $part in
            '' | .) continue ;;
            ..) at=${at%/*}; continue ;;
        esac
        if [ "$ALONE" = no ] && [ "$hops" -lt 40 ] && [ -L "$at/$part" ] && trusted "${at:-/}"; then
            hops=$((hops + 1))
            part=$(readlink -- "$at/$part") || return 1
            case $part in
                /*) at='' ;;
            esac
            rest=$part$rest
        else
            at=$at/$part
        fi
    done
    printf '%s' "${at:-/}"
}

# Stand in the folder rather than name it: nobody can put another one, or a symbolic link, in its place afterwards.
enter() {    # FOLDER
    local rest=${1#"${ROOM%/}"}
    stand_in "$ROOM" || unavailable "$(shown "$ROOM") cannot be opened"
    ROOM_IS=$HERE
    reached "$ROOM"
    ROOM_OWNER=$(owner_here)
    step "./${rest#/}"
}

# That we stand where PATH leads by itself: who restores through a link of somebody's writes where that one wants.
reached() {    # PATH
    [ "$HERE" = "$(without_links "$1")" ] ||
        refuse "$(shown "$1") leads to $(shown "$HERE") by a link that others than root can change"
}

step() {    # FOLDER
    stand_in "$1" || unavailable "$(shown "$TARGET") is no folder of this computer"
    case $HERE/ in
        "${ROOM_IS%/}"/*) ;;
        *) refuse "$(shown "$TARGET") leads out of $(shown "$ROOM")" ;;
    esac
}

# HERE = what the kernel says where we are. A name may end with line feeds, which $() would take away.
stand_in() {    # FOLDER
    cd -P -- "$1" 2>/dev/null || return 1
    HERE=$(env -i /bin/pwd -P && printf .) || return 1
    HERE=${HERE%$'\n.'}
}

owner_here() {
    # shellcheck disable=SC2046  # only the numbers are of interest
    set -- $(ls -ldn .)
    printf '%s' "${3-}"
}

prepare_backup() {
    find_room "${SHARES[@]}" || refuse "$(shown "$TARGET") is not in a folder that is backed up here"
    enter "$TARGET"
    shield
    as_reader
}

prepare_restore() {
    local missing='' parent
    case $RESTORE in
        off) refuse 'restoring is switched off on this computer' ;;
        dirs) find_room ${RESTORE_DIRS[@]+"${RESTORE_DIRS[@]}"} ;;
        full) find_room ${RESTORE_DIRS[@]+"${RESTORE_DIRS[@]}"} "${SHARES[@]}" ;;
    esac || refuse "$(shown "$TARGET") is not a folder to restore to: ${RESTORE_DIRS[*]-}"
    spare_ourselves "$TARGET"
    if [ ! -d "$TARGET" ] && [ "$TARGET" != "$ROOM" ]; then
        missing=${TARGET##*/}
    fi
    parent=${TARGET%"${missing:+/$missing}"}
    enter "${parent:-/}"
    reached "${parent:-/}"
    spare_ourselves "${HERE%/}${missing:+/$missing}"
    if [ "$RESTORE" = dirs ]; then
        as_owner
    else
        shield
    fi
    [ -z "$missing" ] || make_folder "$missing"
}

# The last folder of a restore may be missing. rsync would make it, but a link that came there meanwhile it would
# follow as well, if only the link is of the one that it runs as: so we make it, as that one, and look where it is.
make_folder() {    # NAME
    case ${CLUSTER%%e.*} in
        *n*) unavailable "$(shown "$TARGET") is not there, and a dry run makes nothing" ;;
    esac
    local here=${HERE%/}/$1
    [ ! -L "./$1" ] || refuse "$(shown "$TARGET") is a link"
    env -i PATH="$PATH" ${PREFIX[@]+"${PREFIX[@]}"} mkdir -- "./$1" </dev/null >/dev/null 2>&1
    step "./$1"
    [ "$HERE" = "$here" ] || refuse "$(shown "$TARGET") became a link meanwhile"
}

# A restore must not hand the server more than it has.
spare_ourselves() {    # FOLDER
    case $1/ in
        "${HELPER%/*}"/* | "$CONFIG"/* | /etc/sudoers* | /private/etc/sudoers* | /private/var/lib/"$ACCOUNT"/* | /var/lib/"$ACCOUNT"/*)
            refuse "$(shown "$1") is kept as it is" ;;
    esac
}

# Reads everything, writes nothing: no root, one capability, no way to more.
as_reader() {
    [ "$ALONE" = no ] || return 0
    case $(uname -s) in
        Linux)
            account_ids
            drop_privileges -all,+dac_read_search
            ;;
        Darwin) if command -v caffeinate >/dev/null; then PREFIX=(caffeinate -ims); fi ;;
        *) unavailable 'this system is not known' ;;
    esac
}

account_ids() {
    AS_UID=$(id -u "$ACCOUNT" 2>/dev/null) || unavailable "there is no account $ACCOUNT"
    AS_GID=$(id -g "$ACCOUNT" 2>/dev/null) || unavailable "there is no account $ACCOUNT"
    if [ "$AS_UID" -eq 0 ] || [ "$AS_GID" -eq 0 ]; then
        misconfigured "the account $ACCOUNT is root's"
    fi
}

drop_privileges() {    # CAPABILITIES
    command -v setpriv >/dev/null || unavailable 'setpriv is missing'
    PREFIX=(setpriv "--reuid=$AS_UID" "--regid=$AS_GID" --clear-groups --no-new-privs
        "--inh-caps=$1" "--ambient-caps=$1" "--bounding-set=$1" --)
}

# In restore=dirs root writes nothing. What is restored to root's folder is written as our own account, which can
# write there through its group, and nowhere else. What is restored to a person's is written as that person, who
# can write elsewhere too: an earlier rsync would follow a link out that an earlier restore had left there.
as_owner() {
    if [ "$ALONE" = yes ]; then     # nobody else to become; we can write in the folder for restored files alone
        without_super
        return 0
    fi
    if [ "$ROOM_OWNER" -eq 0 ]; then
        account_ids
    else
        owner_ids
        confines || unavailable 'restoring to a folder of a person takes rsync 3.5 or later'
    fi
    without_super
    case $(uname -s) in
        Linux) drop_privileges -all ;;
        Darwin) PREFIX=(sudo -n -u "#$AS_UID" --) ;;
        *) unavailable 'this system is not known' ;;
    esac
}

# The person's own group: that of the folder may be anybody's, by the mode of the folder above.
owner_ids() {
    AS_UID=$ROOM_OWNER
    AS_GID=$(id -g "$AS_UID" 2>/dev/null) || unavailable "$(shown "$ROOM") belongs to nobody of this computer"
    [ "$AS_GID" -ne 0 ] || misconfigured "$(shown "$ROOM") belongs to one of the group of root"
}

# --super would make rsync report an error for every owner that only root can set. It changes nothing in the
# protocol; owners are then left out quietly.
without_super() {
    local word kept
    kept=()
    for word in ${OPTIONS[@]+"${OPTIONS[@]}"}; do
        [ "$word" = --super ] || kept[${#kept[@]}]=$word
    done
    OPTIONS=(${kept[@]+"${kept[@]}"})
}

# ---------------------------------------------------------------- running

check_rsync() {
    if [ ! -f "$RSYNC" ] || [ ! -x "$RSYNC" ]; then
        unavailable "there is no $RSYNC"
    fi
    trusted "$RSYNC" || unavailable "others than root can change $RSYNC"
    VERSION_OF_RSYNC=$(rsync_version)
}

# "3.5.0", "openrsync 29", or "?".
rsync_version() {
    local first
    first=$("$RSYNC" --version </dev/null 2>/dev/null)
    first=${first%%$'\n'*}
    case $first in
        'rsync  version '[0-9v]*)
            first=${first#rsync  version }
            printf '%s' "${first%% *}"
            ;;
        'openrsync: protocol version '*) printf 'openrsync %s' "${first##* }" ;;
        *) printf '?' ;;
    esac
}

# Whether it is the rsync of rsync.samba.org, of this version or a later one.
rsync_is() {    # MAJOR MINOR
    local major=${VERSION_OF_RSYNC%%.*} minor=${VERSION_OF_RSYNC#*.}
    minor=${minor%%.*}
    case $major$minor in
        '' | *[!0-9]*) return 1 ;;
    esac
    [ "$major" -gt "$1" ] || { [ "$major" -eq "$1" ] && [ "$minor" -ge "$2" ]; }
}

# Filters travel inside the protocol, where we cannot read them; one of them could name a file elsewhere. From
# 3.5.0 on rsync can be held to a folder.
confines() { rsync_is 3 5; }

# A filter's file is looked for in the folders above the share as well (rsync(1), dir-merge). Where rsync is not
# confined there must be nothing in them that is not everybody's to read; / itself is let pass.
shielded() {
    local path=${ROOM_IS%/*}
    if [ "$ROOM_IS" = / ] || confines; then
        return 0
    fi
    path=${path:-/}
    trusted "$path" || return 1
    while :; do
        case $path in
            "$ANCHOR" | / | /cygdrive | /cygdrive/?) return 0 ;;
        esac
        case $(ls -ldn -- "$path") in
            ?????????[xt]*) ;;
            *) return 1 ;;
        esac
        [ -z "$(find -L "$path" -maxdepth 1 ! -type d ! -perm -004 </dev/null 2>&1)" ] || return 1
        path=${path%/*}
        path=${path:-/}
    done
}

shield() {
    shielded || unavailable "$(shown "$ROOM"): update rsync to 3.5 or later, or share a folder of root's"
}

# What the one who receives decides for itself, whatever the server wants. BackupPC stores no holes and its rsync_bpc
# knows no --sparse. A file that lets others become its owner is of use to an attacker alone, where that is another
# owner than it had.
receiving() {
    rsync_is 3 1 || return 0
    case " ${OPTIONS[*]-} " in
        *' --inplace '*) ;;     # an earlier rsync does not take both
        *) OPTIONS[${#OPTIONS[@]}]=--sparse ;;
    esac
    [ "$RESTORE" = full ] || OPTIONS[${#OPTIONS[@]}]=--chmod=ug-s
}

run() {
    local argv
    argv=("$RSYNC" --server)
    [ "$MODE" = restore ] || argv[2]=--sender
    if [ "$ROOM_IS" != / ] && confines; then
        argv[${#argv[@]}]=--confine-root=$ROOM_IS
    fi
    [ "$MODE" = backup ] || receiving
    argv=("${argv[@]}" "$CLUSTER" ${OPTIONS[@]+"${OPTIONS[@]}"} . ./)
    note "$MODE" "path=$(shown "$TARGET")"
    exec env -i PATH="$PATH" LC_ALL=C HOME=/ ${PREFIX[@]+"${PREFIX[@]}"} "${argv[@]}"
}

# ---------------------------------------------------------------- the probe

# What verify asks: the same way as a backup, up to the first byte.
probe() {
    local folder
    as_reader
    printf '%s\n' "version:$VERSION" "system:$(uname -s)" "user:$ACCOUNT" "rsync:$VERSION_OF_RSYNC"
    for folder in "${SHARES[@]}"; do
        if ! hidden && opens "$folder"; then
            printf 'share:%s\n' "$folder"
            below "$folder"
        else
            printf 'unreadable:%s\n' "$folder"
        fi
    done
    printf 'restore:%s\n' "$RESTORE"
    [ "$RESTORE" = off ] || for folder in ${RESTORE_DIRS[@]+"${RESTORE_DIRS[@]}"}; do
        printf 'restore-dir:%s\n' "$folder"
    done
    note probe
    exit 0
}

# Whether a backup of the share would begin. Its failure is told, but the log has one line a run, and that is the probe's.
opens() (    # FOLDER
    note() { :; }
    ROOM=$1
    TARGET=$1
    enter "$1"
    shield
    ${PREFIX[@]+"${PREFIX[@]}"} ls -A </dev/null >/dev/null 2>&1
)

# The folders at the top of SHARE, as far as some dozens and some seconds reach: those that a backup cannot read
# (a home on NFS, say), and those on other file systems, which BackupPC leaves out.
below() {    # SHARE
    local folder count=0 end=$((SECONDS + 3)) device
    device=$(device_of "$1")
    while [ "$count" -lt 64 ] && [ "$SECONDS" -lt "$end" ] && IFS= read -r -d '' folder; do
        count=$((count + 1))
        case $folder in
            *[[:cntrl:]]*) continue ;;
        esac
        [ "$(device_of "$folder")" = "$device" ] || printf 'mounted:%s\n' "$folder"
        ${PREFIX[@]+"${PREFIX[@]}"} ls -f -- "$folder/" </dev/null >/dev/null 2>&1 || printf 'closed:%s\n' "$folder"
    done < <(${PREFIX[@]+"${PREFIX[@]}"} find "${1%/}/" -mindepth 1 -maxdepth 1 -type d -print0 </dev/null 2>/dev/null)
    printf 'folders:%s %s\n' "$count" "$1"
}

# GNU's stat, or else BSD's.
device_of() {    # FOLDER
    stat -c %d -- "$1" 2>/dev/null || stat -f %d -- "$1" 2>/dev/null
}

# Without Full Disk Access for what sshd starts, a Mac hides folders even from root. It hides this file then too.
hidden() {
    [ -d "$TCC" ] && ! head -c 1 -- "$TCC/TCC.db" </dev/null >/dev/null 2>&1
}

as_helper() {
    peer_is "${2-}"
    read_config
    check_rsync
    [ "${1-}" != probe ] || probe
    decide "${1-}"
    "prepare_$MODE"
    run
}

case ${0##*/} in
    rsync-helper) as_helper "$@" ;;
    *) as_forced_command ;;
esac
