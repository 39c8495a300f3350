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
sudo sh setup.sh [OPTION]...

  --server NAME         the backup server
  --logon LOGON         the owner of this computer (otherwise asked for)
  --logon-file FILE     the same, from the first line of FILE
  --verify              only have the server test its connection to this computer
  --doctor              only look for problems; changes nothing
  --repair              repair what is wrong
  --uninstall           undo the changes of the setup; with --keep-user keep the account
  --unattended          ask nothing; needs a logon, and accepts the reply of the server
  --yes                 ask nothing but the logon, if it was not given
  --dry-run             show the changes, and make none
  --lang fr|en          language of the messages (otherwise that of the session)
  --share DIR           a folder that the server may read; may be repeated (otherwise /home; /Users on a Mac).
                        The web page of the server sets which of them it backs up
  --restore off|dirs|owner|full   where the server may restore files: nowhere; below --restore-dir (the default);
                        everywhere below --share, each file as the owner of its folder; there, as root
  --restore-dir DIR     a folder for restored files; may be repeated (otherwise /var/lib/bckpciuem-restore, created)
  --register-key FILE   the key that registers (otherwise the one inside setup.sh)
  --known-hosts FILE    the ssh host keys of the server (otherwise those inside setup.sh)
  --wrapper FILE        rsyncsend.sh (otherwise the one inside setup.sh, or beside it)
  --from LIST           addresses that the server may connect from; "server": those that it names (the default)
  --no-from             the server may connect from any address
  --port PORT           ssh port of the server (otherwise 22)
  --no-sshd             do not start or enable sshd
  --no-firewall         do not change the firewall
  --no-verify           do not have the server test its connection
  --force               register again even if this computer is registered
  --log FILE            also write the messages to FILE
  --no-color            no bold text (as with the variable NO_COLOR)
  --version, --help

Exit status:
  0    done, or nothing to do
  1    failed, or you did not agree; or the doctor found a problem
  2    wrong options, a damaged register-key, or no terminal for a question
  4    the server refuses
  5    the server cannot be reached
  6    the host key of the server is not the known one
  7    something is left to do, for you or the administrator: the lines with !
  8    registered, but the server could not connect to this computer yet
  9    registered, but macOS hides folders from the server: Full Disk Access
  77   this system is not supported
  130, 131, 141, 143   interrupted
END
}

help_in_french() {
    cat <<'END'
sudo sh setup.sh [OPTION]...

  --server NOM          le serveur de sauvegarde
  --logon IDENTIFIANT   à qui est cet ordinateur (demandé sinon)
  --logon-file FICHIER  de même, pris à la première ligne de FICHIER
  --verify              seulement faire essayer au serveur sa connexion à cet ordinateur
  --doctor              seulement chercher les problèmes ; ne change rien
  --repair              réparer ce qui ne va pas
  --uninstall           annuler les changements de ce programme ; avec --keep-user, garder le compte
  --unattended          ne rien demander ; exige un identifiant, et accepte la réponse du serveur
  --yes                 ne demander que l’identifiant, s’il n’a pas été donné
  --dry-run             montrer les changements, et n’en faire aucun
  --lang fr|en          langue des messages (sinon celle de la session)
  --share DOSSIER       un dossier que le serveur peut lire ; répétable (sinon /home ; /Users sur un Mac).
                        La page web du serveur dit lesquels il sauvegarde
  --restore off|dirs|owner|full   où le serveur peut restaurer des fichiers : nulle part ; sous --restore-dir (sinon) ;
                        partout sous --share, chaque fichier en tant que propriétaire de son dossier ; ou en tant que root
  --restore-dir DOSSIER un dossier pour les fichiers restaurés ; répétable (sinon /var/lib/bckpciuem-restore, créé)
  --register-key FICHIER  la clef d’enregistrement (sinon celle contenue dans setup.sh)
  --known-hosts FICHIER les clefs d’hôte ssh du serveur (sinon celles contenues dans setup.sh)
  --wrapper FICHIER     rsyncsend.sh (sinon celui contenu dans setup.sh, ou placé à côté)
  --from LISTE          les adresses d’où le serveur peut se connecter ; « server » : celles qu’il indique (par défaut)
  --no-from             le serveur peut se connecter de n’importe quelle adresse
  --port PORT           port ssh du serveur (sinon 22)
  --no-sshd             ne pas démarrer ni activer sshd
  --no-firewall         ne pas modifier le pare-feu
  --no-verify           ne pas faire essayer au serveur sa connexion
  --force               enregistrer à nouveau, même si cet ordinateur l’est déjà
  --log FICHIER         écrire aussi les messages dans FICHIER
  --no-color            pas de caractères gras (comme avec la variable NO_COLOR)
  --version, --help

Code de retour :
  0    c’est fait, ou il n’y avait rien à faire
  1    échec, ou vous n’avez pas accepté ; ou --doctor a trouvé un problème
  2    options fausses, clef d’enregistrement abîmée, ou pas de terminal pour une question
  4    le serveur refuse
  5    le serveur est injoignable
  6    la clef d’hôte du serveur n’est pas celle que nous connaissons
  7    il reste quelque chose à faire, pour vous ou l’administrateur : les lignes marquées d’un !
  8    enregistré, mais le serveur n’a pas encore pu se connecter à cet ordinateur
  9    enregistré, mais macOS cache des dossiers au serveur : accès complet au disque
  77   ce système n’est pas pris en charge
  130, 131, 141, 143   interrompu
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

# ---------------------------------------------------------------- 10-options.sh

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

# ---------------------------------------------------------------- 11-messages.sh

# Messages and questions. The English text is in the call, as a printf format; messages.fr has its French.

say() {    # ENGLISH [VALUE]...
    translate "$@"
    show
}

# A line below the heading of a step.
note() {
    translate "$@"
    TEXT="  $TEXT"
    show
}

show() {
    printf '%s\n' "$TEXT"
    keep_in_log
    SAID=yes
}

warn() {
    translate "$@"
    show_warning
}

# A warning below the heading of a step.
caution() {
    translate "$@"
    TEXT="  $TEXT"
    show_warning
}

# What only a person can change; the exit status reports it too.
todo() {
    LEFT_TO_DO=yes
    mark "$@"
}

# The same, where --repair corrects it.
to_repair() {
    REPAIRABLE=yes
    todo "$@"
}

# What could not be tested is neither right nor wrong.
doubt() {
    IN_DOUBT=yes
    untested "$@"
}

# The same, where only the server can test it.
untested() {
    UNTESTED=yes
    translate "$@"
    TEXT="  ? $TEXT"
    show_warning
    SAID=yes
}

mark() {
    translate "$@"
    TEXT="  ! $TEXT"
    show_warning
    SAID=yes
}

show_warning() {
    printf '%s\n' "$TEXT" >&2
    keep_in_log
}

die() {    # STATUS ENGLISH [VALUE]...
    status=$1
    shift
    warn "$@"
    exit "$status"
}

heading() {
    translate "$@"
    keep_in_log
    printf '%s%s%s\n' "$BOLD" "$TEXT" "$PLAIN"
}

keep_in_log() {
    if [ "$LOGGING" = yes ]; then
        printf '%s\n' "$TEXT" >&3
    fi
}

step() {    # FUNCTION ENGLISH [VALUE]...
    action=$1
    shift
    before=$CHANGES
    SAID=no
    heading "$@"
    "$action"
    if [ "$CHANGES" -eq "$before" ] && [ "$SAID" = no ]; then
        note 'already in place'
    fi
}

# Show the text once for each folder in WORK/folders.
each_folder() {    # note|mark|todo|caution ENGLISH
    while IFS= read -r folder; do
        "$1" "$2" "$folder"
    done <"$WORK/folders"
}

can_ask() {
    [ "$UNATTENDED" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null
}

no_terminal() {
    die 2 'There is no terminal for questions; please give --logon, and --yes or --unattended.'
}

# Questions go to the terminal, whatever standard input is.
ask() {    # ENGLISH [VALUE]...
    translate "$@"
    can_ask || no_terminal
    printf '%s ' "$TEXT" >/dev/tty
    IFS= read -r ANSWER </dev/tty || die 1 'No answer.'
}

yes_or_no() {    # ENGLISH [VALUE]...
    while :; do
        ask "$@"
        case $ANSWER in
            [yYoO] | [yY][eE][sS] | [oO][uU][iI]) return 0 ;;
            [nN] | [nN][oO] | [nN][oO][nN]) return 1 ;;
        esac
    done
}

# Replace all that is not printable ASCII, line ends excepted: text of the server goes to a terminal. ssh ends its own
# lines with a carriage return.
printable() {
    tr -d '\r' | tr '\000-\011\013-\037\177-\377' '?'
}

# The server writes a byte outside ASCII as \xHH. Show the letters that have two such bytes in UTF-8 (Latin, Greek,
# Cyrillic, up to U+05FF); everything else stays \xHH. None of these letters controls the terminal or formats the text.
readable() {    # TEXT
    printf '%b' "$(printf '%s\n' "$1" | printable | awk '
        function hex(digit) { return index("0123456789abcdef", tolower(digit)) - 1 }
        function octal(escape) { return sprintf("\\0%o", 16 * hex(substr(escape, 3, 1)) + hex(substr(escape, 4, 1))) }
        function literal(text) { gsub(/\\/, "\\0134", text); return text }
        {
            out = ""
            while (match($0, /\\x([cC][3-9a-fA-F]|[dD][0-7])\\x[89abAB][0-9a-fA-F]/)) {
                out = out literal(substr($0, 1, RSTART - 1)) octal(substr($0, RSTART, 4)) octal(substr($0, RSTART + 4, 4))
                $0 = substr($0, RSTART + RLENGTH)
            }
            print out literal($0)
        }')"
}

# Set TEXT to the text in the language of the person, with the values in it.
translate() {    # ENGLISH [VALUE]...
    FORMAT=$1
    [ "$UI_LANG" != fr ] || french "$1"
    shift
    # shellcheck disable=SC2059  # the formats are ours, the values come after
    TEXT=$(printf -- "$FORMAT" "$@")
}

# Set FORMAT to the French of an English text.
french() {    # ENGLISH
    case $1 in
        '%s needs a value; see --help.') FORMAT='%s demande une valeur ; voyez --help.' ;;
        'Unknown option: %s; see --help.') FORMAT='Option inconnue : %s ; voyez --help.' ;;
        'Please give only one of --%s and --%s.') FORMAT='Donnez soit --%s, soit --%s.' ;;
        '--lang must be fr or en.') FORMAT='--lang doit valoir fr ou en.' ;;
        'The name of the server is missing; please give --server NAME.') FORMAT='Le nom du serveur manque ; donnez --server NOM.' ;;
        '%s is not the name of a server.') FORMAT='%s n’est pas un nom de serveur.' ;;
        '%s: please give the logon without the @ and what follows it.') FORMAT='%s : donnez l’identifiant sans le @ ni ce qui le suit.' ;;
        '%s: please give the logon without the domain and the backslash.') FORMAT='%s : donnez l’identifiant sans le domaine ni la barre oblique inverse.' ;;
        '%s is not a possible logon: a logon consists of letters, digits, dots, hyphens and underscores.') FORMAT='%s n’est pas un identifiant possible : il est formé de lettres, de chiffres, de points, de tirets et de tirets bas.' ;;
        '--restore must be off, dirs, owner or full.') FORMAT='--restore doit valoir off, dirs, owner ou full.' ;;
        '%s is not a port.') FORMAT='%s n’est pas un port.' ;;
        '--from must be a list of addresses, or of networks not wider than /8 (IPv6: /32), not %s.') FORMAT='--from doit être une liste d’adresses, ou de réseaux pas plus larges que /8 (IPv6 : /32), et non %s.' ;;
        'This computer is not registered with %s; please start the setup without --%s.') FORMAT='Cet ordinateur n’est pas enregistré auprès de %s ; lancez ce programme sans --%s.' ;;
        '--unattended needs --logon.') FORMAT='--unattended demande --logon.' ;;
        'The name of the folder %s contains a tab or another control character.') FORMAT='Le nom du dossier %s contient une tabulation ou un autre caractère de contrôle.' ;;
        '%s is not a folder with an absolute path.') FORMAT='%s n’est pas un dossier au chemin absolu.' ;;
        'There is no logon in %s.') FORMAT='Il n’y a pas d’identifiant dans %s.' ;;
        '%s is not a regular file.') FORMAT='%s n’est pas un fichier ordinaire.' ;;
        'Users other than root can change %s; please choose another place for the log.') FORMAT='D’autres utilisateurs que root peuvent modifier %s ; choisissez un autre endroit pour le journal.' ;;
        'already in place') FORMAT='déjà en place' ;;
        'There is no terminal for questions; please give --logon, and --yes or --unattended.') FORMAT='Il n’y a pas de terminal pour poser des questions ; donnez --logon, et --yes ou --unattended.' ;;
        'No answer.') FORMAT='Pas de réponse.' ;;
        '%s is not a regular file; please move it away.') FORMAT='%s n’est pas un fichier ordinaire ; déplacez-le.' ;;
        'writing %s') FORMAT='écriture de %s' ;;
        'The file %s already exists, and this setup did not make it; see above. Please move it away.') FORMAT='Le fichier %s existe déjà, et ce programme ne l’a pas fait ; voyez ci-dessus. Déplacez-le.' ;;
        '%s is not a folder; please move it away.') FORMAT='%s n’est pas un dossier ; déplacez-le.' ;;
        'creating the folder %s') FORMAT='création du dossier %s' ;;
        'setting the permissions of %s') FORMAT='réglage des droits de %s' ;;
        '%s cannot be written. Is the disk full?') FORMAT='Impossible d’écrire %s. Le disque est-il plein ?' ;;
        'What was done so far stays. To go on: sudo sh setup.sh. To undo it: sudo sh setup.sh --uninstall') FORMAT='Ce qui a été fait reste en place. Pour continuer : sudo sh setup.sh. Pour l’annuler : sudo sh setup.sh --uninstall' ;;
        'Another setup is running on this computer (process %s); please wait until it has ended.') FORMAT='Une autre exécution de ce programme est en cours (processus %s) ; attendez qu’elle soit finie.' ;;
        'Another setup has just started on this computer; please wait until it has ended.') FORMAT='Une autre exécution de ce programme vient de commencer ; attendez qu’elle soit finie.' ;;
        '%s is a link; please move it away.') FORMAT='%s est un lien ; déplacez-le.' ;;
        'removing what an interrupted run left behind') FORMAT='suppression de ce qu’une exécution interrompue a laissé' ;;
        'The register-key is missing; please give --register-key FILE.') FORMAT='La clef d’enregistrement manque ; donnez --register-key FICHIER.' ;;
        'The host key of the server is missing; please give --known-hosts FILE.') FORMAT='La clef d’hôte du serveur manque ; donnez --known-hosts FICHIER.' ;;
        '%s is empty.') FORMAT='%s est vide.' ;;
        'The register-key (%s) is the public half of a key; please give the private one.') FORMAT='La clef d’enregistrement (%s) est la moitié publique d’une clef ; donnez la moitié privée.' ;;
        'The register-key (%s) has the form of PuTTY; please get it in the form of OpenSSH.') FORMAT='La clef d’enregistrement (%s) est au format de PuTTY ; demandez-la au format d’OpenSSH.' ;;
        'The register-key (%s) is locked with a passphrase; please get a new copy of it from the backup administrator.') FORMAT='La clef d’enregistrement (%s) est protégée par une phrase de passe ; demandez-en une nouvelle copie à l’administrateur des sauvegardes.' ;;
        'The register-key (%s) is damaged or not a key; please get a new copy of it from the backup administrator.') FORMAT='La clef d’enregistrement (%s) est abîmée ou n’est pas une clef ; demandez-en une nouvelle copie à l’administrateur des sauvegardes.' ;;
        'rsyncsend.sh is missing; please give --wrapper FILE.') FORMAT='rsyncsend.sh manque ; donnez --wrapper FICHIER.' ;;
        '%s cannot be read.') FORMAT='%s est illisible.' ;;
        'Other users can change %s or its folder; please give --wrapper FILE.') FORMAT='D’autres utilisateurs peuvent modifier %s ou son dossier ; donnez --wrapper FICHIER.' ;;
        'The known hosts file has no line for %s.') FORMAT='Le fichier des clefs d’hôtes n’a pas de ligne pour %s.' ;;
        'The host key of %s is not the known one: this may be another server. Nothing was sent. Please tell your administrator.') FORMAT='La clef d’hôte de %s n’est pas celle que nous connaissons : c’est peut-être un autre serveur. Rien n’a été envoyé. Prévenez votre administrateur.' ;;
        '%s no longer accepts the key of this setup; please get a new copy of the setup.') FORMAT='%s n’accepte plus la clef de ce programme ; demandez-en une copie récente.' ;;
        '%s closes the connection before the login: it has too many connections, or has blocked the address of this computer for a while. Please try again in some minutes.') FORMAT='%s ferme la connexion avant l’ouverture de session : il a trop de connexions, ou bloque l’adresse de cet ordinateur pour un moment. Recommencez dans quelques minutes.' ;;
        '%s cannot be reached. Is this computer on the network?') FORMAT='%s est injoignable. Cet ordinateur est-il connecté au réseau ?' ;;
        '%s did not answer within %s seconds.') FORMAT='%s n’a pas répondu en %s secondes.' ;;
        'The reply of the server is not understood (%s). Nothing was installed from it.') FORMAT='La réponse du serveur est incompréhensible (%s). Rien n’en a été installé.' ;;
        'The server replied:') FORMAT='Le serveur a répondu :' ;;
        'There is no such logon in the directory. Is it spelled correctly?') FORMAT='Cet identifiant n’existe pas dans l’annuaire. Est-il bien orthographié ?' ;;
        'The network has no name of the institution for this computer. Connect it to the campus network, by cable if you can, and try again.') FORMAT='Le réseau n’a pas de nom de l’établissement pour cet ordinateur. Connectez-le au réseau du campus, par câble si possible, et recommencez.' ;;
        'This computer is registered for another person. Only the backup administrator can change that.') FORMAT='Cet ordinateur est enregistré au nom de quelqu’un d’autre. Seul l’administrateur des sauvegardes peut changer cela.' ;;
        'The server knows another computer under this name. If this computer was reinstalled, please tell the backup administrator.') FORMAT='Le serveur connaît un autre ordinateur sous ce nom. Si cet ordinateur a été réinstallé, prévenez l’administrateur des sauvegardes.' ;;
        'The server does not know this computer any more. Please start the setup with --force.') FORMAT='Le serveur ne connaît plus cet ordinateur. Relancez ce programme avec --force.' ;;
        'This site does not back up this computer. The backup administrator can tell you why.') FORMAT='Ce site ne sauvegarde pas cet ordinateur. L’administrateur des sauvegardes vous dira pourquoi.' ;;
        'The server cannot connect to this computer. Is a firewall in the way?') FORMAT='Le serveur ne peut pas se connecter à cet ordinateur. Un pare-feu l’en empêche-t-il ?' ;;
        'the server is busy; the next try is in %s seconds') FORMAT='le serveur est occupé ; prochain essai dans %s secondes' ;;
        'Please wait a minute, then start the setup again.') FORMAT='Attendez une minute, puis relancez ce programme.' ;;
        'The server could not check everything. Please try again in a few minutes.') FORMAT='Le serveur n’a pas pu tout vérifier. Recommencez dans quelques minutes.' ;;
        'The server does not understand this setup. Please get a new copy of the setup.') FORMAT='Le serveur ne comprend pas ce programme. Demandez-en une copie récente.' ;;
        'The server has an internal problem. Please tell the backup administrator.') FORMAT='Le serveur a un problème interne. Prévenez l’administrateur des sauvegardes.' ;;
        'The server is busy. Please try again later.') FORMAT='Le serveur est occupé. Recommencez plus tard.' ;;
        'Please show this to the backup administrator.') FORMAT='Montrez ceci à l’administrateur des sauvegardes.' ;;
        'sshd does not answer; please start it and enable it at boot.') FORMAT='sshd ne répond pas ; lancez-le et activez-le au démarrage.' ;;
        'A folder to back up cannot be read. Does it exist?') FORMAT='Un dossier à sauvegarder est illisible. Existe-t-il ?' ;;
        'This Mac lacks standard programs of macOS: %s') FORMAT='Il manque à ce Mac des programmes que tout Mac possède : %s' ;;
        'Please turn on Remote Login: System Settings, General, Sharing.') FORMAT='Activez la session à distance : Réglages Système, Général, Partage.' ;;
        'allowing %s to use Remote Login') FORMAT='autorisation de la session à distance pour %s' ;;
        'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow access. No program can allow it. Until then these folders are missing in the backups.') FORMAT='macOS cache au serveur Documents, Bureau, Mail et d’autres dossiers, même à root, tant que vous n’autorisez pas l’accès. Aucun programme ne peut l’autoriser. D’ici là, ces dossiers manquent dans les sauvegardes.' ;;
        'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.') FORMAT='Préférences Système, Sécurité et confidentialité, Confidentialité, Accès complet au disque : ajoutez /usr/libexec/sshd-keygen-wrapper.' ;;
        'System Settings, General, Sharing, the (i) of Remote Login: turn on "Allow full disk access for remote users".') FORMAT='Réglages Système, Général, Partage, le (i) de Session à distance : activez « Autoriser l’accès complet au disque pour les utilisateurs à distance ».' ;;
        'This setup does not change NixOS or a read-only system. The manual steps are in docs/client/linux.en.md; please ask the backup administrator.') FORMAT='Ce programme ne modifie ni NixOS ni un système en lecture seule. Les étapes manuelles sont dans docs/client/linux.fr.md ; demandez à l’administrateur des sauvegardes.' ;;
        'This setup needs macOS 12 or later.') FORMAT='Ce programme demande macOS 12 ou suivant.' ;;
        'This setup supports Debian, Fedora, openSUSE, Arch, their derivatives, and macOS; this system is %s.') FORMAT='Ce programme connaît Debian, Fedora, openSUSE, Arch, leurs dérivés et macOS ; ce système est %s.' ;;
        'This shell may not start programs, perhaps because sudo forbids it (noexec). Please start the setup as root without sudo: su -, then sh setup.sh') FORMAT='Ce shell n’a pas le droit de lancer des programmes, peut-être parce que sudo l’interdit (noexec). Lancez ce programme en tant que root sans sudo : su -, puis sh setup.sh' ;;
        'Please start the setup as root: sudo sh setup.sh') FORMAT='Lancez ce programme en tant que root : sudo sh setup.sh' ;;
        'installing %s') FORMAT='installation de %s' ;;
        'These packages could not be installed: %s') FORMAT='Ces paquets n’ont pas pu être installés : %s' ;;
        'sshd is new on this computer: it will accept keys only, no passwords') FORMAT='sshd est nouveau sur cet ordinateur : il n’acceptera que des clefs, pas de mots de passe' ;;
        'creating the account %s') FORMAT='création du compte %s' ;;
        'repairing the account %s') FORMAT='réparation du compte %s' ;;
        'The account %s could not be created.') FORMAT='Le compte %s n’a pas pu être créé.' ;;
        'The account %s comes from a directory (LDAP, SSSD), not from this computer; it is not safe to use.') FORMAT='Le compte %s vient d’un annuaire (LDAP, SSSD) et non de cet ordinateur ; l’utiliser ne serait pas sûr.' ;;
        'The account %s exists, with the number %s: it is a person’s or root’s, not a system account.') FORMAT='Le compte %s existe, avec le numéro %s : c’est celui d’une personne ou de root, pas un compte système.' ;;
        'The account %s exists, with another home (%s) or group; please remove it and start again.') FORMAT='Le compte %s existe, avec un autre dossier (%s) ou groupe ; supprimez-le et recommencez.' ;;
        'The group %s comes from a directory (LDAP, SSSD), not from this computer; it is not safe to use.') FORMAT='Le groupe %s vient d’un annuaire (LDAP, SSSD) et non de cet ordinateur ; l’utiliser ne serait pas sûr.' ;;
        'The group %s exists, with the number %s: it is a person’s or root’s, not a system group.') FORMAT='Le groupe %s existe, avec le numéro %s : c’est celui d’une personne ou de root, pas un groupe système.' ;;
        'The group %s exists, and others are in it or may join it: %s. They could read what only the account may read. Please remove them from the group, or remove the group, and start again.') FORMAT='Le groupe %s existe, et d’autres en font partie ou peuvent y entrer : %s. Ils pourraient lire ce que seul le compte doit lire. Retirez-les du groupe, ou supprimez le groupe, et recommencez.' ;;
        'The server also connects from the network %s. Shall the firewall let in every computer of that network (yes/no)?') FORMAT='Le serveur se connecte aussi depuis le réseau %s. Le pare-feu doit-il laisser entrer tous les ordinateurs de ce réseau (oui/non) ?' ;;
        'The firewall stays closed for the network %s, which the server names. To open it: sudo sh setup.sh --from %s') FORMAT='Le pare-feu reste fermé pour le réseau %s, que le serveur indique. Pour l’ouvrir : sudo sh setup.sh --from %s' ;;
        'Users other than root can change %s, so the programs below it are not safe. Please run: chown root %s; chmod go-w %s') FORMAT='D’autres utilisateurs que root peuvent modifier %s ; les programmes qu’il contient ne sont pas sûrs. Faites : chown root %s; chmod go-w %s' ;;
        '--restore owner: whoever this computer is registered for can change every person’s files in the shared folders, and so can the administrators of the backup server.') FORMAT='--restore owner : la personne pour qui cet ordinateur est enregistré peut modifier les fichiers de toutes les personnes dans les dossiers partagés, et les administrateurs du serveur de sauvegarde aussi.' ;;
        '--restore full: whoever this computer is registered for can change every file in the shared folders, and so can the administrators of the backup server.') FORMAT='--restore full : la personne pour qui cet ordinateur est enregistré peut modifier tous les fichiers des dossiers partagés, et les administrateurs du serveur de sauvegarde aussi.' ;;
        'the server may read %s') FORMAT='le serveur peut lire %s' ;;
        'which of these folders are backed up is set on its web page for this computer; at first usually %s') FORMAT='les dossiers à sauvegarder se choisissent sur sa page web pour cet ordinateur ; au début, en général %s' ;;
        'it may write there too, anywhere, as root') FORMAT='il peut aussi y écrire, partout, en tant que root' ;;
        'it may write there too, each file as the owner of the folder that it goes to') FORMAT='il peut aussi y écrire, chaque fichier en tant que propriétaire du dossier où il va' ;;
        'it may put restored files into %s, where you fetch them') FORMAT='il peut déposer des fichiers restaurés dans %s, où vous les reprenez' ;;
        'it may write nowhere else, and nothing as root') FORMAT='il ne peut écrire nulle part ailleurs, et rien en tant que root' ;;
        'it may write nothing here; restored files are downloaded from its web page') FORMAT='il ne peut rien écrire ici ; les fichiers à restaurer se téléchargent sur sa page web' ;;
        'macOS shows it people’s folders only with Full Disk Access; you are asked for that at the end') FORMAT='macOS ne lui montre les dossiers des personnes qu’avec l’accès complet au disque, demandé à la fin' ;;
        'sudo does not accept the line for the backup program; the line was not installed.') FORMAT='sudo n’accepte pas la ligne du programme de sauvegarde ; la ligne n’a pas été installée.' ;;
        '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".') FORMAT='/etc/sudoers ne lit pas /etc/sudoers.d ; ajoutez-y la ligne « @includedir /etc/sudoers.d ».' ;;
        'The account %s cannot start the backup program; see above.') FORMAT='Le compte %s ne peut pas lancer le programme de sauvegarde ; voyez ci-dessus.' ;;
        '%s cannot be read and will not be backed up.') FORMAT='%s est illisible et ne sera pas sauvegardé.' ;;
        '%s does not exist: nothing can be restored to it.') FORMAT='%s n’existe pas : rien ne pourra y être restauré.' ;;
        'The account %s cannot write in %s: nothing can be restored there. Please run: chgrp %s %s; chmod g+rwx %s') FORMAT='Le compte %s ne peut pas écrire dans %s : rien ne pourra y être restauré. Faites : chgrp %s %s; chmod g+rwx %s' ;;
        'sshd does not report its settings; please check its configuration.') FORMAT='sshd ne donne pas ses réglages ; vérifiez sa configuration.' ;;
        'starting sshd') FORMAT='démarrage de sshd' ;;
        'other accounts of this computer can then log in too, by password if the settings of sshd allow that') FORMAT='d’autres comptes de cet ordinateur peuvent alors aussi se connecter, par mot de passe si les réglages de sshd le permettent' ;;
        'sshd accepts passwords from the network, although %s forbids that.') FORMAT='sshd accepte les mots de passe depuis le réseau, bien que %s l’interdise.' ;;
        'sshd does not accept keys (PubkeyAuthentication no).') FORMAT='sshd n’accepte pas de clefs (PubkeyAuthentication no).' ;;
        'sshd accepts only the users in AllowUsers; please add %s.') FORMAT='sshd n’accepte que les utilisateurs d’AllowUsers ; ajoutez %s.' ;;
        'sshd listens elsewhere (%s): the server connects to %s, port %s. Please look at Port, ListenAddress and AddressFamily in the settings of sshd, at ListenStream of ssh.socket, and at the firewall.') FORMAT='sshd écoute ailleurs (%s) : le serveur se connecte à %s, port %s. Voyez Port, ListenAddress et AddressFamily dans les réglages de sshd, ListenStream de ssh.socket, et le pare-feu.' ;;
        'sshd lets nobody start a program (MaxSessions 0).') FORMAT='sshd ne laisse personne lancer de programme (MaxSessions 0).' ;;
        'sshd refuses the connection (RefuseConnection).') FORMAT='sshd refuse la connexion (RefuseConnection).' ;;
        'sshd locks %s into a folder without the backup program (ChrootDirectory).') FORMAT='sshd enferme %s dans un dossier où le programme de sauvegarde n’est pas (ChrootDirectory).' ;;
        'sshd accepts no key at all, because it cannot read %s (RevokedKeys).') FORMAT='sshd n’accepte aucune clef, car il ne peut pas lire %s (RevokedKeys).' ;;
        'sshd refuses the server’s key, because it is in %s (RevokedKeys).') FORMAT='sshd refuse la clef du serveur, car elle est dans %s (RevokedKeys).' ;;
        'sshd refuses %s (DenyUsers).') FORMAT='sshd refuse %s (DenyUsers).' ;;
        'sshd accepts only the groups in AllowGroups; please add %s.') FORMAT='sshd n’accepte que les groupes d’AllowGroups ; ajoutez %s.' ;;
        'sshd refuses the group %s (DenyGroups).') FORMAT='sshd refuse le groupe %s (DenyGroups).' ;;
        'sshd requires more than a key (AuthenticationMethods).') FORMAT='sshd exige plus qu’une clef (AuthenticationMethods).' ;;
        'sshd starts another command than the backup program (ForceCommand).') FORMAT='sshd lance une autre commande que le programme de sauvegarde (ForceCommand).' ;;
        '%s exists, so nobody but root can log in. Please remove it when its reason is over.') FORMAT='%s existe : personne d’autre que root ne peut se connecter. Supprimez-le quand sa raison a disparu.' ;;
        'PAM does not let the account %s log in through sshd (%s). See the account lines of /etc/pam.d/sshd and what they name, such as /etc/security/access.conf. The log has more: journalctl -t sshd -t sshd-session, or /var/log/auth.log or secure') FORMAT='PAM ne laisse pas le compte %s se connecter par sshd (%s). Voyez les lignes account de /etc/pam.d/sshd et ce qu’elles nomment, comme /etc/security/access.conf. Le journal en dit plus : journalctl -t sshd -t sshd-session, ou /var/log/auth.log ou secure' ;;
        'sshd does not accept keys of the server’s type, %s (PubkeyAcceptedAlgorithms).') FORMAT='sshd n’accepte pas les clefs du type de celle du serveur, %s (PubkeyAcceptedAlgorithms).' ;;
        'Your logon [%s]:') FORMAT='Votre identifiant [%s] :' ;;
        'already registered for %s') FORMAT='déjà enregistré pour %s' ;;
        'registering this computer with %s, then installing the key of that server') FORMAT='demande d’enregistrement à %s, puis installation de la clef de ce serveur' ;;
        'the server must have this host key, from %s: %s') FORMAT='le serveur doit avoir cette clef d’hôte, tirée de %s : %s' ;;
        'the administrator has stopped the backups of this computer') FORMAT='l’administrateur a arrêté les sauvegardes de cet ordinateur' ;;
        'the server now decides whether they start again') FORMAT='le serveur décide maintenant si elles reprennent' ;;
        'with its key the server can only start %s on this computer') FORMAT='avec sa clef le serveur ne peut lancer que %s sur cet ordinateur' ;;
        'computer: %s') FORMAT='ordinateur : %s' ;;
        'person: %s') FORMAT='personne : %s' ;;
        'person: %s (the server gives no name)') FORMAT='personne : %s (le serveur n’indique pas de nom)' ;;
        'This person will be able to read all backed-up files of this computer, including other people’s.') FORMAT='Cette personne pourra lire tous les fichiers sauvegardés de cet ordinateur, y compris ceux d’autres personnes.' ;;
        'Is this correct (yes/no)?') FORMAT='Est-ce exact (oui/non) ?' ;;
        'Nothing was registered.') FORMAT='Rien n’a été enregistré.' ;;
        'Please remove the line with %s from %s: users other than root can change this file or its folder.') FORMAT='Retirez la ligne avec %s de %s : d’autres utilisateurs que root peuvent modifier ce fichier ou son dossier.' ;;
        'The ssh server of this computer is dropbear, which refuses a key with a list of addresses. So it takes the server’s key from any address that the firewall lets in.') FORMAT='Le serveur ssh de cet ordinateur est dropbear, qui refuse une clef avec une liste d’adresses. Il accepte donc la clef du serveur depuis toute adresse que le pare-feu laisse passer.' ;;
        'removing the server’s key from %s') FORMAT='suppression de la clef du serveur dans %s' ;;
        'sshd reads the keys of all accounts from the same file, %s (AuthorizedKeysFile): the server’s key there would open every account. Please add .ssh/authorized_keys to AuthorizedKeysFile, and start the setup again.') FORMAT='sshd lit les clefs de tous les comptes dans un même fichier, %s (AuthorizedKeysFile) : la clef du serveur y ouvrirait tous les comptes. Ajoutez .ssh/authorized_keys à AuthorizedKeysFile, et relancez le programme.' ;;
        'sshd reads no keys for this account (AuthorizedKeysFile).') FORMAT='sshd ne lit pas de clefs pour ce compte (AuthorizedKeysFile).' ;;
        'Users other than root can change %s, and sshd reads keys below it.') FORMAT='D’autres utilisateurs que root peuvent modifier %s, où sshd lit des clefs.' ;;
        '%s also holds other keys; they were left as they are') FORMAT='%s contient aussi d’autres clefs ; elles sont restées telles quelles' ;;
        'adding the SELinux rule for the key') FORMAT='ajout de la règle SELinux pour la clef' ;;
        'setting SELinux labels') FORMAT='pose des étiquettes SELinux' ;;
        'opening the firewall for %s, port %s') FORMAT='ouverture du pare-feu pour %s, port %s' ;;
        'the server has given this computer a new key') FORMAT='le serveur a donné une nouvelle clef à cet ordinateur' ;;
        'having %s connect to this computer as a test') FORMAT='essai de connexion de %s vers cet ordinateur' ;;
        '%s now connects to this computer; this may take half a minute') FORMAT='%s se connecte maintenant à cet ordinateur ; cela peut prendre une demi-minute' ;;
        'the server logged in and could read: backups will work') FORMAT='le serveur s’est connecté et a pu lire : les sauvegardes marcheront' ;;
        'the backups of this computer had been stopped, and start again') FORMAT='les sauvegardes de cet ordinateur étaient arrêtées, et reprennent' ;;
        'the first backup starts soon') FORMAT='la première sauvegarde va commencer' ;;
        'this server does not test its connection to this computer') FORMAT='ce serveur n’essaie pas sa connexion à cet ordinateur' ;;
        '%s is a file system of its own, and is backed up too') FORMAT='%s est un système de fichiers à part, et est sauvegardé aussi' ;;
        'The home %s is not backed up, because it is on another file system. If it is on a file server, have that file server backed up. Otherwise add it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify') FORMAT='Le dossier personnel %s n’est pas sauvegardé, car il est sur un autre système de fichiers. S’il est sur un serveur de fichiers, faites sauvegarder ce serveur. Sinon, ajoutez-le sur la page web du serveur pour cet ordinateur (Edit Config, Xfer, RsyncShareName), ou demandez à l’administrateur des sauvegardes. Ensuite : sudo sh setup.sh --verify' ;;
        'The home %s is not backed up, because not even root may read it. If it is mounted by FUSE, mount it with the option allow_other. Then: sudo sh setup.sh --verify') FORMAT='Le dossier personnel %s n’est pas sauvegardé, car même root ne peut pas le lire. S’il est monté par FUSE, montez-le avec l’option allow_other. Ensuite : sudo sh setup.sh --verify' ;;
        'The server may read %s but does not back it up. Add the folder on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify') FORMAT='Le serveur peut lire %s mais ne le sauvegarde pas. Ajoutez ce dossier sur la page web du serveur pour cet ordinateur (Edit Config, Xfer, RsyncShareName), ou demandez à l’administrateur des sauvegardes. Puis : sudo sh setup.sh --verify' ;;
        'The reply of the server is not understood (%s).') FORMAT='La réponse du serveur est incompréhensible (%s).' ;;
        'The new host key, for the administrator: %s') FORMAT='La nouvelle clef d’hôte, pour l’administrateur : %s' ;;
        'No ssh server listens on this computer. Start the setup with --repair.') FORMAT='Aucun serveur ssh n’écoute sur cet ordinateur. Lancez ce programme avec --repair.' ;;
        'A firewall, on this computer or on the network, blocks port 22 for the server. Allow ssh from the server.') FORMAT='Un pare-feu, sur cet ordinateur ou sur le réseau, bloque le port 22 pour le serveur. Autorisez ssh depuis le serveur.' ;;
        'The server pings this computer before every backup, and got no answer. Allow ping (ICMP echo) in the firewall.') FORMAT='Le serveur fait un ping de cet ordinateur avant chaque sauvegarde, sans réponse. Autorisez ping (ICMP echo) dans le pare-feu.' ;;
        'The network is too slow for a backup now. Use a cable, or move closer to the Wi-Fi, and try again.') FORMAT='Le réseau est trop lent pour une sauvegarde. Utilisez un câble, ou rapprochez-vous du Wi-Fi, et recommencez.' ;;
        'The server finds no address for the name of this computer. Please tell the network administrator.') FORMAT='Le serveur ne trouve pas d’adresse au nom de cet ordinateur. Prévenez l’administrateur du réseau.' ;;
        'sshd on this computer closes the connection of the server, perhaps after too many attempts. Wait some minutes.') FORMAT='sshd sur cet ordinateur ferme la connexion du serveur, peut-être après trop d’essais. Attendez quelques minutes.' ;;
        'Another program than sshd answers on the ssh port of this computer.') FORMAT='Un autre programme que sshd répond sur le port ssh de cet ordinateur.' ;;
        'The ssh server of this computer and the backup server have no method of encryption in common. Please update this computer. If that does not help, the backup administrator can tell you more.') FORMAT='Le serveur ssh de cet ordinateur et le serveur de sauvegarde n’ont aucune méthode de chiffrement en commun. Mettez cet ordinateur à jour. Si cela ne suffit pas, l’administrateur des sauvegardes pourra vous en dire plus.' ;;
        'Another computer answers at the address of this one. Please tell the network administrator.') FORMAT='Un autre ordinateur répond à l’adresse de celui-ci. Prévenez l’administrateur du réseau.' ;;
        'The ssh server of this computer is tinysshd, which cannot limit a key to the backup program. Please install OpenSSH instead.') FORMAT='Le serveur ssh de cet ordinateur est tinysshd, qui ne sait pas limiter une clef au programme de sauvegarde. Installez OpenSSH à sa place.' ;;
        'sshd on this computer refuses the account %s. Start the setup with --doctor.') FORMAT='sshd sur cet ordinateur refuse le compte %s. Lancez ce programme avec --doctor.' ;;
        'The backup program does not start correctly. Start the setup with --repair.') FORMAT='Le programme de sauvegarde ne démarre pas correctement. Lancez ce programme avec --repair.' ;;
        'rsync does not work on this computer. Start the setup with --repair.') FORMAT='rsync ne marche pas sur cet ordinateur. Lancez ce programme avec --repair.' ;;
        'Something prints text when the server logs in, and that breaks backups. Check /etc/ssh/sshrc and the .bashrc of %s.') FORMAT='Quelque chose affiche du texte quand le serveur se connecte, et cela casse les sauvegardes. Vérifiez /etc/ssh/sshrc et le .bashrc de %s.' ;;
        'A folder to back up contains no file that the server would back up.') FORMAT='Un dossier à sauvegarder ne contient aucun fichier que le serveur sauvegarderait.' ;;
        'The folders to back up are file systems of their own, which the server leaves out. The advice of the server names what to do. Then: sudo sh setup.sh --verify') FORMAT='Les dossiers à sauvegarder sont des systèmes de fichiers à part, que le serveur laisse de côté. Le conseil du serveur dit quoi faire. Ensuite : sudo sh setup.sh --verify' ;;
        'The server is set to back up a folder that this computer does not share. Start the setup with --share for each folder to back up, including this one. Or remove it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).') FORMAT='Le serveur est réglé pour sauvegarder un dossier que cet ordinateur ne partage pas. Lancez ce programme avec --share pour chaque dossier à sauvegarder, celui-ci compris. Ou retirez-le sur la page web du serveur pour cet ordinateur (Edit Config, Xfer, RsyncShareName).' ;;
        'This computer or the network was too slow. Please try again later.') FORMAT='Cet ordinateur ou le réseau était trop lent. Recommencez plus tard.' ;;
        'The backups of this computer are disabled on the server. The backup administrator can tell you why.') FORMAT='Les sauvegardes de cet ordinateur sont désactivées sur le serveur. L’administrateur des sauvegardes vous dira pourquoi.' ;;
        'Only the backup administrator can correct the server’s settings for this computer.') FORMAT='Seul l’administrateur des sauvegardes peut corriger les réglages du serveur pour cet ordinateur.' ;;
        'Please show this to the backup administrator too.') FORMAT='Montrez aussi ceci à l’administrateur des sauvegardes.' ;;
        'On this computer everything is in place.') FORMAT='Sur cet ordinateur, tout est en place.' ;;
        'The server did not confirm the registration of this computer: see above.') FORMAT='Le serveur n’a pas confirmé l’enregistrement de cet ordinateur : voyez ci-dessus.' ;;
        'This computer is called %s now, and is registered as %s, where its backups are. To go on with them, ask the backup administrator to give the new name to %s (ClientNameAlias). To begin anew as %s, without them: sudo sh setup.sh --force') FORMAT='Cet ordinateur s’appelle maintenant %s, et il est enregistré sous le nom de %s, où sont ses sauvegardes. Pour les continuer, demandez à l’administrateur des sauvegardes de donner le nouveau nom à %s (ClientNameAlias). Pour recommencer sous le nom de %s, sans elles : sudo sh setup.sh --force' ;;
        'the administrator has stopped the backups of this computer; to have them start again: sudo sh setup.sh --verify') FORMAT='l’administrateur a arrêté les sauvegardes de cet ordinateur ; pour qu’elles reprennent : sudo sh setup.sh --verify' ;;
        'the registration on the server is missing or incomplete') FORMAT='l’enregistrement sur le serveur manque ou est incomplet' ;;
        'Of this, sudo sh setup.sh --repair corrects what it can.') FORMAT='De cela, sudo sh setup.sh --repair corrige ce qu’il peut.' ;;
        'No problem was found, but not everything could be tested: see the lines with ?') FORMAT='Aucun problème n’a été trouvé, mais tout n’a pas pu être examiné : voyez les lignes avec ?' ;;
        'No problem was found on this computer. What only a connection from the server can show, such as a firewall, is tested by: sudo sh setup.sh --verify') FORMAT='Aucun problème n’a été trouvé sur cet ordinateur. Ce que seule une connexion du serveur peut montrer, comme un pare-feu, est examiné par : sudo sh setup.sh --verify' ;;
        'The account %s has a wrong home.') FORMAT='Le compte %s n’a pas le bon dossier personnel.' ;;
        'The account %s has a wrong shell.') FORMAT='Le compte %s n’a pas le bon interpréteur de commandes.' ;;
        'not tested: whether the server can be reached, as its name or its host key is missing here') FORMAT='non examiné : si le serveur est joignable, car son nom ou sa clef d’hôte manque ici' ;;
        'This computer is not registered. To register it: sudo sh setup.sh') FORMAT='Cet ordinateur n’est pas enregistré. Pour l’enregistrer : sudo sh setup.sh' ;;
        'not tested: whether %s still knows this computer. %s') FORMAT='non examiné : si %s connaît encore cet ordinateur. %s' ;;
        'not tested: whether %s still knows this computer. Its status: %s') FORMAT='non examiné : si %s connaît encore cet ordinateur. Son statut : %s' ;;
        'not tested: whether %s still knows this computer. It replied: %s') FORMAT='non examiné : si %s connaît encore cet ordinateur. Sa réponse : %s' ;;
        '%s closes the connection: it is busy, or has blocked the address of this computer for a while') FORMAT='%s ferme la connexion : il est occupé, ou bloque l’adresse de cet ordinateur pour un moment' ;;
        '%s no longer accepts the key of this setup, so whether it still knows this computer was not tested') FORMAT='%s n’accepte plus la clef de ce programme ; s’il connaît encore cet ordinateur n’a donc pas été examiné' ;;
        'The administrator has stopped the backups of this computer. To have them start again: sudo sh setup.sh --verify') FORMAT='L’administrateur a arrêté les sauvegardes de cet ordinateur. Pour qu’elles reprennent : sudo sh setup.sh --verify' ;;
        '%s has no complete registration of this computer. To register it again: sudo sh setup.sh --force') FORMAT='%s n’a pas d’enregistrement complet de cet ordinateur. Pour l’enregistrer de nouveau : sudo sh setup.sh --force' ;;
        '%s refuses this computer, registered for %s: %s') FORMAT='%s refuse cet ordinateur, enregistré pour %s : %s' ;;
        'the server knows this computer, registered for %s') FORMAT='le serveur connaît cet ordinateur, enregistré pour %s' ;;
        'the last test by the server succeeded') FORMAT='le dernier essai du serveur a réussi' ;;
        'This computer is not set up; please start the setup without --doctor.') FORMAT='Cet ordinateur n’est pas configuré ; lancez ce programme sans --doctor.' ;;
        'What works, what is wrong (!), and what could not be tested (?)') FORMAT='Ce qui va, ce qui ne va pas (!), et ce qui n’a pas pu être examiné (?)' ;;
        'There is no account %s on this computer.') FORMAT='Le compte %s n’existe pas sur cet ordinateur.' ;;
        'The account %s has a password or is locked; sshd may refuse it.') FORMAT='Le compte %s a un mot de passe ou est verrouillé ; sshd peut le refuser.' ;;
        'The account %s or its password has expired, so sshd and sudo refuse it. To correct that: sudo sh setup.sh --repair') FORMAT='Le compte %s ou son mot de passe a expiré : sshd et sudo le refusent. Pour le corriger : sudo sh setup.sh --repair' ;;
        'The account %s or its password will expire; then sshd refuses it. To prevent that: sudo sh setup.sh --repair') FORMAT='Le compte %s ou son mot de passe expirera ; sshd le refusera alors. Pour l’éviter : sudo sh setup.sh --repair' ;;
        'Root cannot become the account %s: %s') FORMAT='root ne peut pas devenir le compte %s : %s' ;;
        'The file system of %s may not start programs (noexec).') FORMAT='Le système de fichiers de %s n’a pas le droit de lancer des programmes (noexec).' ;;
        'the account %s') FORMAT='le compte %s' ;;
        'Users other than root can change %s, and so the backup program.') FORMAT='D’autres utilisateurs que root peuvent modifier %s, et donc le programme de sauvegarde.' ;;
        'The backup program is incomplete; missing:%s') FORMAT='Le programme de sauvegarde est incomplet ; il manque :%s' ;;
        'The two copies of the backup program differ.') FORMAT='Les deux copies du programme de sauvegarde diffèrent.' ;;
        'The backup program is not the one of this setup: it is older, or was changed.') FORMAT='Le programme de sauvegarde n’est pas celui de ce programme : il est plus ancien, ou a été modifié.' ;;
        'the backup program') FORMAT='le programme de sauvegarde' ;;
        'not tested: %s, which root cannot examine') FORMAT='non examiné : %s, que root ne peut pas examiner' ;;
        'not tested: the server’s key in %s, which root cannot examine') FORMAT='non examiné : la clef du serveur dans %s, que root ne peut pas examiner' ;;
        'not tested: the backup program, which did not answer within %s seconds') FORMAT='non examiné : le programme de sauvegarde, qui n’a pas répondu en %s secondes' ;;
        'The permissions of %s cannot be read.') FORMAT='Les droits de %s sont illisibles.' ;;
        '%s has wrong permissions (%s instead of %s).') FORMAT='%s a de mauvais droits (%s au lieu de %s).' ;;
        'sudo does not let the account %s start the backup program: %s') FORMAT='sudo n’autorise pas le compte %s à lancer le programme de sauvegarde : %s' ;;
        'The backup program does not start: %s') FORMAT='Le programme de sauvegarde ne démarre pas : %s' ;;
        'The lines for sudo in %s are not those of this setup: they are older, or were changed.') FORMAT='Les lignes pour sudo dans %s ne sont pas celles de ce programme : elles sont plus anciennes, ou ont été modifiées.' ;;
        'Settings in %s come after those of this setup, so sudo prefers them: they may stop backups, or record them. Please put them where sudo reads them first, as in /etc/sudoers.d/aa-site.') FORMAT='Des réglages de %s viennent après ceux de ce programme, et sudo les préfère : ils peuvent empêcher les sauvegardes, ou les enregistrer. Mettez-les là où sudo les lit d’abord, comme dans /etc/sudoers.d/aa-site.' ;;
        'sudo starts the backup program') FORMAT='sudo lance le programme de sauvegarde' ;;
        '%s can be read') FORMAT='%s est lisible' ;;
        '%s: only the server can test whether it can be read, with --verify') FORMAT='%s : seul le serveur peut essayer de le lire, avec --verify' ;;
        '%s cannot be read. Does it exist?') FORMAT='%s est illisible. Ce dossier existe-t-il ?' ;;
        'rsync: %s') FORMAT='rsync : %s' ;;
        'rsync: %s, from Apple') FORMAT='rsync : %s, d’Apple' ;;
        'The firewall lets in %s, which is too many computers. To close it: sudo sh setup.sh --repair') FORMAT='Le pare-feu laisse entrer %s, ce qui est trop d’ordinateurs. Pour le fermer : sudo sh setup.sh --repair' ;;
        'The server’s key is accepted from %s, which is too many computers. Please run: sudo sh setup.sh --repair --from server') FORMAT='La clef du serveur est acceptée depuis %s, ce qui est trop d’ordinateurs. Faites : sudo sh setup.sh --repair --from server' ;;
        'A restore to the original folders (restore=owner) needs rsync 3.5 or later, not %s.') FORMAT='Restaurer dans les dossiers d’origine (restore=owner) exige rsync 3.5 ou plus récent, pas %s.' ;;
        'rsync works in a file system that holds only the folder that is backed up or restored') FORMAT='rsync travaille dans un système de fichiers qui ne contient que le dossier sauvegardé ou restauré' ;;
        'a sandbox keeps rsync inside the folder that is backed up or restored') FORMAT='un bac à sable retient rsync dans le dossier sauvegardé ou restauré' ;;
        'rsync keeps itself inside the folder that is backed up or restored') FORMAT='rsync se retient lui-même dans le dossier sauvegardé ou restauré' ;;
        'Nothing keeps rsync %s inside the shared folders, so no backup starts. Please update rsync to 3.5 or later; in a container, let root mount.') FORMAT='Rien ne retient rsync %s dans les dossiers partagés, donc aucune sauvegarde ne démarre. Passez à rsync 3.5 ou plus récent ; dans un conteneur, laissez root monter des systèmes de fichiers.' ;;
        'rsync %s is old (before 3.4); please install the updates of this system.') FORMAT='rsync %s est ancien (avant 3.4) ; installez les mises à jour du système.' ;;
        'sshd answers on this computer; not tested: whether it answers where the server connects, as no route to %s is known now') FORMAT='sshd répond sur cet ordinateur ; non examiné : s’il répond là où le serveur se connecte, car aucune route vers %s n’est connue en ce moment' ;;
        'not tested: whether PAM lets the account %s log in. The server tests that: sudo sh setup.sh --verify') FORMAT='non examiné : si PAM laisse le compte %s ouvrir une session. Le serveur l’examine : sudo sh setup.sh --verify' ;;
        'sshd answers at %s, port %s, to which the server connects') FORMAT='sshd répond à %s, port %s, là où le serveur se connecte' ;;
        'sshd does not answer at %s, port %s: the server cannot log in.') FORMAT='sshd ne répond pas à %s, port %s : le serveur ne peut pas ouvrir de session.' ;;
        'sshd does not answer: the server cannot log in.') FORMAT='sshd ne répond pas : le serveur ne peut pas se connecter.' ;;
        'note: after too many failed logins sshd blocks an address for a while (PerSourcePenalties), the server’s too') FORMAT='note : après trop d’échecs, sshd bloque une adresse un moment (PerSourcePenalties), celle du serveur aussi' ;;
        'the server’s key is in %s') FORMAT='la clef du serveur est dans %s' ;;
        'The server’s key in %s is not as the setup wrote it.') FORMAT='La clef du serveur dans %s n’est pas telle que ce programme l’a écrite.' ;;
        'The server’s key is also in %s, where it does not belong. To remove it: sudo sh setup.sh --repair') FORMAT='La clef du serveur est aussi dans %s, où elle n’a pas sa place. Pour l’enlever : sudo sh setup.sh --repair' ;;
        'The server’s key is not where sshd looks for it (%s).') FORMAT='La clef du serveur n’est pas là où sshd la cherche (%s).' ;;
        'The firewall (%s) may block port %s for the server %s.') FORMAT='Le pare-feu (%s) bloque peut-être le port %s pour le serveur %s.' ;;
        '%s can be reached, and its host key is the known one') FORMAT='%s est joignable, et sa clef d’hôte est celle que nous connaissons' ;;
        '%s has another host key than the known one. Please tell your administrator.') FORMAT='%s a une autre clef d’hôte que celle que nous connaissons. Prévenez votre administrateur.' ;;
        '%s cannot be reached from here: %s') FORMAT='%s est injoignable d’ici : %s' ;;
        'Registered for %s, but the server has not connected to this computer yet: sudo sh setup.sh --verify') FORMAT='Enregistré pour %s, mais le serveur ne s’est pas encore connecté à cet ordinateur : sudo sh setup.sh --verify' ;;
        'if it logs in and is refused, sshd’s own words are in the log: journalctl -t sshd -t sshd-session, or /var/log/auth.log or secure') FORMAT='si sshd refuse sa connexion, il dit pourquoi dans le journal : journalctl -t sshd -t sshd-session, ou /var/log/auth.log ou secure' ;;
        'Nothing of this setup is on this computer.') FORMAT='Il n’y a rien de ce programme sur cet ordinateur.' ;;
        'Done. The backups stay on %s, where this computer is still registered. To end that, ask the backup administrator to retire %s.') FORMAT='C’est fait. Les sauvegardes restent sur %s, où cet ordinateur est encore enregistré. Pour y mettre fin, demandez à l’administrateur des sauvegardes de retirer %s.' ;;
        'Done.') FORMAT='C’est fait.' ;;
        'The receipt %s is lost, but these files still exist:%s. Please start the setup once more to write a new receipt, and then use --uninstall.') FORMAT='Le reçu %s est perdu, mais ces fichiers existent encore :%s. Relancez le programme pour écrire un nouveau reçu, puis --uninstall.' ;;
        'Undoing the changes of the setup') FORMAT='Annulation des changements de ce programme' ;;
        '%s also holds other keys: they stay, and so does the account') FORMAT='%s contient aussi d’autres clefs : elles restent, et le compte aussi' ;;
        'disabling sshd, which the setup had enabled') FORMAT='désactivation de sshd, que ce programme avait activé' ;;
        '%s was installed by the setup, and stays: other programs may need it') FORMAT='%s a été installé par ce programme, et reste : d’autres programmes peuvent en avoir besoin' ;;
        'not understood in %s: %s') FORMAT='incompréhensible dans %s : %s' ;;
        'removing %s') FORMAT='suppression de %s' ;;
        'sshd still runs: %s stays, so that sshd accepts no passwords') FORMAT='sshd tourne encore : %s reste, pour que sshd n’accepte pas de mots de passe' ;;
        'removing the folder %s') FORMAT='suppression du dossier %s' ;;
        '%s is not empty: it stays, for root only') FORMAT='%s n’est pas vide : il reste, pour root seul' ;;
        '%s is not empty: it stays') FORMAT='%s n’est pas vide : il reste' ;;
        'removing the account %s') FORMAT='suppression du compte %s' ;;
        'ending the processes of %s, perhaps a backup') FORMAT='arrêt des processus de %s, peut-être une sauvegarde' ;;
        'The account could not be removed: %s') FORMAT='Le compte n’a pas pu être supprimé : %s' ;;
        'closing the firewall for %s') FORMAT='fermeture du pare-feu pour %s' ;;
        'Everything was already in place; nothing was changed.') FORMAT='Tout était déjà en place ; rien n’a été modifié.' ;;
        'Done. This computer is registered with %s.') FORMAT='C’est fait. Cet ordinateur est enregistré auprès de %s.' ;;
        'Your backups: %s') FORMAT='Vos sauvegardes : %s' ;;
        'The server adds: %s') FORMAT='Le serveur ajoute : %s' ;;
        'Backups will not work until everything marked with ! above is done.') FORMAT='Les sauvegardes ne marcheront pas tant que tout ce qui est marqué d’un ! ci-dessus ne sera pas fait.' ;;
        'Full Disk Access is missing: see ! above. After you have turned it on: sudo sh setup.sh --verify') FORMAT='Il manque l’accès complet au disque : voyez ! ci-dessus. Après l’avoir activé : sudo sh setup.sh --verify' ;;
        'This computer is registered, but the server could not connect to it yet. Follow the advice above, then: sudo sh setup.sh --verify') FORMAT='Cet ordinateur est enregistré, mais le serveur n’a pas encore pu s’y connecter. Suivez le conseil ci-dessus, puis : sudo sh setup.sh --verify' ;;
        'Backups work, but the folders marked with ! above are not backed up.') FORMAT='Les sauvegardes marchent, mais les dossiers marqués d’un ! ci-dessus ne sont pas sauvegardés.' ;;
        'Planned changes:') FORMAT='Changements prévus :' ;;
        'Nothing was changed (--dry-run).') FORMAT='Rien n’a été modifié (--dry-run).' ;;
        'Applying changes:') FORMAT='Application des changements :' ;;
        'With --restore owner, whoever this computer is registered for can change every person’s files in the shared folders, programs and ssh keys among them. The administrators of the backup server can do so too. Do you want that (yes/no)?') FORMAT='Avec --restore owner, la personne pour qui cet ordinateur est enregistré peut modifier les fichiers de toutes les personnes dans les dossiers partagés, y compris leurs programmes et leurs clefs ssh. Les administrateurs du serveur de sauvegarde le peuvent aussi. Le voulez-vous (oui/non) ?' ;;
        'With --restore full, whoever this computer is registered for can change every file in the shared folders, root’s among them. The administrators of the backup server can do so too. Do you want that (yes/no)?') FORMAT='Avec --restore full, la personne pour qui cet ordinateur est enregistré peut modifier tous les fichiers des dossiers partagés, ceux de root aussi. Les administrateurs du serveur de sauvegarde le peuvent aussi. Le voulez-vous (oui/non) ?' ;;
        'The whole system is shared. Shall a restore also bring back setuid programs, devices and file capabilities? Then whoever this computer is registered for can become root on it (yes/no)?') FORMAT='Tout le système est partagé. Une restauration doit-elle aussi rendre les programmes setuid, les périphériques et les capacités des fichiers ? Alors la personne pour qui cet ordinateur est enregistré peut y devenir root (oui/non) ?' ;;
        'Nothing was changed. Without this option, restored files arrive in a folder of their own.') FORMAT='Rien n’a été modifié. Sans cette option, les fichiers restaurés arrivent dans un dossier à part.' ;;
        'Continue (yes/no)?') FORMAT='Continuer (oui/non) ?' ;;
        'Nothing was changed.') FORMAT='Rien n’a été modifié.' ;;
        'Required packages') FORMAT='Paquets nécessaires' ;;
        'Account %s') FORMAT='Compte %s' ;;
        'Permissions of the backup server') FORMAT='Droits du serveur de sauvegarde' ;;
        'SSH server (sshd)') FORMAT='Serveur SSH (sshd)' ;;
        'Registration with %s') FORMAT='Enregistrement auprès de %s' ;;
        'Connection from the server') FORMAT='Connexion depuis le serveur' ;;
    esac
}

# ---------------------------------------------------------------- 20-receipt.sh

# The receipt lists the changes of the setup, so that --uninstall can revert them. All changes go through this part.

# Every change to this computer goes through this function, so that the plan and --dry-run change nothing.
change() {    # COMMAND...
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = no ]; then
        "$@"
    fi
}

# A line is written before its change: if the setup is killed in between, the receipt lists too much, not too little.
receipt_add() {    # LINE
    if [ "$DRY_RUN" = yes ] || grep -qxF -- "$1" "$RECEIPT" 2>/dev/null; then
        return 0
    fi
    (printf '%s\n' "$1" >>"$RECEIPT") 2>/dev/null || cannot_write "$RECEIPT"
}

receipt_drop() {    # BEGINNING
    if [ "$DRY_RUN" = no ] && [ -f "$RECEIPT" ]; then
        B=$1 awk 'index($0, ENVIRON["B"]) != 1' "$RECEIPT" >"$WORK/receipt"
        cmp -s "$WORK/receipt" "$RECEIPT" || replace_file "$WORK/receipt" "$RECEIPT" root "$ROOT_GROUP" 600
    fi
}

# Make "WORD REST" the only line that begins with WORD.
receipt_set() {    # WORD REST
    if [ -f "$RECEIPT" ] && [ "$(W="$1 " awk 'index($0, ENVIRON["W"]) == 1' "$RECEIPT")" = "$1 $2" ]; then
        return 0
    fi
    receipt_drop "$1 "
    receipt_add "$1 $2"
}

receipt_has() {    # BEGINNING
    [ -f "$RECEIPT" ] && B=$1 awk 'index($0, ENVIRON["B"]) == 1 { found = 1 } END { exit !found }' "$RECEIPT"
}

# Print what follows WORD in its last line.
receipt_get() {    # WORD
    [ ! -f "$RECEIPT" ] || sed -n "s/^$1 //p" "$RECEIPT" | tail -n 1
}

# Whether only root may change PATH.
only_root_writes() {    # PATH
    # shellcheck disable=SC2012  # POSIX defines the columns of ls, not those of stat
    ls -ldn -- "$1" 2>/dev/null | awk '
        NR == 1 { good = $3 == "0" && substr($1, 6, 1) != "w" && substr($1, 9, 1) != "w" }
        END { exit !good }'
}

# Print the first folder, from FOLDER up to /, that users other than root may change: nothing below it is safe. Both the
# path as it is and the path without links are checked.
unsafe_folder() {    # FOLDER
    existing=$1
    until [ -d "$existing/" ]; do
        existing=${existing%/*}
    done
    for folder in "$existing" "$(cd -P -- "$existing/" && pwd -P)"; do
        folder=${folder%/}
        while only_root_writes "$folder/." && [ -n "$folder" ]; do
            folder=${folder%/*}
        done
        if ! only_root_writes "$folder/."; then
            printf '%s' "${folder:-/}"
            return 0
        fi
    done
}

# Write FILE's content to TARGET, complete or not at all, unless it is already there.
put_file() {    # FILE TARGET OWNER GROUP MODE
    if [ -L "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        die 1 '%s is not a regular file; please move it away.' "$2"
    fi
    record_file "$2"
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(os identity "$2")" = "$3 $4 $5" ]; then
        return 0
    fi
    note 'writing %s' "$2"
    case $2 in
        "$WRAPPER" | "$HELPER" | "$CONFIG" | "$SUDOERS")
            receipt_drop 'verified '      # the server tested the old file
            TRY_AGAIN=yes ;;
    esac
    change replace_file "$@"
}

# --uninstall may remove a file that did not exist before, or has our mark. The file of the keys and the configuration
# may be an administrator's: their lines stay.
record_file() {    # TARGET
    if [ ! -e "$1" ] || has_our_mark "$1" || [ "$1" = "$STATE_DIR/known_hosts" ]; then
        receipt_add "file $1"
    fi
}

# An older file of this setup has our mark too; a damaged one is in the receipt.
refuse_foreign_files() {
    for target in "$WRAPPER" "$HELPER" "$SUDOERS"; do
        if [ -f "$target" ] && ! has_our_mark "$target" && ! grep -qsxF -- "file $target" "$RECEIPT"; then
            head -n 20 -- "$target" | printable >&2
            die 1 'The file %s already exists, and this setup did not make it; see above. Please move it away.' "$target"
        fi
    done
}

has_our_mark() {    # FILE
    head -n 2 -- "$1" 2>/dev/null | grep -q -e '^# Made by setup\.sh' -e '^# rsyncsend\.sh - '
}

# The name that PATH has until it is complete. It begins with a dot, so that sudo does not read it.
temporary_of() {    # PATH
    printf '%s' "${1%/*}/.${1##*/}.setup"
}

replace_file() {    # FILE TARGET OWNER GROUP MODE
    fresh=$(temporary_of "$2")
    rm -f -- "$fresh"
    cat <"$1" 2>/dev/null >"$fresh" || {
        rm -f -- "$fresh"
        cannot_write "$2"
    }
    chown "$3:$4" "$fresh"
    chmod "$5" "$fresh"
    sync -f "$fresh" 2>/dev/null || true
    mv -f -- "$fresh" "$2"
}

put_folder() {    # FOLDER OWNER GROUP MODE
    if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then
        die 1 '%s is not a folder; please move it away.' "$1"
    fi
    if [ ! -d "$1" ]; then
        note 'creating the folder %s' "$1"
        receipt_add "folder $1"
        change mkdir -m "$4" "$1"
    else
        was=$(os identity "$1") || was=''
        [ -n "$was" ] || die 1 'The permissions of %s cannot be read.' "$1"
        [ "$was" != "$2 $3 $4" ] || return 0
        note 'setting the permissions of %s' "$1"
        receipt_has "was $1 " || grep -qsxF -- "folder $1" "$RECEIPT" || receipt_add "was $1 $was"
    fi
    change chown "$2:$3" "$1"
    change chmod "$4" "$1"
}

cannot_write() {    # PATH
    die 1 '%s cannot be written. Is the disk full?' "$1"
}

open_work_folder() {
    # Not in TMPDIR: su and "sudo -E" keep the person's own, in which the files could be exchanged.
    WORK=$(mktemp -d "/tmp/bckpciuem.$$.XXXXXXXXXX" 2>/dev/null) || cannot_write /tmp
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 131' QUIT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM HUP
    head -c "$ROOM" /dev/zero 2>/dev/null >"$WORK/room" || cannot_write /tmp
    rm -f -- "$WORK/room"
}

clean_up() {
    trap '' INT QUIT PIPE TERM HUP      # a second signal, as when a window is closed after Ctrl-C, would end it half-way
    [ "$HALF_DONE" = no ] || [ "$CHANGES" -eq 0 ] ||
        warn 'What was done so far stays. To go on: sudo sh setup.sh. To undo it: sudo sh setup.sh --uninstall' || :
    rm -rf -- "$WORK"
    if [ "$LOCKED" = yes ]; then
        rm -f -- "$STATE_DIR/register-key" "$LOCK"
    fi
}

# The lock is a link to the process number, made at once or not at all. A lock of a dead process does not count.
take_lock() {
    if ln -s "$$" "$LOCK" 2>/dev/null; then
        LOCKED=yes
        return 0
    fi
    holder=$(readlink "$LOCK") || holder=''
    case $holder in
        '' | *[!0-9]*) ;;
        *) ! kill -0 "$holder" 2>/dev/null ||
            die 1 'Another setup is running on this computer (process %s); please wait until it has ended.' "$holder" ;;
    esac
    remove_stale_lock "$holder"
    ln -s "$$" "$LOCK" 2>/dev/null ||
        die 1 'Another setup has just started on this computer; please wait until it has ended.'
    LOCKED=yes
}

# The lock is renamed first. If it is another run's by now, which was quicker, it is restored.
remove_stale_lock() {    # NUMBER
    mv -f -- "$LOCK" "$LOCK.$$" 2>/dev/null || return 0
    [ "$(readlink "$LOCK.$$")" = "$1" ] || ln -s "$(readlink "$LOCK.$$")" "$LOCK" 2>/dev/null || true
    rm -f -- "$LOCK.$$"
}

# The folder of the receipt must exist before the first change.
open_receipt() {
    remove_leftovers
    if [ -L "$RECEIPT" ]; then
        die 1 '%s is a link; please move it away.' "$RECEIPT"
    fi
    if [ -e "$STATE_DIR" ] || [ -L "$STATE_DIR" ]; then
        adopt_without_receipt
        put_folder "$STATE_DIR" root "$(group_or_root)" 750
        return 0
    fi
    top=$(highest_missing "$STATE_DIR")
    [ "$top" = "$STATE_DIR" ] || note 'creating the folder %s' "$top"
    note 'creating the folder %s' "$STATE_DIR"
    change make_state_dir "$top"
}

# If the receipt was lost, a helper with our mark proves that the setup made it and what belongs to it.
adopt_without_receipt() {
    if [ -e "$RECEIPT" ] || ! has_our_mark "$HELPER"; then
        return 0
    fi
    for line in "folder $STATE_DIR" "group $ACCOUNT" "account $ACCOUNT" "folder $STATE_DIR/.ssh" "folder ${HELPER%/*}" \
        "file $STATE_DIR/.ssh/authorized_keys" "folder $RESTORE_FOLDER"; do
        receipt_add "$line"
    done
}

# A Mac has no /var/lib.
highest_missing() {    # FOLDER
    missing=$1
    until [ -d "${missing%/*}/" ]; do
        missing=${missing%/*}
    done
    printf '%s' "$missing"
}

# The folder is made beside its place and renamed with its receipt in it. If the setup is killed in between, either the
# receipt or remove_leftovers knows what is left.
make_state_dir() {    # HIGHEST-MISSING-FOLDER
    fresh=$(temporary_of "$1")
    folder=$fresh${STATE_DIR#"$1"}
    mkdir -p -- "$folder"
    chmod 755 "$fresh"
    { [ "$1" = "$STATE_DIR" ] || printf 'folder %s\n' "$1"; printf 'folder %s\n' "$STATE_DIR"; } >"$folder/${RECEIPT##*/}"
    chown "root:$(group_or_root)" "$folder"
    chmod 750 "$folder"
    mv -- "$fresh" "$1"
}

# ---------------------------------------------------------------- 21-leftovers.sh

# Remove what interrupted runs left behind and the receipt does not list.
remove_leftovers() {
    leftovers >"$WORK/leftovers"
    [ -s "$WORK/leftovers" ] || return 0
    note 'removing what an interrupted run left behind'
    while IFS= read -r leftover; do
        change remove_leftover "$leftover"
    done <"$WORK/leftovers"
}

leftovers() {
    for target in "$STATE_DIR" "${STATE_DIR%/*}" "$RECEIPT" "$WRAPPER" "$HELPER" "$CONFIG" "$SUDOERS" "$SSHD_DROP_IN" \
        "$STATE_DIR/known_hosts" "$STATE_DIR/register-key" "$(keys_file)"; do
        leftover=$(temporary_of "$target")
        if [ -e "$leftover" ] || [ -L "$leftover" ]; then
            printf '%s\n' "$leftover"
        fi
    done
    [ ! -e "$STATE_DIR/register-key" ] || printf '%s\n' "$STATE_DIR/register-key"
    leftover_work_folders
    leftover_restores
}

# A work folder has the process number in its name. In /tmp no other user can make or rename a folder of root's.
leftover_work_folders() {
    for folder in /tmp/bckpciuem.*.*; do
        number=${folder#/tmp/bckpciuem.}
        if has_ended "${number%.*}" && [ ! -L "$folder" ] && [ -d "$folder" ] && only_root_writes "$folder"; then
            printf '%s\n' "$folder"
        fi
    done
}

# What rsyncsend.sh has received for several persons, if it was killed.
leftover_restores() {
    [ -f "$CONFIG" ] || return 0
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r share; do
        for folder in "${share%/}/.$ACCOUNT-restore."*; do
            if has_ended "${folder##*.}" && [ ! -L "$folder" ] && [ -d "$folder" ] && [ -z "$(unsafe_folder "$folder")" ]; then
                printf '%s\n' "$folder"
            fi
        done
    done
}

# Whether NUMBER is that of a process which has ended.
has_ended() {    # NUMBER
    case $1 in
        '' | *[!0-9]*) return 1 ;;
    esac
    ! kill -0 "$1" 2>/dev/null
}

remove_leftover() {    # PATH
    if grep -qsxF "folder ${STATE_DIR%/*}" "$1/${RECEIPT##*/}"; then
        rmdir -- "${STATE_DIR%/*}" 2>/dev/null || true
    fi
    rm -rf -- "$1"
}

# ---------------------------------------------------------------- 30-server.sh

# The server: the files that it is known by, the registration in the receipt, the calls over ssh.

gather_files() {
    given_register_key
    given_file known-hosts "$KNOWN_HOSTS_FILE" || die 2 'The host key of the server is missing; please give --known-hosts FILE.'
    check_known_hosts
    given_wrapper || die 2 'rsyncsend.sh is missing; please give --wrapper FILE.'
}

# Write WORK/NAME from FILE, or if none was given from inside this file.
given_file() {    # NAME FILE
    if [ -n "$2" ]; then
        if [ -d "$2" ] || [ ! -r "$2" ]; then
            die 2 '%s cannot be read.' "$2"
        fi
        head -c "$ROOM" <"$2" >"$WORK/$1"
        [ -s "$WORK/$1" ] || die 2 '%s is empty.' "$2"
    else
        bundled "$1" >"$WORK/$1"
    fi
    [ -s "$WORK/$1" ]
}

given_register_key() {
    given_file register-key "$REGISTER_KEY_FILE" || die 2 'The register-key is missing; please give --register-key FILE.'
    # What a mail or an editor of Windows adds, and the line end that it cuts off.
    LC_ALL=C awk '{ sub(/\r$/, ""); if (NR == 1) sub(/^\357\273\277/, ""); print }' "$WORK/register-key" >"$WORK/plain-key"
    cat <"$WORK/plain-key" >"$WORK/register-key"
    check_register_key
}

# Of a damaged or locked key ssh would only say that the server refuses it. The packages may still be missing.
check_register_key() {
    command -v ssh-keygen >/dev/null || return 0
    case $(head -n 1 "$WORK/register-key") in
        ssh-* | ecdsa-* | sk-* | *'PUBLIC KEY'*)
            die 2 'The register-key (%s) is the public half of a key; please give the private one.' "$(register_key_name)" ;;
        PuTTY-*)
            die 2 'The register-key (%s) has the form of PuTTY; please get it in the form of OpenSSH.' "$(register_key_name)" ;;
    esac
    ! ssh-keygen -y -P '' -f "$WORK/register-key" >/dev/null 2>"$WORK/key-errors" || return 0
    ! grep -q passphrase "$WORK/key-errors" ||
        die 2 'The register-key (%s) is locked with a passphrase; please get a new copy of it from the backup administrator.' \
            "$(register_key_name)"
    die 2 'The register-key (%s) is damaged or not a key; please get a new copy of it from the backup administrator.' \
        "$(register_key_name)"
}

register_key_name() { printf '%s' "${REGISTER_KEY_FILE:-setup.sh}"; }

# A line may also be the authority of the server's certificate.
check_known_hosts() {
    command -v ssh-keygen >/dev/null || return 0
    name=$(known_hosts_name)
    ssh-keygen -F "$name" -f "$WORK/known-hosts" >/dev/null 2>&1 ||
        die 2 'The known hosts file has no line for %s.' "$name"
}

file_beside() {
    case $0 in
        */*) if [ -f "${0%/*}/$1" ]; then printf '%s' "${0%/*}/$1"; fi ;;
        # Piped into a shell, $0 is sh, and there may be a file of that name.
        *.sh) if [ -f "$1" ] && [ -f "$0" ]; then printf '%s' "./$1"; fi ;;
    esac
}

# The wrapper becomes root's helper, so a file that other users may have put beside this one is refused.
given_wrapper() {
    if [ -n "$WRAPPER_FILE" ]; then
        given_file wrapper "$WRAPPER_FILE"
        return
    fi
    given_file wrapper '' && return 0
    found=$(file_beside rsyncsend.sh)
    [ -n "$found" ] || return 1
    if ! only_we_write "$found" || ! only_we_write "${found%/*}/"; then
        die 2 'Other users can change %s or its folder; please give --wrapper FILE.' "$found"
    fi
    given_file wrapper "$found"
}

# Whether PATH belongs to root or to the person who runs this, and no other user can write there.
only_we_write() {
    # shellcheck disable=SC2046  # mode and numbers
    set -- $(LC_ALL=C ls -ldn -- "$1" 2>/dev/null) ''
    case $1 in
        -????w* | -???????w* | d????w* | d???????w* | [!-d]* | '') return 1 ;;
    esac
    [ "$3" = 0 ] || [ "$3" = "${SUDO_UID:-$(id -u)}" ]
}

# Print the logon that this computer is registered for with this server.
registered_as() {
    [ -f "$RECEIPT" ] || return 1
    sed -n "s/^registered $SERVER //p" "$RECEIPT" | tail -n 1 | grep .
}

server_of_receipt() {
    [ ! -f "$RECEIPT" ] || sed -n 's/^registered \([^ ]*\) .*/\1/p' "$RECEIPT" | tail -n 1
}

# The name of the server in known_hosts.
known_hosts_name() {
    if [ "$PORT" -eq 22 ]; then
        printf '%s' "$SERVER"
    else
        printf '[%s]:%s' "$SERVER" "$PORT"
    fi
}

# ssh runs as the account, which can read these files but not change them.
prepare_call() {
    can_enter ||
        die 1 'Root cannot become the account %s: %s' "$ACCOUNT" "$(tail -n 1 "$WORK/entry-errors" | printable)"
    put_file "$WORK/known-hosts" "$STATE_DIR/known_hosts" root "$ACCOUNT" 640
    replace_file "$WORK/register-key" "$STATE_DIR/register-key" root "$ACCOUNT" 640
}

call() {    # REQUEST [STANDARD-INPUT]
    call_patiently "$@"
    ! no_connection || not_connected
}

# Call the server; if the same request may work later, wait and try again. The wait is random, so that many computers that
# were refused together do not come back together.
call_patiently() {    # REQUEST [STANDARD-INPUT]
    for longest in 6 12 24 48 0; do
        call_once "$@"
        if [ "$longest" -eq 0 ] || ! may_work_later; then
            break
        fi
        pause=$((longest / 2 + $(od -An -N 2 -t u2 /dev/urandom | tr -d ' ') % (longest / 2 + 1)))
        note 'the server is busy; the next try is in %s seconds' "$pause"
        sleep "$pause"
    done
}

may_work_later() { [ "$REPLY_STATUS" -eq 75 ] || turned_away; }
no_connection() { [ "$REPLY_STATUS" -eq 255 ] && [ ! -s "$WORK/reply" ]; }

# Whether sshd closed the connection before the login: it has too many at once (MaxStartups, PerSourceMaxStartups), or
# shuts this address out for a while (PerSourcePenalties).
turned_away() {
    no_connection &&
        grep -qE '^(kex|ssh)_exchange_identification: (read: )?Connection (closed|reset)|banner exchange|^Connection (closed|reset) by ' \
            "$WORK/ssh-errors"
}

# Set REPLY_STATUS, and write the answer to WORK/reply. What ssh itself says goes to WORK/ssh-errors: a warning of ssh
# must not come before "success". Standard input is empty or a file, so that ssh does not read the setup's own.
call_once() {    # REQUEST [STANDARD-INPUT]
    line="exec env SSH_AUTH_SOCK= ssh -x -a -T $IP_VERSION -F /dev/null -i $CALL_FOLDER/register-key -l $SERVER_ACCOUNT"
    line="$line -p $PORT -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    line="$line -o UserKnownHostsFile=$CALL_FOLDER/known_hosts -o GlobalKnownHostsFile=/dev/null"
    line="$line -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR $SERVER $1"
    {
        { "$CALL_AS" "$line" "${2:-}" 2>&4 && status=0 || status=$?
            printf '%s' "$status" >"$WORK/status"; } | head -c 65536 | tr -d '\r' >"$WORK/reply"
    } 4>&1 | head -c 65536 >"$WORK/ssh-errors"
    REPLY_STATUS=$(cat "$WORK/status")
    # Often the IPv4 address of a laptop has a name, and its IPv6 address has none.
    if [ -z "$IP_VERSION" ] && [ "$(error_code)" = dns-name ]; then
        case $(head -n 1 "$WORK/reply" | cut -d ' ' -f 1) in
            *:*) IP_VERSION=-4; call_once "$@" ;;
        esac
    fi
}

not_connected() {
    printable <"$WORK/ssh-errors" >&2
    if grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        die 6 'The host key of %s is not the known one: this may be another server. Nothing was sent. Please tell your administrator.' "$SERVER"
    fi
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        die 4 '%s no longer accepts the key of this setup; please get a new copy of the setup.' "$SERVER"
    fi
    if turned_away; then
        die 5 '%s closes the connection before the login: it has too many connections, or has blocked the address of this computer for a while. Please try again in some minutes.' "$SERVER"
    fi
    die 5 '%s cannot be reached. Is this computer on the network?' "$SERVER"
}

as_account() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && os as_account "$1") <"${2:-/dev/null}" 3>&-
}

# Whether root can become the account. If not, what only the account can find out is not known.
can_enter() {
    [ "$(as_account 'echo in' 2>"$WORK/entry-errors")" = in ]
}

# For what changes nothing on this computer: the files of a call are in WORK, which is root's alone.
as_root() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && with_timeout "$TIMEOUT" sh -c "$1") <"${2:-/dev/null}" 3>&-
}

# A Mac has no timeout(1). A timeout has the exit status 124, 137 or 142.
with_timeout() {    # SECONDS COMMAND...
    if command -v timeout >/dev/null; then
        timeout --foreground -k 5 "$@"
    else
        perl -e 'alarm shift; exec @ARGV or die' "$@"
    fi
}

timed_out() {
    [ "$REPLY_STATUS" -eq 124 ] || [ "$REPLY_STATUS" -eq 137 ] || [ "$REPLY_STATUS" -eq 142 ]
}

# Whether TEXT is a list of addresses or networks, separated by commas, that this computer may let in: no network wider
# than /8 or /32 (IPv6), none of all IPv4 addresses inside IPv6 ones (mapped, NAT64, Teredo), and not too many. The
# server's configuration has the same limits.
address_list() {    # TEXT
    case $1 in
        '' | *[!0-9a-fA-F:./,]* | ,* | *, | *,,*) return 1 ;;
    esac
    printf '%s\n' "$1" | tr ',' '\n' | awk '
        function number(text, most) { return text ~ /^(0|[1-9][0-9]*)$/ && length(text) <= 3 && text + 0 <= most }
        function v4(text,  part, i) {
            if (split(text, part, ".") != 4) return 0
            for (i = 1; i <= 4; i++) if (!number(part[i], 255)) return 0
            return part[1] > 0 && part[1] < 224
        }
        # Set all to the eight groups, in lower case and without leading zeros; an IPv4 address at the end is one group.
        function v6(text,  part, i, count, gaps, zeros) {
            gaps = gsub(/::/, ":@:", text)
            if (gaps > 1 || text ~ /::/) return 0
            sub(/^:@/, "@", text)
            sub(/@:$/, "@", text)
            count = split(text, part, ":")
            zeros = 8 - (count - gaps) - (text ~ /\./)
            if (gaps ? zeros < 1 : zeros != 0) return 0
            all = ""
            for (i = 1; i <= count; i++) {
                if (part[i] == "@") { while (zeros-- > 0) all = all "0:"; continue }
                if (i == count && part[i] ~ /\./) { if (!v4(part[i])) return 0 }
                else if (part[i] !~ /^[0-9a-fA-F]+$/ || length(part[i]) > 4) return 0
                sub(/^0+/, "", part[i])
                all = all (part[i] == "" ? "0" : tolower(part[i])) ":"
            }
            return all != "0:0:0:0:0:0:0:0:" && all !~ /^ff[0-9a-f][0-9a-f]:/
        }
        {
            parts = split($0, piece, "/")
            six = piece[1] ~ /:/
            bits = six ? 128 : 32
            good = six ? v6(piece[1]) : v4(piece[1])
            if (parts > 2 || (parts == 2 && !number(piece[2], bits))) good = 0
            if (parts == 2 && piece[2] + 0 < bits) {
                networks++
                if (piece[2] + 0 < (six ? 32 : 8) || (six && all ~ /^(0:0|64:ff9b|2001:0):/)) good = 0
            }
            if (!good) bad = 1
        }
        END { exit bad || networks > 16 || NR > 64 }'
}

# Whether ENTRY of such a list is a network, not one address.
is_network() {    # ENTRY
    case $1 in
        *:*/128 | *.*.*.*/32) return 1 ;;
        */*) return 0 ;;
        *) return 1 ;;
    esac
}

# ---------------------------------------------------------------- 31-reply.sh

# The reply of the server: read it, trust only what is well-formed, explain an error.

# Read a reply into REPLY_*. Return false if it is an error of the server, or not understood (PROBLEM says why).
read_reply() {    # FILE check|register|verify
    REPLY_HOST='' REPLY_PERSON='' REPLY_KEY='' REPLY_FROM='' REPLY_BACKUP='' REPLY_SHARES='' REPLY_LACKING='' REPLY_PORT='' REPLY_STATE='' SEEN=' '
    [ "$2" = verify ] || REPLY_URL='' REPLY_ADVICE=''
    PROBLEM=''
    first=yes
    while IFS= read -r reply_line || [ -n "$reply_line" ]; do
        if [ "$first" = yes ]; then
            [ "$reply_line" = success ] || return 1
            first=no
        else
            read_reply_line "$reply_line"
        fi
    done <"$1"
    case $REPLY_URL in
        *[!!-~]*) REPLY_URL='' ;;
        http://?* | https://?*) ;;
        *) REPLY_URL='' ;;
    esac
    if [ "$first" = yes ]; then
        PROBLEM=empty
    elif [ "$REPLY_STATUS" -eq 255 ] || timed_out; then
        PROBLEM='cut off'
    elif [ "$2" = register ]; then
        check_registration
    fi
    [ -z "$PROBLEM" ]
}

read_reply_line() {
    case $1 in
        *:*) ;;
        *) return 0 ;;
    esac
    word=${1%%:*}
    case $word in
        host | person | key | url | shares | lacking | from | backup | port | status | advice) ;;
        *) return 0 ;;
    esac
    case $SEEN in
        *" $word "*) PROBLEM="$word twice"; return 0 ;;
    esac
    SEEN="$SEEN$word "
    value=$(printf '%s' "${1#*:}" | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//')
    case $word in
        host) REPLY_HOST=$value ;;
        person) REPLY_PERSON=$value ;;
        key) REPLY_KEY=$value ;;
        url) REPLY_URL=$value ;;
        shares) REPLY_SHARES=$value ;;
        lacking) REPLY_LACKING=$value ;;
        from) REPLY_FROM=$value ;;
        backup) REPLY_BACKUP=$value ;;
        port) REPLY_PORT=$value ;;
        status) REPLY_STATE=$value ;;
        advice) REPLY_ADVICE=$value ;;
    esac
}

# A registration must bring one key, and its addresses must be well-formed.
check_registration() {
    if [ -z "$REPLY_KEY" ]; then
        PROBLEM='no key'
    elif ! check_key "$REPLY_KEY"; then
        PROBLEM='key'
    elif [ -n "$REPLY_FROM" ] && ! address_list "$REPLY_FROM"; then
        PROBLEM='from'
    fi
}

# Whether TEXT is one public key and nothing more. Set KEY to its type, its body and a harmless comment. Text before the
# type is refused, because sshd would take it for options.
check_key() {    # TEXT
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

# Print the CODE of the error in WORK/reply. Old servers have no line "error:", only the message.
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

reply_line_of() {    # KEYWORD
    sed -n "2,\$s/^$1:[[:blank:]]*//p" "$WORK/reply" | head -n 1 | printable
}

reject_reply() {
    ! timed_out || die 5 '%s did not answer within %s seconds.' "$SERVER" "$TIMEOUT"
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        die 1 'The reply of the server is not understood (%s). Nothing was installed from it.' "${PROBLEM:-$REPLY_STATUS}"
    fi
    show_error
    exit 4
}

# Show the whole reply, then what to do. A step has advice of its own.
show_error() {
    warn 'The server replied:'
    TEXT=$(printable <"$WORK/reply" | sed 's/^/    /')
    show_warning
    [ -n "$(reply_line_of step)" ] || advise "$(error_code)"
}

advise() {    # CODE
    case $1 in
        bad-user) warn 'There is no such logon in the directory. Is it spelled correctly?' ;;
        dns-name) warn 'The network has no name of the institution for this computer. Connect it to the campus network, by cable if you can, and try again.' ;;
        other-owner) warn 'This computer is registered for another person. Only the backup administrator can change that.' ;;
        host-key-changed) warn 'The server knows another computer under this name. If this computer was reinstalled, please tell the backup administrator.' ;;
        not-registered) warn 'The server does not know this computer any more. Please start the setup with --force.' ;;
        not-allowed) warn 'This site does not back up this computer. The backup administrator can tell you why.' ;;
        not-reachable) warn 'The server cannot connect to this computer. Is a firewall in the way?' ;;
        too-many-requests) warn 'Please wait a minute, then start the setup again.' ;;
        directory-unavailable | dns-unavailable) warn 'The server could not check everything. Please try again in a few minutes.' ;;
        ostype-unknown | no-command) warn 'The server does not understand this setup. Please get a new copy of the setup.' ;;
        could-not-register | no-config-file | misconfigured | internal)
            if [ "$REPLY_STATUS" -eq 75 ]; then
                warn 'The server is busy. Please try again later.'
            else
                warn 'The server has an internal problem. Please tell the backup administrator.'
            fi ;;
        *) warn 'Please show this to the backup administrator.' ;;
    esac
}

# ---------------------------------------------------------------- os/linux.sh

# Linux: Debian, Fedora, openSUSE, Arch and their derivatives. What each function does is in os/unsupported.sh.

# By what the system says about itself, else by its package manager: the distributions are too many to name them.
system_detect_linux() {
    ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux FAMILY=''
    likes=" $(os_release ID) $(os_release ID_LIKE) "
    case $likes in
        *' nixos '* | *' steamos '*) managers='' ;;
        *' debian '* | *' ubuntu '*) managers=apt-get ;;
        *' fedora '* | *' rhel '* | *' centos '*) managers='dnf yum' ;;
        *' suse '* | *' opensuse '* | *' opensuse-'*) managers=zypper ;;
        *' arch '*) managers=pacman ;;
        *) managers='apt-get dnf yum zypper pacman' ;;
    esac
    if [ -z "$managers" ] || [ -e "$OSTREE" ] || root_is_read_only; then
        OS=unsupported FAMILY=immutable
        return 0
    fi
    for MANAGER in $managers; do
        if command -v "$MANAGER" >/dev/null; then
            case $MANAGER in
                apt-get) FAMILY=debian ;;
                dnf | yum) FAMILY=redhat ;;
                zypper) FAMILY=suse ;;
                pacman) FAMILY=arch ;;
            esac
            return 0
        fi
    done
    OS=unsupported
}

# transactional-update alone proves nothing: it can be installed on a plain Tumbleweed too.
root_is_read_only() { awk '$2 == "/" { options = "," $4 "," } END { exit options !~ /,ro,/ }' "$MOUNTS" 2>/dev/null; }

os_release() {    # NAME
    sed -n "s/^$1=//p" "$OS_RELEASE" 2>/dev/null | tr -d "\"'" | head -n 1
}

tools_linux() {
    package_table | awk 'NR > 1 { print $1 }' |
        if selinux_enforces; then cat; else grep -v -e semanage -e restorecon; fi
}

packages_for_linux() {
    package_table | T="$*" F=$FAMILY awk '
        NR == 1 { for (column = 2; column < NF && $column != ENVIRON["F"]; ) column++ }
        index(" " ENVIRON["T"] " ", " " $1 " ") { print $column }'
}

packages_install_linux() {
    case $MANAGER in
        apt-get) apt_get install --yes --no-install-recommends "$@" ||
            { apt_get update && apt_get install --yes --no-install-recommends "$@"; } ;;
        dnf | yum) "$MANAGER" --assumeyes --quiet install "$@" ;;
        zypper) zypper --non-interactive --quiet install --no-recommends "$@" ;;
        pacman) pacman --sync --needed --noconfirm "$@" ;;
    esac >>"$WORK/packages" 2>&1
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"; }

selinux_enforces() {
    [ "$OS" = linux ] && command -v getenforce >/dev/null && [ "$(getenforce 2>/dev/null)" = Enforcing ]
}

identity_linux() { stat -c '%U %G %a' -- "$1"; }
account_entry_linux() { getent passwd "$ACCOUNT"; }
account_is_local_linux() { getent -s files passwd "$ACCOUNT" >/dev/null; }
account_was_made_linux() { account_is_local_linux; }

# The password field is a star: sshd takes ! for a locked account if PAM is not used.
account_add_linux() {
    group=--user-group
    if group_is_local_linux; then
        group="--gid=$ACCOUNT"
    fi
    useradd --system "$group" --no-create-home --home-dir "$STATE_DIR" --shell /bin/sh --password '*' \
        --comment BackupPC "$ACCOUNT"
}

# Without su, which PAM may refuse for reasons of its own, and which starts the shell of the account. A new session keeps
# the account away from root's terminal.
as_account_linux() {
    with_timeout "$TIMEOUT" env HOME="$STATE_DIR" USER="$ACCOUNT" LOGNAME="$ACCOUNT" SHELL=/bin/sh setsid \
        setpriv --reuid="$(id -u "$ACCOUNT")" --regid="$(id -g "$ACCOUNT")" --clear-groups -- /bin/sh -c "$1"
}

account_has_password_linux() {
    [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]
}

# Print "now" if the account or its password has expired, or "later" if it will. The fields are those of shadow(5).
account_expiry_linux() {
    getent shadow "$ACCOUNT" | T=$(($(date +%s) / 86400)) awk -F: '
        function by(day) { if (day <= ENVIRON["T"] + 0) now = 1; else later = 1 }
        $8 != "" && $8 >= 0 { by($8 + 0) }
        $3 == "0" { now = 1 }
        $3 > 0 && $5 != "" && $5 >= 0 && $5 < 99999 { by($3 + $5 + 1) }
        END { if (now) print "now"; else if (later) print "later" }'
}

# A new password is one of today.
account_repair_linux() {
    usermod --shell /bin/sh --password '*' "$ACCOUNT" &&
        chage --mindays -1 --maxdays -1 --inactive -1 --expiredate -1 "$ACCOUNT"
}

# userdel removes a group of the same name too, even if it was there before the account.
account_remove_linux() {
    number=$(group_number_linux)
    userdel "$ACCOUNT" || return
    if [ -n "$number" ] && ! receipt_has "group $ACCOUNT" && ! group_is_local_linux; then
        groupadd --system --gid "$number" "$ACCOUNT"
    fi
}

first_person_id_linux() {
    sed -n "s/^$1[[:space:]]*\\([0-9]\\{1,\\}\\).*/\\1/p" /etc/login.defs 2>/dev/null | grep . || printf 1000
}

group_is_local_linux() { getent -s files group "$ACCOUNT" >/dev/null; }
group_is_known_linux() { getent group "$ACCOUNT" >/dev/null; }
group_was_made_linux() { group_is_local_linux; }

group_number_linux() {
    getent group "$ACCOUNT" | cut -d: -f3
}

# A password lets anybody join (gshadow(5), newgrp(1)).
group_members_linux() {
    { getent group; getent group "$ACCOUNT"; } |
        G=$1 awk -F: '$3 == ENVIRON["G"] { print $1; gsub(",", "\n", $4); print $4 }'
    getent passwd | G=$1 awk -F: '$4 == ENVIRON["G"] { print $1 }'
    getent gshadow "$ACCOUNT" | awk -F: '
        $2 ~ /^[^!*]/ { print "(password)" }
        { gsub(",", "\n"); print $3; print $4 }'
}

group_remove_linux() { groupdel "$ACCOUNT"; }

sshd_enable_linux() {
    if [ -d "$SYSTEMD" ]; then
        unit=$(sshd_unit)
        systemctl is-enabled "$unit" >/dev/null 2>&1 || systemctl is-active "$unit" >/dev/null 2>&1 ||
            receipt_add "enabled $unit"
        change systemctl --quiet enable --now "$unit" >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        change service ssh start >/dev/null 2>&1 || true
    fi
}

# Ubuntu waits for connections with ssh.socket; Debian has that unit too, but disabled.
sshd_unit() {
    if systemctl is-enabled ssh.socket >/dev/null 2>&1; then
        printf ssh.socket
    elif systemctl list-unit-files ssh.service 2>/dev/null | grep -q '^ssh\.service'; then
        printf ssh.service
    else
        printf sshd.service
    fi
}

sshd_disable_linux() {
    case $1 in
        ssh.socket) systemctl --quiet disable --now ssh.socket ssh.service ;;
        *) systemctl --quiet disable --now "$1" ;;
    esac
}

# As "[::]:2222 (Stream)".
sshd_sockets_linux() {
    [ -d "$SYSTEMD" ] && systemctl is-active ssh.socket sshd.socket 2>/dev/null | grep -qx active || return 0
    systemctl show --property=Listen --value ssh.socket sshd.socket 2>/dev/null |
        sed -n 's/^\(Listen=\)\{0,1\}\(.*:[0-9][0-9]*\) (Stream).*/listenaddress \2/p'
}

own_address_linux() { ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p'; }

# In a network of its own, let a second sshd with the same PAM admit the account from an address of the server. It has
# no other setting: "sshd -T" has told those. Print "let-in", or what refused it, or nothing if that cannot be tried.
login_trial_linux() {    # SERVER-ADDRESS
    trial=$WORK/trial
    case $1 in *:*) here=::1 ;; *) here=127.0.0.1 ;; esac
    mkdir -p -- "$trial" && chmod 711 "$WORK" "$trial" || return 0
    [ -f "$trial/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$trial/key" 2>/dev/null || return 0
    cat <"$trial/key.pub" >"$trial/keys" && chmod 644 "$trial/keys"
    printf '%s\n' "ListenAddress $here" 'Port 22' "HostKey $trial/key" 'PidFile none' 'StrictModes no' 'UsePAM yes' \
        "AuthorizedKeysFile $trial/keys" 'ForceCommand echo let-in' >"$trial/config"
    sshd_setting pamservicename | sed 's/^/PAMServiceName /' >>"$trial/config"
    # shellcheck disable=SC2016  # for the other shell
    with_timeout 20 unshare --net -- sh -c 'ip link set lo up && ip address add "$2" dev lo || exit
        "$4" -d -f "$1/config" 2>"$1/log" &
        for i in 1 2 3 4 5 6 7 8 9; do grep -q "Server listening" "$1/log" && break; sleep 0.2; done
        ssh -F /dev/null -i "$1/key" -b "$2" -x -a -T -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
            -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR \
            "$5@$3" true
        grep -q "^Connection from" "$1/log" || kill "$!"
        wait' sh "$trial" "$1" "$here" "$(command -v sshd)" "$ACCOUNT" </dev/null >"$trial/said" 2>&1 3>&- || true
    grep -hs -e '^let-in$' -e 'by PAM account configuration' -e '^Password change required' "$trial/said" "$trial/log" |
        head -n 1
}

sshd_ask_to_enable_linux() { todo 'sshd does not answer; please start it and enable it at boot.'; }
sshd_allow_account_linux() { :; }

firewall_name_linux() {
    if command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then
        printf ufw
    elif command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
        printf firewalld
    fi
}

addresses_of_linux() {
    getent ahosts "$1" | awk '!seen[$1]++ { print $1 }'
}

console_user_linux() { :; }

rsync_path_linux() {
    command -v rsync || printf /usr/bin/rsync
}

advise_unreadable_folder_linux() { warn 'A folder to back up cannot be read. Does it exist?'; }

# ---------------------------------------------------------------- os/macos.sh

# macOS 12 and later. What each function does is in os/unsupported.sh.

system_detect_macos() {
    ROOT_GROUP=wheel HOMES=/Users OSTYPE_WORD=mac FAMILY=macos
    version=$(sw_vers -productVersion 2>/dev/null) || version=0
    case ${version%%.*} in
        '' | *[!0-9]* | ? | 10 | 11) OS=unsupported ;;
    esac
}

tools_macos() { printf '%s\n' ssh ssh-keygen sshd sudo visudo rsync su bash dscl dseditgroup; }
packages_for_macos() { die 1 'This Mac lacks standard programs of macOS: %s' "$*"; }
packages_install_macos() { return 1; }
identity_macos() { stat -f '%Su %Sg %Lp' -- "$1"; }

account_entry_macos() {
    id -u "$ACCOUNT" >/dev/null 2>&1 || return 1
    printf '%s:*:%s:%s:BackupPC:%s:%s\n' "$ACCOUNT" "$(id -u "$ACCOUNT")" "$(id -g "$ACCOUNT")" \
        "$(account_attribute NFSHomeDirectory)" "$(account_attribute UserShell)"
}

account_attribute() {    # ATTRIBUTE
    dscl . -read "/Users/$ACCOUNT" "$1" 2>/dev/null | sed "s/^$1: //"
}

account_is_local_macos() { dscl . -read "/Users/$ACCOUNT" UniqueID >/dev/null 2>&1; }

# An account or a group is created attribute by attribute; half of it counts too.
account_was_made_macos() { dscl . -read "/Users/$ACCOUNT" RecordName >/dev/null 2>&1; }

# Below 500 the login window does not show it. It has no password and no SecureToken, so it can log in by key only.
# The number comes last: if the setup is killed before that, this is no account yet, and the next run continues.
account_add_macos() {
    number=$(free_number) || return 1
    if group_is_local_macos; then
        number=$(group_number_macos)
    else
        dscl . -create "/Groups/$ACCOUNT" &&
            dscl . -create "/Groups/$ACCOUNT" Password '*' &&
            dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" || return 1
    fi
    dscl . -create "/Users/$ACCOUNT" &&
        dscl . -create "/Users/$ACCOUNT" Password '*' &&
        dscl . -create "/Users/$ACCOUNT" RealName BackupPC &&
        dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh &&
        dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$STATE_DIR" &&
        dscl . -create "/Users/$ACCOUNT" IsHidden 1 &&
        dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
        dscl . -create "/Users/$ACCOUNT" UniqueID "$number"
}

# The highest number below 500 that no user and no group has: each release of macOS uses more of them, from below.
free_number() {
    { dscl . -list /Users UniqueID && dscl . -list /Groups PrimaryGroupID; } | awk '
        { taken[$NF] = 1 }
        END { for (n = 499; n >= 200; n--) if (!(n in taken)) { print n; exit 0 } exit 1 }'
}

as_account_macos() { with_timeout "$TIMEOUT" su "$ACCOUNT" -c "$1"; }
account_expiry_macos() { :; }
account_has_password_macos() { return 1; }
account_repair_macos() { dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh; }
account_remove_macos() { dscl . -delete "/Users/$ACCOUNT"; }
first_person_id_macos() { printf 500; }
group_is_local_macos() { dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1; }
group_is_known_macos() { dscl /Search -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1; }
group_was_made_macos() { dscl . -read "/Groups/$ACCOUNT" RecordName >/dev/null 2>&1; }

group_number_macos() {
    dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID | sed 's/^PrimaryGroupID: //'
}

group_members_macos() {
    { dscl . -list /Users PrimaryGroupID; dscl . -list /Groups PrimaryGroupID; } |
        G=$1 awk '$NF == ENVIRON["G"] { print $1 }'
    dscl . -read "/Groups/$ACCOUNT" GroupMembership NestedGroups 2>/dev/null | awk '
        /^(GroupMembership|NestedGroups):/ { sub(/^[^:]*:/, ""); listed = 1 }
        /^[^ ]/ { listed = 0 }
        listed { for (i = 1; i <= NF; i++) print $i }'
}

group_remove_macos() { dscl . -delete "/Groups/$ACCOUNT"; }

sshd_enable_macos() {
    launchctl print system/com.openssh.sshd >/dev/null 2>&1 || receipt_add 'enabled remote-login'
    change turn_on_remote_login >/dev/null 2>&1
}

# The status of none of these commands is reliable, and each of them fails on some release: only the port proves it.
turn_on_remote_login() {
    launchctl enable system/com.openssh.sshd || true
    launchctl bootstrap system "$MAC_SSH" || true
    server_finds_sshd || launchctl load -w "$MAC_SSH" || true
    server_finds_sshd || systemsetup -setremotelogin on || true
}

sshd_disable_macos() {
    launchctl disable system/com.openssh.sshd || true
    launchctl bootout system "$MAC_SSH" || true
}

sshd_sockets_macos() { :; }

own_address_macos() {
    case $1 in
        *:*) interface=$(route -n get -inet6 "$1" 2>/dev/null | sed -n 's/^ *interface: //p') family=inet6 ;;
        *) interface=$(route -n get "$1" 2>/dev/null | sed -n 's/^ *interface: //p') family=inet ;;
    esac
    [ -z "$interface" ] || ifconfig "$interface" "$family" 2>/dev/null |
        awk -v family="$family" '$1 == family && $2 !~ /^fe80/ && !/temporary|deprecated/ { print $2; exit }'
}

login_trial_macos() { :; }

sshd_ask_to_enable_macos() { todo 'Please turn on Remote Login: System Settings, General, Sharing.'; }

# That group exists only if Remote Login is limited to some users. If the setup created it, all others were locked out.
sshd_allow_account_macos() {
    dseditgroup -o read "$MAC_GROUP" >/dev/null 2>&1 || return 0
    if dseditgroup -o checkmember -m "$ACCOUNT" "$MAC_GROUP" >/dev/null 2>&1; then
        return 0
    fi
    note 'allowing %s to use Remote Login' "$ACCOUNT"
    receipt_add "member $MAC_GROUP"
    change dseditgroup -o edit -a "$ACCOUNT" -t user "$MAC_GROUP"
}

firewall_name_macos() { :; }

addresses_of_macos() {
    dscacheutil -q host -a name "$1" | sed -En 's/^ip(v6)?_address: //p'
}

console_user_macos() {
    stat -f %Su /dev/console 2>/dev/null || true
}

# Homebrew's rsync belongs to a person, who would then be root. Apple's belongs to root.
rsync_path_macos() { printf /usr/bin/rsync; }

# No program may turn that on; a person can, or the management of a fleet.
advise_unreadable_folder_macos() {
    HIDDEN=yes
    mark 'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow access. No program can allow it. Until then these folders are missing in the backups.'
    case $(sw_vers -productVersion 2>/dev/null) in
        12*) mark 'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.' ;;
        *) mark 'System Settings, General, Sharing, the (i) of Remote Login: turn on "Allow full disk access for remote users".' ;;
    esac
}

# ---------------------------------------------------------------- os/packages.sh

# The package that brings each tool, by family of Linux distributions. semanage and restorecon are for SELinux alone.
package_table() {
    cat <<'END'
TOOL        debian                       redhat                       suse                         arch
ssh         openssh-client               openssh-clients              openssh                      openssh
ssh-keygen  openssh-client               openssh                      openssh                      openssh
sshd        openssh-server               openssh-server               openssh                      openssh
sudo        sudo                         sudo                         sudo                         sudo
visudo      sudo                         sudo                         sudo                         sudo
rsync       rsync                        rsync                        rsync                        rsync
setsid      util-linux                   util-linux                   util-linux                   util-linux
bash        bash                         bash                         bash                         bash
setpriv     util-linux                   util-linux                   util-linux                   util-linux
unshare     util-linux                   util-linux                   util-linux                   util-linux
mount       mount                        util-linux                   util-linux                   util-linux
useradd     passwd                       shadow-utils                 shadow                       shadow
getent      libc-bin                     glibc-common                 glibc                        glibc
semanage    policycoreutils-python-utils policycoreutils-python-utils policycoreutils-python-utils policycoreutils-python-utils
restorecon  policycoreutils              policycoreutils              policycoreutils              policycoreutils
END
}

# ---------------------------------------------------------------- os/unsupported.sh

# Unsupported systems: the setup refuses them. Each file in this folder has these functions: `os account_add` calls
# account_add_linux or account_add_macos. To support a new system, copy this file.

os() {    # FUNCTION [ARGUMENT]...
    os_function=$1_$OS
    shift
    "$os_function" "$@"
}

# Set OS, FAMILY, and what differs between systems: ROOT_GROUP, HOMES, the word OSTYPE_WORD for the server.
detect_system() {
    case $(uname -s) in
        Linux) OS=linux ;;
        Darwin) OS=macos ;;
        *) OS=unsupported ;;
    esac
    os system_detect
}

refuse_system() {
    case $FAMILY in
        immutable) die 77 'This setup does not change NixOS or a read-only system. The manual steps are in docs/client/linux.en.md; please ask the backup administrator.' ;;
        macos) die 77 'This setup needs macOS 12 or later.' ;;
        *) die 77 'This setup supports Debian, Fedora, openSUSE, Arch, their derivatives, and macOS; this system is %s.' \
            "$(os_release PRETTY_NAME | printable | grep . || uname -s)" ;;
    esac
}

system_detect_unsupported() { FAMILY=''; }              # sets what detect_system promises; OS=unsupported if too old
tools_unsupported() { refuse_system; }                  # the programs that the setup needs, one a line
packages_for_unsupported() { refuse_system; }           # TOOL...: the packages that bring them, one a line
packages_install_unsupported() { refuse_system; }       # PACKAGE...
identity_unsupported() { refuse_system; }               # FILE: its owner, group and mode, as in "root bckpciuem 750"
account_entry_unsupported() { refuse_system; }          # a line as in passwd(5), from whatever source
account_is_local_unsupported() { refuse_system; }       # from this computer, not from LDAP
account_was_made_unsupported() { refuse_system; }       # at least half of it
account_add_unsupported() { refuse_system; }            # hidden, without a password, in a group of its own
account_has_password_unsupported() { refuse_system; }   # or is locked, so that sshd refuses it
account_expiry_unsupported() { refuse_system; }         # now, later or nothing: whether the account or its password expires
account_repair_unsupported() { refuse_system; }         # its shell, its password, its expiry
as_account_unsupported() { refuse_system; }             # COMMAND-LINE, away from the terminal, for at most TIMEOUT seconds
account_remove_unsupported() { refuse_system; }
first_person_id_unsupported() { refuse_system; }        # UID_MIN|GID_MIN: the lowest number of a person
group_is_local_unsupported() { refuse_system; }
group_is_known_unsupported() { refuse_system; }         # from whatever source
group_was_made_unsupported() { refuse_system; }         # at least half of it
group_number_unsupported() { refuse_system; }
group_members_unsupported() { refuse_system; }          # NUMBER: all who are in it, own it or may join it
group_remove_unsupported() { refuse_system; }
sshd_enable_unsupported() { refuse_system; }            # now and at boot; notes it in the receipt
sshd_disable_unsupported() { refuse_system; }           # what the receipt has after "enabled"
sshd_sockets_unsupported() { refuse_system; }           # where the service manager listens for it, as sshd -T says it
own_address_unsupported() { refuse_system; }            # PEER: the address of this computer that PEER sees
login_trial_unsupported() { refuse_system; }            # SERVER-ADDRESS: let-in, or sshd’s words if PAM refuses the account
sshd_ask_to_enable_unsupported() { refuse_system; }
sshd_allow_account_unsupported() { refuse_system; }     # if only some users may log in
firewall_name_unsupported() { refuse_system; }          # ufw, firewalld, or nothing if none is active
addresses_of_unsupported() { refuse_system; }           # NAME: its addresses, one a line
console_user_unsupported() { refuse_system; }           # who sits at the screen, if that is known
rsync_path_unsupported() { refuse_system; }             # an rsync that only root can change
advise_unreadable_folder_unsupported() { refuse_system; }

# ---------------------------------------------------------------- steps/account.sh

# Step: the account that the backup server logs in to.

set_up_account() {
    check_account       # again: the first time its tools may have been missing
    if [ -z "$entry" ]; then
        note 'creating the account %s' "$ACCOUNT"
        os group_is_local || receipt_add "group $ACCOUNT"
        receipt_add "account $ACCOUNT"
        change add_account
        change chown "root:$ACCOUNT" "$STATE_DIR"
    elif [ "$(printf '%s' "$entry" | cut -d: -f7)" != /bin/sh ] || os account_has_password ||
        [ -n "$(os account_expiry)" ]; then
        note 'repairing the account %s' "$ACCOUNT"
        change os account_repair
    fi
    [ ! -d "$STATE_DIR" ] || put_folder "$STATE_DIR" root "$ACCOUNT" 750
    put_folder "$STATE_DIR/.ssh" root "$ACCOUNT" 750
}

add_account() {
    os account_add >"$WORK/account" 2>&1 || {
        printable <"$WORK/account" >&2
        die 1 'The account %s could not be created.' "$ACCOUNT"
    }
}

group_or_root() {
    if os group_is_local; then printf '%s' "$ACCOUNT"; else printf '%s' "$ROOT_GROUP"; fi
}

# An existing account or group is used only if the setup would have made the same. Set entry.
check_account() {
    entry=$(os account_entry) || entry=''
    [ -z "$entry" ] || check_entry "$entry"
    check_group
}

check_entry() {    # PASSWD-ENTRY
    os account_is_local ||
        die 1 'The account %s comes from a directory (LDAP, SSSD), not from this computer; it is not safe to use.' "$ACCOUNT"
    uid=$(printf '%s' "$1" | cut -d: -f3)
    if [ "$uid" -eq 0 ] || [ "$uid" -ge "$(os first_person_id UID_MIN)" ]; then
        die 1 'The account %s exists, with the number %s: it is a person’s or root’s, not a system account.' "$ACCOUNT" "$uid"
    fi
    home=$(printf '%s' "$1" | cut -d: -f6)
    if [ "$home" != "$STATE_DIR" ] || [ "$(id -gn "$ACCOUNT")" != "$ACCOUNT" ]; then
        die 1 'The account %s exists, with another home (%s) or group; please remove it and start again.' "$ACCOUNT" "$home"
    fi
}

# A member of the group can read the register-key and change restored files.
check_group() {
    if ! os group_is_local; then
        ! os group_is_known ||
            die 1 'The group %s comes from a directory (LDAP, SSSD), not from this computer; it is not safe to use.' "$ACCOUNT"
        return 0
    fi
    gid=$(os group_number)
    if [ "$gid" -eq 0 ] || [ "$gid" -ge "$(os first_person_id GID_MIN)" ]; then
        die 1 'The group %s exists, with the number %s: it is a person’s or root’s, not a system group.' "$ACCOUNT" "$gid"
    fi
    # "|| true": a database that the system has not must not end the list.
    others=$(os group_members "$gid" | grep -vxF -e "$ACCOUNT" -e '' | sort -u | tr '\n' ' ' || true)
    [ -z "$others" ] ||
        die 1 'The group %s exists, and others are in it or may join it: %s. They could read what only the account may read. Please remove them from the group, or remove the group, and start again.' \
            "$ACCOUNT" "${others% }"
}

# ---------------------------------------------------------------- steps/firewall.sh

# Step: an active firewall lets the backup server in.

open_firewall() {
    [ "$FIREWALL" = yes ] || return 0
    close_wide_rules
    agree_on_networks
    blocked_addresses >"$WORK/blocked"
    while read -r firewall port address; do
        note 'opening the firewall for %s, port %s' "$address" "$port"
        receipt_add "firewall $firewall $port $address"
        change "${firewall}_open" "$port" "$address" </dev/null
    done <"$WORK/blocked"
}

# An earlier setup let in whatever network the server named.
close_wide_rules() {
    wide_rules >"$WORK/wide"
    while IFS= read -r rule; do
        undo_firewall "${rule#firewall }" </dev/null
        receipt_drop "$rule"
    done <"$WORK/wide"
}

wide_rules() {
    [ ! -f "$RECEIPT" ] || grep '^firewall ' "$RECEIPT" | while IFS= read -r rule; do
        address_list "${rule##* }" || printf '%s\n' "$rule"
    done
}

# Print "FIREWALL PORT ADDRESS" for each address of the server that the firewall blocks.
blocked_addresses() {
    firewall=$(os firewall_name)
    [ -n "$firewall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        "${firewall}_allows" "$port" "$address" || printf '%s %s %s\n' "$firewall" "$port" "$address"
    done
}

# The addresses of the server: from --from, the reply, the line of its key, or its name. The firewall is opened for a
# network only if a person asked for it.
server_addresses() {
    case $FROM in
        '' | none) ;;
        *) printf '%s' "$FROM" | tr ',' '\n'; return 0 ;;
    esac
    named_by_server >"$WORK/named"
    found=no
    while IFS= read -r entry; do
        if ! is_network "$entry" || grep -qsxF -- "network $entry" "$RECEIPT"; then
            printf '%s\n' "$entry"
            found=yes
        fi
    done <"$WORK/named"
    [ "$found" = yes ] || os addresses_of "$SERVER"
}

# Print the addresses and networks that the server says it connects from.
named_by_server() {
    list=${REPLY_FROM:-$(sed -n "s|^restrict,from=\"\\([^\"]*\\)\",command=\"\\(/bin/bash -p \\)\\{0,1\\}$WRAPPER\" .*|\\1|p" "$(keys_file)" 2>/dev/null)} || list=''
    [ -z "$list" ] || printf '%s\n' "$list" | tr ',' '\n'
}

# Ask about each network that the server names: a mistake on the server, or its intruder, must not open this computer.
agree_on_networks() {
    closed_networks >"$WORK/networks"
    while IFS= read -r network; do
        if [ "$DRY_RUN" = no ] && [ "$YES" = no ] && can_ask && [ -n "$REPLY_FROM" ] &&
            yes_or_no 'The server also connects from the network %s. Shall the firewall let in every computer of that network (yes/no)?' "$network"; then
            receipt_add "network $network"
        else
            caution 'The firewall stays closed for the network %s, which the server names. To open it: sudo sh setup.sh --from %s' \
                "$network" "$(named_by_server | tr '\n' ',' | sed 's/,$//')"
        fi
    done <"$WORK/networks"
}

# Print the networks that the server names and that the firewall blocks, without those that a person agreed to.
closed_networks() {
    firewall=$(os firewall_name)
    case $FROM-$firewall in
        -?*) ;;
        *) return 0 ;;
    esac
    port=$(sshd_port)
    for entry in $(named_by_server); do
        if is_network "$entry" && ! grep -qsxF -- "network $entry" "$RECEIPT" && ! "${firewall}_allows" "$port" "$entry"; then
            printf '%s\n' "$entry"
        fi
    done
}

ufw_allows() {    # PORT ADDRESS
    ufw status | awk -v port="$1" -v address="$2" '
        / ALLOW / {
            from = $0
            sub(/.* ALLOW( IN)? +/, "", from)
            sub(/ *#.*/, "", from)
            sub(/ +$/, "", from)
            v6 = address ~ /:/
            to = $1 == port || $1 == port "/tcp" || $1 == "Anywhere" || (port == 22 && ($1 == "OpenSSH" || $1 == "SSH"))
            if (to && (from == address || from == (v6 ? "Anywhere (v6)" : "Anywhere"))) found = 1
        }
        END { exit !found }'
}

ufw_open() {    # PORT ADDRESS
    ufw allow from "$2" to any port "$1" proto tcp >/dev/null
}

ufw_close() {    # PORT ADDRESS
    ufw --force delete allow from "$2" to any port "$1" proto tcp >/dev/null
}

firewalld_allows() {    # PORT ADDRESS
    { [ "$1" -eq 22 ] && firewall-cmd --quiet --permanent --query-service=ssh; } ||
        firewall-cmd --quiet --permanent --query-port="$1/tcp" ||
        firewall-cmd --quiet --permanent --query-rich-rule="$(rich_rule "$@")"
}

firewalld_open() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --add-rich-rule="$(rich_rule "$@")" &&
        firewall-cmd --quiet --add-rich-rule="$(rich_rule "$@")"
}

firewalld_close() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --remove-rich-rule="$(rich_rule "$@")"
    firewall-cmd --quiet --remove-rich-rule="$(rich_rule "$@")"
}

rich_rule() {    # PORT ADDRESS
    family=ipv4
    case $2 in
        *:*) family=ipv6 ;;
    esac
    printf 'rule family="%s" source address="%s" port port="%s" protocol="tcp" accept' "$family" "$2" "$1"
}

# ---------------------------------------------------------------- steps/key.sh

# Step: the server's key, in the file where sshd reads it.

# Print the files in which sshd reads the keys of the account, a line "own PATH" or "shared PATH" for each. A file is
# shared if its pattern gives the same file for other accounts: one without %h, %u and %U that is not below the home.
keys_files() {
    patterns=$(sshd_setting authorizedkeysfile | head -n 1)
    uid=$(id -u "$ACCOUNT" 2>/dev/null) || uid=UID      # in the plan there is no account yet
    printf '%s\n' "${patterns:-.ssh/authorized_keys}" | tr ' ' '\n' | H=$STATE_DIR U=$ACCOUNT N=$uid awk '
        BEGIN { value["h"] = ENVIRON["H"]; value["u"] = ENVIRON["U"]; value["U"] = ENVIRON["N"]; value["%"] = "%" }
        $0 == "" || $0 == "none" { next }
        {
            path = ""
            kind = "shared"
            for (i = 1; i <= length($0); i++) {
                letter = substr($0, i, 1)
                if (letter == "%") {
                    token = substr($0, ++i, 1)
                    if (value[token] == "") next
                    if (token != "%") kind = "own"
                    letter = value[token]
                }
                path = path letter
            }
            if (path !~ /^\//) { path = ENVIRON["H"] "/" path; kind = "own" }
            if (path "/" ~ /\/\.\.\//) kind = "shared"
            print kind, path
        }'
}

# Print the account’s own file of keys: of several, the first that has a folder.
keys_file() {
    keys_files | sed -n 's/^own //p' >"$WORK/keys-files"
    while IFS= read -r path; do
        if [ -d "${path%/*}" ]; then
            printf '%s' "$path"
            return 0
        fi
    done <"$WORK/keys-files"
    head -n 1 "$WORK/keys-files" | grep . | tr -d '\n'
    [ -s "$WORK/keys-files" ]
}

# Print the file that an earlier setup may have used and this one does not: sshd reads it for other accounts too, or its
# setting has changed since.
other_keys_files() {
    { keys_files | sed -n 's/^shared //p'; receipt_get keys; } | grep -vxF -e "$(keys_file)" -e '' | sort -u
}

# Whether FILE has a line of the server’s key.
has_server_key() {    # FILE
    [ -f "$1" ] && grep -v '^[[:blank:]]*#' "$1" | grep -qF -e "command=\"$WRAPPER\"" -e "command=\"$START\""
}

# Remove the server’s key from FILE, and change nothing else there.
take_key_out() {    # FILE
    has_server_key "$1" || return 0
    if [ -L "$1" ] || [ -n "$(unsafe_folder "${1%/*}")" ]; then
        todo 'Please remove the line with %s from %s: users other than root can change this file or its folder.' "$WRAPPER" "$1"
        return 0
    fi
    note 'removing the server’s key from %s' "$1"
    keys_of_others "$1" >"$WORK/keys"
    # shellcheck disable=SC2046  # three words
    change replace_file "$WORK/keys" "$1" $(os identity "$1")
}

no_own_keys() {
    shared=$(keys_files | sed -n 's/^shared //p' | head -n 1)
    if [ -n "$shared" ]; then
        todo 'sshd reads the keys of all accounts from the same file, %s (AuthorizedKeysFile): the server’s key there would open every account. Please add .ssh/authorized_keys to AuthorizedKeysFile, and start the setup again.' "$shared"
    else
        todo 'sshd reads no keys for this account (AuthorizedKeysFile).'
    fi
}

# awk adds a missing line end, so that our line does not join the last one.
keys_of_others() {    # FILE
    W="command=\"$WRAPPER\"" S="command=\"$START\"" \
        awk '/^[ \t]*#/ || !(index($0, ENVIRON["W"]) || index($0, ENVIRON["S"]))' "$1"
}

# Whether the server's line is as the setup wrote it, and no other line starts the backup program.
key_in_place() {
    keys=$(keys_file) && [ -f "$keys" ] && [ -f "$RECEIPT" ] || return 1
    sed -n 's/^key //p' "$RECEIPT" >"$WORK/key-line"
    [ -s "$WORK/key-line" ] && [ "$(os identity "$keys")" = "$(keys_identity "$keys")" ] &&
        grep -F -e "command=\"$WRAPPER\"" -e "command=\"$START\"" "$keys" | grep -v '^[[:blank:]]*#' | cmp -s - "$WORK/key-line"
}

# Whether sshd can start what the line names. That of an older setup names the program itself.
key_starts() {
    grep -qF "command=\"$START\"" "$WORK/key-line" || env test -x "$WRAPPER"
}

# Print the owner, group and mode that the file of the keys must have.
keys_identity() {    # FILE
    case $1 in
        "$STATE_DIR"/*) printf 'root %s 640' "$ACCOUNT" ;;
        *)
            if [ -f "$1" ] && only_root_writes "$1" && os identity "$1" | grep -q '[4-7]$'; then
                os identity "$1"        # an administrator's, and sshd can read it for the account
            else
                printf 'root %s 644' "$ROOT_GROUP"
            fi ;;
    esac
}

install_key() {
    other_keys_files >"$WORK/others-files"
    while IFS= read -r path; do
        take_key_out "$path"
    done <"$WORK/others-files"
    keys=$(keys_file) || return 0       # check_access has told it
    if [ ! -d "${keys%/*}" ]; then
        todo 'sshd reads no keys for this account (AuthorizedKeysFile).'
        return 0
    fi
    allowed=$REPLY_FROM
    case $FROM in
        none) allowed='' ;;
        ?*) allowed=$FROM ;;
    esac
    if [ -n "$allowed" ] && sshd_is dropbear; then
        caution 'The ssh server of this computer is dropbear, which refuses a key with a list of addresses. So it takes the server’s key from any address that the firewall lets in.'
        allowed=''
    fi
    unsafe=$(unsafe_folder "${keys%/*}")
    if [ -n "$unsafe" ]; then
        todo 'Users other than root can change %s, and sshd reads keys below it.' "$unsafe"
        return 0
    fi
    : >"$WORK/keys"
    [ ! -f "$keys" ] || keys_of_others "$keys" >"$WORK/keys"
    # By its interpreter, because the file system of /var may not start programs (noexec).
    key_line=$(printf 'restrict%s,command="%s" %s' "${allowed:+,from=\"$allowed\"}" "$START" "$KEY")
    printf '%s\n' "$key_line" >>"$WORK/keys"
    receipt_set keys "$keys"
    receipt_set key "$key_line"
    # shellcheck disable=SC2046  # three words
    put_file "$WORK/keys" "$keys" $(keys_identity "$keys")
    if [ "$(grep -c '^[^#]' "$WORK/keys")" -gt 1 ]; then
        note '%s also holds other keys; they were left as they are' "$keys"
    fi
}

# With SELinux, sshd may read the keys only if they have their label.
label_files() {
    selinux_enforces || return 0
    pattern="$STATE_DIR/\\.ssh(/.*)?"
    if ! semanage fcontext -l -C 2>/dev/null | grep -qF "$pattern"; then
        note 'adding the SELinux rule for the key'
        receipt_add "selinux $pattern"
        change semanage fcontext -a -t ssh_home_t "$pattern"
    fi
    if restorecon -RFnv "$STATE_DIR" "${HELPER%/*}" "$CONFIG" "$SUDOERS" 2>/dev/null | grep -q .; then
        note 'setting SELinux labels'
        change restorecon -RF "$STATE_DIR" "${HELPER%/*}" "$CONFIG" "$SUDOERS"
    fi
}

# ---------------------------------------------------------------- steps/packages.sh

# Step: the system is a supported one, and has the programs that the setup needs.

check_system() {
    detect_system
    [ "$OS" != unsupported ] || refuse_system
    if [ "$(id -u)" -ne 0 ]; then
        die 1 'Please start the setup as root: sudo sh setup.sh'
    fi
}

install_packages() {
    open_receipt
    missing=''
    for tool in $(os tools); do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086  # several words
    os packages_for $missing >"$WORK/needed"
    packages=$(sort -u "$WORK/needed" | tr '\n' ' ')
    packages=${packages% }
    note 'installing %s' "$packages"
    for package in $packages; do
        receipt_add "package $package"
    done
    command -v sshd >/dev/null || forbid_passwords
    # shellcheck disable=SC2086  # several words
    change os packages_install $packages || {
        tail -n 5 "$WORK/packages" | printable >&2
        die 1 'These packages could not be installed: %s' "$packages"
    }
    if [ "$DRY_RUN" = no ]; then
        check_register_key
        check_known_hosts
    fi
}

# No person asked for an sshd on this computer, so it must not accept people's passwords. The file is there before the
# package, because Debian starts sshd at once.
forbid_passwords() {
    if [ -e "$SSHD_DROP_IN" ] && ! has_our_mark "$SSHD_DROP_IN"; then
        return 0        # an administrator's
    fi
    note 'sshd is new on this computer: it will accept keys only, no passwords'
    cat >"$WORK/drop-in" <<END
# Made by setup.sh: there was no sshd on this computer before, and the backup server logs in with a key.
# To let people log in by password, put other settings into a file that is read before this one, or remove this one.
PasswordAuthentication no
KbdInteractiveAuthentication no
END
    for folder in "${SSHD_DROP_IN%/*/*}" "${SSHD_DROP_IN%/*}"; do
        [ -d "$folder" ] || put_folder "$folder" root "$ROOT_GROUP" 755
    done
    put_file "$WORK/drop-in" "$SSHD_DROP_IN" root "$ROOT_GROUP" 644
}

# ---------------------------------------------------------------- steps/permissions.sh

# Step: what the backup server may do on this computer: the backup program, its configuration, the line for sudo.

set_permissions() {
    check_helper_folder
    put_file "$WORK/wrapper" "$WRAPPER" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*/*}" ] || put_folder "${HELPER%/*/*/*}" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*}" ] || put_folder "${HELPER%/*/*}" root "$ROOT_GROUP" 755
    put_folder "${HELPER%/*}" root "$ROOT_GROUP" 755
    put_file "$WORK/wrapper" "$HELPER" root "$ROOT_GROUP" 755
    write_config
    make_restore_folder
    allow_sudo
    try_backup_program
}

# sudo starts the helper as root, so no other user may be able to exchange it. Homebrew used to give /usr/local to a
# person, Debian gave it to the group staff.
check_helper_folder() {
    unsafe=$(unsafe_folder "${HELPER%/*/*}")
    [ -z "$unsafe" ] ||
        die 7 'Users other than root can change %s, so the programs below it are not safe. Please run: chown root %s; chmod go-w %s' \
            "$unsafe" "$unsafe" "$unsafe"
}

# Lines and comments that an administrator wrote stay, unless an option replaces them.
write_config() {
    compose_config
    note_permissions
    put_file "$WORK/config" "$CONFIG" root "$ROOT_GROUP" 644
    say_who_restores
}

# Also for the doctor.
say_who_restores() {
    case $RESTORING in
        owner) caution '--restore owner: whoever this computer is registered for can change every person’s files in the shared folders, and so can the administrators of the backup server.' ;;
        full) caution '--restore full: whoever this computer is registered for can change every file in the shared folders, and so can the administrators of the backup server.' ;;
    esac
}

# Set RESTORING: off, dirs, owner or full. Without a line rsyncsend.sh takes it as off.
compose_config() {
    if [ -f "$CONFIG" ]; then
        cat <"$CONFIG" >"$WORK/config"
        restored=$(config_values restore | tail -n 1)
        new=no
    else
        printf '# Made by setup.sh. The top of %s explains each line.\n' "$HELPER" >"$WORK/config"
        restored='' new=yes
    fi
    config_set share "${SHARES:-$(config_values share | grep . || printf '%s' "$HOMES")}"
    if [ -n "$RESTORE" ] || [ "$new" = yes ]; then
        config_set restore "${RESTORE:-dirs}"
    fi
    RESTORING=$(config_values restore | tail -n 1)
    [ "$RESTORING" = "$restored" ] || NEW_RESTORE=$RESTORING
    ask_for_privileges
    if [ -n "$RESTORE_DIR" ] || [ "$new" = yes ] || { [ "$RESTORING" = dirs ] && [ -z "$(config_values restore-dir)" ]; }; then
        config_set restore-dir "${RESTORE_DIR:-$RESTORE_FOLDER}"
    fi
    binary=$(config_values rsync | tail -n 1)
    if [ "$new" = yes ] || [ ! -x "${binary:-/usr/bin/rsync}" ]; then
        binary=$(os rsync_path)
        config_set rsync "$(readlink -f "$binary" 2>/dev/null || printf '%s' "$binary")"     # macOS has readlink -f from 12.3 on
    fi
}

# Without the line rsyncsend.sh takes it as no. Only a person can agree, so an unattended run never says yes.
ask_for_privileges() {
    if [ "$RESTORING" = full ] && config_values share | grep -qxF / && [ -z "$(config_values restore-privileged)" ]; then
        ASK_PRIVILEGED=yes
        config_set restore-privileged "$PRIVILEGED"
    fi
}

config_values() {    # KEY
    sed -n "s/^$1=//p" "$WORK/config"
}

# Replace the lines of KEY by one for each of VALUES, at the place of the first; all other lines stay.
config_set() {    # KEY VALUES
    if [ "$(config_values "$1")" = "$(printf '%s' "$2")" ]; then
        return 0
    fi
    K="$1=" V=$2 awk '
        function put(  value, count, i) {
            count = done++ ? 0 : split(ENVIRON["V"], value, "\n")
            for (i = 1; i <= count; i++) if (value[i] != "") print ENVIRON["K"] value[i]
        }
        index($0, ENVIRON["K"]) == 1 { put(); next }
        { print }
        END { put() }' "$WORK/config" >"$WORK/settled"
    cat <"$WORK/settled" >"$WORK/config"
}

# This is part of the plan. An unattended run shows no plan, so it is shown there if the configuration is new.
note_permissions() {
    if [ "$DRY_RUN" = no ] && { [ "$UNATTENDED" = no ] || cmp -s "$WORK/config" "$CONFIG"; }; then
        return 0
    fi
    config_values share >"$WORK/folders"
    each_folder note 'the server may read %s'
    [ "$(cat "$WORK/folders")" = "$HOMES" ] ||
        note 'which of these folders are backed up is set on its web page for this computer; at first usually %s' "$HOMES"
    case $RESTORING in
        full) note 'it may write there too, anywhere, as root' ;;
        owner)
            note 'it may write there too, each file as the owner of the folder that it goes to'
            note 'it may write nowhere else, and nothing as root'
            ;;
        dirs)
            config_values restore-dir >"$WORK/folders"
            each_folder note 'it may put restored files into %s, where you fetch them'
            note 'it may write nowhere else, and nothing as root'
            ;;
        *) note 'it may write nothing here; restored files are downloaded from its web page' ;;
    esac
    [ "$OS" != macos ] ||
        note 'macOS shows it people’s folders only with Full Disk Access; you are asked for that at the end'
}

# The folder is root's, and the account may write in it through its group: no restore runs as root.
make_restore_folder() {
    if [ "$RESTORING" = off ] || [ -z "$RESTORING" ] || ! grep -qxF "restore-dir=$RESTORE_FOLDER" "$WORK/config"; then
        return 0
    fi
    put_folder "$RESTORE_FOLDER" root "$ACCOUNT" 770
}

allow_sudo() {
    compose_sudoers
    if [ "$DRY_RUN" = no ]; then
        sudo_takes_it ||
            die 1 'sudo does not accept the line for the backup program; the line was not installed.'
        grep -Eqs '^[@#]includedir[[:space:]]+((/private)?/etc/)?sudoers\.d/?[[:space:]]*$' "$SUDOERS_MAIN" ||
            die 7 '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".'
    fi
    put_file "$WORK/sudoers" "$SUDOERS" root "$ROOT_GROUP" 440
    tell_later_settings
}

# An administrator may mean them, so they stay. Also for the doctor.
tell_later_settings() {
    later_settings | printable >"$WORK/folders"
    each_folder caution 'Settings in %s come after those of this setup, so sudo prefers them: they may stop backups, or record them. Please put them where sudo reads them first, as in /etc/sudoers.d/aa-site.'
}

# Print the files with a setting for all commands, for a list of them or for ours, that sudo reads after our file.
later_settings() {
    setting='^[[:blank:]]*Defaults![[:blank:]]*([A-Z]|.*rsync-helper)' later=no
    for file in "${SUDOERS%/*}"/*; do
        case $later-${file##*/} in
            *-"${SUDOERS##*/}") later=yes ;;
            no-* | *.* | *'~') ;;
            *) ! grep -qsE -- "$setting" "$file" || printf '%s\n' "$file" ;;
        esac
    done
    ! sed -n '/^[@#]includedir/,$p' "$SUDOERS_MAIN" 2>/dev/null | grep -qE -- "$setting" || printf '%s\n' "$SUDOERS_MAIN"
}

# A site may demand a terminal of sudo, forbid that a program starts another one, end a program that takes long, or
# record what goes through it: whole backups. No person types this command, so nothing of that applies to it. A setting
# for one command wins over one for all. Older versions do not know all of these words, and sudo-rs knows none.
compose_sudoers() {
    accepted=''
    for setting in '!requiretty' '!noexec' '!intercept' '!log_input' '!log_output' '!log_subcmds' '!command_timeout' \
        'fdexec=never'; do
        write_sudoers "$accepted${accepted:+, }$setting"
        ! sudo_takes_it || accepted="$accepted${accepted:+, }$setting"
    done
    write_sudoers "$accepted"
}

write_sudoers() {    # SETTINGS
    {
        printf '# Made by setup.sh: the backup server reads through this program, which checks what it is asked.\n'
        [ -z "$1" ] || printf 'Defaults!%s %s\n' "$HELPER" "$1"
        printf '%s ALL=(root) NOPASSWD: %s\n' "$ACCOUNT" "$HELPER"
    } >"$WORK/sudoers"
}

sudo_takes_it() { visudo -cqf "$WORK/sudoers" >/dev/null 2>&1; }

try_backup_program() {
    [ "$DRY_RUN" = no ] || return 0
    if ! probe; then
        printable <"$WORK/probe-errors" >&2
        env test -x "$HELPER" || caution 'The file system of %s may not start programs (noexec).' "$HELPER"
        die 1 'The account %s cannot start the backup program; see above.' "$ACCOUNT"
    fi
    check_restore_folders || exit 7
    # macOS may hide from this Terminal what it shows to sshd, or the reverse: only the server can test that.
    if [ "$OS" != macos ]; then
        probed unreadable
        each_folder caution '%s cannot be read and will not be backed up.'
    fi
}

# Start the backup program as the server does: account, wrapper, sudo, rsync, folders.
probe() {
    as_account "env SSH_ORIGINAL_COMMAND=probe $START" >"$WORK/probe" 2>"$WORK/probe-errors"
}

# Write what the backup program answered for KEYWORD to WORK/folders.
probed() {    # KEYWORD
    sed -n "s/^$1://p" "$WORK/probe" 2>/dev/null | printable >"$WORK/folders"       # if it was not started, there is none
}

# Print yes or no, or nothing if root cannot become the account.
may_write() {    # FOLDER
    FOLDER=$1 as_account "if test -w \"\$FOLDER\"; then echo yes; else echo no; fi" 2>/dev/null || true
}

# The account itself writes restored files to a folder of root's. Return false if it cannot.
check_restore_folders() {
    writable=yes
    case $(sed -n 's/^restore=//p' "$CONFIG" 2>/dev/null | tail -n 1) in
        dirs | owner) ;;
        *) return 0 ;;
    esac
    sed -n 's/^restore-dir=//p' "$CONFIG" >"$WORK/folders"
    while IFS= read -r folder; do
        if [ ! -d "$folder" ]; then
            writable=no
            [ "$folder" != "$RESTORE_FOLDER" ] || REPAIRABLE=yes
            todo '%s does not exist: nothing can be restored to it.' "$folder"
        elif [ "$(os identity "$folder" | cut -d ' ' -f 1)" = root ] && [ "$(may_write "$folder")" = no ]; then
            writable=no
            [ "$folder" != "$RESTORE_FOLDER" ] || REPAIRABLE=yes
            todo 'The account %s cannot write in %s: nothing can be restored there. Please run: chgrp %s %s; chmod g+rwx %s' \
                "$ACCOUNT" "$folder" "$ACCOUNT" "$folder" "$folder"
        fi
    done <"$WORK/folders"
    [ "$writable" = yes ]
}

# ---------------------------------------------------------------- steps/register.sh

# Step: register this computer with the server, for a person who confirms it.

ask_logon() {
    guess=$(likely_logon)
    while :; do
        ask 'Your logon [%s]:' "$guess"
        LOGON=$(without_blanks "${ANSWER:-$guess}")
        LOGON=${LOGON:-$guess}
        if possible_logon "$LOGON"; then
            return 0
        fi
        explain_logon "$LOGON"
    done
}

# Guess who uses this computer.
likely_logon() {
    for name in "${SUDO_USER:-}" "$(os console_user)" "$(logname 2>/dev/null || true)" "$(who 2>/dev/null | awk 'NR == 1 { print $1 }')"; do
        if [ "$name" != root ] && possible_logon "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
}

register() {
    if already_registered && still_registered; then
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        note 'registering this computer with %s, then installing the key of that server' "$SERVER"
        note_keys
        CHANGES=$((CHANGES + 1))
        return 0
    fi
    prepare_call
    confirm_person
    if [ "$REGISTRATION" = renamed ]; then
        tell_renamed
        return 0
    fi
    call "$OSTYPE_WORD:$LOGON"
    if ! read_reply "$WORK/reply" register; then
        reject_reply
    fi
    accept_registration
    [ "$REPLY_STATE" != retired ] || note_retired
}

accept_registration() {
    install_key
    receipt_drop 'verified '
    receipt_set registered "$SERVER $LOGON"
    case $REPLY_HOST in
        '' | *[!A-Za-z0-9._-]*) ;;
        *) receipt_set host "$REPLY_HOST" ;;
    esac
    [ -z "$REPLY_URL" ] || receipt_set url "$REPLY_URL"
    if [ -n "$FROM" ]; then
        receipt_set from "$FROM"
    else
        receipt_drop 'from '
    fi
    receipt_set port "$PORT"
}

# The next step asks for what the server advises.
note_retired() {
    note 'the administrator has stopped the backups of this computer'
    if [ "$VERIFY" = yes ]; then
        note 'the server now decides whether they start again'
        REPLY_ADVICE=''
    fi
}

# The server's key is as trustworthy as the host key that the server proves itself by.
note_keys() {
    print=$(ssh-keygen -l -F "$(known_hosts_name)" -f "$WORK/known-hosts" 2>/dev/null | grep -o 'SHA256:[A-Za-z0-9+/]*' | head -n 1) ||
        print=''
    [ -z "$print" ] || note 'the server must have this host key, from %s: %s' "${KNOWN_HOSTS_FILE:-setup.sh}" "$print"
    note 'with its key the server can only start %s on this computer' "$WRAPPER"
}

already_registered() {
    earlier=$(registered_as) || return 1
    [ "$FORCE" = no ] || return 1
    [ -z "$LOGON" ] || [ "$LOGON" = "$earlier" ] || return 1
    [ "$FROM" = "$(receipt_get from)" ] || return 1
    key_in_place && key_starts || return 1
    LOGON=$earlier
}

# "check" changes nothing on the server; its answer shows a mistyped logon.
confirm_person() {
    tries=1
    while :; do
        [ -n "$LOGON" ] || ask_logon
        call "check:$OSTYPE_WORD:$LOGON"
        if read_reply "$WORK/reply" check; then
            break
        fi
        case $(error_code) in
            ostype-unknown) break ;;        # an old server without "check" gives no name
            bad-user) if [ "$tries" -ge 3 ] || ! can_ask; then reject_reply; fi ;;
            *) reject_reply ;;
        esac
        show_error
        tries=$((tries + 1))
        LOGON=''
    done
    if would_begin_anew; then
        REGISTRATION=renamed
        return 0
    fi
    [ -z "$REPLY_HOST" ] || note 'computer: %s' "$(readable "$REPLY_HOST")"
    if [ -n "$REPLY_PERSON" ]; then
        note 'person: %s' "$(readable "$REPLY_PERSON") ($LOGON)"
    else
        note 'person: %s (the server gives no name)' "$LOGON"
    fi
    say 'This person will be able to read all backed-up files of this computer, including other people’s.'
    [ "$YES" = yes ] || yes_or_no 'Is this correct (yes/no)?' || die 1 'Nothing was registered.'
}

# ---------------------------------------------------------------- steps/registered.sh

# Does the registration of the receipt still hold? Only the server knows: hosts are renamed, retired and transferred there.

# Ask the server, as root and with files of WORK: a question changes nothing, so that the plan and the doctor may ask it
# too. Set REGISTRATION to known, renamed, gone, retired, refused or unknown.
ask_registration() {    # call_once|call_patiently
    [ -s "$WORK/known_hosts" ] || cat <"$WORK/known-hosts" >"$WORK/known_hosts"
    CALL_AS=as_root CALL_FOLDER=$WORK
    "$1" "check:$OSTYPE_WORD:$LOGON"
    CALL_AS=as_account CALL_FOLDER=$STATE_DIR
    if no_connection || timed_out || [ ! -s "$WORK/reply" ]; then
        REGISTRATION=unknown
    elif read_reply "$WORK/reply" check; then
        case $REPLY_STATE in
            new) REGISTRATION=gone ;;
            retired) REGISTRATION=retired ;;
            *) REGISTRATION=known ;;
        esac
        ! is_renamed || REGISTRATION=renamed
    else
        case $(error_code) in
            ostype-unknown) REGISTRATION=known ;;       # an old server, which cannot be asked
            other-owner | bad-user | not-allowed) REGISTRATION=refused ;;
            *) REGISTRATION=unknown ;;
        esac
    fi
}

# An early setup has not noted the name.
is_renamed() {
    name=$(receipt_get host)
    [ -n "$name" ] && [ -n "$REPLY_HOST" ] && [ "$name" != "$REPLY_HOST" ]
}

# Whether a registration would begin a history of its own under a new name, and nobody has asked for that.
would_begin_anew() {
    registered_as >/dev/null && is_renamed && { [ "$FORCE" = no ] || [ "$TASK" = repair ]; }
}

# The server names a computer by its address, and knows nothing of the earlier name.
tell_renamed() {
    VERIFY=no
    new_name=$(readable "$REPLY_HOST")
    todo 'This computer is called %s now, and is registered as %s, where its backups are. To go on with them, ask the backup administrator to give the new name to %s (ClientNameAlias). To begin anew as %s, without them: sudo sh setup.sh --force' \
        "$new_name" "$name" "$name" "$new_name"
}

# Whether nothing needs to be registered. A server that cannot be asked leaves that open: what is to be done on this
# computer is done, and the exit status tells it.
still_registered() {
    if [ -z "$REGISTRATION" ]; then
        if ! command -v ssh >/dev/null; then
            return 0        # in the plan it may be missing
        fi
        ask_registration call_patiently
    fi
    case $REGISTRATION in
        known) note 'already registered for %s' "$LOGON" ;;
        renamed) tell_renamed ;;
        retired)
            VERIFY=no       # a test that succeeds would have them start again
            note 'the administrator has stopped the backups of this computer; to have them start again: sudo sh setup.sh --verify' ;;
        gone)
            note 'the registration on the server is missing or incomplete'
            return 1 ;;
        *)
            VERIFY=no REGISTRATION_STATUS=0
            (why_not_confirmed) || REGISTRATION_STATUS=$? ;;
    esac
}

why_not_confirmed() {
    ! no_connection || not_connected
    reject_reply
}

# ---------------------------------------------------------------- steps/sshd.sh

# Step: an sshd that runs, and that lets the account log in by key.

check_sshd() {
    if [ "$DRY_RUN" = yes ] && ! command -v sshd >/dev/null; then
        return 0
    fi
    [ "$SSHD" = no ] || start_sshd
    os sshd_allow_account
    sshd_settings || return 0
    check_access
    warn_of_passwords
}

# Write to WORK/sshd the settings that sshd applies to the account when the server connects.
sshd_settings() {
    address=$(os addresses_of "${SERVER:-localhost}" | head -n 1)
    if sshd_effective "user=$ACCOUNT,host=${SERVER:-localhost},addr=${address:-127.0.0.1}" >"$WORK/sshd"; then
        return 0
    fi
    [ "$DRY_RUN" = no ] || return 1
    printable <"$WORK/sshd-errors" >&2
    todo 'sshd does not report its settings; please check its configuration.'
    return 1
}

sshd_setting() {    # KEYWORD: its values, one a line
    sed -n "s/^$1 //p" "$WORK/sshd" 2>/dev/null
}

start_sshd() {
    if is_our_sshd && [ -d "$SYSTEMD" ]; then
        receipt_add "enabled $(sshd_unit)"
    fi
    ! server_finds_sshd || return 0
    if sshd_answers; then
        tell_other_door
        return 0
    fi
    note 'starting sshd'
    is_our_sshd ||
        note 'other accounts of this computer can then log in too, by password if the settings of sshd allow that'
    os sshd_enable
    if [ "$DRY_RUN" = yes ] || server_finds_sshd; then
        return 0
    elif sshd_answers; then
        tell_other_door
    else
        os sshd_ask_to_enable
    fi
}

# Whether there was no sshd before the setup.
is_our_sshd() {
    grep -qsxF "file $SSHD_DROP_IN" "$RECEIPT"
}

# Before OpenSSH 8.2 sshd does not read that file; later, a setting in an earlier file wins.
warn_of_passwords() {
    if is_our_sshd && [ -f "$SSHD_DROP_IN" ] && [ "$(sshd_setting passwordauthentication)" != no ]; then
        caution 'sshd accepts passwords from the network, although %s forbids that.' "$SSHD_DROP_IN"
    fi
}

# The port of this computer that the server connects to. After a test it has named another one, if its settings do.
server_port() {
    receipt_get door | grep . || printf 22
}

# Print the addresses of this computer that the server may connect to: those on the routes to its own addresses. Before a
# call it is not known which of IPv4 and IPv6 the server sees.
own_addresses() {
    os addresses_of "${SERVER:-localhost}" | V=$IP_VERSION awk 'ENVIRON["V"] != "-4" || !/:/' | while read -r peer; do
        os own_address "$peer"
    done | awk '!seen[$0]++'
}

# Only a connection proves it. It goes where the server's goes, whatever the settings of sshd say.
server_finds_sshd() {
    port=$(server_port)
    { own_addresses | grep . || printf '127.0.0.1\n'; } | while read -r address; do
        ! greets "$address" "$port" || printf 'yes\n'
    done | grep -q .
}

tell_other_door() {
    todo 'sshd listens elsewhere (%s): the server connects to %s, port %s. Please look at Port, ListenAddress and AddressFamily in the settings of sshd, at ListenStream of ssh.socket, and at the firewall.' \
        "$(sshd_doors | awk '{ printf "%s%s, port %s", (NR > 1) ? "; " : "", $1, $2 }')" \
        "$(own_addresses | head -n 1 | grep . || printf '127.0.0.1')" "$(server_port)"
}

sshd_answers() { [ -n "$(sshd_doors)" ]; }

# Print those where it answers too.
sshd_doors() {
    sshd_listeners | while read -r address port; do
        ! greets "$address" "$port" || printf '%s %s\n' "$address" "$port"
    done
}

# Whether an ssh server greets. From OpenSSH 9.8 on sshd blocks an address for a while after too many connections without
# a login, and says so.
greets() {    # ADDRESS PORT
    greeting "$1" "$2" | grep -qE '^(SSH-|Not allowed at this time|Exceeded MaxStartups)'
}

# Print the first line of a service. A firewall may drop the connection.
greeting() {    # ADDRESS PORT
    # shellcheck disable=SC2016  # for bash
    with_timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" && IFS= read -r -t 3 line <&3 && printf "%s\n" "$line"' bash "$1" "$2" \
        </dev/null 2>/dev/null || true
}

# Whether the ssh server of this computer is SOFTWARE, such as dropbear.
sshd_is() {    # SOFTWARE
    sshd_doors | head -n 1 | while read -r address port; do
        greeting "$address" "$port"
    done | grep -qi "^SSH-[0-9.]*-$1"
}

# Print "ADDRESS PORT" for each place where the service manager listens for sshd, or where sshd says that it listens.
sshd_listeners() {
    { os sshd_sockets; sshd_effective user=root,host=localhost,addr=127.0.0.1 2>/dev/null; } | awk '
        $1 == "listenaddress" {
            port = address = $2
            sub(/.*:/, "", port)
            sub(/:[0-9]+$/, "", address)
            gsub(/[][]/, "", address)
            if (address == "0.0.0.0") address = "127.0.0.1"
            if (address == "::") address = "::1"
            if (!seen[address, port]++) print address, port
            found = 1
        }
        END { if (!found) print "127.0.0.1 22" }'
}

# Print the settings for a connection, as lines "keyword value". Without the address and port of this computer sshd would
# take a Match block by them for one that does not fit, or fail; an old sshd knows neither word.
sshd_effective() {    # user=...,host=...,addr=...
    own=$(os own_address "${1##*addr=}" | grep . || printf '127.0.0.1')
    sshd -T -C "$1,laddr=$own,lport=$(server_port)" 2>"$WORK/sshd-errors" || sshd -T -C "$1" 2>"$WORK/sshd-errors"
}

sshd_port() {
    sshd_listeners | awk 'NR == 1 { print $2 }'
}

check_access() {
    [ "$(sshd_setting pubkeyauthentication)" != no ] ||
        todo 'sshd does not accept keys (PubkeyAuthentication no).'
    keys_file >/dev/null || no_own_keys
    if [ -n "$(sshd_setting allowusers)" ] && ! sshd_setting allowusers | matches_any "$ACCOUNT"; then
        todo 'sshd accepts only the users in AllowUsers; please add %s.' "$ACCOUNT"
    fi
    # A user who is refused from one place only may log in from the server; the connection of the server will prove it.
    if sshd_setting denyusers | { grep -v '@' || true; } | matches_any "$ACCOUNT"; then
        todo 'sshd refuses %s (DenyUsers).' "$ACCOUNT"
    fi
    groups=$(id -Gn "$ACCOUNT" 2>/dev/null) || groups=$ACCOUNT
    # shellcheck disable=SC2086  # several words
    if [ -n "$(sshd_setting allowgroups)" ] && ! sshd_setting allowgroups | matches_any $groups; then
        todo 'sshd accepts only the groups in AllowGroups; please add %s.' "$ACCOUNT"
    fi
    # shellcheck disable=SC2086
    if sshd_setting denygroups | matches_any $groups; then
        todo 'sshd refuses the group %s (DenyGroups).' "$ACCOUNT"
    fi
    { sshd_setting authenticationmethods | grep . || printf any; } | tr ' ' '\n' | grep -qxE 'any|publickey' ||
        todo 'sshd requires more than a key (AuthenticationMethods).'
    check_algorithms
    check_sessions
    case $(sshd_setting forcecommand) in
        '' | none | "$WRAPPER") ;;
        *) todo 'sshd starts another command than the backup program (ForceCommand).' ;;
    esac
}

# What sshd may refuse after the login, or for one key.
check_sessions() {
    [ "$(sshd_setting maxsessions)" != 0 ] ||
        todo 'sshd lets nobody start a program (MaxSessions 0).'
    [ "$(sshd_setting refuseconnection)" != yes ] ||
        todo 'sshd refuses the connection (RefuseConnection).'
    case $(sshd_setting chrootdirectory) in
        '' | none) ;;
        *) todo 'sshd locks %s into a folder without the backup program (ChrootDirectory).' "$ACCOUNT" ;;
    esac
    revoked=$(sshd_setting revokedkeys)
    case $revoked in
        '' | none) ;;
        *)
            if [ ! -f "$revoked" ]; then
                todo 'sshd accepts no key at all, because it cannot read %s (RevokedKeys).' "$revoked"
            elif server_key_revoked "$revoked"; then
                todo 'sshd refuses the server’s key, because it is in %s (RevokedKeys).' "$revoked"
            fi ;;
    esac
}

# Such a file is a list of keys, or in the binary form of ssh-keygen.
server_key_revoked() {    # FILE
    receipt_get key | grep -oE '[a-z0-9-]+ AAAA[A-Za-z0-9+/=]+' >"$WORK/server-key" || return 1
    grep -qF "$(cut -d ' ' -f 2 "$WORK/server-key")" "$1" ||
        ssh-keygen -Q -f "$1" "$WORK/server-key" 2>/dev/null | grep -q 'REVOKED$'
}

# sshd asks PAM too, whose rules "sshd -T" does not tell: access.conf, a list of users, hours, a file nologin. Return
# false if that could not be tried: on a Mac, in most containers, for networks.
check_pam() {
    if [ "$(os account_expiry)" = now ]; then
        [ "$TASK" = doctor ] ||
            todo 'The account %s or its password has expired, so sshd and sudo refuse it. To correct that: sudo sh setup.sh --repair' "$ACCOUNT"
        return 0
    fi
    [ "$(sshd_setting usepam)" = yes ] || return 0
    refusal=''
    for address in $(server_addresses | grep -v / | head -n 4); do
        said=$(os login_trial "$address" | printable)
        [ "$said" != let-in ] || return 0
        refusal=${said:-$refusal}
    done
    [ -n "$refusal" ] || return 1
    for file in /etc/nologin /run/nologin; do
        if [ -e "$file" ]; then
            todo '%s exists, so nobody but root can log in. Please remove it when its reason is over.' "$file"
            return 0
        fi
    done
    todo 'PAM does not let the account %s log in through sshd (%s). See the account lines of /etc/pam.d/sshd and what they name, such as /etc/security/access.conf. The log has more: journalctl -t sshd -t sshd-session, or /var/log/auth.log or secure' \
        "$ACCOUNT" "$refusal"
}

# The type of the server's key is known once this computer is registered.
check_algorithms() {
    list=,$(sshd_setting pubkeyacceptedalgorithms),
    kind=$(receipt_get key | grep -oE '(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) AAAA' | sed 's/ AAAA//') || return 0
    [ "$kind" != ssh-rsa ] || kind=rsa-sha2-
    case $list in
        ,, | *",$kind"*) ;;
        *) todo 'sshd does not accept keys of the server’s type, %s (PubkeyAcceptedAlgorithms).' "$kind" ;;
    esac
}

# Whether a pattern on standard input (USER or USER@HOST) matches one of the names.
matches_any() {    # NAME...
    while IFS= read -r pattern; do
        for name in "$@"; do
            # shellcheck disable=SC2254  # * and ? mean the same to sshd and to the shell
            case $name in
                ${pattern%%@*}) return 0 ;;
            esac
        done
    done
    return 1
}

# ---------------------------------------------------------------- steps/verify.sh

# Step: the server proves that a backup works: it connects to this computer, logs in, and tries to read.

verify() {
    if [ "$VERIFY" = no ]; then
        return 0
    elif [ "$TASK" = setup ] && [ "$TRY_AGAIN" = no ] && receipt_has "verified $SERVER $LOGON" &&
        [ -z "$(folders_not_saved)$(receipt_get lacking)" ]; then
        return 0
    fi
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then
        note 'having %s connect to this computer as a test' "$SERVER"
        return 0
    fi
    [ -f "$STATE_DIR/register-key" ] || prepare_call
    host_key_lines >"$WORK/host-keys"
    note '%s now connects to this computer; this may take half a minute' "$SERVER"
    call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    if stopped_meanwhile; then
        get_new_key
        call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    fi
    if read_reply "$WORK/reply" verify; then
        [ "$REPLY_STATE" != resumed ] || note 'the backups of this computer had been stopped, and start again'
        receipt_add "verified $SERVER $LOGON"
        LEFT_TO_DO=no       # whatever seemed to block it does not
        note 'the server logged in and could read: backups will work'
        [ -z "$REPLY_BACKUP" ] || note 'the first backup starts soon'
        case $REPLY_SHARES in
            '' | *[!\ -~]*) receipt_drop 'shares ' ;;
            *) receipt_set shares "$REPLY_SHARES" ;;
        esac
        case $REPLY_PORT in
            '' | *[!0-9]* | ??????*) ;;
            *) receipt_set door "$REPLY_PORT" ;;
        esac
        receipt_drop 'lacking '
        case $REPLY_LACKING in
            '' | *[!\ -~]*) ;;
            *) receipt_set lacking "$REPLY_LACKING" ;;
        esac
        say_own_file_systems
        mark_folders_not_saved
    elif [ "$(error_code)" = ostype-unknown ]; then
        note 'this server does not test its connection to this computer'
    elif [ "$(error_code)" = not-registered ] && renamed_meanwhile; then
        receipt_drop "verified $SERVER "
        tell_renamed
    else
        not_verified
    fi
}

# A computer with a new name is one that the server does not know. Keeps the reply.
renamed_meanwhile() {
    cat <"$WORK/reply" >"$WORK/verify-reply"
    ask_registration call_once
    cat <"$WORK/verify-reply" >"$WORK/reply"
    [ "$REGISTRATION" = renamed ]
}

# Whether the server did not take the key because an administrator has stopped the backups: then only a key that it
# gives after that counts. Keeps the reply.
stopped_meanwhile() {
    case $(error_code) in
        not-registered) ;;
        not-reachable) [ "$(reply_line_of step)" = login ] || return 1 ;;
        *) return 1 ;;
    esac
    cat <"$WORK/reply" >"$WORK/verify-reply"
    verify_status=$REPLY_STATUS
    ask_registration call_once
    cat <"$WORK/verify-reply" >"$WORK/reply"
    REPLY_STATUS=$verify_status
    [ "$REGISTRATION" = retired ]
}

# The person has confirmed the registration before.
get_new_key() {
    call "$OSTYPE_WORD:$LOGON"
    if ! read_reply "$WORK/reply" register; then
        reject_reply
    fi
    accept_registration
    REPLY_ADVICE=''
    note 'the server has given this computer a new key'
}

# Print the folders that the server may read but does not back up, by its last reply.
folders_not_saved() {
    saved=$(receipt_get shares)
    if [ -z "$saved" ] || [ ! -f "$CONFIG" ]; then
        return 0
    fi
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r folder; do
        is_in_one_of "$(as_server_writes "${folder%/}")" "$saved" || is_saved_in_parts "$folder" "$saved" ||
            printf '%s\n' "$folder"
    done
}

# Whether FOLDER is one of FOLDERS, or below one of them.
is_in_one_of() {    # FOLDER FOLDERS
    F=$1 S=$2 awk 'BEGIN {
        count = split(ENVIRON["S"], whole, " ")
        for (i = 1; i <= count; i++) {
            sub(/\/+$/, "", whole[i])
            if (index(ENVIRON["F"] "/", whole[i] "/") == 1) exit 0
        }
        exit 1
    }'
}

# Whether all folders at the top of FOLDER are file systems of their own, by the last probe, and are among SAVED.
is_saved_in_parts() {    # FOLDER SAVED
    [ -f "$WORK/probe" ] && F=${1%/} S=$2 awk 'BEGIN {
            count = split(ENVIRON["S"], saved, " ")
            for (i = 1; i <= count; i++) {
                sub(/\/+$/, "", saved[i])
                is[saved[i]] = 1
            }
        }
        index($0, "folders:") == 1 && substr($0, index($0, " ") + 1) == ENVIRON["F"] { all = substr($0, 9) + 0 }
        index($0, "mounted:" ENVIRON["F"] "/") == 1 && substr($0, 9) in is { parts++ }
        END { exit !(all && parts >= all) }' "$WORK/probe"
}

# The server writes bytes outside printable ASCII, the backslash, the blank and = as \xHH.
as_server_writes() {    # TEXT
    printf '%s' "$1" | od -An -v -tx1 | awk '{
        for (i = 1; i <= NF; i++) {
            byte = 16 * (index(digits, substr($i, 1, 1)) - 1) + index(digits, substr($i, 2, 1)) - 1
            plain = byte > 32 && byte < 127 && byte != 61 && byte != 92
            out = out (plain ? sprintf("%c", byte) : "\\x" $i)
        }
    }
    BEGIN { digits = "0123456789abcdef" }
    END { printf "%s", out }'
}

# Homes that are file systems of their own are backed up too; those that are not on a disk of this computer are not.
say_own_file_systems() {
    if probe; then
        probed included
        each_folder note '%s is a file system of its own, and is backed up too'
    fi
}

mark_folders_not_saved() {
    probed closed
    cat "$WORK/folders" >"$WORK/closed"
    receipt_get lacking | tr ' ' '\n' >"$WORK/lacking"
    [ ! -s "$WORK/lacking" ] || NOT_SAVED=yes
    grep -vxF -f "$WORK/closed" "$WORK/lacking" >"$WORK/folders" || true
    each_folder mark 'The home %s is not backed up, because it is on another file system. If it is on a file server, have that file server backed up. Otherwise add it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify'
    grep -xF -f "$WORK/closed" "$WORK/lacking" >"$WORK/folders" || true
    each_folder mark 'The home %s is not backed up, because not even root may read it. If it is mounted by FUSE, mount it with the option allow_other. Then: sudo sh setup.sh --verify'
    folders_not_saved >"$WORK/folders"
    [ ! -s "$WORK/folders" ] || NOT_SAVED=yes
    each_folder mark 'The server may read %s but does not back it up. Add the folder on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify'
}

# Print the host keys of this computer, for the server to compare.
host_key_lines() {
    { sshd_setting hostkey | grep . || printf '%s\n' /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key; } |
        while IFS= read -r file; do
            { cat "$file.pub" 2>/dev/null || ssh-keygen -y -P '' -f "$file" 2>/dev/null || true; } |
                awk 'NF >= 2 { print "hostkey:" $1 " " $2; exit }'
        done
    printf '.\n'
}

not_verified() {
    receipt_drop "verified $SERVER "
    VERIFIED=no
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        warn 'The reply of the server is not understood (%s).' "${PROBLEM:-$REPLY_STATUS}"
        return 0
    fi
    show_error
    reason=$(reply_line_of step)
    [ -z "$reason" ] || advise_step "$reason"
    print=$(reply_line_of fingerprint)
    [ -z "$print" ] || warn 'The new host key, for the administrator: %s' "$print"
}

# What a person at this computer can do about a step that failed.
advise_step() {    # STEP
    case $1 in
        login | wrapper | sudo | unclean)
            check_pam || true
            [ "$LEFT_TO_DO" = no ] || return 0 ;;
    esac
    case $1 in
        refused) warn 'No ssh server listens on this computer. Start the setup with --repair.' ;;
        firewall) warn 'A firewall, on this computer or on the network, blocks port 22 for the server. Allow ssh from the server.' ;;
        ping) warn 'The server pings this computer before every backup, and got no answer. Allow ping (ICMP echo) in the firewall.' ;;
        slow) warn 'The network is too slow for a backup now. Use a cable, or move closer to the Wi-Fi, and try again.' ;;
        name) warn 'The server finds no address for the name of this computer. Please tell the network administrator.' ;;
        hung-up) warn 'sshd on this computer closes the connection of the server, perhaps after too many attempts. Wait some minutes.' ;;
        not-ssh) warn 'Another program than sshd answers on the ssh port of this computer.' ;;
        negotiation) warn 'The ssh server of this computer and the backup server have no method of encryption in common. Please update this computer. If that does not help, the backup administrator can tell you more.' ;;
        host-key) warn 'Another computer answers at the address of this one. Please tell the network administrator.' ;;
        login)
            ! sshd_is tinyssh ||
                warn 'The ssh server of this computer is tinysshd, which cannot limit a key to the backup program. Please install OpenSSH instead.'
            warn 'sshd on this computer refuses the account %s. Start the setup with --doctor.' "$ACCOUNT" ;;
        wrapper | sudo) warn 'The backup program does not start correctly. Start the setup with --repair.' ;;
        rsync)
            if reply_line_of advice | grep -q 'BackupPC'; then
                advise_step settings
            else
                warn 'rsync does not work on this computer. Start the setup with --repair.'
            fi ;;
        unclean) warn 'Something prints text when the server logs in, and that breaks backups. Check /etc/ssh/sshrc and the .bashrc of %s.' "$ACCOUNT" ;;
        empty) warn 'A folder to back up contains no file that the server would back up.' ;;
        file-system) warn 'The folders to back up are file systems of their own, which the server leaves out. The advice of the server names what to do. Then: sudo sh setup.sh --verify' ;;
        folder) os advise_unreadable_folder ;;
        share) warn 'The server is set to back up a folder that this computer does not share. Start the setup with --share for each folder to back up, including this one. Or remove it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).' ;;
        silent) warn 'This computer or the network was too slow. Please try again later.' ;;
        disabled) warn 'The backups of this computer are disabled on the server. The backup administrator can tell you why.' ;;
        settings | elsewhere) warn 'Only the backup administrator can correct the server’s settings for this computer.' ;;
        *) warn 'Please show this to the backup administrator too.' ;;
    esac
}

# ---------------------------------------------------------------- 90-doctor.sh

# --doctor: look at everything, change nothing, mark what is wrong. Here: the account, the files, sudo, rsync.

doctor() {
    if [ ! -f "$RECEIPT" ]; then
        die 1 'This computer is not set up; please start the setup without --doctor.'
    fi
    LOGON=$(registered_as) || LOGON=''
    heading 'What works, what is wrong (!), and what could not be tested (?)'
    doctor_account
    doctor_files
    doctor_sudo
    check_restore_folders || true
    doctor_server       # first: it shows whether the server sees IPv4 or IPv6
    doctor_sshd
    doctor_key
    doctor_firewall
    conclude
}

conclude() {
    if [ "$REPAIRABLE" = yes ] && [ -n "$LOGON" ]; then
        say 'Of this, sudo sh setup.sh --repair corrects what it can.'
    fi
    if [ "$LEFT_TO_DO$NOT_SAVED" != nono ]; then
        exit 1
    elif [ "$UNTESTED" = no ]; then
        say 'No problem was found on this computer. What only a connection from the server can show, such as a firewall, is tested by: sudo sh setup.sh --verify'
    else
        say 'No problem was found, but not everything could be tested: see the lines with ?'
        [ "$IN_DOUBT" = no ] || exit 1
    fi
}

doctor_account() {
    if ! entry=$(os account_entry) || ! os account_is_local; then
        to_repair 'There is no account %s on this computer.' "$ACCOUNT"
        ENTERED=no
        return 0
    elif [ "$(printf '%s' "$entry" | cut -d: -f6)" != "$STATE_DIR" ]; then
        todo 'The account %s has a wrong home.' "$ACCOUNT"
    elif [ "$(printf '%s' "$entry" | cut -d: -f7)" != /bin/sh ]; then
        to_repair 'The account %s has a wrong shell.' "$ACCOUNT"
    elif os account_has_password; then
        to_repair 'The account %s has a password or is locked; sshd may refuse it.' "$ACCOUNT"
    elif [ "$(os account_expiry)" = now ]; then
        to_repair 'The account %s or its password has expired, so sshd and sudo refuse it. To correct that: sudo sh setup.sh --repair' "$ACCOUNT"
    else
        note 'the account %s' "$ACCOUNT"
    fi
    [ "$(os account_expiry)" != later ] ||
        caution 'The account %s or its password will expire; then sshd refuses it. To prevent that: sudo sh setup.sh --repair' "$ACCOUNT"
    can_enter || {
        ENTERED=no
        todo 'Root cannot become the account %s: %s' "$ACCOUNT" "$(tail -n 1 "$WORK/entry-errors" | printable)"
    }
}

doctor_files() {
    unsafe=$(unsafe_folder "${HELPER%/*}")
    [ -z "$unsafe" ] || todo 'Users other than root can change %s, and so the backup program.' "$unsafe"
    doctor_permissions
    missing=''
    for path in "$WRAPPER" "$HELPER" "$CONFIG"; do
        [ -f "$path" ] || missing="$missing $path"
    done
    if [ -n "$missing" ]; then
        to_repair 'The backup program is incomplete; missing:%s' "$missing"
    elif ! can_examine "$WRAPPER" || ! can_examine "$HELPER"; then
        :       # doctor_permissions has told it
    elif ! env test -x "$HELPER"; then
        todo 'The file system of %s may not start programs (noexec).' "$HELPER"
    elif ! cmp -s "$WRAPPER" "$HELPER"; then
        to_repair 'The two copies of the backup program differ.'
    elif given_wrapper && ! cmp -s "$WORK/wrapper" "$HELPER"; then
        to_repair 'The backup program is not the one of this setup: it is older, or was changed.'
    else
        note 'the backup program'
    fi
}

doctor_permissions() {
    while read -r path owner group mode; do
        if [ ! -e "$path" ]; then
            continue
        elif ! can_examine "$path"; then
            doubt 'not tested: %s, which root cannot examine' "$path"
        elif [ "$(os identity "$path")" != "$owner $group $mode" ]; then
            to_repair '%s has wrong permissions (%s instead of %s).' "$path" "$(os identity "$path")" "$owner $group $mode"
        fi
    done <<END
$STATE_DIR root $ACCOUNT 750
$STATE_DIR/.ssh root $ACCOUNT 750
$STATE_DIR/.ssh/authorized_keys root $ACCOUNT 640
$STATE_DIR/known_hosts root $ACCOUNT 640
$WRAPPER root $ROOT_GROUP 755
$HELPER root $ROOT_GROUP 755
$CONFIG root $ROOT_GROUP 644
$SUDOERS root $ROOT_GROUP 440
END
}

# Whether root can read a file and its permissions. If not, it is neither right nor wrong.
can_examine() {    # PATH
    { [ -d "$1" ] || cat <"$1" >/dev/null; } 2>/dev/null && [ -n "$(os identity "$1" 2>/dev/null)" ]
}

doctor_sudo() {
    if [ -f "$SUDOERS" ] && can_examine "$SUDOERS" && command -v visudo >/dev/null && compose_sudoers && ! cmp -s "$WORK/sudoers" "$SUDOERS"; then
        to_repair 'The lines for sudo in %s are not those of this setup: they are older, or were changed.' "$SUDOERS"
    fi
    tell_later_settings
    [ "$ENTERED" = yes ] || return 0
    status=0
    probe || status=$?
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ] || [ "$status" -eq 142 ]; then
        doubt 'not tested: the backup program, which did not answer within %s seconds' "$TIMEOUT"
        return 0
    elif [ "$status" -ne 0 ]; then
        # Our program begins each line with the name of the account.
        if grep -q "^$ACCOUNT: " "$WORK/probe-errors"; then
            todo 'The backup program does not start: %s' "$(grep "^$ACCOUNT: " "$WORK/probe-errors" | tail -n 1 | printable)"
        else
            [ -f "$SUDOERS" ] || REPAIRABLE=yes
            todo 'sudo does not let the account %s start the backup program: %s' "$ACCOUNT" \
                "$(tail -n 1 "$WORK/probe-errors" | printable)"
        fi
        return 0
    fi
    note 'sudo starts the backup program'
    probed share
    each_folder note '%s can be read'
    probed unreadable
    if [ "$OS" = macos ]; then     # macOS may hide from this Terminal what it shows to sshd
        each_folder untested '%s: only the server can test whether it can be read, with --verify'
    else
        each_folder todo '%s cannot be read. Does it exist?'
    fi
    probed included
    each_folder note '%s is a file system of its own, and is backed up too'
    probed closed
    each_folder caution '%s cannot be read and will not be backed up.'
    rsync=$(sed -n 's/^rsync://p' "$WORK/probe" | printable)
    doctor_rsync "$rsync"
    wall=$(sed -n 's/^wall://p' "$WORK/probe" | printable)
    doctor_wall "$wall" "$rsync"
    RESTORING=$(sed -n 's/^restore://p' "$WORK/probe" | printable)
    doctor_restore "$rsync" "$wall"
}

doctor_restore() {    # RSYNC-VERSION WALL
    say_who_restores
    case $RESTORING-$1-$2 in
        owner-*-namespace | owner-3.[5-9]* | owner-3.[1-9][0-9]* | owner-[4-9]* | owner-[1-9][0-9]*) ;;
        owner-*) todo 'A restore to the original folders (restore=owner) needs rsync 3.5 or later, not %s.' "$1" ;;
    esac
}

# Versions before 3.4 have vulnerabilities that another user of this computer could use against root.
doctor_rsync() {    # VERSION
    case $1 in
        openrsync* | '') note 'rsync: %s' "$1" ;;
        [012].* | v[012].* | 3.[0123] | 3.[0123].* | v3.[0123] | v3.[0123].*)
            if [ "$OS" = macos ]; then
                note 'rsync: %s, from Apple' "$1"
            else
                caution 'rsync %s is old (before 3.4); please install the updates of this system.' "$1"
            fi ;;
        *) note 'rsync: %s' "$1" ;;
    esac
}

# What keeps rsync inside the shared folders.
doctor_wall() {    # WALL VERSION
    case $1 in
        namespace) note 'rsync works in a file system that holds only the folder that is backed up or restored' ;;
        sandbox) note 'a sandbox keeps rsync inside the folder that is backed up or restored' ;;
        confine-root) note 'rsync keeps itself inside the folder that is backed up or restored' ;;
        *) todo 'Nothing keeps rsync %s inside the shared folders, so no backup starts. Please update rsync to 3.5 or later; in a container, let root mount.' "$2" ;;
    esac
}

# ---------------------------------------------------------------- 91-uninstall.sh

# --uninstall: revert what the receipt lists, the last line first.

uninstall() {
    if [ ! -f "$RECEIPT" ]; then
        if [ -n "$(leftovers)" ]; then
            plan remove_leftovers
            [ "$DRY_RUN" = yes ] || remove_leftovers
        fi
        refuse_without_receipt
        say 'Nothing of this setup is on this computer.'
        return 0
    fi
    host=$(receipt_get host)
    plan undo_all
    [ "$DRY_RUN" = no ] || return 0
    undo_all
    if [ -n "$SERVER" ]; then
        say 'Done. The backups stay on %s, where this computer is still registered. To end that, ask the backup administrator to retire %s.' \
            "$SERVER" "${host:-$(uname -n)}"
    else
        say 'Done.'
    fi
}

refuse_without_receipt() {
    marked=''
    for path in "$WRAPPER" "$HELPER" "$SUDOERS" "$CONFIG"; do
        ! has_our_mark "$path" || marked="$marked $path"
    done
    [ -z "$marked" ] ||
        die 1 'The receipt %s is lost, but these files still exist:%s. Please start the setup once more to write a new receipt, and then use --uninstall.' \
            "$RECEIPT" "$marked"
}

undo_all() {
    heading 'Undoing the changes of the setup'
    remove_server_key
    remove_leftovers
    awk '{ line[NR] = $0 } END { for (n = NR; n; n--) print line[n] }' "$RECEIPT" >"$WORK/undo"
    while read -r kind what; do
        undo "$kind" "$what" </dev/null
    done <"$WORK/undo"
    [ ! -d "$WALL_FOLDER" ] || change rmdir -- "$WALL_FOLDER" 2>/dev/null || true
    if [ "$KEPT" = yes ]; then
        keep_receipt
    elif [ -f "$RECEIPT" ]; then
        change rm -f -- "$RECEIPT"
    fi
}

remove_server_key() {
    sshd_settings || true
    other_keys_files >"$WORK/others-files"
    while IFS= read -r path; do
        take_key_out "$path"
    done <"$WORK/others-files"
    keys=$(keys_file) || return 0
    [ -f "$keys" ] || return 0
    keys_of_others "$keys" >"$WORK/keys"
    if grep -q '^[^#]' "$WORK/keys"; then
        note '%s also holds other keys: they stay, and so does the account' "$keys"
        KEEP_USER=yes
        OTHERS_KEYS=$keys
    fi
    take_key_out "$keys"
}

undo() {    # KIND WHAT
    case $1 in
        registered | verified | key | keys | host | url | shares | lacking | from | port | door | network) ;;
        file) case $2 in
            "$OTHERS_KEYS") ;;
            "$SSHD_DROP_IN") undo_drop_in ;;
            *) remove_file "$2" ;;
            esac ;;
        folder) undo_folder "$2" ;;
        was) undo_permissions "$2" ;;
        account) undo_account ;;
        group) if [ "$KEEP_USER" = no ] && os group_was_made; then change remove_group; fi ;;
        enabled)
            note 'disabling sshd, which the setup had enabled'
            change os sshd_disable "$2" >/dev/null 2>&1 || true ;;
        member) change dseditgroup -o edit -d "$ACCOUNT" -t user "$2" >/dev/null 2>&1 || true ;;
        selinux) change semanage fcontext -d "$2" >/dev/null 2>&1 || true ;;
        firewall) undo_firewall "$2" ;;
        package) note '%s was installed by the setup, and stays: other programs may need it' "$2" ;;
        *) caution 'not understood in %s: %s' "$RECEIPT" "$1 $2" ;;
    esac
}

remove_file() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        note 'removing %s' "$1"
        change rm -f -- "$1"
    fi
}

# If sshd stays enabled, the file stays: without it people could log in by password.
undo_drop_in() {
    if { [ "$DRY_RUN" = yes ] && receipt_has 'enabled '; } || ! sshd_answers; then
        remove_file "$SSHD_DROP_IN"
    elif [ -f "$SSHD_DROP_IN" ]; then
        note 'sshd still runs: %s stays, so that sshd accepts no passwords' "$SSHD_DROP_IN"
    fi
}

# A folder that is not empty stays, and so do the folders of sshd, which came with its package.
undo_folder() {
    case $1 in
        "${SSHD_DROP_IN%/*}" | "${SSHD_DROP_IN%/*/*}") if command -v sshd >/dev/null; then return 0; fi ;;
    esac
    if [ ! -d "$1" ] || { [ "$KEEP_USER" = yes ] && { [ "$1" = "$STATE_DIR" ] || [ "$1" = "$STATE_DIR/.ssh" ]; }; }; then
        return 0
    fi
    note 'removing the folder %s' "$1"
    if [ "$1" = "$STATE_DIR" ] && [ "$(ls -A "$STATE_DIR")" = "${RECEIPT##*/}" ]; then
        change remove_state_dir
        return 0
    fi
    change rmdir -- "$1" 2>/dev/null || leave_folder "$1"
}

# The number of the account may be given to another user, who must not own the restored files.
leave_folder() {    # FOLDER
    if [ "$1" = "$RESTORE_FOLDER" ] && [ "$KEEP_USER" = no ]; then
        caution '%s is not empty: it stays, for root only' "$1"
        change give_to_root "$1"
    else
        caution '%s is not empty: it stays' "$1"
    fi
}

give_to_root() {    # FOLDER
    chown "root:$ROOT_GROUP" "$1"
    chmod 700 "$1"
    ! os account_was_made || find "$1" -xdev -user "$ACCOUNT" -exec chown -h "root:$ROOT_GROUP" '{}' +
}

undo_permissions() {    # "FOLDER OWNER GROUP MODE"
    mode=${1##* }
    rest=${1% *}
    group=${rest##* }
    rest=${rest% *}
    folder=${rest% *}
    if [ ! -d "$folder" ] || [ "$KEEP_USER" = yes ]; then
        return 0
    elif [ "$folder" = "$RESTORE_FOLDER" ] && [ -n "$(ls -A "$folder")" ]; then
        leave_folder "$folder"
        return 0
    fi
    note 'setting the permissions of %s' "$folder"
    change chown "${rest##* }:$group" "$folder"
    change chmod "$mode" "$folder"
}

# The reverse of make_state_dir: if the setup is killed in between, remove_leftovers finishes it.
remove_state_dir() {
    top=$STATE_DIR
    ! grep -qxF "folder ${STATE_DIR%/*}" "$RECEIPT" || top=${STATE_DIR%/*}
    fresh=$(temporary_of "$top")
    mv -- "$STATE_DIR" "$fresh"
    remove_leftover "$fresh"
}

undo_account() {
    if [ "$KEEP_USER" = yes ]; then
        KEPT=yes
        return 0
    fi
    os account_was_made || return 0
    note 'removing the account %s' "$ACCOUNT"
    if its_processes >/dev/null; then
        note 'ending the processes of %s, perhaps a backup' "$ACCOUNT"
        change end_its_processes
    fi
    change remove_account || die 1 'The account could not be removed: %s' "$(tail -n 1 "$WORK/account" | printable)"
}

its_processes() {
    os account_was_made && ps -u "$ACCOUNT" -o pid= 2>/dev/null
}

end_its_processes() {
    for signal in TERM TERM KILL; do
        pids=$(its_processes) || return 0
        # shellcheck disable=SC2086  # several words
        kill -s "$signal" $pids 2>/dev/null || true
        sleep 1
    done
}

remove_account() {
    os account_remove >"$WORK/account" 2>&1
}

remove_group() {
    os group_remove >/dev/null 2>&1 || true
}

undo_firewall() {    # "FIREWALL PORT ADDRESS"
    firewall=${1%% *}
    rest=${1#* }
    note 'closing the firewall for %s' "${rest#* }"
    case $firewall in
        ufw | firewalld) change "${firewall}_close" "${rest%% *}" "${rest#* }" >/dev/null 2>&1 || true ;;
    esac
}

# Another --uninstall can remove what --keep-user leaves.
keep_receipt() {
    grep -xF -e "folder $STATE_DIR" -e "folder $STATE_DIR/.ssh" -e "file ${OTHERS_KEYS:-none}" -e "account $ACCOUNT" \
        -e "group $ACCOUNT" "$RECEIPT" >"$WORK/kept"
    change replace_file "$WORK/kept" "$RECEIPT" root "$ROOT_GROUP" 600
}

# ---------------------------------------------------------------- 92-doctor-server.sh

# --doctor: what lets the server in (sshd, the key, the firewall), and what the server says of this computer.

doctor_sshd() {
    address=$(own_addresses | head -n 1)
    port=$(server_port)
    if [ -z "$address" ]; then
        if sshd_answers; then
            untested 'sshd answers on this computer; not tested: whether it answers where the server connects, as no route to %s is known now' "$SERVER"
        else
            to_repair 'sshd does not answer: the server cannot log in.'
        fi
    elif greets "$address" "$port"; then
        note 'sshd answers at %s, port %s, to which the server connects' "$address" "$port"
    elif sshd_answers; then
        tell_other_door
    else
        to_repair 'sshd does not answer at %s, port %s: the server cannot log in.' "$address" "$port"
    fi
    sshd_settings || return 0
    check_access
    doctor_pam
    if [ "$(sshd_setting persourcepenalties)" != '' ] && [ "$(sshd_setting persourcepenalties)" != no ]; then
        note 'note: after too many failed logins sshd blocks an address for a while (PerSourcePenalties), the server’s too'
    fi
}

doctor_pam() {
    check_pam ||
        untested 'not tested: whether PAM lets the account %s log in. The server tests that: sudo sh setup.sh --verify' "$ACCOUNT"
}

doctor_key() {
    other_keys_files >"$WORK/others-files"
    while IFS= read -r path; do
        ! has_server_key "$path" ||
            todo 'The server’s key is also in %s, where it does not belong. To remove it: sudo sh setup.sh --repair' "$path"
    done <"$WORK/others-files"
    if keys=$(keys_file); then
        unsafe=$(unsafe_folder "${keys%/*}")
        [ -z "$unsafe" ] || todo 'Users other than root can change %s, and sshd reads keys below it.' "$unsafe"
    fi
    if key_in_place; then
        if key_starts; then
            note 'the server’s key is in %s' "$keys"
        else
            to_repair 'The file system of %s may not start programs (noexec).' "$WRAPPER"
        fi
    elif [ -f "$keys" ] && ! can_examine "$keys"; then
        doubt 'not tested: the server’s key in %s, which root cannot examine' "$keys"
    elif has_server_key "$keys"; then
        to_repair 'The server’s key in %s is not as the setup wrote it.' "$keys"
    elif [ -n "$keys" ]; then
        to_repair 'The server’s key is not where sshd looks for it (%s).' "$keys"
    fi
}

doctor_firewall() {
    wide_rules >"$WORK/wide"
    while IFS= read -r rule; do
        todo 'The firewall lets in %s, which is too many computers. To close it: sudo sh setup.sh --repair' "${rule##* }"
    done <"$WORK/wide"
    list=$(named_by_server | tr '\n' ',')
    [ -z "$list" ] || address_list "${list%,}" ||
        todo 'The server’s key is accepted from %s, which is too many computers. Please run: sudo sh setup.sh --repair --from server' "${list%,}"
    blocked_addresses >"$WORK/blocked"
    while read -r firewall port address; do
        to_repair 'The firewall (%s) may block port %s for the server %s.' "$firewall" "$port" "$address"
    done <"$WORK/blocked"
    YES=yes agree_on_networks       # names them, and asks nothing
}

# The server is asked as by the setup; without a register-key, only whether it is there.
doctor_server() {
    if [ -z "$SERVER" ] || [ ! -f "$STATE_DIR/known_hosts" ]; then
        doubt 'not tested: whether the server can be reached, as its name or its host key is missing here'
        return 0
    fi
    cat <"$STATE_DIR/known_hosts" >"$WORK/known_hosts"
    if [ -z "$LOGON" ]; then
        reach_server
        todo 'This computer is not registered. To register it: sudo sh setup.sh'
    elif (given_register_key) 2>"$WORK/key-problem"; then
        ask_registration call_once
        doctor_registration
    else
        reach_server
        doubt 'not tested: whether %s still knows this computer. %s' "$SERVER" "$(printable <"$WORK/key-problem")"
    fi
}

# Without a key, the server answers "Permission denied" once its host key is accepted.
reach_server() {
    ssh -x -a -n -T -F /dev/null -l "$SERVER_ACCOUNT" -p "$PORT" -o BatchMode=yes -o StrictHostKeyChecking=yes \
        -o PreferredAuthentications=none -o UserKnownHostsFile="$WORK/known_hosts" -o ConnectTimeout=10 \
        -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR "$SERVER" true </dev/null >/dev/null 2>"$WORK/ssh-errors" || true
    tell_connection
}

tell_connection() {
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        note '%s can be reached, and its host key is the known one' "$SERVER"
    elif grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        todo '%s has another host key than the known one. Please tell your administrator.' "$SERVER"
    elif turned_away; then
        doubt '%s closes the connection: it is busy, or has blocked the address of this computer for a while' "$SERVER"
    else
        todo '%s cannot be reached from here: %s' "$SERVER" "$(tail -n 1 "$WORK/ssh-errors" | printable)"
    fi
}

doctor_registration() {
    if [ ! -s "$WORK/reply" ] && ! no_connection; then
        doubt 'not tested: whether %s still knows this computer. Its status: %s' "$SERVER" "$REPLY_STATUS"
        return 0
    elif no_connection; then
        tell_connection
        ! grep -q 'Permission denied' "$WORK/ssh-errors" ||
            doubt '%s no longer accepts the key of this setup, so whether it still knows this computer was not tested' "$SERVER"
        return 0
    fi
    note '%s can be reached, and its host key is the known one' "$SERVER"
    case $REGISTRATION in
        known) doctor_known ;;
        renamed) tell_renamed ;;
        retired) todo 'The administrator has stopped the backups of this computer. To have them start again: sudo sh setup.sh --verify' ;;
        gone) to_repair '%s has no complete registration of this computer. To register it again: sudo sh setup.sh --force' "$SERVER" ;;
        refused)
            todo '%s refuses this computer, registered for %s: %s' "$SERVER" "$LOGON" "$(head -n 1 "$WORK/reply" | printable)"
            advise "$(error_code)" ;;
        *)
            doubt 'not tested: whether %s still knows this computer. It replied: %s' "$SERVER" \
                "$(head -n 1 "$WORK/reply" | printable)"
            advise "$(error_code)" ;;
    esac
}

doctor_known() {
    note 'the server knows this computer, registered for %s' "$LOGON"
    if receipt_has "verified $SERVER $LOGON"; then
        note 'the last test by the server succeeded'
        mark_folders_not_saved
    else
        todo 'Registered for %s, but the server has not connected to this computer yet: sudo sh setup.sh --verify' "$LOGON"
        note 'if it logs in and is refused, sshd’s own words are in the log: journalctl -t sshd -t sshd-session, or /var/log/auth.log or secure'
    fi
}

# ---------------------------------------------------------------- 99-main.sh

# The tasks: set up, verify, repair, doctor, uninstall.

# Report the result, in words and by the exit status.
finish() {
    if [ "$TASK" = verify ]; then
        :
    elif [ "$REGISTRATION_STATUS" -ne 0 ]; then
        [ "$LEFT_TO_DO" = yes ] || say 'On this computer everything is in place.'
    elif [ "$CHANGES" -eq 0 ]; then
        say 'Everything was already in place; nothing was changed.'
    else
        say 'Done. This computer is registered with %s.' "$SERVER"
    fi
    REPLY_URL=${REPLY_URL:-$(receipt_get url)}
    if [ -n "$REPLY_URL" ]; then
        say 'Your backups: %s' "$REPLY_URL"
    fi
    if [ -n "$REPLY_ADVICE" ]; then
        say 'The server adds: %s' "$(readable "$REPLY_ADVICE")"
    fi
    if [ "$REGISTRATION_STATUS" -ne 0 ]; then
        warn 'The server did not confirm the registration of this computer: see above.'
        exit "$REGISTRATION_STATUS"
    fi
    if [ "$LEFT_TO_DO" = yes ]; then
        warn 'Backups will not work until everything marked with ! above is done.'
        exit 7
    fi
    if [ "$HIDDEN" = yes ]; then
        warn 'Full Disk Access is missing: see ! above. After you have turned it on: sudo sh setup.sh --verify'
        exit 9
    fi
    if [ "$VERIFIED" = no ]; then
        warn 'This computer is registered, but the server could not connect to it yet. Follow the advice above, then: sudo sh setup.sh --verify'
        exit 8
    fi
    if [ "$NOT_SAVED" = yes ]; then
        warn 'Backups work, but the folders marked with ! above are not backed up.'
        exit 7
    fi
}

defaults() {
    LOGON='' UNATTENDED=no YES=no DRY_RUN=no FORCE=no COLOUR=yes TASK=setup
    KEEP_USER=no KEPT=no OTHERS_KEYS='' SSHD=yes FIREWALL=yes VERIFY=yes VERIFIED='' NEW_RESTORE='' AGREED=no TRY_AGAIN=no
    SHARES='' RESTORE='' RESTORE_DIR='' FROM='' PORT='' LOG='' LOGGING=no
    REGISTER_KEY_FILE='' KNOWN_HOSTS_FILE='' WRAPPER_FILE=''
    CALL_AS=as_account CALL_FOLDER=$STATE_DIR REGISTRATION='' REGISTRATION_STATUS=0 REPAIRABLE=no IN_DOUBT=no UNTESTED=no
    HALF_DONE=no CHANGES=0 LEFT_TO_DO=no HIDDEN=no NOT_SAVED=no LOCKED=no RESTORING='' ASK_PRIVILEGED=no PRIVILEGED=no IP_VERSION='' BOLD='' PLAIN=''
    REPLY_URL='' REPLY_ADVICE='' REPLY_FROM='' REPLY_SHARES='' REPLY_LACKING='' PROBLEM=''
    START="/bin/bash -p $WRAPPER" ENTERED=yes
    OS=linux FAMILY=debian ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux MANAGER=apt-get
    choose_language
}

# Show what FUNCTION would change, then ask the person to agree.
plan() {    # FUNCTION
    if [ "$UNATTENDED" = yes ] && [ "$DRY_RUN" = no ]; then
        AGREED=yes      # each change is shown as it is made
        take_lock
        return 0
    fi
    asked_dry_run=$DRY_RUN
    DRY_RUN=yes
    say 'Planned changes:'
    "$1"
    DRY_RUN=$asked_dry_run
    if [ "$DRY_RUN" = yes ]; then
        say 'Nothing was changed (--dry-run).'
    elif [ "$CHANGES" -gt 0 ]; then
        agree_on_plan
        take_lock
        AGREED=yes CHANGES=0 LEFT_TO_DO=no
        say 'Applying changes:'
    fi
}

agree_on_plan() {
    case $NEW_RESTORE in
        owner)
            yes_or_no 'With --restore owner, whoever this computer is registered for can change every person’s files in the shared folders, programs and ssh keys among them. The administrators of the backup server can do so too. Do you want that (yes/no)?' ||
                refuse_in_place ;;
        full)
            yes_or_no 'With --restore full, whoever this computer is registered for can change every file in the shared folders, root’s among them. The administrators of the backup server can do so too. Do you want that (yes/no)?' ||
                refuse_in_place ;;
    esac
    if [ "$ASK_PRIVILEGED" = yes ] && yes_or_no 'The whole system is shared. Shall a restore also bring back setuid programs, devices and file capabilities? Then whoever this computer is registered for can become root on it (yes/no)?'; then
        PRIVILEGED=yes
    fi
    [ "$YES" = no ] || return 0
    yes_or_no 'Continue (yes/no)?' || die 1 'Nothing was changed.'
}

refuse_in_place() {
    die 1 'Nothing was changed. Without this option, restored files arrive in a folder of their own.'
}

steps() {
    step install_packages 'Required packages'
    step set_up_account 'Account %s' "$ACCOUNT"
    step set_permissions 'Permissions of the backup server'
    step check_sshd 'SSH server (sshd)'
    step register 'Registration with %s' "$SERVER"
    step check_connection 'Connection from the server'
}

check_connection() {
    label_files
    open_firewall
    verify
}

set_up() {
    if will_ask_logon && ! can_ask; then
        no_terminal       # before the first change
    fi
    gather_files
    [ -n "$LOGON" ] || LOGON=$(registered_as) || LOGON=''
    check_account
    refuse_foreign_files
    plan steps
    [ "$DRY_RUN" = no ] || return 0
    registered_as >/dev/null || HALF_DONE=$AGREED
    [ "$AGREED" = no ] || steps
    HALF_DONE=no
    finish
}

verify_again() {
    gather_files
    LOGON=$(registered_as)
    take_lock
    sshd_settings || true
    step verify 'Connection from the server'
    finish
}

repair() {
    LOGON=$(registered_as)
    FORCE=yes       # so that the key is installed again
    set_up
    [ "$DRY_RUN" = yes ] || doctor
}

# Started by a sudo with "noexec", a shell can start no program, and every check below would find something wrong.
check_programs_start() {
    uname >/dev/null 2>&1 ||
        die 1 'This shell may not start programs, perhaps because sudo forbids it (noexec). Please start the setup as root without sudo: su -, then sh setup.sh'
}

main() {
    defaults
    language_option "$@"
    check_programs_start
    options "$@"
    exec </dev/null     # started as "... | sh", the setup itself is standard input; no other program may read it
    LC_ALL=C
    export LC_ALL
    choose_colour
    check_options
    check_system
    open_work_folder
    case $TASK in
        doctor) doctor ;;
        uninstall) uninstall ;;
        verify) verify_again ;;
        repair) repair ;;
        *) set_up ;;
    esac
}

main "$@"
exit
}
