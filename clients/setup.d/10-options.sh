options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --server | --logon | --logon-file | --lang | --share | --restore | --restore-dir | --register-key | \
                --known-hosts | --wrapper | --from | --port | --log)
                [ $# -ge 2 ] || die 2 '%s needs a value; see --help.' "$1"
                option_with_value "$1" "$2"
                shift
                ;;
            --server=* | --logon=* | --logon-file=* | --lang=* | --share=* | --restore=* | --restore-dir=* | \
                --register-key=* | --known-hosts=* | --wrapper=* | --from=* | --port=* | --log=*)
                option_with_value "${1%%=*}" "${1#*=}"
                ;;
            --verify | --doctor | --repair | --uninstall) only "${1#--}" ;;
            --keep-user) KEEP_USER=yes ;;
            --no-sshd) SSHD=no ;;
            --no-firewall) FIREWALL=no ;;
            --no-verify) VERIFY=no ;;
            --unattended) UNATTENDED=yes ;;
            --yes) YES=yes ;;
            --dry-run) DRY_RUN=yes ;;
            --no-from) FROM=none ;;
            --force) FORCE=yes ;;
            --no-color | --no-colour) COLOUR=no ;;
            --version) printf '%s\n' "setup.sh $VERSION"; exit 0 ;;
            --help | -h) help; exit 0 ;;
            *) die 2 'unknown option: %s; see --help.' "$1" ;;
        esac
        shift
    done
}

only() {    # TASK
    [ "$TASK" = setup ] || [ "$TASK" = "$1" ] ||
        die 2 'Please choose one of --%s and --%s.' "$TASK" "$1"
    TASK=$1
}

option_with_value() {
    case $2 in
        '' | *"
"*) die 2 '%s needs a value; see --help.' "$1" ;;
    esac
    case $1 in
        --server) SERVER=$2 ;;
        --logon) LOGON=$2 ;;
        --logon-file) LOGON=$(logon_in "$2") || exit 2 ;;
        --lang) UI_LANG=$2 ;;
        --share) SHARES="$SHARES$(without_slash "$2")
" ;;
        --restore) RESTORE=$2 ;;
        --restore-dir) RESTORE_DIR="$RESTORE_DIR$(without_slash "$2")
" ;;
        --register-key) REGISTER_KEY_FILE=$2 ;;
        --known-hosts) KNOWN_HOSTS_FILE=$2 ;;
        --wrapper) WRAPPER_FILE=$2 ;;
        --from) FROM=$2 ;;
        --port) PORT=$2 ;;
        --log) LOG=$2 ;;
    esac
}

# As Tab completes the name of a folder.
without_slash() {    # FOLDER
    folder=$1
    while [ "$folder" != / ] && [ "$folder" != "${folder%/}" ]; do
        folder=${folder%/}
    done
    printf '%s' "$folder"
}

# Everything that ends in an ssh command line or in a file of root's is checked before anything else is done.
check_options() {
    open_log
    case $UI_LANG in
        fr | en) ;;
        *) UI_LANG=en; die 2 '--lang is fr or en.' ;;
    esac
    SERVER=${SERVER:-$(server_of_receipt)}
    case $SERVER in
        '') [ "$TASK" = doctor ] || [ "$TASK" = uninstall ] ||
            die 2 'which server? Please give --server NAME.' ;;
        -* | *[!A-Za-z0-9.:-]*) die 2 '%s is no name of a server.' "$SERVER" ;;
    esac
    if [ -n "$LOGON" ] && ! possible_logon "$LOGON"; then
        die 2 '%s cannot be a logon.' "$LOGON"
    fi
    case $RESTORE in
        '' | off | dirs | full) ;;
        *) die 2 '--restore is off, dirs or full.' ;;
    esac
    PORT=${PORT:-$(remembered port)}
    PORT=${PORT:-22}
    case $PORT in
        *[!0-9]* | ??????*) die 2 '%s is no port.' "$PORT" ;;
    esac
    FROM=${FROM:-$(remembered from)}
    [ "$FROM" != server ] || FROM=''
    case $FROM in
        '' | none) ;;
        *) address_list "$FROM" || die 2 '--from is a list of addresses: %s' "$FROM" ;;
    esac
    check_folders
    check_task
}

check_task() {
    case $TASK in
        verify | repair)
            registered_as >/dev/null ||
                die 2 'This computer is not registered with %s; please start the setup without --%s.' \
                    "$SERVER" "$TASK" ;;
    esac
    if [ "$UNATTENDED" = yes ]; then
        YES=yes
        ! will_ask_logon || die 2 '--unattended needs --logon.'
    fi
}

will_ask_logon() {
    [ "$TASK" = setup ] && [ -z "$LOGON" ] && [ "$DRY_RUN" = no ] && ! registered_as >/dev/null
}

check_folders() {
    printf '%s' "$SHARES$RESTORE_DIR" | while IFS= read -r folder; do
        plain_folder "$folder"
    done || exit 2
}

plain_folder() {
    case $1/ in
        *[[:cntrl:]]*)
            die 2 'There is a tab or another control character in the name of the folder %s.' \
                "$(printf '%s' "$1" | tr '[:cntrl:]' '?')" ;;
        *//* | */../* | */./*) ;;
        /*) if [ -d "$1" ]; then return 0; fi ;;
    esac
    [ "$1" != / ] || return 0
    die 2 '%s is not a folder with an absolute name.' "$1"
}

logon_in() {    # FILE
    if ! { IFS= read -r line || [ -n "$line" ]; } <"$1"; then
        die 2 'There is no logon in %s.' "$1"
    fi
    printf '%s' "$line" | tr -d '\r' | sed "s/^$(printf '\357\273\277')//"     # as Windows writes a file
}

# As the server tests it, before the directory is asked.
possible_logon() {
    case $1 in
        '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
    [ "${#1}" -le 64 ]
}

# Opened once, and only where nobody else can put a link in its place.
open_log() {
    [ -n "$LOG" ] || return 0
    case $LOG in
        */*) folder=${LOG%/*}/ ;;
        *) folder=. ;;
    esac
    [ -d "$folder" ] ||
        die 2 '%s is not a folder with an absolute name.' "$folder"
    folder=$(cd -P -- "$folder" && pwd -P)
    LOG=${folder%/}/${LOG##*/}
    if [ -L "$LOG" ] || { [ -e "$LOG" ] && [ ! -f "$LOG" ]; }; then
        die 2 '%s is not a plain file.' "$LOG"
    fi
    weak=$(weak_folder "$folder")
    if [ -n "$weak" ] && [ "$weak" = "$folder" ] && [ -z "$(weak_folder "${folder%/*}")" ] && is_a_services "$folder"; then
        open_new_log
    else
        if [ -z "$weak" ] && [ -e "$LOG" ] && ! kept_from_others "$LOG"; then
            weak=$LOG
        fi
        [ -z "$weak" ] || no_place_for_log "$weak"
        exec 3>>"$LOG"
    fi
    LOGGING=yes
}

no_place_for_log() {    # PATH
    die 2 '%s can be changed by others than root: no place for a log.' "$1"
}

# Whether FOLDER is root's, and beside root a group may write there that is a service's and has no person in it:
# Ubuntu's /var/log belongs to root:syslog.
is_a_services() {    # FOLDER
    # shellcheck disable=SC2012  # its columns are POSIX's, stat's are not
    gid=$(ls -ldn -- "$1/." | awk '$3 == "0" && substr($1, 9, 1) != "w" { print $4 }')
    [ -n "$gid" ] && [ "$gid" -lt "$(first_of_people GID_MIN)" ] && people=$(getent passwd) || return 1
    printf '%s\n' "$people" |
        G=$gid M=$(getent group "$gid" | cut -d: -f4) FIRST=$(first_of_people UID_MIN) awk -F: '
            $4 == ENVIRON["G"] && $3 >= ENVIRON["FIRST"] + 0 { person = 1 }
            $3 < ENVIRON["FIRST"] + 0 { service[$1] = 1 }
            END {
                count = split(ENVIRON["M"], member, ",")
                for (i = 1; i <= count; i++) if (!(member[i] in service)) person = 1
                exit person
            }'
}

# That service could put a link where we are about to write, at any moment. So the log is always a new file: what is
# there becomes FILE.1 (rename follows no link), and noclobber opens with O_EXCL (nor does that). Once it is open it is
# ours, wherever its name may go; a pipe or a device that was slipped in meanwhile is shown by the descriptor.
open_new_log() {
    if [ -e "$LOG" ]; then
        mv -fT -- "$LOG" "$LOG.1" || no_place_for_log "$LOG"
    fi
    set -C
    exec 3>"$LOG"
    set +C
    [ -f /dev/fd/3 ] || no_place_for_log "$LOG"
}

# Before anything is said.
asked_language() {    # OPTION...
    while [ $# -gt 0 ]; do
        case $1 in
            --lang) word=${2:-} ;;
            --lang=*) word=${1#*=} ;;
            *) word='' ;;
        esac
        case $word in
            fr | en) UI_LANG=$word ;;
        esac
        shift
    done
}

choose_language() {
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
        fr*) UI_LANG=fr ;;
        *) UI_LANG=en ;;
    esac
}

choose_colour() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "$COLOUR" = yes ] && [ "${TERM:-dumb}" != dumb ]; then
        BOLD=$(printf '\033[1m')
        PLAIN=$(printf '\033[0m')
    fi
}
