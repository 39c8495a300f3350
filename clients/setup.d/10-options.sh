# The options: read them, check each value, open the log.

options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --server | --logon | --logon-file | --lang | --share | --restore | --restore-dir | --register-key | \
                --known-hosts | --wrapper | --from | --port | --log)
                option_with_value "$1" "${2-}"
                shift ;;
            --*=*) option_with_value "${1%%=*}" "${1#*=}" ;;
            --verify | --doctor | --repair | --uninstall) choose_task "${1#--}" ;;
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
            *) die 2 'Unknown option: %s; see --help.' "$1" ;;
        esac
        shift
    done
}

choose_task() {    # TASK
    [ "$TASK" = setup ] || [ "$TASK" = "$1" ] ||
        die 2 'Please give only one of --%s and --%s.' "$TASK" "$1"
    TASK=$1
}

option_with_value() {
    case $2 in
        '' | *"
"*) die 2 '%s needs a value; see --help.' "$1" ;;
    esac
    case $1 in
        --server) SERVER=$2 ;;
        --logon)
            LOGON=$(without_blanks "$2")
            [ -n "$LOGON" ] || die 2 '%s needs a value; see --help.' "$1" ;;
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
        *) die 2 'Unknown option: %s; see --help.' "$1" ;;
    esac
}

# Tab completes the name of a folder with a slash.
without_slash() {    # FOLDER
    folder=$1
    while [ "$folder" != / ] && [ "$folder" != "${folder%/}" ]; do
        folder=${folder%/}
    done
    printf '%s' "$folder"
}

# Every value that ends in an ssh command line or in a file of root's is checked first.
check_options() {
    open_log
    case $UI_LANG in
        fr | en) ;;
        *) UI_LANG=en; die 2 '--lang must be fr or en.' ;;
    esac
    SERVER=${SERVER:-$(server_of_receipt)}
    case $SERVER in
        '') [ "$TASK" = doctor ] || [ "$TASK" = uninstall ] || die 2 'The name of the server is missing; please give --server NAME.' ;;
        -* | *[!A-Za-z0-9.:-]*) die 2 '%s is not the name of a server.' "$SERVER" ;;
    esac
    if [ -n "$LOGON" ] && ! possible_logon "$LOGON"; then
        explain_logon "$LOGON"
        exit 2
    fi
    case $RESTORE in
        '' | off | dirs | owner | full) ;;
        *) die 2 '--restore must be off, dirs, owner or full.' ;;
    esac
    PORT=${PORT:-$(receipt_get port)}
    PORT=${PORT:-22}
    case $PORT in
        *[!0-9]* | ??????*) die 2 '%s is not a port.' "$PORT" ;;
    esac
    FROM=${FROM:-$(receipt_get from)}
    [ "$FROM" != server ] || FROM=''
    case $FROM in
        '' | none) ;;
        *)
            # An earlier setup took any network.
            address_list "$FROM" || [ "$TASK" = doctor ] || [ "$TASK" = uninstall ] ||
                die 2 '--from must be a list of addresses, or of networks not wider than /8 (IPv6: /32), not %s.' "$FROM" ;;
    esac
    check_folders
    check_task
}

check_task() {
    case $TASK in
        verify | repair)
            registered_as >/dev/null ||
                die 2 'This computer is not registered with %s; please start the setup without --%s.' "$SERVER" "$TASK" ;;
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
        check_folder "$folder"
    done || exit 2
}

check_folder() {
    case $1/ in
        *[[:cntrl:]]*)
            die 2 'The name of the folder %s contains a tab or another control character.' \
                "$(printf '%s' "$1" | tr '[:cntrl:]' '?')" ;;
        *//* | */../* | */./*) ;;
        /*) if [ -d "$1" ]; then return 0; fi ;;
    esac
    [ "$1" != / ] || return 0
    die 2 '%s is not a folder with an absolute path.' "$1"
}

logon_in() {    # FILE
    line=''
    if ! { { IFS= read -r line || [ -n "$line" ]; } <"$1"; } 2>/dev/null || ! without_blanks "$line" | grep .; then
        die 2 'There is no logon in %s.' "$1"
    fi
}

# Print TEXT without the blanks around it: no-break and invisible ones too, as a copied text has them, and the byte order
# mark and the carriage return of a file from Windows.
without_blanks() {    # TEXT
    printf '%s\n' "$1" | LC_ALL=C awk '
        BEGIN {
            blank = "([ \t\r\v\f]|\302\240|\342\200[\200-\217\250-\257]|\342\201[\237\240]|\343\200\200|\357\273\277)+"
        }
        { sub("^" blank, ""); sub(blank "$", ""); printf "%s", $0 }'
}

# Say what is wrong with an impossible logon.
explain_logon() {    # LOGON
    case $1 in
        *@*) warn '%s: please give the logon without the @ and what follows it.' "$1" ;;
        *\\*) warn '%s: please give the logon without the domain and the backslash.' "$1" ;;
        *) warn '%s is not a possible logon: a logon consists of letters, digits, dots, hyphens and underscores.' "$1" ;;
    esac
}

# The server tests a logon in the same way.
possible_logon() {
    case $1 in
        '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
    [ "${#1}" -le 64 ]
}

# The log is opened once, and only where no other user can put a link in its place.
open_log() {
    [ -n "$LOG" ] || return 0
    case $LOG in
        */*) folder=${LOG%/*}/ ;;
        *) folder=. ;;
    esac
    [ -d "$folder" ] || die 2 '%s is not a folder with an absolute path.' "$folder"
    folder=$(cd -P -- "$folder" && pwd -P)
    LOG=${folder%/}/${LOG##*/}
    if [ -L "$LOG" ] || { [ -e "$LOG" ] && [ ! -f "$LOG" ]; }; then
        die 2 '%s is not a regular file.' "$LOG"
    fi
    unsafe=$(unsafe_folder "$folder")
    if [ -z "$unsafe" ]; then
        [ ! -e "$LOG" ] || only_root_writes "$LOG" || refuse_log "$LOG"
        exec 3>>"$LOG"
    elif [ "$unsafe" = "$folder" ] && [ -z "$(unsafe_folder "${folder%/*}")" ] && only_a_service_writes "$folder"; then
        open_new_log
    else
        refuse_log "$unsafe"
    fi
    LOGGING=yes
}

refuse_log() {    # PATH
    die 2 'Users other than root can change %s; please choose another place for the log.' "$1"
}

# Whether FOLDER is root's, and only a group of a service, with no person in it, may write there too: Ubuntu's /var/log
# belongs to root:syslog.
only_a_service_writes() {    # FOLDER
    # shellcheck disable=SC2012  # POSIX defines the columns of ls, not those of stat
    gid=$(ls -ldn -- "$1/." | awk '$3 == "0" && substr($1, 9, 1) != "w" { print $4 }')
    [ -n "$gid" ] && [ "$gid" -lt "$(os first_person_id GID_MIN)" ] && people=$(getent passwd) || return 1
    printf '%s\n' "$people" |
        G=$gid M=$(getent group "$gid" | cut -d: -f4) FIRST=$(os first_person_id UID_MIN) awk -F: '
            $4 == ENVIRON["G"] && $3 >= ENVIRON["FIRST"] + 0 { person = 1 }
            $3 < ENVIRON["FIRST"] + 0 { service[$1] = 1 }
            END {
                count = split(ENVIRON["M"], member, ",")
                for (i = 1; i <= count; i++) if (!(member[i] in service)) person = 1
                exit person
            }'
}

# That service could put a link there at any moment, so the log is always a new file. An older one becomes FILE.1 (rename
# follows no link); noclobber opens with O_EXCL, which follows none either. A pipe or a device that was put there
# meanwhile shows at the descriptor.
open_new_log() {
    if [ -e "$LOG" ]; then
        mv -fT -- "$LOG" "$LOG.1" || refuse_log "$LOG"
    fi
    set -C
    exec 3>"$LOG"
    set +C
    [ -f /dev/fd/3 ] || refuse_log "$LOG"
}

# The first message may be an error in an option that stands before --lang.
language_option() {    # OPTION...
    case " $* " in
        *' --lang fr '* | *' --lang=fr '*) UI_LANG=fr ;;
        *' --lang en '* | *' --lang=en '*) UI_LANG=en ;;
    esac
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
