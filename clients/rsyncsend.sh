#!/bin/bash -p
# rsyncsend.sh - lets the backup server read the backed-up folders of this computer, and nothing else.
#
# One file has two roles, by the name that it is started under:
#   rsyncsend.sh   sshd starts it, as the account bckpciuem, for the backup server's key. It hands the
#                  server's command, as one argument, to the helper through sudo.
#   rsync-helper   the same file, root's copy. It checks the command and the arguments that rsync sends on
#                  standard input, and runs rsync with exactly the arguments that it accepted.
# On Windows (Cygwin, experimental) there is no sudo: the account, which may read everything and write almost
# nothing, has both roles in one process.
#
# /etc/bckpciuem.conf says what may be read, and where files may be restored:
#   share=/home                               a folder that is backed up; one line for each folder
#   restore=off|dirs|owner|full               nothing; only below restore-dir; in place too, each file as the owner
#                                             of its folder; in place too, as root
#   restore-dir=/var/lib/bckpciuem-restore    a folder for restored files; one line for each folder
#   restore-delete=no|yes                     whether a restore may delete files
#   restore-privileged=no|yes                 whether restore=full brings back setuid, devices and file capabilities;
#                                             only for share=/
#   rsync=/usr/bin/rsync
#
# Exit status: rsync's own; 64 refused; 69 something is missing; 78 the configuration is wrong.
#
# It is bash, because dash cannot read NUL-separated lists, and bash 3.2, because macOS has that. With -p bash
# takes neither BASH_ENV nor functions from the environment.

# shellcheck disable=SC2317  # it takes the functions of a group that ends with exit for unreachable
{       # bash runs this when it has read the last line, so a file that was cut anywhere does nothing
set -u -f
umask 077
PATH=/usr/bin:/bin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

VERSION=1
ACCOUNT=bckpciuem
HELPER=/usr/local/libexec/bckpciuem/rsync-helper
CONFIG=/etc/bckpciuem.conf
LOGIN_DEFS=/etc/login.defs
PLACE=/run/bckpciuem    # where the wall around rsync is built
TCC=/Library/Application\ Support/com.apple.TCC    # where a Mac keeps its permissions
ANCHOR=/                # from here down, what root trusts must belong to root
PATIENCE=10             # seconds for the whole list on standard input
MAX_COMMAND=4096        # bytes
MAX_ITEM=4096
MAX_LIST=65536
MAX_ITEMS=256

# The harmless options of those that server_options() of rsync_bpc can send, by direction.
BACKUP_LETTERS=svlHogDtprcxAXndIWSz
RESTORE_LETTERS=svlHogDtprcxAXndIWSzRbuOJ

PEER=-
ALONE=no                # yes if there is no root to do the work: Cygwin

# ---------------------------------------------------------------- log and messages

# Text from the server, made safe for a log or a terminal.
shown() {
    local text=${1//[^ -~]/?}
    printf '%s' "${text:0:120}"
}

note() {    # VERDICT [TEXT]: text from the server comes last, where it cannot imitate another field
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

# A program that was not started, or was ended, has found nothing: what it was asked for is not known.
ran() {    # STATUS PROGRAM
    [ "$1" -lt 126 ] || unavailable "$2 cannot be run (status $1): does sudo forbid it (noexec), or is it missing?"
}

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
    exec env -i PATH="$PATH" LC_ALL=C sudo -n -u root "$HELPER" "$command" "$PEER"
}

# The account itself does the helper's work. It must not be able to change this file, or no check would count.
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
RESTORE_PRIVILEGED=no
RSYNC=/usr/bin/rsync
VERSION_OF_RSYNC=''     # what rsync_version prints

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
        restore=off | restore=dirs | restore=owner | restore=full) RESTORE=$value ;;
        restore-delete=no | restore-delete=yes) RESTORE_DELETE=$value ;;
        restore-privileged=no | restore-privileged=yes) RESTORE_PRIVILEGED=$value ;;
        rsync=*) absolute "$value"; RSYNC=$CLEAN ;;
        *) misconfigured "not understood: $(shown "$1")" ;;
    esac
}

absolute() {
    clean "$1" || misconfigured "not an absolute path: $(shown "$1")"
}

# Set CLEAN to the absolute path without doubled or trailing slashes. Return false for an ambiguous path.
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

# Whether PATH and every folder above it belong to us (root) and no other user can write there. Without root: whether
# the account cannot write there; a mode does not show the owners and access lists of Windows.
trusted() {
    local path=$1
    [ ! -L "$path" ] || return 1
    while :; do
        if [ "$ALONE" = yes ]; then
            [ ! -w "$path" ] || return 1
        else
            [ -O "$path" ] || return 1
            case $(listed "$path") in
                ?????-??-*) ;;
                '') exit 69 ;;
                *) return 1 ;;
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

# Print what ls tells about PATH: the mode, the owner, the group.
listed() {    # PATH
    local line status
    line=$(ls -ldn -- "$1" 2>/dev/null)
    status=$?
    ran "$status" ls
    [ "$status" -eq 0 ] || unavailable "ls cannot look at $(shown "$1")"
    printf '%s' "$line"
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

# Set MODE, CLUSTER, HIDDEN, and ARGUMENTS (what follows the cluster).
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

# Add to ARGUMENTS the NUL-separated list that rsync -s sends before the protocol. It is read byte by byte: what
# follows the empty item belongs to rsync.
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

# Add one long option to OPTIONS, in exactly the spelling that rsync_bpc uses.
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

# Whether TEXT consists of 1 to LENGTH characters, all of SET.
consists_of() {    # TEXT SET LENGTH
    case $1 in
        '' | *[!$2]*) return 1 ;;
    esac
    [ "${#1}" -le "$3" ]
}

# ---------------------------------------------------------------- the folder and the user

ROOM=''         # the configured folder that TARGET is in
ROOM_IS=''      # the same, by the kernel's name
ROOM_OWNER=''   # the number of its owner
HERE=''         # the current folder, in which rsync works
LIMIT=''        # the folder that rsync may not leave, by the kernel's name
IN_PLACE=no     # whether a restore goes to a share, not to a folder for restored files
PREFIX=()       # the command that gives rsync its identity
AS_UID=''
AS_GID=''
PRIVILEGED=no   # whether setuid, devices and file capabilities come back

find_room() {    # FOLDER...
    local folder
    for folder in "$@"; do
        if is_below "$TARGET" "$folder"; then
            ROOM=$folder
            return 0
        fi
    done
    return 1
}

# Whether PATH is FOLDER or below it. In a pattern of bash an empty "${folder%/}" matches nothing.
is_below() {    # PATH FOLDER
    local folder=${2%/}
    case $1/ in
        "$folder"/*) return 0 ;;
    esac
    return 1
}

# Print the path that PATH leads to through links that only root can change, and no others.
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
            part=$(readlink -- "$at/$part") || unavailable "$(shown "$at/$part") cannot be read as a link"
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

# Enter the folder instead of naming it: afterwards no user can exchange it for another folder or a symbolic link.
enter() {    # FOLDER
    local rest=${1#"${ROOM%/}"}
    stand_in "$ROOM" || unavailable "$(shown "$ROOM") cannot be opened"
    ROOM_IS=$HERE
    reached "$ROOM"
    ROOM_OWNER=$(owner_here) || exit 69
    step "./${rest#/}"
}

# Refuse a link that a user made: a restore through it would write where that user wants.
reached() {    # PATH
    local real
    real=$(without_links "$1") || exit 69
    [ "$HERE" = "$real" ] ||
        refuse "$(shown "$1") leads to $(shown "$HERE") by a link that others than root can change"
}

step() {    # FOLDER
    stand_in "$1" || unavailable "$(shown "$TARGET") is no folder of this computer"
    is_below "$HERE" "$ROOM_IS" || refuse "$(shown "$TARGET") leads out of $(shown "$ROOM")"
}

# Set HERE to the kernel's name of the current folder. A name may end with line feeds, which $() would remove.
stand_in() {    # FOLDER
    cd -P -- "$1" 2>/dev/null || return 1
    HERE=$(env -i /bin/pwd -P && printf .) || { ran $? pwd; return 1; }
    HERE=${HERE%$'\n.'}
}

owner_here() {
    local line
    line=$(listed .) || exit 69
    # shellcheck disable=SC2086  # only the numbers are of interest
    set -- $line
    printf '%s' "${3-}"
}

prepare_backup() {
    find_room "${SHARES[@]}" || refuse "$(shown "$TARGET") is not in a folder that is backed up here"
    enter "$TARGET"
    shield
    as_reader
    find_homes
    find_empty_homes
    record_deletions
}

prepare_restore() {
    local missing='' parent
    case $RESTORE in
        off) refuse 'restoring is switched off on this computer' ;;
        dirs) find_room ${RESTORE_DIRS[@]+"${RESTORE_DIRS[@]}"} ;;
        owner | full)
            find_room ${RESTORE_DIRS[@]+"${RESTORE_DIRS[@]}"} || {
                IN_PLACE=yes
                find_room "${SHARES[@]}"
            } ;;
    esac || refuse "$(shown "$TARGET") is not a folder to restore to: ${RESTORE_DIRS[*]-}"
    spare_ourselves "$TARGET"
    if [ ! -d "$TARGET" ] && [ "$TARGET" != "$ROOM" ]; then
        missing=${TARGET##*/}
    fi
    parent=${TARGET%"${missing:+/$missing}"}
    enter "${parent:-/}"
    reached "${parent:-/}"
    spare_ourselves "${HERE%/}${missing:+/$missing}"
    [ "$ALONE-$IN_PLACE" != yes-yes ] || unavailable "restore=$RESTORE takes root"
    case $RESTORE-$IN_PLACE in
        full-*) as_root ;;
        owner-yes) in_place_as_owner "$missing" ;;
        *) as_owner ;;
    esac
    [ -z "$missing" ] || make_folder "$missing"
}

# Set LIMIT: a backup reads nothing else, a restore writes to nothing else.
set_limit() {
    LIMIT=$ROOM_IS
    [ "$MODE-$RESTORE-$IN_PLACE" != restore-owner-yes ] || LIMIT=$HERE
}

# The last folder of a restore may be missing. rsync would make it, but it would also follow a link that the user it
# runs as put there meanwhile. So the folder is made here, as that user, and its real place is checked.
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

# A restore must not give the server more rights than it has.
spare_ourselves() {    # FOLDER
    case $1/ in
        "${HELPER%/*}"/* | "$CONFIG"/* | /etc/sudoers* | /private/etc/sudoers* | /private/var/lib/"$ACCOUNT"/* | /var/lib/"$ACCOUNT"/*)
            refuse "$(shown "$1") is kept as it is" ;;
    esac
}

# A backup reads everything and writes nothing: no root, one capability, no way to gain more.
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
    AS_UID=$(id -u "$ACCOUNT" 2>/dev/null) || no_account $?
    AS_GID=$(id -g "$ACCOUNT" 2>/dev/null) || no_account $?
    if [ "$AS_UID" -eq 0 ] || [ "$AS_GID" -eq 0 ]; then
        misconfigured "the account $ACCOUNT is root's"
    fi
}

no_account() {    # STATUS-OF-ID
    ran "$1" id
    unavailable "there is no account $ACCOUNT"
}

drop_privileges() {    # CAPABILITIES
    command -v setpriv >/dev/null || unavailable 'setpriv is missing'
    PREFIX=(setpriv "--reuid=$AS_UID" "--regid=$AS_GID" --clear-groups --no-new-privs
        "--inh-caps=$1" "--ambient-caps=$1" "--bounding-set=$1" --)
}

# With restore=dirs root writes nothing. Into a folder of root's the account writes, which can write there through its
# group. Into a folder of a person's that person writes, who can write elsewhere too: rsync before 3.5 would follow a link
# out of the folder that an earlier restore had left there, if there were no wall.
as_owner() {
    if [ "$ALONE" = yes ]; then     # there is no other user; the account can write only in the folder for restored files
        without_super
        return 0
    fi
    if [ "$ROOM_OWNER" -eq 0 ]; then
        account_ids
    else
        owner_ids
    fi
    shield
    without_super
    no_privileges
}

# What runs as AS_UID has no more rights than that account.
no_privileges() {
    case $(uname -s) in
        Linux) drop_privileges -all ;;
        Darwin) PREFIX=(sudo -n -u "#$AS_UID" --) ;;
        *) unavailable 'this system is not known' ;;
    esac
}

# The person's own group: the group of the folder may be any group, depending on the mode of the folder above.
owner_ids() {
    AS_UID=$ROOM_OWNER
    AS_GID=$(id -g "$AS_UID" 2>/dev/null) || unavailable "$(shown "$ROOM") belongs to no account of this computer"
    [ "$AS_GID" -ne 0 ] || misconfigured "$(shown "$ROOM") belongs to one of the group of root"
}

# ---------------------------------------------------------------- what a backup includes

MOUNTS=()       # the places below the current folder where something is mounted, by their names from there
MOUNT_TYPES=()
MOUNT_USERS=()  # by number, who mounted it, if FUSE tells that
HOMES=()        # homes that are file systems of their own, on a disk of this computer
ELSEWHERE=()    # other homes that are file systems of their own, such as those of a file server
EMPTY=()        # homes without any file, which may be file systems that are not mounted
# Homes are in folders where no other user than root makes folders: of those there could be too many.
IN_ROOTS=(-mindepth 1 -maxdepth 3 -xdev \( \( ! -user 0 -o -perm -0002 \) -prune -o -true \) -type d)

# With --one-file-system rsync leaves out every home that is a file system of its own, as with ZFS. So those homes are
# named to rsync too, and it stays in the file systems that are named. Other disks and file servers remain outside.
find_homes() {    # [all]
    local at name
    HOMES=() ELSEWHERE=()
    find_mounts
    rsync_is 3 1 || return 0
    for at in ${MOUNTS[@]+"${!MOUNTS[@]}"}; do
        is_local "${MOUNT_TYPES[at]}" || [ "${1-}" = all ] || continue
        name=${MOUNTS[at]}
        if is_last_mount "$at" && is_home "$name" && is_elsewhere "$name"; then
            if is_local "${MOUNT_TYPES[at]}" && [ -d "./$name" ]; then HOMES[at]=$name; else ELSEWHERE[at]=$name; fi
        fi
    done
    [ "$(stat -f -c %T . 2>/dev/null)" = btrfs ] || return 0
    while IFS= read -r -d '' name; do       # a subvolume needs no mount
        name=${name#./}
        is_one_of "$name" ${MOUNTS[@]+"${MOUNTS[@]}"} || ! is_home "$name" || ! is_elsewhere "$name" || HOMES[${#MOUNTS[@]}+${#HOMES[@]}]=$name
    done < <(find . "${IN_ROOTS[@]}" -inum 256 -print0 2>/dev/null)
}

# A home that is not mounted, such as an encrypted one or that of a disk that failed, would be empty in the backup too. So
# an empty home is made a mount point behind the wall: then the server keeps what it has there, and only there.
find_empty_homes() {
    local name end=$((SECONDS + PATIENCE))
    EMPTY=()
    stays && [ "$WALL" = namespace ] || return 0
    while [ "$SECONDS" -lt "$end" ] && IFS= read -r -d '' name; do
        name=${name#./}
        if is_one_of "$name" ${MOUNTS[@]+"${MOUNTS[@]}"} || ! is_home "$name"; then continue; fi
        EMPTY[${#EMPTY[@]}]=$name
        printf '%s: %s is empty: is it not mounted? The backup keeps what it has there\n' "$ACCOUNT" "$(shown "$name")" >&2
    done < <(${PREFIX[@]+"${PREFIX[@]}"} find . "${IN_ROOTS[@]}" -empty -print0 </dev/null 2>/dev/null)
}

find_mounts() {
    local point rest
    MOUNTS=() MOUNT_TYPES=() MOUNT_USERS=()
    [ -r /proc/self/mountinfo ] || return 0
    while read -r _ _ _ _ point rest; do
        printf -v point %b "${point//\\/\\0}"     # the kernel writes a blank as \040, printf reads \0 and three digits
        if [ "$point" = "$HERE" ] || ! is_below "$point" "$HERE"; then continue; fi
        rest=${rest#* - }
        MOUNTS[${#MOUNTS[@]}]=${point#"${HERE%/}"/}
        MOUNT_TYPES[${#MOUNT_TYPES[@]}]=${rest%% *}
        case ,${rest##* } in
            *,user_id=*) rest=${rest##*,user_id=}; rest=${rest%%,*} ;;
            *) rest='' ;;
        esac
        MOUNT_USERS[${#MOUNT_USERS[@]}]=$rest
    done </proc/self/mountinfo
}

is_local() {    # TYPE
    case $1 in
        ext[234] | xfs | btrfs | zfs | f2fs | jfs | nilfs2 | reiserfs | bcachefs | overlay | tmpfs) ;;
        ecryptfs | fuse.gocryptfs | fuse.encfs | fuse.cryfs) ;;
        *) return 1 ;;
    esac
}

# Whether no later mount is at the same place.
is_last_mount() {    # AT
    local at=$1
    while at=$((at + 1)) && [ "$at" -lt "${#MOUNTS[@]}" ]; do
        [ "${MOUNTS[at]}" != "${MOUNTS[$1]}" ] || return 1
    done
}

is_elsewhere() { [ "$(device_of "./$1")" != "$(device_of .)" ]; }

# Whether FOLDER is the home of the person who owns it, or of the one with its name. Root may not even look at a mount of
# FUSE, whose options name the owner. If the directory of persons does not answer, it is no home: it is left out, and the
# server keeps what it has.
is_home() {    # FOLDER
    local owner key entry number
    owner=$(timeout -s KILL 5 stat -c %u -- "./$1" 2>/dev/null) || owner=$(mounted_by "$1")
    for key in "$owner" "${1##*/}"; do
        case $key in '' | -*) continue ;; esac
        entry=$(timeout 5 getent passwd "$key" 2>/dev/null) || continue
        number=${entry#*:*:}
        entry=${entry%:*}
        is_person "${number%%:*}" || continue
        entry=${entry##*:}
        if [ "$entry" = "${HERE%/}/$1" ] || [ "$entry" -ef "./$1" ]; then return 0; fi
    done
    return 1
}

mounted_by() {    # MOUNT
    local at user=''
    for at in ${MOUNTS[@]+"${!MOUNTS[@]}"}; do
        [ "${MOUNTS[at]}" != "$1" ] || user=${MOUNT_USERS[at]}
    done
    printf '%s' "$user"
}

is_one_of() {    # WORD WORD...
    local word=$1 other
    shift
    for other in "$@"; do
        [ "$other" != "$word" ] || return 0
    done
    return 1
}

# Without --ignore-errors the server would record no deletion as long as one folder or file cannot be read. With it a
# folder that cannot be read passes for an empty one. So a home that cannot be read is an exception, and a disk that
# fails, which shows near the top.
record_deletions() {
    local doubt
    doubt=$(find_doubt) || unavailable "$(shown "$TARGET") cannot be read: $doubt"
    case $doubt-" ${OPTIONS[*]-} " in
        -*' --ignore-errors '*) ;;
        -*) OPTIONS[${#OPTIONS[@]}]=--ignore-errors ;;
        *' --ignore-errors '*) unavailable "$doubt; with --ignore-errors the server would take that folder for an empty one" ;;
        *) printf '%s: %s: no deletion is recorded in this backup\n' "$ACCOUNT" "$doubt" >&2 ;;
    esac
}

# Print the first home that cannot be read, or folder near the top that cannot be read although nobody forbids it, and
# why. What is mounted counts only if earlier backups may have it. A folder that was exchanged meanwhile for another file
# does not count, because any user can do that. Return false if it is the current folder.
find_doubt() {
    local line path reason status='' stay=()
    if stays; then stay=(-xdev); fi
    while IFS= read -r line; do
        reason=${line##*: }
        path=${line#find: }
        path=${path%": $reason"}
        path=${path#\'}
        path=${path%\'}
        path=${path//\\\'/\'}
        printf -v path %b "$path"       # find writes octal digits for other bytes: \303\251
        case $path,$reason in
            status,*) status=$reason; continue ;;
            .,*) printf '%s' "$reason"; return 1 ;;
            *,'No such file or directory' | *,'Not a directory' | *,'Too many levels of symbolic links') continue ;;
            *,'Permission denied' | *,'Operation not permitted' | *,'Transport endpoint is not connected') is_home "${path#./}" || continue ;;
        esac
        if stays && is_one_of "${path#./}" ${MOUNTS[@]+"${MOUNTS[@]}"}; then
            may_have_been_saved "${path#./}" || continue
        fi
        printf '%s: %s' "$(shown "$path")" "$(shown "$reason")"
        return 0
    done < <(
        ${PREFIX[@]+"${PREFIX[@]}"} find . ${HOMES[@]+"${HOMES[@]/#/./}"} -maxdepth 3 ${stay[@]+"${stay[@]}"} \
            2>&1 >/dev/null </dev/null
        printf 'status: %s\n' "$?"
    )
    case $status in
        0 | 1) ;;
        *) printf 'find was ended or cannot be run (status %s)' "$(shown "$status")" ;;
    esac
}

# Whether a mount is a home, and not one of a file server.
may_have_been_saved() {    # MOUNT
    local at type=''
    for at in ${MOUNTS[@]+"${!MOUNTS[@]}"}; do
        [ "${MOUNTS[at]}" != "$1" ] || type=${MOUNT_TYPES[at]}
    done
    case $type in
        fuse | fuse.*) ;;
        *) is_local "$type" || return 1 ;;
    esac
    is_home "$1"
}

# Whether the server wants to stay in one file system (--one-file-system).
stays() {
    case ${CLUSTER%%e.*} in
        *x*) ;;
        *) return 1 ;;
    esac
}

# Set SOURCES: what rsync sends, and CLUSTER. With -R the part behind /./ is the name that the server gets.
set_sources() {
    local name
    SOURCES=("$INSIDE")
    stays && [ "${#HOMES[@]}" -gt 0 ] || return 0
    CLUSTER=-R${CLUSTER#-}
    SOURCES=("$INSIDE./")
    for name in ${HOMES[@]+"${HOMES[@]}"}; do
        SOURCES[${#SOURCES[@]}]=$INSIDE./$name
    done
}

# ---------------------------------------------------------------- in place

# With restore=full root writes, but without the rights to make a device, and to set file capabilities and attributes of
# the kernel (security.*, trusted.*). A file that comes back must not be able to do more than its owner.
as_root() {
    shield
    in_place_options
    [ "$PRIVILEGED" = no ] || return 0
    case $(uname -s) in
        Linux)
            AS_UID=0 AS_GID=0
            drop_privileges -all,+chown,+dac_override,+dac_read_search,+fowner
            ;;
        *) confines || unavailable 'restore=full takes rsync 3.5 or later on this system' ;;
    esac
}

# Set PRIVILEGED. Without -p a file would keep the setuid bit of the one that it replaces, and have another owner. With
# --inplace root would write into a file that a user has linked from elsewhere.
in_place_options() {
    PRIVILEGED=no
    if [ "$RESTORE-$ROOM-$RESTORE_PRIVILEGED" = full-/-yes ]; then
        PRIVILEGED=yes
        return 0
    fi
    rsync_is 3 1 || unavailable 'restoring in place takes rsync 3.1 or later'
    case ${CLUSTER%%e.*} in
        *p*) ;;
        *) refuse 'restoring in place takes the option --perms' ;;
    esac
    case " ${OPTIONS[*]-} " in
        *' --inplace '*) refuse 'option --inplace, in place' ;;
    esac
}

# With restore=owner each file is written by the owner of the folder that it goes to, so it cannot get further than
# that person could. Nobody else may be able to exchange that folder.
in_place_as_owner() {    # MISSING-FOLDER
    local owner
    [ "$WALL" = namespace ] || confines || unavailable 'restore=owner takes rsync 3.5 or later'
    in_place_options
    without_super
    owner=$(owner_here) || exit 69
    if is_person "$owner"; then
        become "$owner" "$HERE"
        kept_by_person "$HERE" || refuse "others than its owner can exchange $(shown "$HERE")"
    elif [ -n "$1" ]; then
        refuse "$(shown "$TARGET") is not there, and no person owns the folder above it"
    elif [ "$owner" != 0 ] || [ "$(uname -s)" != Linux ]; then
        refuse "$(shown "$HERE") belongs to no person: choose a folder of one person"
    else
        stage
    fi
}

# Whether NUMBER is that of a person, not of root or of a service. 65534 is nobody.
is_person() {    # NUMBER
    local key value rest least=1000
    [ "$(uname -s)" != Darwin ] || least=500
    if [ -r "$LOGIN_DEFS" ]; then
        while read -r key value rest; do
            [ "$key" != UID_MIN ] || least=$value
        done <"$LOGIN_DEFS"
    fi
    case $1$least in
        '' | *[!0-9]*) return 1 ;;
    esac
    [ "$1" -ge "$least" ] && [ "$1" -ne 0 ] && [ "$1" -ne 65534 ]
}

# The rest runs as the person with this number, who owns FOLDER.
become() {    # NUMBER FOLDER
    AS_UID=$1
    AS_GID=$(id -g "$AS_UID" 2>/dev/null) || unavailable "$(shown "$2") belongs to no account of this computer"
    [ "$AS_GID" -ne 0 ] || refuse "$(shown "$2") belongs to one of the group of root"
    no_privileges
}

# Whether only root and the person AS_UID can exchange FOLDER or a folder above it.
kept_by_person() {    # FOLDER
    local path=$1 mode owner group rest
    while [ "$path" != "$ANCHOR" ] && [ "$path" != / ]; do
        path=${path%/*}
        path=${path:-/}
        mode=''
        read -r mode rest owner group rest < <(listed "$path")
        [ -n "$mode" ] || exit 69
        case $owner in
            0 | "$AS_UID") ;;
            *) return 1 ;;
        esac
        case $mode in
            ?????-??-*) ;;
            *+*) return 1 ;;        # the letters of the group are those of an access control list
            ?????w??-*) [ "$owner" = "$AS_UID" ] && [ "$group" = "$AS_GID" ] && is_private_group || return 1 ;;
            *) return 1 ;;
        esac
    done
}

# Whether the group of the person AS_UID has their name and no other member, so that their folders may be writable for it.
is_private_group() {
    local name entry
    name=$(id -un "$AS_UID" 2>/dev/null) && [ "$name" = "$(id -gn "$AS_UID" 2>/dev/null)" ] || return 1
    entry=$(getent group "$AS_GID" 2>/dev/null) || return 1
    case ${entry##*:} in
        '' | "$name") ;;
        *) return 1 ;;
    esac
}

# ---------------------------------------------------------------- in place, in a folder of several persons

# In a folder of root's, such as /home, the files belong to several persons. What files will come is in the protocol. So
# the account receives them in a folder of its own there, and then each person copies what goes to their folder.

STAGE=''        # that folder
DESTINATION=''  # the folder of root's, by the kernel's name
NOT_PLACED=no   # whether something could not be copied

stage() {
    local word
    # Other people may write in the folders of these persons, and put links there.
    confines || follows_no_links ||
        unavailable "$(shown "$HERE") belongs to several persons, which takes Linux 5.10 or rsync 3.5: choose a folder of one person"
    trusted "$HERE" || refuse "others than root can change $(shown "$HERE"): choose a folder of one person"
    case ${CLUSTER%%e.*} in
        *[nubd]*) refuse "short options $(shown "$CLUSTER") for a folder of several persons" ;;
    esac
    for word in ${OPTIONS[@]+"${OPTIONS[@]}"}; do
        case $word in
            --log-format=* | --stats | --partial | --numeric-ids | --timeout=* | --bwlimit=* | --iconv=* | --no-r) ;;
            --checksum-seed=* | --checksum-choice=* | --compress-level=* | --new-compress | --old-compress | -B*) ;;
            --ignore-errors | --specials | --no-specials | --use-qsort) ;;
            *) refuse "option $(shown "$word") for a folder of several persons" ;;
        esac
    done
    account_ids
    no_privileges
    make_stage
}

# rsync gives the folder received the mode that the server names, so the one around it keeps others out.
make_stage() {
    DESTINATION=$HERE
    remove_old_stages
    STAGE=${HERE%/}/.$ACCOUNT-restore.$$
    trap remove_stage EXIT
    trap 'exit 20' HUP INT TERM
    if ! mkdir -m 710 -- "$STAGE" || ! chgrp "$AS_GID" "$STAGE" || ! mkdir -m 700 -- "$STAGE/received" ||
        ! chown "$AS_UID:$AS_GID" "$STAGE/received"; then
        unavailable "no folder for the received files can be made in $(shown "$DESTINATION")"
    fi
    stand_in "$STAGE/received" || unavailable "$(shown "$STAGE") cannot be opened"
}

remove_stage() {
    cd /
    rm -rf -- "$STAGE"
}

# Those of runs that were killed.
remove_old_stages() {
    local old
    while IFS= read -r -d '' old; do
        case ${old##*.} in
            '' | *[!0-9]*) continue ;;
        esac
        kill -0 "${old##*.}" 2>/dev/null || rm -rf -- "$old"
    done < <(find "$HERE" -mindepth 1 -maxdepth 1 -type d -name ".$ACCOUNT-restore.*" -print0)
}

# Place what rsync has received, unless it broke off (23 and 24: only some files did not come).
place_all() {    # STATUS
    case $1 in
        0 | 23 | 24) ;;
        *) exit "$1" ;;
    esac
    chown 0:0 "$STAGE/received" && chmod 700 "$STAGE/received" && chmod 711 "$STAGE" || exit 11
    place "$STAGE/received" "$DESTINATION"
    [ "$NOT_PLACED" = no ] || exit 23
    exit "$1"
}

# Hand each folder in STAGED to the owner of the folder of that name in FOLDER, which is root's.
place() {    # STAGED FOLDER
    local entry name folder owner
    while IFS= read -r -d '' entry; do
        name=${entry##*/}
        folder=${2%/}/$name
        if [ -L "$entry" ] || [ ! -d "$entry" ]; then
            not_placed "$folder" "$(shown "$2") belongs to no person"
        elif ! stand_in "$folder" || [ "$HERE" != "$folder" ]; then
            not_placed "$folder" 'there is no such folder of a person'
        elif owner=$(owner_here) && is_person "$owner"; then
            place_as "$owner" "$entry" "$folder"
        elif [ "$owner" = 0 ] && trusted "$folder"; then
            place "$entry" "$folder"
        else
            not_placed "$folder" 'it belongs to no person'
        fi
    done < <(find "$1" -mindepth 1 -maxdepth 1 -print0)
}

not_placed() {    # PATH REASON
    NOT_PLACED=yes
    printf '%s: not restored: %s: %s
' "$ACCOUNT" "$(shown "$1")" "$2" >&2
}

# The person reads the files in a folder that no other user may enter, and copies them with no more than their own rights,
# behind a wall around the folder of root's.
place_as() {    # NUMBER STAGED FOLDER
    local own=$STAGE/$1 letters account inside='' argv
    account=$(id -u "$ACCOUNT")
    AS_UID=$1
    AS_GID=$(id -g "$1" 2>/dev/null) || { not_placed "$3" 'its owner has no account'; return 0; }
    [ "$AS_GID" -ne 0 ] || { not_placed "$3" 'its owner is of the group of root'; return 0; }
    letters=${CLUSTER%%e.*}
    letters=${letters//[!lHptAXOJ]/}
    no_privileges
    rm -rf -- "$own"
    if ! mkdir -m 700 -- "$own" || ! mv -- "$2" "$own/files" || ! stand_in "$DESTINATION" ||
        ! chown -hR --from="$account" "$AS_UID:$AS_GID" "$own/files" || ! chown "$AS_UID:$AS_GID" "$own"; then
        not_placed "$3" 'its files cannot be handed over'
        return 0
    fi
    go_behind_wall rw
    [ "$WALL" != namespace ] || inside=/share
    argv=("$RSYNC" "-r$letters" --sparse --chmod=ug-s --ignore-times)
    if confines; then argv[${#argv[@]}]=--drop-D; fi
    env -i PATH="$PATH" LC_ALL=C HOME=/ ${WALLED[@]+"${WALLED[@]}"} ${PREFIX[@]+"${PREFIX[@]}"} "${argv[@]}" -- \
        "$inside$own/files/" "$inside$3/" </dev/null >&2 || NOT_PLACED=yes
}

# With --super rsync would report an error for every owner that only root can set. It does not change the protocol;
# without it owners are left out silently.
without_super() {
    local word kept
    kept=()
    for word in ${OPTIONS[@]+"${OPTIONS[@]}"}; do
        [ "$word" = --super ] || kept[${#kept[@]}]=$word
    done
    OPTIONS=(${kept[@]+"${kept[@]}"})
}

# ---------------------------------------------------------------- the wall

# rsync works in a file system of its own, in which there are one folder and what a program needs to start. So nothing
# else can be reached by a filter, which is inside the protocol, or by a link that a user puts in the place of a folder.

MOUNT_SAYS=''           # why root cannot mount here
WALL=none               # what is around rsync: namespace, sandbox, confine-root or none
AS_WRITER=()            # the command that starts another one as the user who writes the restored files
WALLED=()               # the command that starts another one behind the wall
INSIDE=./               # the name of the current folder there

find_wall() {
    WALL=none
    case $ALONE-$(uname -s) in
        no-Linux) ! can_mount || WALL=namespace ;;
        no-Darwin) ! can_sandbox || WALL=sandbox ;;
    esac
    [ "$WALL" != none ] || ! confines || WALL=confine-root
}

can_mount() {
    [ -d "$PLACE" ] || mkdir -m 700 -- "$PLACE" 2>/dev/null
    [ -d "$PLACE" ] && [ -O "$PLACE" ] && [ ! -L "$PLACE" ] || return 1
    # shellcheck disable=SC2016  # the new shell has the name
    MOUNT_SAYS=$(unshare --mount --propagation private -- /bin/sh -c 'mount -n -c -t tmpfs wall "$1" &&
        mount -n -c --bind -o ro,nosuid,nodev,noexec,nosymfollow /etc "$1"' wall "$PLACE" </dev/null 2>&1)
}

# Whether the kernel follows no link behind the wall: earlier ones do not know that option, and ignore it.
follows_no_links() {
    [ "$WALL" = namespace ] || return 1
    # shellcheck disable=SC2016  # the new shell has the name
    unshare --mount --propagation private -- /bin/sh -c 'mount -n -c -t tmpfs -o nosymfollow wall "$1" &&
        grep "^[^ ]* [^ ]* [^ ]* [^ ]* $1 [^ ]*nosymfollow" /proc/self/mountinfo' wall "$PLACE" </dev/null >/dev/null 2>&1
}

# A backup of / needs no wall: there is nothing outside.
shield() {
    [ "$WALL" = none ] && [ "$MODE-$ROOM_IS" != backup-/ ] || return 0
    unavailable "nothing keeps rsync $VERSION_OF_RSYNC inside $(shown "$ROOM"), because root cannot mount here\
${MOUNT_SAYS:+ ($(shown "$MOUNT_SAYS"))}: update rsync to 3.5 or later, or give this container the right to mount (CAP_SYS_ADMIN)"
}

# Set WALLED, INSIDE and LIMIT for the current folder. A mount that is ended during a backup ends behind the wall too, so
# that its disk can be removed. A restore, which may write, gets no mount that begins later.
go_behind_wall() {    # ro|rw
    local code propagation=private
    case $WALL in
        namespace)
            LIMIT=/share${HERE%/}
            INSIDE=$LIMIT/
            code="set -u -f; PEER=$PEER ACCOUNT=$ACCOUNT; $(declare -p EMPTY; declare -f note fail unavailable enclose cover furnish bring \
close_mounts close_mount read_mounts find_hidden is_closed is_covered); enclose \"\$@\""
            [ "$1" = rw ] || propagation=slave
            WALLED=(unshare --mount --propagation "$propagation" -- "$BASH" -p -c "$code" wall "$PLACE" "$1" "$LIMIT" "$RSYNC")
            ;;
        sandbox) PREFIX=(${PREFIX[@]+"${PREFIX[@]}"} sandbox-exec -D "FOLDER=$HERE" -p "$(profile "$1")") ;;
    esac
}

# Start COMMAND in a file system that holds the current folder, as FOLDER. The namespace of the mounts is this command's
# own, so they end with it.
enclose() {    # PLACE ro|rw FOLDER RSYNC COMMAND...
    local place=$1 access=$2 folder=$3 rsync=$4 program word argv SAID=''
    shift 4
    program=$(command -v -- "$1") || unavailable "$1 is missing"
    IFS= read -r -n 2 word <"$rsync"
    [ "$word" != '#!' ] || unavailable "$rsync is a script, and behind the wall there is no shell: name rsync itself"
    for word in 0 1 2; do
        [ ! -d "/proc/self/fd/$word" ] || unavailable 'a folder is open, through which rsync could leave the wall'
    done
    umask 022
    {
        mount -n -c -t tmpfs -o nosuid,nodev,noexec,mode=755,size=16m wall "$place" &&
            furnish "$program" "$rsync" &&
            mount -n -c --rbind . "$place$folder" && cd "$place" && cover &&
            close_mounts && [ -x "$place$program" ] && [ -x "$place$rsync" ]
    } </dev/null >/dev/null || {
        printf '%s\n' "$SAID" >&2
        unavailable "the wall around rsync cannot be built: see mount's message"
    }
    umask 077
    unset PWD OLDPWD SHLVL
    argv=()
    for word in "$@"; do
        # rsync 3.5 follows relative links inside its folder by itself. By this option it leaves links to the kernel,
        # which follows none there.
        case $access,${ACCESS[0]},$word in
            rw,*,nosymfollow,*--confine-root=*) word=--insecure-links ;;
        esac
        argv[${#argv[@]}]=$word
    done
    exec chroot "$place" "${argv[@]}"
}

# Make each empty home a mount point.
cover() {
    local name facts
    for name in ${EMPTY[@]+"${EMPTY[@]}"}; do
        facts=$(stat -c 'uid=%u,gid=%g,mode=%a' -- "$place$folder/$name") || continue
        mount -n -c -t tmpfs -o "ro,nosuid,nodev,noexec,size=4k,$facts" empty "$place$folder/$name" || return 1
    done
}

# Make the places for the folder, the PROGRAMS, their libraries, the names of users, and two devices. Set BINDS, which
# are lines for mount.
furnish() {    # PROGRAM... RSYNC
    local prefix name path prefixes folders links files
    prefixes=('' /usr) folders=("$place$folder") links=() files=() BINDS=''
    case ${rsync%/*/*} in
        '' | /usr) ;;
        *) prefixes[2]=${rsync%/*/*} ;;
    esac
    for prefix in "${prefixes[@]}"; do
        for name in bin sbin lib lib32 lib64 libx32; do
            path=$prefix/$name
            if [ -L "$path" ]; then
                links[${#links[@]}]=$path
            elif [ -d "$path" ] && [ "${name#lib}" != "$name" ]; then
                bring "$path" nodev
            fi
        done
    done
    for path in "$@"; do
        case $path in
            /bin/* | /sbin/*) [ ! -L "/${path%/*}" ] || path=/usr$path ;;
        esac
        bring "$path" nodev
    done
    for path in /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache; do
        [ ! -f "$path" ] || bring "$path" nodev,noexec
    done
    bring /dev/null noexec
    bring /dev/urandom noexec
    mkdir -p -- "${folders[@]}" && { [ "${#links[@]}" -eq 0 ] || cp -P --parents -- "${links[@]}" "$place/"; } || return 1
    for path in "${files[@]}"; do
        : >"$path" || return 1
    done
}

bring() {    # PATH OPTIONS
    local name=${1//\\/\\134}
    name=${name// /\\040}
    BINDS=$BINDS"$name $place$name none bind,ro,nosuid,$2 0 0"$'\n'
    if [ -d "$1" ]; then
        folders[${#folders[@]}]=$place$1
    else
        folders[${#folders[@]}]=$place${1%/*}
        files[${#files[@]}]=$place$1
    fi
}

# Give each mount the access that is allowed: a bind mount begins with the options of its source. There is no proc,
# whose links lead elsewhere, and nothing of the wall itself. A user may disturb that by renaming folders, so it is
# tried again. What cannot be closed, such as a mount that root may not reach, is left out with the mount around it.
close_mounts() {
    local try at lines=$BINDS name=/none-$RANDOM$RANDOM
    for try in first second third fourth; do
        read_mounts || return 1
        for at in "${!POINTS[@]}"; do
            if [ "$try" = first ] || ! is_closed "$at"; then
                is_covered "$at" || close_mount "$at" "$try"
            fi
        done
        if [ -z "$lines" ]; then
            [ "$OPEN" = no ]
            return
        fi
        [ "$try" = first ] || mount -n -c -o remount,bind,rw,nosuid,nodev,noexec "$place" || return 1
        printf '%s\n' "$lines$name $place none remount,bind,ro,nosuid,nodev,noexec 0 0" >"$place/etc/fstab" || return 1
        SAID=$(mount -n -c -a -T "$place/etc/fstab" 2>&1)
        lines=''
    done
    return 1
}

# Add to lines, for mount, one that closes a mount: by its options, or by an empty file system over it. Mount would skip
# a line whose name and place are those of a mount that is there already, so the name is a new one.
close_mount() {    # AT TRY
    local at=$1 access_here=$access options=nosuid,nodev,noexec
    case ${ACCESS[at]} in
        ro,*) access_here=ro ;;
    esac
    case ${TYPES[at]},$2 in
        proc,* | wall,*) ;;
        *,third | *,fourth)
            at=${PLACES[PARENTS[at]]-0}
            [ "$at" -ne 0 ] || at=$1
            ;;
        *) at=0 ;;
    esac
    if [ "$at" -eq 0 ]; then    # the folder itself is never left out
        lines=$lines"$name ${POINTS[$1]} none remount,bind,$access_here,$options,nosymfollow 0 0"$'\n'
        return
    fi
    case $lines in
        *" ${POINTS[at]} tmpfs "*) ;;
        *) lines=$lines"$name ${POINTS[at]} tmpfs ro,$options,nosymfollow,size=4k,mode=555 0 0"$'\n' ;;
    esac
    case ${TYPES[at]} in
        proc | wall) ;;
        *) printf '%s: left out, because it cannot be closed: %s\n' "$ACCOUNT" "${POINTS[at]//[^ -~]/?}" >&2 ;;
    esac
}

# Read the mounts of the folder: number, number of the mount below, place, options, type. The folder's own one is the
# first. By number, PLACES has their places in these lists, and OVER the places of the mounts above. Set OPEN to yes if
# another part of the wall can be written to.
read_mounts() {
    local id parent point options more at=0
    IDS=() PARENTS=() POINTS=() ACCESS=() TYPES=() PLACES=() OVER=() OPEN=no
    while read -r id parent _ _ point options more; do
        case $point/,$options in
            "$place/share"/*) ;;
            "$place"/*,rw*) OPEN=yes; continue ;;
            *) continue ;;
        esac
        IDS[at]=$id PARENTS[at]=$parent POINTS[at]=$point ACCESS[at]=$options PLACES[id]=$at
        OVER[parent]="${OVER[parent]- }$point "
        more=${more#*- }
        case $point,$more in
            "$place/share$place,tmpfs wall "*) TYPES[at]=wall ;;
            *) TYPES[at]=${more%% *} ;;
        esac
        at=$((at + 1))
    done </proc/self/mountinfo
    find_hidden
    [ "$at" -gt 0 ]
}

# Set HIDDEN: the mounts that another mount hides, which is over a folder above them.
find_hidden() {
    local at under path
    HIDDEN=()
    for at in "${!POINTS[@]}"; do
        under=${PLACES[PARENTS[at]]-}
        [ -n "$under" ] || continue
        HIDDEN[at]=${HIDDEN[under]-}
        path=${POINTS[at]%/*}
        while [ "${#path}" -ge "${#POINTS[under]}" ]; do
            case ${OVER[PARENTS[at]]} in
                *" $path "*) HIDDEN[at]=yes ;;
            esac
            path=${path%/*}
        done
    done
}

# Whether nothing can reach a mount.
is_covered() {    # AT
    case ${HIDDEN[$1]-}${OVER[IDS[$1]]-} in
        yes* | *" ${POINTS[$1]} "*) ;;
        *) return 1 ;;
    esac
}

# Links are never followed, where the kernel can do that.
is_closed() {    # AT
    case ${TYPES[$1]}-$access-${ACCESS[$1]}, in
        proc-* | wall-* | *-ro-rw,*) return 1 ;;
        *,nosuid,nodev,noexec,*) ;;
        *) return 1 ;;
    esac
    case ${ACCESS[0]},${ACCESS[$1]}, in
        *,nosymfollow,*,nosymfollow,*) ;;
        *,nosymfollow,*) return 1 ;;
    esac
}

# A Mac has no such mounts. What follows has never run on one.
can_sandbox() {
    local HERE=/nowhere
    command -v sandbox-exec >/dev/null || return 1
    in_sandbox "$RSYNC" --version && ! in_sandbox cat "$CONFIG"
}

in_sandbox() {    # COMMAND...
    sandbox-exec -D "FOLDER=$HERE" -p "$(profile ro)" "$@" </dev/null >/dev/null 2>&1
}

# Print the rules of a sandbox; the last one that fits counts.
profile() {    # ro|rw
    printf '%s\n' '(version 1)' '(allow default)' '(deny file-read-data file-write*)' \
        '(allow file-read-data (literal "/") (subpath "/System") (subpath "/usr/lib") (subpath "/usr/share"))' \
        '(allow file-read-data (subpath "/private/var/db/dyld") (literal "/dev/null") (literal "/dev/urandom"))' \
        '(allow file-write-data (literal "/dev/null"))' '(deny file-read-data (subpath "/System/Volumes/Data"))' \
        "(allow file-read-data (literal \"$RSYNC\") (subpath \"${RSYNC%/*/*}/lib\"))" '(allow file-read* (subpath (param "FOLDER")))'
    [ "$1" = ro ] || printf '%s\n' '(allow file-write* (subpath (param "FOLDER")))'
}

# ---------------------------------------------------------------- running

check_rsync() {
    [ -f "$RSYNC" ] || unavailable "there is no $RSYNC"
    [ -x "$RSYNC" ] || unavailable "$RSYNC is there, but its mode or its file system (noexec) does not let it start"
    trusted "$RSYNC" || case $RSYNC in
        /opt/homebrew/* | /usr/local/*) unavailable "others than root can change $RSYNC: what Homebrew installs belongs to a \
person; the rsync of MacPorts, /opt/local/bin/rsync, is root's" ;;
        *) unavailable "others than root can change $RSYNC" ;;
    esac
    VERSION_OF_RSYNC=$(rsync_version) || exit 69
}

# Print "3.5.0", "openrsync 29", or "?".
rsync_version() {
    local first
    first=$("$RSYNC" --version </dev/null 2>/dev/null) || ran $? "$RSYNC"
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

# Whether rsync can confine itself to a folder. It does not do so before 3.5.
confines() { rsync_is 3 5; }

# The receiver decides these options itself. BackupPC stores no holes and its rsync_bpc has no --sparse. A restored file
# with setuid has another owner than before, or was not that owner's at all, so setuid would help only an attacker.
receiving() {
    if ! rsync_is 3 1; then
        if rsync_is 2 6; then       # Apple's old one
            OPTIONS[${#OPTIONS[@]}]=--chmod=ug-s
        else
            keep_others_out
        fi
        return 0
    fi
    case " ${OPTIONS[*]-} " in
        *' --inplace '*) ;;     # an earlier rsync does not take both
        *) OPTIONS[${#OPTIONS[@]}]=--sparse ;;
    esac
    [ "$PRIVILEGED" = no ] || return 0
    OPTIONS[${#OPTIONS[@]}]=--chmod=ug-s
    [ "$RESTORE" != dirs ] || return 0
    # An unchanged file would get its owner and mode back; but a user may have linked it from elsewhere. A copy gets them.
    OPTIONS[${#OPTIONS[@]}]=--ignore-times
    if confines; then       # the kernel refuses what these leave out; with them it is no error
        OPTIONS[${#OPTIONS[@]}]=--drop-D
        OPTIONS[${#OPTIONS[@]}]='--filter=-x! user.*'
    fi
}

# Apple's openrsync takes --chmod and does nothing: setuid and setgid come back. They are removed as soon as rsync has
# ended. Until then nobody else may reach the files, and rsync may not open the folder for restored files.
keep_others_out() {
    local facts mode options=-ldn
    [ "$ALONE" = no ] || return 0
    [ "$(uname -s)" != Darwin ] || options=-lden        # with its access list
    facts=$(ls "$options" -- "$ROOM_IS") || unavailable "$(shown "$ROOM") cannot be read"
    # shellcheck disable=SC2086  # cut at blanks: mode, links, owner, group
    set -- $facts
    mode=$1
    case ${mode:6:5},$ROOM_OWNER-$4,$facts in
        *+,* | *$'\n'* | ???[xt]*) ;;
        [xs]*,"0-$AS_GID",* | [!xs]*) mode='' ;;
    esac
    [ -z "$mode" ] || unavailable "rsync $VERSION_OF_RSYNC brings setuid back, and others can enter $(shown "$ROOM"): \
chmod 770 (a person's own folder: 700), or name another rsync in $CONFIG"
    [ "$HERE-$AS_UID" != "$ROOM_IS-$ROOM_OWNER" ] || refuse "rsync $VERSION_OF_RSYNC may open $(shown "$ROOM") to others: \
choose a folder in it"
    AS_WRITER=(env -i PATH="$PATH" LC_ALL=C ${PREFIX[@]+"${PREFIX[@]}"})
    trap remove_setuid EXIT
    trap 'exit 20' HUP INT TERM
}

# Also in folders that are closed to their owner.
remove_setuid() {
    local status=$?
    cd -P -- "$ROOM_IS" && "${AS_WRITER[@]}" find . -user "$AS_UID" -type d ! -perm -700 -exec chmod u+rwx {} \; </dev/null >&2 &&
        "${AS_WRITER[@]}" find . -user "$AS_UID" ! -type l \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} + </dev/null >&2 &&
        exit "$status"
    printf '%s: setuid and setgid may be left in %s\n' "$ACCOUNT" "$(shown "$ROOM")" >&2
    exit 23
}

run() {
    local argv status
    [ "$MODE" = backup ] || receiving
    set_limit
    argv=("$RSYNC" --server)
    [ "$MODE" = restore ] || argv[2]=--sender
    if [ "$MODE" = restore ]; then go_behind_wall rw; else go_behind_wall ro; fi
    if [ "$LIMIT" != / ] && confines; then
        argv[${#argv[@]}]=--confine-root=$LIMIT
    fi
    set_sources
    argv=("${argv[@]}" "$CLUSTER" ${OPTIONS[@]+"${OPTIONS[@]}"} . "${SOURCES[@]}")
    note "$MODE" "path=$(shown "$TARGET")"
    # This process stays in the folder: its disk is busy, and umount says so. The mount behind the wall is another one.
    env -i PATH="$PATH" LC_ALL=C HOME=/ ${WALLED[@]+"${WALLED[@]}"} ${PREFIX[@]+"${PREFIX[@]}"} "${argv[@]}"
    status=$?
    [ -z "$STAGE" ] || place_all "$status"
    exit "$status"
}

# ---------------------------------------------------------------- the probe

# The answer to verify: everything that a backup does, up to the first byte.
probe() {
    local folder
    MODE=backup
    as_reader
    printf '%s\n' "version:$VERSION" "system:$(uname -s)" "user:$ACCOUNT" "rsync:$VERSION_OF_RSYNC" "wall:$WALL"
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

# Whether a backup of the share would start. A failure is printed, but not logged: the log has one line per run.
opens() (    # FOLDER
    note() { :; }
    ROOM=$1
    TARGET=$1
    enter "$1"
    shield
    starts && ${PREFIX[@]+"${PREFIX[@]}"} ls -A </dev/null >/dev/null 2>&1
)

# Whether rsync starts behind the wall.
starts() (
    go_behind_wall ro
    env -i PATH="$PATH" LC_ALL=C ${WALLED[@]+"${WALLED[@]}"} ${PREFIX[@]+"${PREFIX[@]}"} "$RSYNC" --version </dev/null >/dev/null
)

# Print the homes below SHARE that are file systems of their own, by whether a backup includes them. Print the folders
# at its top that a backup cannot read or that are on other file systems, which BackupPC leaves out, and the mounts
# further down that it cannot read. Some dozens of folders and some seconds are the limit.
below() {    # SHARE
    local name count=0 top end=$((SECONDS + 3))
    stand_in "$1" || return 0
    find_homes all
    for name in ${HOMES[@]+"${HOMES[@]}"}; do tell included "$1" "$name"; done
    for name in ${ELSEWHERE[@]+"${ELSEWHERE[@]}"}; do tell elsewhere "$1" "$name"; done
    while goes_on && IFS= read -r -d '' name; do
        count=$((count + 1))
        look "$1" "${name#./}"
    done < <(${PREFIX[@]+"${PREFIX[@]}"} find . -mindepth 1 -maxdepth 1 -type d -print0 </dev/null 2>/dev/null)
    top=$count
    for name in ${MOUNTS[@]+"${MOUNTS[@]}"}; do
        goes_on || break
        count=$((count + 1))
        case $name in
            */*) look "$1" "$name" ;;
            *) [ -d "./$name" ] || { look "$1" "$name"; top=$((top + 1)); } ;;      # find does not show it
        esac
    done
    printf 'folders:%s %s\n' "$top" "$1"
}

goes_on() { [ "$count" -lt 64 ] && [ "$SECONDS" -lt "$end" ]; }

look() {    # SHARE NAME
    case $2 in
        */*) ! is_one_of "$2" ${ELSEWHERE[@]+"${ELSEWHERE[@]}"} || tell mounted "$1" "$2" ;;
        *)
            [ "$(device_of "./$2")" = "$(device_of .)" ] || is_one_of "$2" ${HOMES[@]+"${HOMES[@]}"} ||
                tell mounted "$1" "$2" ;;
    esac
    ${PREFIX[@]+"${PREFIX[@]}"} ls -f -- "./$2/" </dev/null >/dev/null 2>&1 || tell closed "$1" "$2"
}

tell() {    # KEYWORD SHARE NAME
    case $3 in
        *[[:cntrl:]]*) ;;
        *) printf '%s:%s\n' "$1" "${2%/}/$3" ;;
    esac
}

# GNU stat, or BSD stat.
device_of() {    # FOLDER
    stat -c %d -- "$1" 2>/dev/null || stat -f %d -- "$1" 2>/dev/null
}

# Without Full Disk Access for the processes of sshd, a Mac hides folders even from root, and this file too.
hidden() {
    [ -d "$TCC" ] && ! head -c 1 -- "$TCC/TCC.db" </dev/null >/dev/null 2>&1
}

as_helper() {
    peer_is "${2-}"
    read_config
    check_rsync
    find_wall
    [ "${1-}" != probe ] || probe
    decide "${1-}"
    "prepare_$MODE"
    run
}

case ${0##*/} in
    rsync-helper) as_helper "$@" ;;
    *) as_forced_command ;;
esac
exit
}
