#!/bin/sh
# setup.sh - makes this computer known to the backup server, so that it is backed up from now on.
#
#     sudo sh setup.sh [OPTION]...
#
#   --server NAME         the backup server
#   --logon LOGON         whose computer this is (asked for otherwise)
#   --unattended          ask nothing: needs --logon, takes the reply for right
#   --yes                 ask for the logon, if need be, and nothing more
#   --dry-run             show what would be changed, and change nothing
#   --lang fr|en          language of the messages (otherwise: that of the session)
#   --share DIR           a folder to back up, may be repeated (otherwise: /home)
#   --restore off|dirs|full   where the server may restore files: nowhere; below --restore-dir;
#                         everywhere that is backed up, as root (otherwise: dirs)
#   --restore-dir DIR     a folder for restored files (otherwise: /var/lib/bckpciuem-restore, which is made)
#   --register-key FILE   the key that registers (otherwise: the one inside this file)
#   --known-hosts FILE    the backup server's ssh host keys (otherwise: those inside this file)
#   --wrapper FILE        rsyncsend.sh (otherwise: the one inside this file, or beside it)
#   --from LIST           addresses that the server may come from (otherwise: those that it names)
#   --no-from             it may come from anywhere
#   --port PORT           ssh port of the backup server (otherwise: 22)
#   --force               register again even if this computer is registered
#   --log FILE            keep the messages in FILE as well
#   --no-color            no bold text (so does the variable NO_COLOR)
#   --version, --help
#
# Exit status: 0 done, or nothing to do; 1 it did not work; 2 wrong options; 4 the server refuses; 5 the server
# cannot be reached; 6 it is not the server that we know; 7 something is left for the administrator to do;
# 77 this system is not known.
#
# What was made on this computer stands in /var/lib/bckpciuem/receipt.

# shellcheck disable=SC1112  # French apostrophes

set -eu
umask 077

VERSION=0.1
ACCOUNT=bckpciuem
PLACE=/var/lib/bckpciuem
RECEIPT=$PLACE/receipt
WRAPPER=$PLACE/rsyncsend.sh
HELPER=/usr/local/libexec/bckpciuem/rsync-helper
CONFIG=/etc/bckpciuem.conf
SUDOERS=/etc/sudoers.d/bckpciuem
RESTORE_PLACE=/var/lib/bckpciuem-restore
SERVER_ACCOUNT=backuppc

# ---------------------------------------------------------------- what a bundle brings along
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

# ---------------------------------------------------------------- talking

# Everything is said in two languages, English first; the text is a printf format.
say() {    # ENGLISH FRENCH [VALUE]...
    in_language "$@"
    printf '%s\n' "$TEXT"
    keep_in_log
    SAID=yes
}

warn() {
    in_language "$@"
    printf '%s\n' "$TEXT" >&2
    keep_in_log
}

die() {    # STATUS ENGLISH FRENCH [VALUE]...
    status=$1
    shift
    warn "$@"
    exit "$status"
}

in_language() {
    case $TONGUE in
        fr) format=$2 ;;
        *) format=$1 ;;
    esac
    shift 2
    # shellcheck disable=SC2059  # the formats are ours, the values come after
    TEXT=$(printf -- "$format" "$@")
}

keep_in_log() {
    if [ -n "$LOG" ]; then
        printf '%s\n' "$TEXT" >>"$LOG"
    fi
}

heading() {
    in_language "$@"
    keep_in_log
    printf '%s%s%s\n' "$BOLD" "$TEXT" "$PLAIN"
}

step() {    # FUNCTION ENGLISH FRENCH [VALUE]...
    action=$1
    shift
    before=$CHANGES
    SAID=no
    heading "$@"
    "$action"
    if [ "$CHANGES" -eq "$before" ] && [ "$SAID" = no ]; then
        say '  in place already' '  déjà en place'
    fi
}

choose_language() {
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
        fr*) TONGUE=fr ;;
        *) TONGUE=en ;;
    esac
}

choose_colour() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "$COLOUR" = yes ] && [ "${TERM:-dumb}" != dumb ]; then
        BOLD=$(printf '\033[1m')
        PLAIN=$(printf '\033[0m')
    fi
}

# What the server says, fit for a terminal.
printable() {
    tr '\000-\011\013-\037\177-\377' '?'
}

# The server writes every byte outside ASCII as \xHH. Give back those that make printable UTF-8, nothing else: no
# control characters, nothing that changes the direction of the text.
readable() {    # TEXT
    printf '%b' "$(printf '%s\n' "$1" | printable | awk '
        function hex(text) {
            if (text !~ /^\\x[89a-fA-F][0-9a-fA-F]$/) return -1
            text = tolower(substr(text, 3))
            return 16 * (index(digits, substr(text, 1, 1)) - 1) + index(digits, substr(text, 2, 1)) - 1
        }
        function octal(byte) { return sprintf("\\0%o", byte) }
        function shows(code) {
            if (code < 160 || code == 173 || (code >= 55296 && code <= 63743)) return 0
            if (code == 1564 || (code >= 8203 && code <= 8207) || (code >= 8232 && code <= 8238)) return 0
            if ((code >= 8288 && code <= 8303) || (code >= 65024 && code <= 65039) || code == 65279) return 0
            return code < 65520 || (code >= 65536 && code < 917504)
        }
        BEGIN { digits = "0123456789abcdef" }
        {
            out = ""
            for (at = 1; at <= length($0); ) {
                first = hex(substr($0, at, 4))
                more = first >= 240 && first < 248 ? 3 : first >= 224 && first < 240 ? 2 : first >= 194 && first < 224 ? 1 : 0
                code = more == 3 ? first - 240 : more == 2 ? first - 224 : first - 192
                piece = octal(first)
                for (i = 1; i <= more; i++) {
                    next_byte = hex(substr($0, at + 4 * i, 4))
                    if (next_byte < 128 || next_byte >= 192) { more = 0; break }
                    code = 64 * code + next_byte - 128
                    piece = piece octal(next_byte)
                }
                if (more == 2 && code < 2048 || more == 3 && code < 65536) more = 0
                if (more && shows(code)) { out = out piece; at += 4 * (more + 1); continue }
                character = substr($0, at, 1)
                out = out (character == "\\" ? "\\\\" : character)
                at++
            }
            print out
        }')"
}

# ---------------------------------------------------------------- changing

# Every change to this computer passes here, and only here.
change() {    # COMMAND...
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = no ]; then
        "$@"
    fi
}

# The receipt says what there was not before us; --uninstall will go by it. A line is written before the deed: killed
# in between, we have noted too much and not too little.
remember() {    # LINE
    if [ "$DRY_RUN" = yes ] || grep -qxF -- "$1" "$RECEIPT" 2>/dev/null; then
        return 0
    fi
    printf '%s\n' "$1" >>"$RECEIPT"
}

# Owner, group and mode of a file, as in "root bckpciuem 750".
identity() {
    stat -c '%U %G %a' -- "$1"
}

# Put FILE's content at TARGET, complete or not at all, unless it is already there.
put_file() {    # FILE TARGET OWNER GROUP MODE
    if [ -L "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        die 1 '%s is not a plain file; please move it away.' \
            '%s n’est pas un fichier ordinaire ; déplacez-le, s’il vous plaît.' "$2"
    fi
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(identity "$2")" = "$3 $4 $5" ]; then
        return 0
    fi
    say '  writing %s' '  écriture de %s' "$2"
    [ -e "$2" ] || remember "file $2"
    change replace "$@"
}

# The temporary name has a dot, so that sudo does not read it.
replace() {    # FILE TARGET OWNER GROUP MODE
    fresh=${2%/*}/.${2##*/}.setup
    rm -f -- "$fresh"
    cat <"$1" >"$fresh"
    chown "$3:$4" "$fresh"
    chmod "$5" "$fresh"
    sync -f "$fresh" 2>/dev/null || true
    mv -f -- "$fresh" "$2"
}

put_folder() {    # FOLDER OWNER GROUP MODE
    if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then
        die 1 '%s is not a folder; please move it away.' \
            '%s n’est pas un dossier ; déplacez-le, s’il vous plaît.' "$1"
    fi
    if [ ! -d "$1" ]; then
        say '  making the folder %s' '  création du dossier %s' "$1"
        [ "$1" = "$PLACE" ] || remember "folder $1"
        change mkdir -m "$4" "$1"
    elif [ "$(identity "$1")" = "$2 $3 $4" ]; then
        return 0
    else
        say '  setting the permissions of %s' '  réglage des droits de %s' "$1"
    fi
    change chown "$2:$3" "$1"
    change chmod "$4" "$1"
}

# ---------------------------------------------------------------- the command line

options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --server | --logon | --lang | --share | --restore | --restore-dir | --register-key | --known-hosts | \
                --wrapper | --from | --port | --log)
                [ $# -ge 2 ] || die 2 '%s needs a value; see --help.' '%s demande une valeur ; voyez --help.' "$1"
                option_with_value "$1" "$2"
                shift
                ;;
            --server=* | --logon=* | --lang=* | --share=* | --restore=* | --restore-dir=* | --register-key=* | \
                --known-hosts=* | --wrapper=* | --from=* | --port=* | --log=*)
                option_with_value "${1%%=*}" "${1#*=}"
                ;;
            --unattended) UNATTENDED=yes ;;
            --yes) YES=yes ;;
            --dry-run) DRY_RUN=yes ;;
            --no-from) FROM=none ;;
            --force) FORCE=yes ;;
            --no-color | --no-colour) COLOUR=no ;;
            --version) printf '%s\n' "setup.sh $VERSION"; exit 0 ;;
            --help | -h) help; exit 0 ;;
            *) die 2 'unknown option: %s; see --help.' 'option inconnue : %s ; voyez --help.' "$1" ;;
        esac
        shift
    done
}

option_with_value() {
    case $2 in
        '' | *"
"*) die 2 '%s needs a value; see --help.' '%s demande une valeur ; voyez --help.' "$1" ;;
    esac
    case $1 in
        --server) SERVER=$2 ;;
        --logon) LOGON=$2 ;;
        --lang) TONGUE=$2 ;;
        --share) SHARES="$SHARES$2
" ;;
        --restore) RESTORE=$2 ;;
        --restore-dir) RESTORE_DIR=$2 ;;
        --register-key) REGISTER_KEY_FILE=$2 ;;
        --known-hosts) KNOWN_HOSTS_FILE=$2 ;;
        --wrapper) WRAPPER_FILE=$2 ;;
        --from) FROM=$2 ;;
        --port) PORT=$2 ;;
        --log) LOG=$2 ;;
    esac
}

# Everything that ends in an ssh command line or in a file of root's is checked before anything else is done.
check_options() {
    case $TONGUE in
        fr | en) ;;
        *) TONGUE=en; die 2 '--lang is fr or en.' '' ;;
    esac
    case $SERVER in
        '') die 2 'which server? Please give --server NAME.' 'quel serveur ? Donnez --server NOM.' ;;
        -* | *[!A-Za-z0-9.:-]*) die 2 '%s is no name of a server.' '%s n’est pas un nom de serveur.' "$SERVER" ;;
    esac
    if [ -n "$LOGON" ] && ! possible_logon "$LOGON"; then
        die 2 '%s cannot be a logon.' '%s ne peut pas être un identifiant.' "$LOGON"
    fi
    case $RESTORE in
        '' | off | dirs | full) ;;
        *) die 2 '--restore is off, dirs or full.' '--restore vaut off, dirs ou full.' ;;
    esac
    case $PORT in
        *[!0-9]* | ??????*) die 2 '%s is no port.' '%s n’est pas un port.' "$PORT" ;;
    esac
    case $FROM in
        '' | none) ;;
        *) address_list "$FROM" || die 2 '--from is a list of addresses: %s' '--from est une liste d’adresses : %s' "$FROM" ;;
    esac
    check_folders
    check_log
    if [ "$UNATTENDED" = yes ]; then
        YES=yes
        [ -n "$LOGON" ] || [ "$DRY_RUN" = yes ] || registered_as >/dev/null ||
            die 2 '--unattended needs --logon.' '--unattended demande --logon.'
    fi
}

check_folders() {
    printf '%s' "$SHARES" | while IFS= read -r folder; do
        plain_folder "$folder"
    done || exit 2
    if [ -n "$RESTORE_DIR" ]; then
        plain_folder "$RESTORE_DIR"
    fi
}

plain_folder() {
    case $1/ in
        *//* | */../* | */./*) ;;
        /*) if [ -d "$1" ]; then return 0; fi ;;
    esac
    [ "$1" != / ] || return 0
    die 2 '%s is not a folder with an absolute name.' '%s n’est pas un dossier au nom absolu.' "$1"
}

check_log() {
    if [ -n "$LOG" ] && { [ -L "$LOG" ] || { [ -e "$LOG" ] && [ ! -f "$LOG" ]; }; }; then
        log=$LOG
        LOG=''
        die 2 '%s is not a plain file.' '%s n’est pas un fichier ordinaire.' "$log"
    fi
}

help() {
    cat <<'END'
sudo sh setup.sh [OPTION]...

  --server NAME         the backup server
  --logon LOGON         whose computer this is (asked for otherwise)
  --unattended          ask nothing: needs --logon, takes the reply for right
  --yes                 ask for the logon, if need be, and nothing more
  --dry-run             show what would be changed, and change nothing
  --lang fr|en          language of the messages (otherwise: that of the session)
  --share DIR           a folder to back up, may be repeated (otherwise: /home)
  --restore off|dirs|full   where the server may restore files: nowhere; below --restore-dir;
                        everywhere that is backed up, as root (otherwise: dirs)
  --restore-dir DIR     a folder for restored files (otherwise: /var/lib/bckpciuem-restore, which is made)
  --register-key FILE   the key that registers (otherwise: the one inside this file)
  --known-hosts FILE    the backup server's ssh host keys (otherwise: those inside this file)
  --wrapper FILE        rsyncsend.sh (otherwise: the one inside this file, or beside it)
  --from LIST           addresses that the server may come from (otherwise: those that it names)
  --no-from             it may come from anywhere
  --port PORT           ssh port of the backup server (otherwise: 22)
  --force               register again even if this computer is registered
  --log FILE            keep the messages in FILE as well
  --no-color            no bold text (so does the variable NO_COLOR)
  --version, --help

Exit status: 0 done, or nothing to do; 1 it did not work; 2 wrong options; 4 the server refuses; 5 the server
cannot be reached; 6 it is not the server that we know; 7 something is left for the administrator to do;
77 this system is not known.
END
}

# As the server tests it, before the directory is asked.
possible_logon() {
    case $1 in
        '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
    [ "${#1}" -le 64 ]
}

# ---------------------------------------------------------------- step: the system

check_system() {
    SYSTEM=$(uname -s)
    FAMILY=unknown
    if [ "$SYSTEM" = Linux ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
        FAMILY=debian
    fi
    case $FAMILY in
        debian) OSTYPE_WORD=linux ;;
        *) die 77 'This setup knows Debian, Ubuntu and their relatives so far; this system is %s.' \
            'Ce programme connaît pour l’instant Debian, Ubuntu et leurs proches ; ce système est %s.' "$(system_name)" ;;
    esac
    if [ "$(id -u)" -ne 0 ]; then
        die 1 'This changes the system, so it has to be started as root: sudo sh setup.sh' \
            'Ce programme modifie le système et doit donc être lancé par root : sudo sh setup.sh'
    fi
}

system_name() {
    sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"' | printable | grep . || uname -s
}

# ---------------------------------------------------------------- step: the files that we were given

gather_files() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/setup.XXXXXXXXXX")
    trap tidy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    given_file register-key "$REGISTER_KEY_FILE" ||
        die 2 'There is no key to register with; please give --register-key FILE.' \
            'Il n’y a pas de clef d’enregistrement ; donnez --register-key FICHIER.'
    given_file known-hosts "$KNOWN_HOSTS_FILE" ||
        die 2 'There is no host key of the server; please give --known-hosts FILE.' \
            'Il n’y a pas de clef d’hôte du serveur ; donnez --known-hosts FICHIER.'
    given_file wrapper "${WRAPPER_FILE:-$(beside rsyncsend.sh)}" ||
        die 2 'rsyncsend.sh is missing; please give --wrapper FILE.' \
            'rsyncsend.sh manque ; donnez --wrapper FICHIER.'
}

# WORK/NAME from a file that was named, or else from inside this one.
given_file() {    # NAME FILE
    if [ -n "$2" ]; then
        cat <"$2" >"$WORK/$1" || exit 2
    else
        bundled "$1" >"$WORK/$1"
    fi
    [ -s "$WORK/$1" ]
}

beside() {
    case $0 in
        */*) if [ -f "${0%/*}/$1" ]; then printf '%s' "${0%/*}/$1"; fi ;;
        *) if [ -f "$1" ] && [ -f "$0" ]; then printf '%s' "./$1"; fi ;;
    esac
}

tidy() {
    rm -rf -- "$WORK"
    if [ "$DRY_RUN" = no ]; then
        rm -f -- "$PLACE/register-key"
    fi
}

# ---------------------------------------------------------------- step: tools

get_tools() {
    open_receipt
    packages=''
    while read -r tool package; do
        command -v "$tool" >/dev/null || packages="$packages $package"
    done <<'END'
ssh openssh-client
ssh-keygen openssh-client
sshd openssh-server
sudo sudo
visudo sudo
rsync rsync
setpriv util-linux
su util-linux
END
    [ -n "$packages" ] || return 0
    packages=$(printf '%s\n' "$packages" | tr ' ' '\n' | sort -u | tr '\n' ' ')
    packages=${packages# }
    say '  installing %s' '  installation de %s' "$packages"
    for package in $packages; do
        remember "package $package"
    done
    # shellcheck disable=SC2086  # several words
    change install_packages $packages
}

install_packages() {
    apt_get install --yes --no-install-recommends "$@" ||
        { apt_get update && apt_get install --yes --no-install-recommends "$@"; } || {
        tail -n 5 "$WORK/apt" | printable >&2
        die 1 'These packages could not be installed: %s' 'Ces paquets n’ont pas pu être installés : %s' "$*"
    }
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$WORK/apt" 2>&1
}

# ---------------------------------------------------------------- step: the account

make_account() {
    entry=$(getent passwd "$ACCOUNT") || entry=''
    if [ -n "$entry" ]; then
        adopt_account "$entry"
    else
        say '  making the account %s' '  création du compte %s' "$ACCOUNT"
        remember "account $ACCOUNT"
        change add_account
    fi
    [ ! -d "$PLACE" ] || put_folder "$PLACE" root "$ACCOUNT" 750
    put_folder "$PLACE/.ssh" root "$ACCOUNT" 750
}

# Where the receipt lies must be there before anything is done.
open_receipt() {
    put_folder "$PLACE" root "$(group_or_root)" 750
    if [ -L "$RECEIPT" ]; then
        die 1 '%s is a link; please move it away.' '%s est un lien ; déplacez-le, s’il vous plaît.' "$RECEIPT"
    fi
    if [ ! -e "$RECEIPT" ]; then
        remember "folder $PLACE"
    fi
}

group_or_root() {
    if getent group "$ACCOUNT" >/dev/null; then
        printf '%s' "$ACCOUNT"
    else
        printf root
    fi
}

# The password field is a star: sshd takes ! for a locked account where PAM is not used.
add_account() {
    group=--user-group
    if getent group "$ACCOUNT" >/dev/null; then
        group="--gid=$ACCOUNT"
    fi
    useradd --system "$group" --no-create-home --home-dir "$PLACE" --shell /bin/sh --password '*' \
        --comment BackupPC "$ACCOUNT" 2>"$WORK/useradd" || {
        printable <"$WORK/useradd" >&2
        die 1 'The account %s could not be made.' 'Le compte %s n’a pas pu être créé.' "$ACCOUNT"
    }
}

# An account that is there already is used only if it is what we would have made.
adopt_account() {    # PASSWD-ENTRY
    getent -s files passwd "$ACCOUNT" >/dev/null ||
        die 1 'The account %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.' \
            'Le compte %s vient d’un annuaire (LDAP, SSSD) et non de cet ordinateur ; l’utiliser ne serait pas sûr.' \
            "$ACCOUNT"
    uid=$(printf '%s' "$1" | cut -d: -f3)
    first=$(sed -n 's/^UID_MIN[[:space:]]*\([0-9]*\).*/\1/p' /etc/login.defs 2>/dev/null)
    if [ "$uid" -eq 0 ] || [ "$uid" -ge "${first:-1000}" ]; then
        die 1 'There is an account %s with the number %s: a person’s or root’s, not a system account.' \
            'Il existe un compte %s de numéro %s : celui d’une personne ou de root, pas un compte système.' \
            "$ACCOUNT" "$uid"
    fi
    home=$(printf '%s' "$1" | cut -d: -f6)
    if [ "$home" != "$PLACE" ] || [ "$(id -gn "$ACCOUNT")" != "$ACCOUNT" ]; then
        die 1 'There is an account %s already, with another home (%s) or group; please remove it and start again.' \
            'Un compte %s existe déjà, avec un autre dossier (%s) ou groupe ; supprimez-le et recommencez.' \
            "$ACCOUNT" "$home"
    fi
    mend_account "$1"
}

mend_account() {
    if [ "$(printf '%s' "$1" | cut -d: -f7)" != /bin/sh ]; then
        say '  giving the account its shell back' '  le compte retrouve son interpréteur de commandes'
        change usermod --shell /bin/sh "$ACCOUNT"
    fi
    if [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]; then
        say '  taking the password away from the account' '  le compte perd son mot de passe'
        change usermod --password '*' "$ACCOUNT"
    fi
}

# ---------------------------------------------------------------- step: what the server may do here

install_wrapper() {
    put_file "$WORK/wrapper" "$WRAPPER" root root 755
    [ -d "${HELPER%/*/*}" ] || put_folder "${HELPER%/*/*}" root root 755
    put_folder "${HELPER%/*}" root root 755
    put_file "$WORK/wrapper" "$HELPER" root root 755
    write_config
    make_restore_folder
    allow_helper
    try_wrapper
}

# What an administrator has put into the configuration stays unless an option says otherwise.
write_config() {
    old=/dev/null
    [ ! -f "$CONFIG" ] || old=$CONFIG
    folders=$SHARES
    [ -n "$folders" ] || folders=$(sed -n 's/^share=//p' "$old")
    [ -n "$folders" ] || folders=/home
    RESTORE=${RESTORE:-$(sed -n 's/^restore=//p' "$old" | tail -n 1)}
    RESTORE=${RESTORE:-dirs}
    places=${RESTORE_DIR:-$(sed -n 's/^restore-dir=//p' "$old")}
    places=${places:-$RESTORE_PLACE}
    binary=$(command -v rsync) || binary=/usr/bin/rsync
    {
        printf '# Made by setup.sh. What each line means stands at the top of %s.\n' "$HELPER"
        printf '%s\n' "$folders" | sed -n 's/^./share=&/p'
        printf 'restore=%s\n' "$RESTORE"
        printf '%s\n' "$places" | sed -n 's/^./restore-dir=&/p'
        sed -n '/^restore-delete=/p' "$old"
        printf 'rsync=%s\n' "$(readlink -f "$binary" || printf '%s' "$binary")"
    } >"$WORK/config"
    put_file "$WORK/config" "$CONFIG" root root 644
    if [ "$RESTORE" = full ]; then
        warn '  --restore full: whoever rules the backup server is root on this computer.' \
            '  --restore full : qui commande le serveur de sauvegarde est root sur cet ordinateur.'
    fi
}

# Root's folder, in which the account, through its group, may write: no restore runs as root.
make_restore_folder() {
    if [ "$RESTORE" = off ] || ! grep -qxF "restore-dir=$RESTORE_PLACE" "$WORK/config"; then
        return 0
    fi
    put_folder "$RESTORE_PLACE" root "$ACCOUNT" 770
}

allow_helper() {
    printf '%s\n' "# Made by setup.sh: the backup server reads through this program, which checks what it is asked." \
        "$ACCOUNT ALL=(root) NOPASSWD: $HELPER" >"$WORK/sudoers"
    if [ "$DRY_RUN" = no ]; then
        visudo -cqf "$WORK/sudoers" >/dev/null 2>&1 ||
            die 1 'sudo does not understand our line; nothing was given to it.' \
                'sudo ne comprend pas notre ligne ; elle n’a pas été installée.'
        grep -Eqs '^[@#]includedir[[:space:]]+/etc/sudoers\.d/?[[:space:]]*$' /etc/sudoers ||
            die 7 '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".' \
                '/etc/sudoers ne lit pas /etc/sudoers.d ; ajoutez-y la ligne « @includedir /etc/sudoers.d ».'
    fi
    put_file "$WORK/sudoers" "$SUDOERS" root root 440
}

# The way that a backup takes, without the server.
try_wrapper() {
    [ "$DRY_RUN" = no ] || return 0
    if ! as_account "env SSH_ORIGINAL_COMMAND=probe $WRAPPER" >"$WORK/probe" 2>"$WORK/probe-errors"; then
        printable <"$WORK/probe-errors" >&2
        die 1 'The account %s cannot start the backup program; see above.' \
            'Le compte %s ne peut pas lancer le programme de sauvegarde ; voyez ci-dessus.' "$ACCOUNT"
    fi
    sed -n 's/^unreadable://p' "$WORK/probe" | printable | while IFS= read -r folder; do
        warn '  %s cannot be read: it will not be backed up.' '  %s est illisible et ne sera pas sauvegardé.' "$folder"
    done
}

as_account() {    # COMMAND-LINE
    (cd / && exec su "$ACCOUNT" -c "$1" </dev/null)
}

# ---------------------------------------------------------------- step: sshd

check_sshd() {
    if [ "$DRY_RUN" = yes ] && ! command -v sshd >/dev/null; then
        return 0
    fi
    start_sshd
    if ! sshd_settings; then
        return 0
    fi
    check_access
}

# sshd's own view of what holds for our account when the server calls.
sshd_settings() {
    program=$(command -v sshd) || program=/usr/sbin/sshd
    address=$(getent ahosts "$SERVER" | awk 'NR == 1 { print $1 }')
    if "$program" -T -C "user=$ACCOUNT,host=$SERVER,addr=${address:-127.0.0.1}" >"$WORK/sshd" 2>"$WORK/sshd-errors"; then
        return 0
    fi
    [ "$DRY_RUN" = no ] || return 1
    printable <"$WORK/sshd-errors" >&2
    todo 'sshd does not tell its settings; please look at its configuration.' \
        'sshd ne donne pas ses réglages ; examinez sa configuration.'
    return 1
}

setting() {    # KEYWORD: its values, one a line
    sed -n "s/^$1 //p" "$WORK/sshd" 2>/dev/null
}

start_sshd() {
    if sshd_answers; then
        return 0
    fi
    say '  starting sshd' '  démarrage de sshd'
    if [ -d /run/systemd/system ]; then
        if systemctl list-unit-files ssh.service 2>/dev/null | grep -q '^ssh\.service'; then
            unit=ssh.service
        else
            unit=sshd.service
        fi
        remember "enabled $unit"
        change systemctl --quiet enable --now "$unit" >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        change service ssh start >/dev/null 2>&1 || true
    fi
    if [ "$DRY_RUN" = no ] && ! sshd_answers; then
        todo 'sshd is not running; please start it, and have it start with the computer.' \
            'sshd ne tourne pas ; démarrez-le, et faites-le démarrer avec l’ordinateur.'
    fi
}

# A connection tells more than any list of services; a fresh sshd needs a moment.
sshd_answers() {
    port=22
    if command -v sshd >/dev/null; then
        port=$(sshd -T -C user=root,host=localhost,addr=127.0.0.1 2>/dev/null | sed -n 's/^port //p' | head -n 1)
    fi
    ssh-keyscan -T 3 -p "${port:-22}" 127.0.0.1 2>/dev/null | grep -q .
}

check_access() {
    [ "$(setting pubkeyauthentication)" != no ] ||
        todo 'sshd takes no keys (PubkeyAuthentication no).' 'sshd n’accepte pas de clefs (PubkeyAuthentication no).'
    if [ -n "$(setting allowusers)" ] && ! setting allowusers | names_one_of "$ACCOUNT"; then
        todo 'sshd lets in only those of AllowUsers; please add %s there.' \
            'sshd n’admet que ceux d’AllowUsers ; ajoutez-y %s.' "$ACCOUNT"
    fi
    if setting denyusers | names_one_of "$ACCOUNT"; then
        todo 'sshd keeps %s out (DenyUsers).' 'sshd refuse %s (DenyUsers).' "$ACCOUNT"
    fi
    groups=$(id -Gn "$ACCOUNT" 2>/dev/null) || groups=$ACCOUNT
    # shellcheck disable=SC2086  # several words
    if [ -n "$(setting allowgroups)" ] && ! setting allowgroups | names_one_of $groups; then
        todo 'sshd lets in only the groups of AllowGroups; please add %s there.' \
            'sshd n’admet que les groupes d’AllowGroups ; ajoutez-y %s.' "$ACCOUNT"
    fi
    # shellcheck disable=SC2086
    if setting denygroups | names_one_of $groups; then
        todo 'sshd keeps the group %s out (DenyGroups).' 'sshd refuse le groupe %s (DenyGroups).' "$ACCOUNT"
    fi
    case $(setting forcecommand) in
        '' | none) ;;
        *) todo 'sshd starts another command than ours (ForceCommand).' \
            'sshd lance une autre commande que la nôtre (ForceCommand).' ;;
    esac
}

# Whether a pattern on standard input (USER or USER@HOST) fits one of the names.
names_one_of() {    # NAME...
    while IFS= read -r pattern; do
        for name in "$@"; do
            # shellcheck disable=SC2254  # sshd's * and ? mean here what they mean there
            case $name in
                ${pattern%%@*}) return 0 ;;
            esac
        done
    done
    return 1
}

# Something that only the administrator may change: said now, and the exit status says it again.
todo() {
    LEFT_TO_DO=yes
    in_language "$@"
    keep_in_log
    SAID=yes
    printf '%s\n' "  ! $TEXT" >&2
}

# ---------------------------------------------------------------- step: whose computer

# Who this computer was registered for, if it was, with this server.
registered_as() {
    [ -f "$RECEIPT" ] || return 1
    sed -n "s/^registered $SERVER //p" "$RECEIPT" | tail -n 1 | grep .
}

ask_logon() {
    guess=$(console_user)
    while :; do
        ask 'Your logon [%s]: ' 'Votre identifiant [%s] : ' "$guess"
        LOGON=${ANSWER:-$guess}
        if possible_logon "$LOGON"; then
            return 0
        fi
        warn 'A logon is made of letters, digits, dots and hyphens.' \
            'Un identifiant est fait de lettres, de chiffres, de points et de tirets.'
    done
}

# The person who sits at this computer, as far as one can tell.
console_user() {
    for name in "${SUDO_USER:-}" "$(logname 2>/dev/null || true)" "$(who 2>/dev/null | awk 'NR == 1 { print $1 }')"; do
        if [ "$name" != root ] && possible_logon "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
}

can_ask() {
    [ "$UNATTENDED" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null
}

# Questions go to the terminal, whatever standard input is.
ask() {    # ENGLISH FRENCH [VALUE]...
    in_language "$@"
    if ! can_ask; then
        die 2 'There is no terminal to ask on; please give --logon, and --yes or --unattended.' \
            'Il n’y a pas de terminal où poser la question ; donnez --logon, et --yes ou --unattended.'
    fi
    printf '%s' "$TEXT" >/dev/tty
    IFS= read -r ANSWER </dev/tty || die 1 'No answer.' 'Pas de réponse.'
}

# ---------------------------------------------------------------- step: the server

register() {
    if already_registered; then
        say '  registered already, for %s' '  déjà enregistré, pour %s' "$LOGON"
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        say '  asking %s to register this computer, and installing its key' \
            '  demande d’enregistrement à %s, puis installation de sa clef' "$SERVER"
        CHANGES=$((CHANGES + 1))
        return 0
    fi
    prepare_call
    agree_on_person
    call "$OSTYPE_WORD:$LOGON"
    if ! understand "$WORK/reply" register; then
        give_up
    fi
    install_key
    remember "registered $SERVER $LOGON"
}

already_registered() {
    earlier=$(registered_as) || return 1
    [ "$FORCE" = no ] || return 1
    [ -z "$LOGON" ] || [ "$LOGON" = "$earlier" ] || return 1
    keys=$(keys_file) && grep -qsF "command=\"$WRAPPER\"" "$keys" || return 1
    LOGON=$earlier
}

# ssh goes as the account, which can read these files and change none of them.
prepare_call() {
    put_file "$WORK/known-hosts" "$PLACE/known_hosts" root "$ACCOUNT" 640
    name=$SERVER
    [ "$PORT" -eq 22 ] || name="[$SERVER]:$PORT"
    ssh-keygen -F "$name" -f "$PLACE/known_hosts" >/dev/null 2>&1 ||
        die 2 'The known hosts file has no line for %s.' 'Le fichier des clefs d’hôtes n’a pas de ligne pour %s.' "$name"
    replace "$WORK/register-key" "$PLACE/register-key" root "$ACCOUNT" 640
}

# Sets REPLY_STATUS; the answer is in WORK/reply. What ssh says goes elsewhere, or a warning of its own would stand
# before "success".
call() {    # REQUEST
    line="env SSH_AUTH_SOCK= ssh -x -a -n -T $IP_VERSION -F /dev/null -i $PLACE/register-key -l $SERVER_ACCOUNT"
    line="$line -p $PORT -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    line="$line -o UserKnownHostsFile=$PLACE/known_hosts -o GlobalKnownHostsFile=/dev/null"
    line="$line -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR $SERVER $1"
    { as_account "$line" 2>"$WORK/ssh-errors" && status=0 || status=$?
        printf '%s' "$status" >"$WORK/status"; } | head -c 65536 | tr -d '\r' >"$WORK/reply"
    REPLY_STATUS=$(cat "$WORK/status")
    if [ "$REPLY_STATUS" -eq 255 ] && [ ! -s "$WORK/reply" ]; then
        not_connected
    fi
    # The name of a laptop's IPv6 address is often missing where that of its IPv4 address is not.
    if [ -z "$IP_VERSION" ] && [ "$(error_code)" = dns-name ]; then
        case $(head -n 1 "$WORK/reply" | cut -d ' ' -f 1) in
            *:*)
                IP_VERSION=-4
                call "$1"
                ;;
        esac
    fi
}

not_connected() {
    printable <"$WORK/ssh-errors" >&2
    if grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        die 6 'This is not the %s that we know: its host key is another one. Nothing was sent. Please tell your administrator.' \
            'Ce n’est pas le %s que nous connaissons : sa clef d’hôte est différente. Rien n’a été envoyé. Prévenez votre administrateur.' \
            "$SERVER"
    fi
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        die 4 '%s does not take this setup’s key any more; please get a new copy of the setup.' \
            '%s n’accepte plus la clef de ce programme ; demandez-en une copie récente.' "$SERVER"
    fi
    die 5 '%s cannot be reached. Is this computer on the network?' \
        '%s est injoignable. Cet ordinateur est-il connecté au réseau ?' "$SERVER"
}

# "check" changes nothing on the server; with its answer one can see a mistyped logon.
agree_on_person() {
    tries=1
    while :; do
        [ -n "$LOGON" ] || ask_logon
        call "check:$OSTYPE_WORD:$LOGON"
        if understand "$WORK/reply" check; then
            break
        fi
        case $(error_code) in
            ostype-unknown) return 0 ;;     # a server from before "check"
            bad-user) if [ "$tries" -ge 3 ] || ! can_ask; then give_up; fi ;;
            *) give_up ;;
        esac
        show_error
        tries=$((tries + 1))
        LOGON=''
    done
    say '  computer: %s' '  ordinateur : %s' "$(readable "${REPLY_HOST:-?}")"
    say '  person: %s' '  personne : %s' "$(readable "${REPLY_PERSON:-$LOGON}") ($LOGON)"
    say 'This person will be able to read every backed-up file of this computer, whoever it belongs to.' \
        'Cette personne pourra lire tous les fichiers sauvegardés de cet ordinateur, quel qu’en soit le propriétaire.'
    [ "$YES" = yes ] || confirm
}

confirm() {
    while :; do
        ask 'Is that right (yes/no)? ' 'Est-ce bien cela (oui/non) ? '
        case $ANSWER in
            [yYoO] | [yY][eE][sS] | [oO][uU][iI]) return 0 ;;
            [nN] | [nN][oO] | [nN][oO][nN])
                die 1 'Nothing was registered.' 'Rien n’a été enregistré.' ;;
        esac
    done
}

# ---------------------------------------------------------------- the reply

# Read a reply into REPLY_*. False: it is an error of the server's, or no reply that we understand (PROBLEM says so).
understand() {    # FILE check|register
    REPLY_HOST='' REPLY_PERSON='' REPLY_KEY='' REPLY_URL='' REPLY_FROM='' REPLY_ADVICE='' SEEN=' '
    PROBLEM=''
    first=yes
    while IFS= read -r reply_line || [ -n "$reply_line" ]; do
        if [ "$first" = yes ]; then
            [ "$reply_line" = success ] || return 1
            first=no
        else
            reply_word "$reply_line"
        fi
    done <"$1"
    if [ "$first" = yes ]; then
        PROBLEM=empty
    elif [ "$REPLY_STATUS" -eq 255 ]; then
        PROBLEM='cut off'
    elif [ "$2" = register ]; then
        judge_registration
    fi
    [ -z "$PROBLEM" ]
}

reply_word() {
    case $1 in
        *:*) ;;
        *) return 0 ;;
    esac
    word=${1%%:*}
    value=$(printf '%s' "${1#*:}" | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//')
    case $word in
        host) REPLY_HOST=$value ;;
        person) REPLY_PERSON=$value ;;
        key) REPLY_KEY=$value ;;
        url) REPLY_URL=$value ;;
        from) REPLY_FROM=$value ;;
        advice) REPLY_ADVICE=$value ;;
        *) return 0 ;;
    esac
    case $SEEN in
        *" $word "*) PROBLEM="$word twice" ;;
    esac
    SEEN="$SEEN$word "
}

# What a registration must bring: one key, and addresses and an address of a page that are what they should be.
judge_registration() {
    if [ -z "$REPLY_KEY" ]; then
        PROBLEM='no key'
    elif ! plain_key "$REPLY_KEY"; then
        PROBLEM='key'
    elif [ -n "$REPLY_FROM" ] && ! address_list "$REPLY_FROM"; then
        PROBLEM='from'
    fi
    case $REPLY_URL in
        http://?* | https://?*) ;;
        *) REPLY_URL='' ;;
    esac
    case $REPLY_URL in
        *[!!-~]*) REPLY_URL='' ;;
    esac
}

# Whether TEXT is one public key and nothing more. KEY becomes its type, its body and a tame comment: a comment is
# text from the network, and nothing before the type could ever be taken for an option.
plain_key() {    # TEXT
    kind=${1%% *}
    rest=${1#* }
    body=${rest%% *}
    comment=''
    [ "$rest" = "$body" ] || comment=${rest#* }
    case $kind in
        ssh-ed25519 | ssh-rsa | ecdsa-sha2-nistp256 | ecdsa-sha2-nistp384 | ecdsa-sha2-nistp521) ;;
        *) return 1 ;;
    esac
    case $body in
        '' | *[!A-Za-z0-9+/=]*) return 1 ;;
    esac
    printf '%s %s\n' "$kind" "$body" >"$WORK/key"
    bits=$(ssh-keygen -lf "$WORK/key" 2>/dev/null | cut -d ' ' -f 1)
    case $bits in
        '' | *[!0-9]*) return 1 ;;
    esac
    if [ "$kind" = ssh-rsa ] && [ "$bits" -lt 2048 ]; then
        return 1
    fi
    comment=$(printf '%s' "$comment" | tr -cd 'A-Za-z0-9 ._@:+-' | cut -c 1-200)
    KEY="$kind $body${comment:+ $comment}"
}

# Whether TEXT is addresses, or networks, with commas between them and nothing else.
address_list() {    # TEXT
    case $1 in
        '' | *[!0-9a-fA-F:./,]* | ,* | *, | *,,*) return 1 ;;
    esac
    printf '%s\n' "$1" | tr ',' '\n' | awk '
        function number(text, most) { return text ~ /^[0-9]+$/ && length(text) <= 3 && text + 0 <= most }
        function v4(text,  part, i) {
            if (split(text, part, ".") != 4) return 0
            for (i = 1; i <= 4; i++) if (!number(part[i], 255)) return 0
            return 1
        }
        function v6(text,  part, i, count, gaps) {
            gaps = gsub(/::/, ":@:", text)
            if (gaps > 1 || text ~ /::/) return 0
            sub(/^:@/, "@", text)
            sub(/@:$/, "@", text)
            count = split(text, part, ":")
            for (i = 1; i <= count; i++) {
                if (part[i] == "@") continue
                if (i == count && part[i] ~ /\./) { if (!v4(part[i])) return 0; continue }
                if (part[i] !~ /^[0-9a-fA-F]+$/ || length(part[i]) > 4) return 0
            }
            if (text ~ /\./) count++
            return gaps ? count <= 8 : count == 8
        }
        {
            parts = split($0, piece, "/")
            good = piece[1] ~ /:/ ? v6(piece[1]) : v4(piece[1])
            if (parts > 2 || (parts == 2 && !number(piece[2], piece[1] ~ /:/ ? 128 : 32))) good = 0
            if (!good) { bad = 1 }
        }
        END { exit bad }'
}

# The CODE of the error in WORK/reply; servers from before "error:" say it in words only.
error_code() {
    code=$(sed -n '2,$s/^error:[[:blank:]]*\([a-z-]*\)$/\1/p' "$WORK/reply" | head -n 1)
    if [ -n "$code" ]; then
        printf '%s' "$code"
        return 0
    fi
    case $(head -n 1 "$WORK/reply" | printable) in
        success) ;;
        *'no command given'*) printf no-command ;;
        *'ostype is unknown'*) printf ostype-unknown ;;
        *'bad user request'*) printf bad-user ;;
        *'invalid DNS name for this IP'*) printf dns-name ;;
        *'refusing to re-register client host'*) printf other-owner ;;
        *'Could not register'*) printf could-not-register ;;
        *'could not generate config file'*) printf no-config-file ;;
    esac
}

give_up() {
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        die 1 'The server’s reply is not understood (%s). Nothing was installed from it.' \
            'La réponse du serveur est incompréhensible (%s). Rien n’en a été installé.' "${PROBLEM:-$REPLY_STATUS}"
    fi
    show_error
    exit 4
}

# The whole of it, then what to do about it.
show_error() {
    warn 'The server answers:' 'Le serveur répond :'
    TEXT=$(printable <"$WORK/reply" | sed 's/^/    /')
    keep_in_log
    printf '%s\n' "$TEXT" >&2
    advise "$(error_code)"
}

advise() {    # CODE
    case $1 in
        bad-user) warn 'There is no such logon in the directory. Is it spelled right?' \
            'Cet identifiant n’existe pas dans l’annuaire. Est-il bien orthographié ?' ;;
        dns-name) warn 'The network does not know this computer by a name of ours. Connect it to the campus network, by cable if you can, and try again.' \
            'Le réseau ne connaît pas cet ordinateur sous un nom de chez nous. Connectez-le au réseau du campus, par câble si possible, et recommencez.' ;;
        other-owner) warn 'This computer is registered for somebody else. Only the backup administrator can change that.' \
            'Cet ordinateur est enregistré au nom de quelqu’un d’autre. Seul l’administrateur des sauvegardes peut changer cela.' ;;
        host-key-changed) warn 'The server knows another computer under this name. If this one was reinstalled, please tell the backup administrator.' \
            'Le serveur connaît un autre ordinateur sous ce nom. Si celui-ci a été réinstallé, prévenez l’administrateur des sauvegardes.' ;;
        not-registered) warn 'The server does not know this computer. Please start the setup again.' \
            'Le serveur ne connaît pas cet ordinateur. Relancez ce programme.' ;;
        not-allowed) warn 'This site does not back this computer up. The backup administrator can tell you why.' \
            'Ce site ne sauvegarde pas cet ordinateur. L’administrateur des sauvegardes vous dira pourquoi.' ;;
        not-reachable) warn 'The server cannot connect to this computer. Is a firewall in the way?' \
            'Le serveur ne peut pas se connecter à cet ordinateur. Un pare-feu l’en empêche-t-il ?' ;;
        too-many-requests) warn 'Please wait a minute and start the setup again.' \
            'Attendez une minute et relancez ce programme.' ;;
        directory-unavailable | dns-unavailable) warn 'The server could not ask all that it needs to know. Please try again in a few minutes.' \
            'Le serveur n’a pas pu vérifier tout ce qu’il lui faut. Recommencez dans quelques minutes.' ;;
        ostype-unknown | no-command) warn 'The server does not understand this setup. Please get a new copy of it.' \
            'Le serveur ne comprend pas ce programme. Demandez-en une copie récente.' ;;
        could-not-register | no-config-file | misconfigured | internal) warn 'The server has a problem of its own. Please tell the backup administrator.' \
            'Le serveur a un problème. Prévenez l’administrateur des sauvegardes.' ;;
        *) warn 'Please show this to the backup administrator.' \
            'Montrez ceci à l’administrateur des sauvegardes.' ;;
    esac
}

# ---------------------------------------------------------------- step: the server's key

# Where sshd looks for our account's keys.
keys_file() {
    pattern=$(setting authorizedkeysfile | head -n 1)
    pattern=${pattern%% *}
    pattern=${pattern:-.ssh/authorized_keys}
    [ "$pattern" != none ] || return 1
    pattern=$(printf '%s' "$pattern" | sed "s|%h|$PLACE|g; s|%u|$ACCOUNT|g; s|%%|%|g")
    case $pattern in
        /*) printf '%s' "$pattern" ;;
        *) printf '%s' "$PLACE/$pattern" ;;
    esac
}

install_key() {
    if ! keys=$(keys_file) || [ ! -d "${keys%/*}" ]; then
        todo 'sshd reads no keys of ours (AuthorizedKeysFile).' 'sshd ne lit pas nos clefs (AuthorizedKeysFile).'
        return 0
    fi
    allowed=$REPLY_FROM
    case $FROM in
        none) allowed='' ;;
        ?*) allowed=$FROM ;;
    esac
    known=/dev/null
    [ ! -f "$keys" ] || known=$keys
    # awk ends the last line, so that it cannot swallow ours.
    awk '!/rsyncsend\.sh"/' "$known" >"$WORK/keys"
    printf 'restrict%s,command="%s" %s\n' "${allowed:+,from=\"$allowed\"}" "$WRAPPER" "$KEY" >>"$WORK/keys"
    case $keys in
        "$PLACE"/*) put_file "$WORK/keys" "$keys" root "$ACCOUNT" 640 ;;
        *) put_file "$WORK/keys" "$keys" root root 644 ;;
    esac
    if [ "$(grep -c '^[^#]' "$WORK/keys")" -gt 1 ]; then
        say '  %s holds other keys too; they were left as they are' \
            '  %s contient aussi d’autres clefs ; elles sont restées telles quelles' "$keys"
    fi
}

# ---------------------------------------------------------------- the end

farewell() {
    if [ "$DRY_RUN" = yes ]; then
        say 'Nothing was changed (--dry-run).' 'Rien n’a été modifié (--dry-run).'
    elif [ "$CHANGES" -eq 0 ]; then
        say 'Everything was in place already; nothing was changed.' 'Tout était déjà en place ; rien n’a été modifié.'
    else
        say 'Done. This computer is registered with %s.' 'C’est fait. Cet ordinateur est enregistré auprès de %s.' "$SERVER"
    fi
    if [ -n "$REPLY_URL" ]; then
        say 'Your backups, and what they contain: %s' 'Vos sauvegardes, et ce qu’elles contiennent : %s' "$REPLY_URL"
    fi
    if [ -n "$REPLY_ADVICE" ]; then
        say 'The server adds: %s' 'Le serveur ajoute : %s' "$(readable "$REPLY_ADVICE")"
    fi
    if [ "$LEFT_TO_DO" = yes ]; then
        warn 'Backups will not work before what is marked with ! above is done.' \
            'Les sauvegardes ne marcheront pas tant que ce qui est marqué d’un ! ci-dessus ne sera pas fait.'
        exit 7
    fi
}

defaults() {
    LOGON='' UNATTENDED=no YES=no DRY_RUN=no FORCE=no COLOUR=yes
    SHARES='' RESTORE='' RESTORE_DIR='' FROM='' PORT=22 LOG=''
    REGISTER_KEY_FILE='' KNOWN_HOSTS_FILE='' WRAPPER_FILE=''
    CHANGES=0 LEFT_TO_DO=no IP_VERSION='' REPLY_URL='' REPLY_ADVICE='' PROBLEM='' BOLD='' PLAIN=''
    choose_language
}

main() {
    defaults
    options "$@"
    exec </dev/null     # started as "... | sh", we are standard input; nobody else shall read it
    LC_ALL=C
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    choose_colour
    check_options
    check_system
    gather_files
    step get_tools 'The programs that it takes' 'Les programmes nécessaires'
    step make_account 'The account %s' 'Le compte %s' "$ACCOUNT"
    step install_wrapper 'What the backup server may do here' 'Ce que le serveur de sauvegarde peut faire ici'
    step check_sshd 'The door that it comes through: sshd' 'La porte par laquelle il entre : sshd'
    step register 'Registration with %s' 'Enregistrement auprès de %s' "$SERVER"
    farewell
}

main "$@"
