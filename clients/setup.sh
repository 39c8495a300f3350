#!/bin/sh
# setup.sh - registers this computer with the backup server, so that it is backed up from now on.
# Generated from setup.d/; do not edit. Edit the parts there and run setup.d/assemble.
# What it does and takes is in the help below. What it made is in /var/lib/bckpciuem/receipt.

# shellcheck disable=SC1112  # French apostrophes

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
  --logon LOGON         whose computer this is (asked for otherwise)
  --logon-file FILE     the same, from the first line of a file
  --verify              only have the server test its way back to this computer
  --doctor              only look what is wrong; changes nothing
  --repair              mend what is wrong
  --uninstall           undo what the setup has done; with --keep-user all but the account
  --unattended          ask nothing: needs a logon, takes the reply for right
  --yes                 ask for the logon, if need be, and nothing more
  --dry-run             show what would be changed, and change nothing
  --lang fr|en          language of the messages (otherwise: that of the session)
  --share DIR           a folder that the server may read, may be repeated (otherwise: /home; /Users on a Mac).
                        Which of them it saves is chosen on its web page
  --restore off|dirs|full   where the server may restore files: nowhere; below --restore-dir;
                        everywhere that is backed up, as root (otherwise: dirs)
  --restore-dir DIR     a folder for restored files, may be repeated (otherwise: /var/lib/bckpciuem-restore, which is made)
  --register-key FILE   the key that registers (otherwise: the one inside this file)
  --known-hosts FILE    the backup server's ssh host keys (otherwise: those inside this file)
  --wrapper FILE        rsyncsend.sh (otherwise: the one inside this file, or beside it)
  --from LIST           addresses that the server may come from; "server": those that it names (so it is at first)
  --no-from             it may come from anywhere
  --port PORT           ssh port of the backup server (otherwise: 22)
  --no-sshd             leave sshd as it is, even if it does not run
  --no-firewall         leave the firewall as it is
  --no-verify           do not have the server test its way back
  --force               register again even if this computer is registered
  --log FILE            keep the messages in FILE as well
  --no-color            no bold text (so does the variable NO_COLOR)
  --version, --help

Exit status:
  0    done, or nothing to do
  1    it did not work, or was not agreed to; or the doctor found something
  2    wrong options, or a question and no terminal to ask it on
  4    the server refuses
  5    the server cannot be reached
  6    it is not the server that we know
  7    something is left to do, for you or the administrator: the lines with !
  8    registered, but the server could not come back here yet
  9    registered, but macOS hides folders from the server: Full Disk Access
  77   this system is not known
  130, 131, 141, 143   interrupted
END
}

help_in_french() {
    cat <<'END'
sudo sh setup.sh [OPTION]...

  --server NOM          le serveur de sauvegarde
  --logon IDENTIFIANT   à qui est cet ordinateur (demandé sinon)
  --logon-file FICHIER  de même, pris à la première ligne d’un fichier
  --verify              seulement faire essayer au serveur son chemin de retour vers cet ordinateur
  --doctor              seulement chercher ce qui ne va pas ; ne change rien
  --repair              réparer ce qui ne va pas
  --uninstall           défaire ce que ce programme a fait ; avec --keep-user, sauf le compte
  --unattended          ne rien demander : exige un identifiant, tient la réponse pour juste
  --yes                 demander l’identifiant s’il le faut, et rien de plus
  --dry-run             montrer ce qui serait changé, et ne rien changer
  --lang fr|en          langue des messages (sinon : celle de la session)
  --share DOSSIER       un dossier que le serveur peut lire, répétable (sinon : /home ; /Users sur un Mac).
                        Lesquels il sauvegarde se choisit sur sa page web
  --restore off|dirs|full   où le serveur peut restaurer des fichiers : nulle part ; sous --restore-dir ;
                        partout où il sauvegarde, en tant que root (sinon : dirs)
  --restore-dir DOSSIER un dossier pour les fichiers restaurés, répétable (sinon : /var/lib/bckpciuem-restore, qui est créé)
  --register-key FICHIER  la clef d’enregistrement (sinon : celle contenue dans ce fichier)
  --known-hosts FICHIER les clefs d’hôte ssh du serveur (sinon : celles contenues dans ce fichier)
  --wrapper FICHIER     rsyncsend.sh (sinon : celui contenu dans ce fichier, ou placé à côté)
  --from LISTE          les adresses d’où le serveur peut venir ; « server » : celles qu’il indique (ainsi au début)
  --no-from             il peut venir de partout
  --port PORT           port ssh du serveur de sauvegarde (sinon : 22)
  --no-sshd             laisser sshd tel quel, même s’il ne tourne pas
  --no-firewall         laisser le pare-feu tel quel
  --no-verify           ne pas faire essayer au serveur son chemin de retour
  --force               enregistrer à nouveau, même si cet ordinateur l’est déjà
  --log FICHIER         garder aussi les messages dans FICHIER
  --no-color            pas de caractères gras (de même avec la variable NO_COLOR)
  --version, --help

Code de retour :
  0    c’est fait, ou il n’y avait rien à faire
  1    cela n’a pas marché, ou n’a pas été accepté ; ou --doctor a trouvé quelque chose
  2    options fausses, ou une question sans terminal où la poser
  4    le serveur refuse
  5    le serveur est injoignable
  6    ce n’est pas le serveur que nous connaissons
  7    il reste quelque chose à faire, pour vous ou l’administrateur : les lignes marquées d’un !
  8    enregistré, mais le serveur n’a pas encore pu revenir ici
  9    enregistré, mais macOS cache des dossiers au serveur : accès complet au disque
  77   ce système n’est pas connu
  130, 131, 141, 143   interrompu
END
}

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
# Read after the files of an administrator, who has the first word; only where there was no sshd before us.
SSHD_DROP_IN=/etc/ssh/sshd_config.d/90-bckpciuem.conf
RESTORE_PLACE=/var/lib/bckpciuem-restore
# Seconds for whatever the account is asked to do; a server answers within 30.
PATIENCE=150
LOCK=/var/run/bckpciuem.lock
# Bytes that a run may take in /tmp.
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

# What only a person can change: the exit status tells it again.
todo() {
    LEFT_TO_DO=yes
    mark "$@"
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
        note 'in place already'
    fi
}

# A note for each folder in WORK/folders.
note_folders() {    # ENGLISH
    while IFS= read -r folder; do
        note "$1" "$folder"
    done <"$WORK/folders"
}

can_ask() {
    [ "$UNATTENDED" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null
}

no_terminal() {
    die 2 'There is no terminal to ask on; please give --logon, and --yes or --unattended.'
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

# Replace all that is not printable ASCII, line ends excepted: text of the server goes to a terminal.
printable() {
    tr '\000-\011\013-\037\177-\377' '?'
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
        'unknown option: %s; see --help.') FORMAT='option inconnue : %s ; voyez --help.' ;;
        'Please choose one of --%s and --%s.') FORMAT='Choisissez entre --%s et --%s.' ;;
        '--lang is fr or en.') FORMAT='--lang vaut fr ou en.' ;;
        'which server? Please give --server NAME.') FORMAT='quel serveur ? Donnez --server NOM.' ;;
        '%s is no name of a server.') FORMAT='%s n’est pas un nom de serveur.' ;;
        '%s cannot be a logon.') FORMAT='%s ne peut pas être un identifiant.' ;;
        '--restore is off, dirs or full.') FORMAT='--restore vaut off, dirs ou full.' ;;
        '%s is no port.') FORMAT='%s n’est pas un port.' ;;
        '--from is a list of addresses: %s') FORMAT='--from est une liste d’adresses : %s' ;;
        'This computer is not registered with %s; please start the setup without --%s.') FORMAT='Cet ordinateur n’est pas enregistré auprès de %s ; lancez ce programme sans --%s.' ;;
        '--unattended needs --logon.') FORMAT='--unattended demande --logon.' ;;
        'There is a tab or another control character in the name of the folder %s.') FORMAT='Il y a une tabulation ou un autre caractère de contrôle dans le nom du dossier %s.' ;;
        '%s is not a folder with an absolute name.') FORMAT='%s n’est pas un dossier au nom absolu.' ;;
        'There is no logon in %s.') FORMAT='Il n’y a pas d’identifiant dans %s.' ;;
        '%s is not a plain file.') FORMAT='%s n’est pas un fichier ordinaire.' ;;
        '%s can be changed by others than root: no place for a log.') FORMAT='%s peut être modifié par d’autres que root : ce n’est pas un endroit pour un journal.' ;;
        'in place already') FORMAT='déjà en place' ;;
        'There is no terminal to ask on; please give --logon, and --yes or --unattended.') FORMAT='Il n’y a pas de terminal où poser la question ; donnez --logon, et --yes ou --unattended.' ;;
        'No answer.') FORMAT='Pas de réponse.' ;;
        '%s is not a plain file; please move it away.') FORMAT='%s n’est pas un fichier ordinaire ; déplacez-le, s’il vous plaît.' ;;
        'writing %s') FORMAT='écriture de %s' ;;
        'There is a file %s already, which this setup has not made; see above. Please move it away.') FORMAT='Il existe déjà un fichier %s, que ce programme n’a pas fait ; voyez ci-dessus. Déplacez-le, s’il vous plaît.' ;;
        '%s is not a folder; please move it away.') FORMAT='%s n’est pas un dossier ; déplacez-le, s’il vous plaît.' ;;
        'making the folder %s') FORMAT='création du dossier %s' ;;
        'setting the permissions of %s') FORMAT='réglage des droits de %s' ;;
        '%s cannot be written. Is the disk full?') FORMAT='Impossible d’écrire %s. Le disque est-il plein ?' ;;
        'Another setup is at work here (process %s); please wait until it is done.') FORMAT='Une autre exécution de ce programme est en cours (processus %s) ; attendez qu’elle soit finie.' ;;
        'Another setup has just begun here; please wait until it is done.') FORMAT='Une autre exécution de ce programme vient de commencer ; attendez qu’elle soit finie.' ;;
        '%s is a link; please move it away.') FORMAT='%s est un lien ; déplacez-le, s’il vous plaît.' ;;
        'clearing away what a run that was cut off has left') FORMAT='suppression de ce qu’une exécution interrompue a laissé' ;;
        'There is no key to register with; please give --register-key FILE.') FORMAT='Il n’y a pas de clef d’enregistrement ; donnez --register-key FICHIER.' ;;
        'There is no host key of the server; please give --known-hosts FILE.') FORMAT='Il n’y a pas de clef d’hôte du serveur ; donnez --known-hosts FICHIER.' ;;
        'rsyncsend.sh is missing; please give --wrapper FILE.') FORMAT='rsyncsend.sh manque ; donnez --wrapper FICHIER.' ;;
        '%s cannot be read.') FORMAT='%s est illisible.' ;;
        '%s, or its folder, can be changed by others than you; please give --wrapper FILE.') FORMAT='%s, ou son dossier, peut être modifié par d’autres que vous ; donnez --wrapper FICHIER.' ;;
        'The known hosts file has no line for %s.') FORMAT='Le fichier des clefs d’hôtes n’a pas de ligne pour %s.' ;;
        'This is not the %s that we know: its host key is another one. Nothing was sent. Please tell your administrator.') FORMAT='Ce n’est pas le %s que nous connaissons : sa clef d’hôte est différente. Rien n’a été envoyé. Prévenez votre administrateur.' ;;
        '%s does not take this setup’s key any more; please get a new copy of the setup.') FORMAT='%s n’accepte plus la clef de ce programme ; demandez-en une copie récente.' ;;
        '%s cannot be reached. Is this computer on the network?') FORMAT='%s est injoignable. Cet ordinateur est-il connecté au réseau ?' ;;
        '%s has not answered within %s seconds.') FORMAT='%s n’a pas répondu en %s secondes.' ;;
        'The server’s reply is not understood (%s). Nothing was installed from it.') FORMAT='La réponse du serveur est incompréhensible (%s). Rien n’en a été installé.' ;;
        'The server answers:') FORMAT='Le serveur répond :' ;;
        'There is no such logon in the directory. Is it spelled right?') FORMAT='Cet identifiant n’existe pas dans l’annuaire. Est-il bien orthographié ?' ;;
        'The network does not know this computer by a name of ours. Connect it to the campus network, by cable if you can, and try again.') FORMAT='Le réseau ne connaît pas cet ordinateur sous un nom de chez nous. Connectez-le au réseau du campus, par câble si possible, et recommencez.' ;;
        'This computer is registered for somebody else. Only the backup administrator can change that.') FORMAT='Cet ordinateur est enregistré au nom de quelqu’un d’autre. Seul l’administrateur des sauvegardes peut changer cela.' ;;
        'The server knows another computer under this name. If this one was reinstalled, please tell the backup administrator.') FORMAT='Le serveur connaît un autre ordinateur sous ce nom. Si celui-ci a été réinstallé, prévenez l’administrateur des sauvegardes.' ;;
        'The server does not know this computer. Please start the setup again.') FORMAT='Le serveur ne connaît pas cet ordinateur. Relancez ce programme.' ;;
        'This site does not back this computer up. The backup administrator can tell you why.') FORMAT='Ce site ne sauvegarde pas cet ordinateur. L’administrateur des sauvegardes vous dira pourquoi.' ;;
        'The server cannot connect to this computer. Is a firewall in the way?') FORMAT='Le serveur ne peut pas se connecter à cet ordinateur. Un pare-feu l’en empêche-t-il ?' ;;
        'Please wait a minute and start the setup again.') FORMAT='Attendez une minute et relancez ce programme.' ;;
        'The server could not ask all that it needs to know. Please try again in a few minutes.') FORMAT='Le serveur n’a pas pu vérifier tout ce qu’il lui faut. Recommencez dans quelques minutes.' ;;
        'The server does not understand this setup. Please get a new copy of it.') FORMAT='Le serveur ne comprend pas ce programme. Demandez-en une copie récente.' ;;
        'The server has a problem of its own. Please tell the backup administrator.') FORMAT='Le serveur a un problème. Prévenez l’administrateur des sauvegardes.' ;;
        'Please show this to the backup administrator.') FORMAT='Montrez ceci à l’administrateur des sauvegardes.' ;;
        'NixOS is set up by its configuration, not by this program. Add to it:') FORMAT='NixOS se règle par sa configuration et non par ce programme. Ajoutez-y :' ;;
        'Then, as root, put rsyncsend.sh where that says, with the paths that NixOS has. It starts no rsync below /nix/store, where the group nixbld may write, so that gets a copy:') FORMAT='Puis, en tant que root, placez rsyncsend.sh là où c’est dit, avec les chemins de NixOS. Il ne lance aucun rsync de /nix/store, où le groupe nixbld peut écrire ; il lui en faut une copie :' ;;
        'None of this was tried on NixOS; the rest, the registration too, please ask the backup administrator.') FORMAT='Rien de cela n’a été essayé sous NixOS ; pour le reste, enregistrement compris, demandez à l’administrateur des sauvegardes.' ;;
        'The system of this computer is read-only, and this program does not change such a system. It takes these packages:') FORMAT='Le système de cet ordinateur est en lecture seule, et ce programme n’y touche pas. Il faudrait ces paquets :' ;;
        'How the rest is done by hand, the backup administrator can tell you.') FORMAT='Pour le reste, à faire à la main, demandez à l’administrateur des sauvegardes.' ;;
        'These packages could not be installed: %s') FORMAT='Ces paquets n’ont pas pu être installés : %s' ;;
        'letting %s use Remote Login') FORMAT='autorisation de la session à distance pour %s' ;;
        'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow it; no program can. Without that they would be missing in the backups.') FORMAT='macOS cache au serveur Documents, Bureau, Mail et d’autres dossiers, même à root, tant que vous ne l’autorisez pas ; aucun programme ne le peut. Ils manqueraient dans les sauvegardes.' ;;
        'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.') FORMAT='Préférences Système, Sécurité et confidentialité, Confidentialité, Accès complet au disque : ajoutez /usr/libexec/sshd-keygen-wrapper.' ;;
        'System Settings, General, Sharing, the (i) of Remote Login: switch on "Allow full disk access for remote users".') FORMAT='Réglages Système, Général, Partage, le (i) de Session à distance : activez « Autoriser l’accès complet au disque pour les utilisateurs à distance ».' ;;
        'This setup is for macOS 12 and later.') FORMAT='Ce programme est fait pour macOS 12 et suivants.' ;;
        'This setup knows Debian, Fedora, openSUSE, Arch and their relatives, and macOS; this system is %s.') FORMAT='Ce programme connaît Debian, Fedora, openSUSE, Arch et leurs proches, ainsi que macOS ; ce système est %s.' ;;
        'This changes the system, so it has to be started as root: sudo sh setup.sh') FORMAT='Ce programme modifie le système et doit donc être lancé par root : sudo sh setup.sh' ;;
        'This Mac lacks what every Mac has: %s') FORMAT='Il manque à ce Mac ce que tout Mac possède : %s' ;;
        'installing %s') FORMAT='installation de %s' ;;
        'sshd is new on this computer: it is to let nobody in by password, only by key') FORMAT='sshd est nouveau sur cet ordinateur : il ne laissera entrer personne par mot de passe, seulement par clef' ;;
        'making the account %s') FORMAT='création du compte %s' ;;
        'The account %s could not be made.') FORMAT='Le compte %s n’a pas pu être créé.' ;;
        'The account %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.') FORMAT='Le compte %s vient d’un annuaire (LDAP, SSSD) et non de cet ordinateur ; l’utiliser ne serait pas sûr.' ;;
        'There is an account %s with the number %s: a person’s or root’s, not a system account.') FORMAT='Il existe un compte %s de numéro %s : celui d’une personne ou de root, pas un compte système.' ;;
        'There is an account %s already, with another home (%s) or group; please remove it and start again.') FORMAT='Un compte %s existe déjà, avec un autre dossier (%s) ou groupe ; supprimez-le et recommencez.' ;;
        'The group %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.') FORMAT='Le groupe %s vient d’un annuaire (LDAP, SSSD) et non de cet ordinateur ; l’utiliser ne serait pas sûr.' ;;
        'There is a group %s with the number %s: a person’s or root’s, not a system group.') FORMAT='Il existe un groupe %s de numéro %s : celui d’une personne ou de root, pas un groupe système.' ;;
        'There is a group %s already, and others are in it or may join it: %s. They could read what is the account’s alone; please take them out of it, or remove the group, and start again.') FORMAT='Un groupe %s existe déjà, et d’autres en font partie ou peuvent y entrer : %s. Ils pourraient lire ce qui n’est qu’au compte ; retirez-les-en, ou supprimez le groupe, et recommencez.' ;;
        'giving the account its shell back') FORMAT='le compte retrouve son interpréteur de commandes' ;;
        'taking the password away from the account') FORMAT='le compte perd son mot de passe' ;;
        '%s can be changed by others than root, so what is below it cannot be trusted; please do: chown root %s; chmod go-w %s') FORMAT='%s peut être modifié par d’autres que root : on ne peut se fier à son contenu ; faites : chown root %s; chmod go-w %s' ;;
        '--restore full: whoever rules the backup server is root on this computer.') FORMAT='--restore full : qui commande le serveur de sauvegarde est root sur cet ordinateur.' ;;
        'it may read what is in %s') FORMAT='il peut lire ce que contient %s' ;;
        'which of them it saves is chosen on its web page for this computer; at first that is usually %s') FORMAT='lesquels il sauvegarde se choisit sur sa page web pour cet ordinateur ; au début, c’est en général %s' ;;
        'it may write there too, anywhere, as root') FORMAT='il peut aussi y écrire, partout, en tant que root' ;;
        'it may put restored files into %s, from where you take them') FORMAT='il peut déposer des fichiers restaurés dans %s, où vous les reprenez' ;;
        'it may write nowhere else, and nothing as root') FORMAT='il ne peut écrire nulle part ailleurs, et rien en tant que root' ;;
        'it may write nothing here: restored files are fetched through its web page') FORMAT='il ne peut rien écrire ici : les fichiers à restaurer se prennent sur sa page web' ;;
        'macOS shows it the folders of people only with Full Disk Access, which you are asked for at the end') FORMAT='macOS ne lui montre les dossiers des personnes qu’avec l’accès complet au disque, demandé à la fin' ;;
        'sudo does not understand our line; nothing was given to it.') FORMAT='sudo ne comprend pas notre ligne ; elle n’a pas été installée.' ;;
        '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".') FORMAT='/etc/sudoers ne lit pas /etc/sudoers.d ; ajoutez-y la ligne « @includedir /etc/sudoers.d ».' ;;
        'The account %s cannot start the backup program; see above.') FORMAT='Le compte %s ne peut pas lancer le programme de sauvegarde ; voyez ci-dessus.' ;;
        '%s cannot be read: it will not be backed up.') FORMAT='%s est illisible et ne sera pas sauvegardé.' ;;
        '%s is not there: nothing can be restored to it.') FORMAT='%s n’existe pas : rien ne pourra y être restauré.' ;;
        'The account %s cannot write in %s: nothing can be restored there. Please do: chgrp %s %s; chmod g+rwx %s') FORMAT='Le compte %s ne peut pas écrire dans %s : rien ne pourra y être restauré. Faites : chgrp %s %s; chmod g+rwx %s' ;;
        'sshd does not tell its settings; please look at its configuration.') FORMAT='sshd ne donne pas ses réglages ; examinez sa configuration.' ;;
        'starting sshd') FORMAT='démarrage de sshd' ;;
        'it lets other accounts of this computer in as well, by password too, if its settings do') FORMAT='il laisse aussi entrer d’autres comptes de cet ordinateur, par mot de passe aussi, si ses réglages le permettent' ;;
        'Please switch Remote Login on: System Settings, General, Sharing.') FORMAT='Activez la session à distance : Réglages Système, Général, Partage.' ;;
        'sshd is not running; please start it, and have it start with the computer.') FORMAT='sshd ne tourne pas ; démarrez-le, et faites-le démarrer avec l’ordinateur.' ;;
        'sshd lets the accounts of this computer in by password from the network, whatever %s says.') FORMAT='sshd laisse entrer les comptes de cet ordinateur par mot de passe depuis le réseau, quoi qu’en dise %s.' ;;
        'sshd takes no keys (PubkeyAuthentication no).') FORMAT='sshd n’accepte pas de clefs (PubkeyAuthentication no).' ;;
        'sshd lets in only those of AllowUsers; please add %s there.') FORMAT='sshd n’admet que ceux d’AllowUsers ; ajoutez-y %s.' ;;
        'sshd keeps %s out (DenyUsers).') FORMAT='sshd refuse %s (DenyUsers).' ;;
        'sshd lets in only the groups of AllowGroups; please add %s there.') FORMAT='sshd n’admet que les groupes d’AllowGroups ; ajoutez-y %s.' ;;
        'sshd keeps the group %s out (DenyGroups).') FORMAT='sshd refuse le groupe %s (DenyGroups).' ;;
        'sshd wants more than a key (AuthenticationMethods).') FORMAT='sshd exige plus qu’une clef (AuthenticationMethods).' ;;
        'sshd starts another command than ours (ForceCommand).') FORMAT='sshd lance une autre commande que la nôtre (ForceCommand).' ;;
        'sshd does not take keys of the server’s kind, %s (PubkeyAcceptedAlgorithms).') FORMAT='sshd n’accepte pas les clefs du genre de celle du serveur, %s (PubkeyAcceptedAlgorithms).' ;;
        'Your logon [%s]:') FORMAT='Votre identifiant [%s] :' ;;
        'A logon is made of letters, digits, dots and hyphens.') FORMAT='Un identifiant est fait de lettres, de chiffres, de points et de tirets.' ;;
        'registered already, for %s') FORMAT='déjà enregistré, pour %s' ;;
        'asking %s to register this computer, and installing its key') FORMAT='demande d’enregistrement à %s, puis installation de sa clef' ;;
        'that server is known by its own key, from %s: %s') FORMAT='ce serveur est reconnu à sa propre clef, tirée de %s : %s' ;;
        'its key opens this computer for backups alone: it starts %s, and nothing else') FORMAT='sa clef n’ouvre cet ordinateur que pour les sauvegardes : elle lance %s, et rien d’autre' ;;
        'computer: %s') FORMAT='ordinateur : %s' ;;
        'person: %s') FORMAT='personne : %s' ;;
        'person: %s (the server tells no name)') FORMAT='personne : %s (le serveur n’indique pas de nom)' ;;
        'This person will be able to read every backed-up file of this computer, whoever it belongs to.') FORMAT='Cette personne pourra lire tous les fichiers sauvegardés de cet ordinateur, quel qu’en soit le propriétaire.' ;;
        'Is that right (yes/no)?') FORMAT='Est-ce bien cela (oui/non) ?' ;;
        'Nothing was registered.') FORMAT='Rien n’a été enregistré.' ;;
        'sshd reads no keys of ours (AuthorizedKeysFile).') FORMAT='sshd ne lit pas nos clefs (AuthorizedKeysFile).' ;;
        '%s can be changed by others than root; sshd looks for keys below it.') FORMAT='%s peut être modifié par d’autres que root ; sshd y cherche les clefs.' ;;
        '%s holds other keys too; they were left as they are') FORMAT='%s contient aussi d’autres clefs ; elles sont restées telles quelles' ;;
        'telling SELinux where the key is') FORMAT='SELinux apprend où est la clef' ;;
        'setting SELinux labels') FORMAT='pose des étiquettes SELinux' ;;
        'letting %s through the firewall to port %s') FORMAT='ouverture du pare-feu à %s, port %s' ;;
        'having %s test its way back to this computer') FORMAT='essai du chemin de %s vers cet ordinateur' ;;
        '%s comes back here; that may take half a minute') FORMAT='%s revient ici ; cela peut prendre une demi-minute' ;;
        'it came in and could read: backups will work') FORMAT='il est entré et a pu lire : les sauvegardes marcheront' ;;
        'the first backup begins soon') FORMAT='la première sauvegarde va commencer' ;;
        'this server does not test its way back') FORMAT='ce serveur n’essaie pas son chemin de retour' ;;
        'The server may read %s, and does not save it. Add it on its web page for this computer (Edit Config, Xfer, RsyncShareName) or ask the backup administrator; then: sudo sh setup.sh --verify') FORMAT='Le serveur peut lire %s, mais ne le sauvegarde pas. Ajoutez-le sur sa page web pour cet ordinateur (Edit Config, Xfer, RsyncShareName) ou demandez à l’administrateur des sauvegardes ; puis : sudo sh setup.sh --verify' ;;
        'The server’s reply is not understood (%s).') FORMAT='La réponse du serveur est incompréhensible (%s).' ;;
        'Its new key, for the administrator: %s') FORMAT='Sa nouvelle clef, pour l’administrateur : %s' ;;
        'No ssh server listens here. Start the setup with --repair.') FORMAT='Aucun serveur ssh n’écoute ici. Lancez ce programme avec --repair.' ;;
        'A firewall, here or on the way, keeps the server from port 22. Let it in for ssh.') FORMAT='Un pare-feu, ici ou en chemin, interdit le port 22 au serveur. Autorisez-le pour ssh.' ;;
        'The server pings before every backup, and got no answer. Let ping (ICMP echo) through the firewall.') FORMAT='Le serveur fait un ping avant chaque sauvegarde, sans réponse. Autorisez ping (ICMP echo) dans le pare-feu.' ;;
        'The network is too slow for a backup now. Use a cable, or try again nearer to the Wi-Fi.') FORMAT='Le réseau est trop lent pour une sauvegarde. Utilisez un câble, ou rapprochez-vous du Wi-Fi.' ;;
        'The server finds no address for the name of this computer. The network administrator can mend that.') FORMAT='Le serveur ne trouve pas d’adresse au nom de cet ordinateur. L’administrateur du réseau peut y remédier.' ;;
        'sshd here hangs up on the server, perhaps after too many tries. Wait some minutes.') FORMAT='sshd raccroche au nez du serveur, peut-être après trop d’essais. Attendez quelques minutes.' ;;
        'Something else than sshd answers on the ssh port of this computer.') FORMAT='Autre chose que sshd répond sur le port ssh de cet ordinateur.' ;;
        'sshd here is too old, or set up so that the server cannot talk to it.') FORMAT='sshd est trop ancien ici, ou réglé de telle sorte que le serveur ne peut lui parler.' ;;
        'Another machine answers at the address of this one. Please tell the network administrator.') FORMAT='Une autre machine répond à l’adresse de celle-ci. Prévenez l’administrateur du réseau.' ;;
        'sshd here does not let the account %s in. Start the setup with --doctor.') FORMAT='sshd ne laisse pas entrer le compte %s. Lancez ce programme avec --doctor.' ;;
        'The backup program does not start as it should. Start the setup with --repair.') FORMAT='Le programme de sauvegarde ne démarre pas comme il faut. Lancez ce programme avec --repair.' ;;
        'rsync does not work here. Start the setup with --repair.') FORMAT='rsync ne marche pas ici. Lancez ce programme avec --repair.' ;;
        'Something prints at the login of the server, and breaks backups. Look at /etc/ssh/sshrc and at .bashrc of %s.') FORMAT='Quelque chose s’affiche à la connexion du serveur et casse les sauvegardes. Voyez /etc/ssh/sshrc et le .bashrc de %s.' ;;
        'A folder that is to be backed up has no file in it that the server would save.') FORMAT='Un dossier à sauvegarder ne contient aucun fichier que le serveur sauvegarderait.' ;;
        'The folders to be backed up are on another file system, a server’s perhaps. Start the setup with --share FOLDER, or have that server backed up.') FORMAT='Les dossiers à sauvegarder sont sur un autre système de fichiers, d’un serveur peut-être. Lancez ce programme avec --share DOSSIER, ou faites sauvegarder ce serveur.' ;;
        'A folder that is to be backed up cannot be read. Is it there?') FORMAT='Un dossier à sauvegarder est illisible. Existe-t-il ?' ;;
        'The server is to save a folder that this computer does not give. Start the setup with --share for each folder to be saved, this one too; or take it out on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).') FORMAT='Le serveur doit sauvegarder un dossier que cet ordinateur ne donne pas. Lancez ce programme avec --share pour chaque dossier à sauvegarder, celui-ci compris ; ou retirez-le sur la page web du serveur pour cet ordinateur (Edit Config, Xfer, RsyncShareName).' ;;
        'This computer or the network was too slow. Please try again later.') FORMAT='Cet ordinateur ou le réseau était trop lent. Recommencez plus tard.' ;;
        'The backups of this computer are switched off on the server. The backup administrator can tell you why.') FORMAT='Les sauvegardes de cet ordinateur sont arrêtées sur le serveur. L’administrateur des sauvegardes vous dira pourquoi.' ;;
        'The server’s settings for this computer need the backup administrator.') FORMAT='Les réglages du serveur pour cet ordinateur demandent l’administrateur des sauvegardes.' ;;
        'Please show this to the backup administrator too.') FORMAT='Montrez aussi ceci à l’administrateur des sauvegardes.' ;;
        'This computer was not set up; start the setup without --doctor.') FORMAT='Cet ordinateur n’est pas configuré ; lancez ce programme sans --doctor.' ;;
        'What is right, and what is wrong (!)') FORMAT='Ce qui va, et ce qui ne va pas (!)' ;;
        'Much of that is mended by: sudo sh setup.sh --repair') FORMAT='Une bonne part s’arrange par : sudo sh setup.sh --repair' ;;
        'Nothing is wrong.') FORMAT='Tout va bien.' ;;
        'There is no account %s on this computer.') FORMAT='Le compte %s n’existe pas sur cet ordinateur.' ;;
        'The account %s has another home or shell than it should.') FORMAT='Le compte %s n’a pas le dossier ou l’interpréteur qu’il devrait.' ;;
        'The account %s has a password or is locked; sshd may not let it in.') FORMAT='Le compte %s a un mot de passe ou est verrouillé ; sshd peut le refuser.' ;;
        'the account %s') FORMAT='le compte %s' ;;
        '%s can be changed by others than root, and so can the backup program.') FORMAT='%s peut être modifié par d’autres que root, et donc le programme de sauvegarde aussi.' ;;
        'The backup program is not complete (%s, %s, %s).') FORMAT='Le programme de sauvegarde est incomplet (%s, %s, %s).' ;;
        'The two copies of the backup program differ.') FORMAT='Les deux copies du programme de sauvegarde diffèrent.' ;;
        'The backup program is another one than this setup brings along: an older one, or changed.') FORMAT='Le programme de sauvegarde n’est pas celui qu’apporte ce programme : plus ancien, ou modifié.' ;;
        'the backup program') FORMAT='le programme de sauvegarde' ;;
        '%s has other permissions than it should (%s instead of %s).') FORMAT='%s n’a pas les droits qu’il devrait (%s au lieu de %s).' ;;
        'sudo does not let the account %s start the backup program.') FORMAT='sudo n’autorise pas le compte %s à lancer le programme de sauvegarde.' ;;
        'The backup program does not start: %s') FORMAT='Le programme de sauvegarde ne démarre pas : %s' ;;
        'sudo starts it') FORMAT='sudo le lance' ;;
        '%s can be read') FORMAT='%s est lisible' ;;
        '%s: only the server can tell whether it can be read, with --verify') FORMAT='%s : seul le serveur peut dire s’il est lisible, avec --verify' ;;
        '%s cannot be read: is it there?') FORMAT='%s est illisible : ce dossier existe-t-il ?' ;;
        'rsync: %s') FORMAT='rsync : %s' ;;
        'rsync: %s, as Apple has it') FORMAT='rsync : %s, celui d’Apple' ;;
        'rsync %s is old (before 3.4); please install the updates of this system.') FORMAT='rsync %s est ancien (avant 3.4) ; installez les mises à jour du système.' ;;
        'sshd answers') FORMAT='sshd répond' ;;
        'sshd does not answer: the server cannot come in.') FORMAT='sshd ne répond pas : le serveur ne peut pas entrer.' ;;
        'note: this sshd shuts out for a while who fails too often (PerSourcePenalties); the server too') FORMAT='note : ce sshd écarte un moment qui échoue trop souvent (PerSourcePenalties), le serveur aussi' ;;
        'the server’s key is in %s') FORMAT='la clef du serveur est dans %s' ;;
        'The server’s key in %s is not as the setup wrote it.') FORMAT='La clef du serveur dans %s n’est pas telle que ce programme l’a écrite.' ;;
        'The server’s key is not where sshd looks for it (%s).') FORMAT='La clef du serveur n’est pas là où sshd la cherche (%s).' ;;
        'the firewall lets %s in') FORMAT='le pare-feu laisse entrer %s' ;;
        'The firewall (%s) may keep the server %s from port %s.') FORMAT='Le pare-feu (%s) interdit peut-être au serveur %s le port %s.' ;;
        '%s can be reached, and is the one that we know') FORMAT='%s est joignable, et c’est bien lui' ;;
        '%s has another host key than the one that we know. Please tell your administrator.') FORMAT='%s a une autre clef d’hôte que celle que nous connaissons. Prévenez votre administrateur.' ;;
        '%s cannot be reached from here: %s') FORMAT='%s est injoignable d’ici : %s' ;;
        'This computer is not registered.') FORMAT='Cet ordinateur n’est pas enregistré.' ;;
        'registered for %s, and tested by the server') FORMAT='enregistré pour %s, et essayé par le serveur' ;;
        'Registered for %s, but the server has not come back here yet: sudo sh setup.sh --verify') FORMAT='Enregistré pour %s, mais le serveur n’est pas encore revenu ici : sudo sh setup.sh --verify' ;;
        'Nothing of this setup is on this computer.') FORMAT='Il n’y a rien de ce programme sur cet ordinateur.' ;;
        'Done. What was backed up stays on %s, which still knows this computer. If its backups shall end, ask the backup administrator to retire %s.') FORMAT='C’est fait. Ce qui a été sauvegardé reste sur %s, qui connaît encore cet ordinateur. Pour mettre fin aux sauvegardes, demandez à l’administrateur des sauvegardes de retirer %s.' ;;
        'Done.') FORMAT='C’est fait.' ;;
        'The receipt %s is lost, and these are still there:%s. Please start the setup once more, which finds them again, and then --uninstall.') FORMAT='Le reçu %s est perdu, et ceci est encore là :%s. Relancez le programme, qui les retrouvera, puis --uninstall.' ;;
        'Undoing what the setup has done') FORMAT='Retour à l’état d’avant' ;;
        '%s holds other keys too: they stay, and the account with them') FORMAT='%s contient aussi d’autres clefs : elles restent, et le compte avec elles' ;;
        'taking the server’s key away') FORMAT='retrait de la clef du serveur' ;;
        '%s was installed for it, and stays: others may need it by now') FORMAT='%s a été installé pour lui, et reste : d’autres peuvent en avoir besoin' ;;
        'not understood in %s: %s') FORMAT='incompréhensible dans %s : %s' ;;
        'removing %s') FORMAT='suppression de %s' ;;
        'sshd still runs: %s stays, which lets nobody in by password') FORMAT='sshd tourne encore : %s reste, qui ne laisse entrer personne par mot de passe' ;;
        'removing the folder %s') FORMAT='suppression du dossier %s' ;;
        '%s is not empty: it stays, for root alone') FORMAT='%s n’est pas vide : il reste, pour root seul' ;;
        '%s is not empty: it stays') FORMAT='%s n’est pas vide : il reste' ;;
        'removing the account %s') FORMAT='suppression du compte %s' ;;
        'ending what runs as %s, a backup perhaps') FORMAT='arrêt de ce qui tourne sous %s, peut-être une sauvegarde' ;;
        'The account could not be removed: %s') FORMAT='Le compte n’a pas pu être supprimé : %s' ;;
        'sshd was switched on for it: switching it off') FORMAT='sshd avait été activé pour lui : désactivation' ;;
        'closing the firewall to %s again') FORMAT='fermeture du pare-feu à %s' ;;
        'Everything was in place already; nothing was changed.') FORMAT='Tout était déjà en place ; rien n’a été modifié.' ;;
        'Done. This computer is registered with %s.') FORMAT='C’est fait. Cet ordinateur est enregistré auprès de %s.' ;;
        'Your backups, and what they contain: %s') FORMAT='Vos sauvegardes, et ce qu’elles contiennent : %s' ;;
        'The server adds: %s') FORMAT='Le serveur ajoute : %s' ;;
        'Backups will not work before what is marked with ! above is done.') FORMAT='Les sauvegardes ne marcheront pas tant que ce qui est marqué d’un ! ci-dessus ne sera pas fait.' ;;
        'Full Disk Access is missing: see ! above. When it is switched on: sudo sh setup.sh --verify') FORMAT='Il manque l’accès complet au disque : voyez le ! ci-dessus. Une fois activé : sudo sh setup.sh --verify' ;;
        'This computer is registered, but the server could not come back to it yet. Do what is said above, and then: sudo sh setup.sh --verify') FORMAT='Cet ordinateur est enregistré, mais le serveur n’a pas encore pu y revenir. Suivez ce qui est dit ci-dessus, puis : sudo sh setup.sh --verify' ;;
        'Backups work, but what is marked with ! above is not in them.') FORMAT='Les sauvegardes marchent, mais ce qui est marqué d’un ! ci-dessus n’y est pas.' ;;
        'What is to be done:') FORMAT='Ce qui est à faire :' ;;
        'Nothing was changed (--dry-run).') FORMAT='Rien n’a été modifié (--dry-run).' ;;
        'It is being done:') FORMAT='C’est en train de se faire :' ;;
        'With --restore full the server becomes root here: who rules it can change every file of this computer. Do you want that (yes/no)?') FORMAT='Avec --restore full, le serveur devient root ici : qui le commande peut modifier tous les fichiers de cet ordinateur. Le voulez-vous (oui/non) ?' ;;
        'Nothing was changed. Without --restore full, restored files arrive in a folder of their own.') FORMAT='Rien n’a été modifié. Sans --restore full, les fichiers restaurés arrivent dans un dossier à part.' ;;
        'Shall this be done (yes/no)?') FORMAT='Faut-il le faire (oui/non) ?' ;;
        'Nothing was changed.') FORMAT='Rien n’a été modifié.' ;;
        'The programs that it takes') FORMAT='Les programmes nécessaires' ;;
        'The account %s') FORMAT='Le compte %s' ;;
        'What the backup server may do here') FORMAT='Ce que le serveur de sauvegarde peut faire ici' ;;
        'The door that it comes through: sshd') FORMAT='La porte par laquelle il entre : sshd' ;;
        'Registration with %s') FORMAT='Enregistrement auprès de %s' ;;
        'The way back') FORMAT='Le chemin du retour' ;;
    esac
}

# ---------------------------------------------------------------- 20-receipt.sh

# Every change to this computer passes here, and only here.
change() {    # COMMAND...
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = no ]; then
        "$@"
    fi
}

# The receipt says what there was not before us; --uninstall goes by it. A line is written before the deed: killed
# in between, we have noted too much and not too little.
remember() {    # LINE
    if [ "$DRY_RUN" = yes ] || grep -qxF -- "$1" "$RECEIPT" 2>/dev/null; then
        return 0
    fi
    (printf '%s\n' "$1" >>"$RECEIPT") 2>/dev/null || cannot_write "$RECEIPT"
}

# What was true before, of whatever begins so, is not any more.
forget() {    # BEGINNING
    if [ "$DRY_RUN" = no ] && [ -f "$RECEIPT" ]; then
        B=$1 awk 'index($0, ENVIRON["B"]) != 1' "$RECEIPT" >"$WORK/receipt"
        cmp -s "$WORK/receipt" "$RECEIPT" || replace "$WORK/receipt" "$RECEIPT" root "$ROOT_GROUP" 600
    fi
}

# The one line that begins with WORD.
remember_one() {    # WORD REST
    if [ -f "$RECEIPT" ] && [ "$(W="$1 " awk 'index($0, ENVIRON["W"]) == 1' "$RECEIPT")" = "$1 $2" ]; then
        return 0
    fi
    forget "$1 "
    remember "$1 $2"
}

remembers() {    # BEGINNING
    [ -f "$RECEIPT" ] && B=$1 awk 'index($0, ENVIRON["B"]) == 1 { found = 1 } END { exit !found }' "$RECEIPT"
}

# What follows WORD in its last line.
remembered() {    # WORD
    [ ! -f "$RECEIPT" ] || sed -n "s/^$1 //p" "$RECEIPT" | tail -n 1
}

# Owner, group and mode of a file, as in "root bckpciuem 750".
identity() {
    case $SYSTEM in
        Darwin) stat -f '%Su %Sg %Lp' -- "$1" ;;
        *) stat -c '%U %G %a' -- "$1" ;;
    esac
}

# Whether nobody but root, and perhaps one person, may change PATH.
kept_from_others() {    # PATH [NUMBER-OF-THE-PERSON]
    # shellcheck disable=SC2012  # its columns are POSIX's, stat's are not
    ls -ldn -- "$1" 2>/dev/null | awk -v person="${2:-0}" '
        NR == 1 { good = ($3 == "0" || $3 == person "") && substr($1, 6, 1) != "w" && substr($1, 9, 1) != "w" }
        END { exit !good }'
}

# The first folder from FOLDER up to / that somebody else than root may change: nothing below it can be trusted. Links
# are followed, and both ways looked at.
weak_folder() {    # FOLDER
    way=$1
    until [ -d "$way/" ]; do
        way=${way%/*}
    done
    for folder in "$way" "$(cd -P -- "$way/" && pwd -P)"; do
        folder=${folder%/}
        while kept_from_others "$folder/." && [ -n "$folder" ]; do
            folder=${folder%/*}
        done
        if ! kept_from_others "$folder/."; then
            printf '%s' "${folder:-/}"
            return 0
        fi
    done
}

# Put FILE's content at TARGET, complete or not at all, unless it is already there.
put_file() {    # FILE TARGET OWNER GROUP MODE
    if [ -L "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        die 1 '%s is not a plain file; please move it away.' "$2"
    fi
    claim_file "$2"
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(identity "$2")" = "$3 $4 $5" ]; then
        return 0
    fi
    note 'writing %s' "$2"
    case $2 in
        "$WRAPPER" | "$HELPER" | "$CONFIG" | "$SUDOERS")
            forget 'verified '      # that was with the old one
            TRY_AGAIN=yes ;;
    esac
    change replace "$@"
}

# A file is ours to take away again if it was not there, or bears our mark. What is another's is not written over; but
# keys and the configuration are others' too, whose lines stay.
claim_file() {    # TARGET
    if [ ! -e "$1" ] || bears_our_mark "$1" || [ "$1" = "$PLACE/known_hosts" ]; then
        remember "file $1"
    fi
}

# Before anything is made. An older one of ours bears our mark too; a damaged one stands in the receipt.
refuse_others_files() {
    for target in "$WRAPPER" "$HELPER" "$SUDOERS"; do
        if [ -f "$target" ] && ! bears_our_mark "$target" && ! grep -qsxF -- "file $target" "$RECEIPT"; then
            head -n 20 -- "$target" | printable >&2
            die 1 'There is a file %s already, which this setup has not made; see above. Please move it away.' "$target"
        fi
    done
}

bears_our_mark() {    # FILE
    head -n 2 -- "$1" 2>/dev/null | grep -q -e '^# Made by setup\.sh' -e '^# rsyncsend\.sh - '
}

# Where PATH is made before it goes to its place. The name has a dot, so that sudo does not read it.
fresh_of() {    # PATH
    printf '%s' "${1%/*}/.${1##*/}.setup"
}

replace() {    # FILE TARGET OWNER GROUP MODE
    fresh=$(fresh_of "$2")
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
        note 'making the folder %s' "$1"
        remember "folder $1"
        change mkdir -m "$4" "$1"
    elif [ "$(identity "$1")" = "$2 $3 $4" ]; then
        return 0
    else
        note 'setting the permissions of %s' "$1"
        remembers "was $1 " || grep -qsxF -- "folder $1" "$RECEIPT" || remember "was $1 $(identity "$1")"
    fi
    change chown "$2:$3" "$1"
    change chmod "$4" "$1"
}

cannot_write() {    # PATH
    die 1 '%s cannot be written. Is the disk full?' "$1"
}

open_work() {
    # Not TMPDIR: su and "sudo -E" keep the person's own, where what we unpack could be exchanged.
    WORK=$(mktemp -d "/tmp/bckpciuem.$$.XXXXXXXXXX" 2>/dev/null) || cannot_write /tmp
    trap tidy EXIT
    trap 'exit 130' INT
    trap 'exit 131' QUIT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM HUP
    head -c "$ROOM" /dev/zero 2>/dev/null >"$WORK/room" || cannot_write /tmp
    rm -f -- "$WORK/room"
}

tidy() {
    trap '' INT QUIT PIPE TERM HUP      # a second one, a closed window's after Ctrl-C, would end it half-way
    rm -rf -- "$WORK"
    if [ "$LOCKED" = yes ]; then
        rm -f -- "$PLACE/register-key" "$LOCK"
    fi
}

# A link to our number, which is made at once or not at all; that of a run that was killed counts for nothing.
take_lock() {
    if ln -s "$$" "$LOCK" 2>/dev/null; then
        LOCKED=yes
        return 0
    fi
    holder=$(readlink "$LOCK") || holder=''
    case $holder in
        '' | *[!0-9]*) ;;
        *) ! kill -0 "$holder" 2>/dev/null ||
            die 1 'Another setup is at work here (process %s); please wait until it is done.' "$holder" ;;
    esac
    drop_lock_of "$holder"
    ln -s "$$" "$LOCK" 2>/dev/null ||
        die 1 'Another setup has just begun here; please wait until it is done.'
    LOCKED=yes
}

# Moved away first: had another run been quicker to take it, we hold that run's, and put it back.
drop_lock_of() {    # NUMBER
    mv -f -- "$LOCK" "$LOCK.$$" 2>/dev/null || return 0
    [ "$(readlink "$LOCK.$$")" = "$1" ] || ln -s "$(readlink "$LOCK.$$")" "$LOCK" 2>/dev/null || true
    rm -f -- "$LOCK.$$"
}

# Where the receipt lies must be there before anything is done.
open_receipt() {
    clear_rests
    if [ -L "$RECEIPT" ]; then
        die 1 '%s is a link; please move it away.' "$RECEIPT"
    fi
    if [ -e "$PLACE" ] || [ -L "$PLACE" ]; then
        take_over
        put_folder "$PLACE" root "$(group_or_root)" 750
        return 0
    fi
    top=$(highest_missing "$PLACE")
    [ "$top" = "$PLACE" ] || note 'making the folder %s' "$top"
    note 'making the folder %s' "$PLACE"
    change make_place "$top"
}

# A receipt that was lost: what bears our mark is ours, and what goes with it.
take_over() {
    if [ -e "$RECEIPT" ] || ! bears_our_mark "$HELPER"; then
        return 0
    fi
    for line in "folder $PLACE" "group $ACCOUNT" "account $ACCOUNT" "folder $PLACE/.ssh" "folder ${HELPER%/*}" \
        "file $PLACE/.ssh/authorized_keys" "folder $RESTORE_PLACE"; do
        remember "$line"
    done
}

# A Mac has no /var/lib.
highest_missing() {    # FOLDER
    way=$1
    until [ -d "${way%/*}/" ]; do
        way=${way%/*}
    done
    printf '%s' "$way"
}

# Made beside its place, and moved there with the receipt in it that tells of it: killed in between we leave nothing
# that neither the receipt nor clear_rests knows of.
make_place() {    # HIGHEST-FOLDER-THAT-IS-MISSING
    fresh=$(fresh_of "$1")
    folder=$fresh${PLACE#"$1"}
    mkdir -p -- "$folder"
    chmod 755 "$fresh"
    { [ "$1" = "$PLACE" ] || printf 'folder %s\n' "$1"; printf 'folder %s\n' "$PLACE"; } >"$folder/${RECEIPT##*/}"
    chown "root:$(group_or_root)" "$folder"
    chmod 750 "$folder"
    mv -- "$fresh" "$1"
}

# What runs that were cut off have left where the receipt does not tell of it.
clear_rests() {
    rests >"$WORK/rests"
    [ -s "$WORK/rests" ] || return 0
    note 'clearing away what a run that was cut off has left'
    while IFS= read -r rest; do
        change clear_rest "$rest"
    done <"$WORK/rests"
}

rests() {
    for target in "$PLACE" "${PLACE%/*}" "$RECEIPT" "$WRAPPER" "$HELPER" "$CONFIG" "$SUDOERS" "$SSHD_DROP_IN" \
        "$PLACE/known_hosts" "$PLACE/register-key" "$(keys_file)"; do
        rest=$(fresh_of "$target")
        if [ -e "$rest" ] || [ -L "$rest" ]; then
            printf '%s\n' "$rest"
        fi
    done
    [ ! -e "$PLACE/register-key" ] || printf '%s\n' "$PLACE/register-key"
    abandoned_work
}

# Each run's own folder has its number in the name. In /tmp nobody else can make one of root's, or move it.
abandoned_work() {
    for folder in /tmp/bckpciuem.*.*; do
        number=${folder#/tmp/bckpciuem.}
        number=${number%.*}
        case $number in
            '' | *[!0-9]*) continue ;;
        esac
        if [ ! -L "$folder" ] && [ -d "$folder" ] && kept_from_others "$folder" && ! kill -0 "$number" 2>/dev/null; then
            printf '%s\n' "$folder"
        fi
    done
}

clear_rest() {    # PATH
    if grep -qsxF "folder ${PLACE%/*}" "$1/${RECEIPT##*/}"; then
        rmdir -- "${PLACE%/*}" 2>/dev/null || true
    fi
    rm -rf -- "$1"
}

# ---------------------------------------------------------------- 30-server.sh

gather_files() {
    given_file register-key "$REGISTER_KEY_FILE" ||
        die 2 'There is no key to register with; please give --register-key FILE.'
    given_file known-hosts "$KNOWN_HOSTS_FILE" ||
        die 2 'There is no host key of the server; please give --known-hosts FILE.'
    given_wrapper ||
        die 2 'rsyncsend.sh is missing; please give --wrapper FILE.'
}

# WORK/NAME from a file that was named, or else from inside this one.
given_file() {    # NAME FILE
    if [ -n "$2" ]; then
        if [ -d "$2" ] || [ ! -r "$2" ]; then
            die 2 '%s cannot be read.' "$2"
        fi
        cat <"$2" >"$WORK/$1"
    else
        bundled "$1" >"$WORK/$1"
    fi
    [ -s "$WORK/$1" ]
}

beside() {
    case $0 in
        */*) if [ -f "${0%/*}/$1" ]; then printf '%s' "${0%/*}/$1"; fi ;;
        # Piped into a shell we are called sh, and there may be a file of that name.
        *.sh) if [ -f "$1" ] && [ -f "$0" ]; then printf '%s' "./$1"; fi ;;
    esac
}

# The wrapper becomes root's helper: what another person could have put beside us is never taken for it.
given_wrapper() {
    if [ -n "$WRAPPER_FILE" ]; then
        given_file wrapper "$WRAPPER_FILE"
        return
    fi
    given_file wrapper '' && return 0
    found=$(beside rsyncsend.sh)
    [ -n "$found" ] || return 1
    if ! ours_alone "$found" || ! ours_alone "${found%/*}/"; then
        die 2 '%s, or its folder, can be changed by others than you; please give --wrapper FILE.' "$found"
    fi
    given_file wrapper "$found"
}

# Whether PATH is root's, or of the person who runs this, and nobody else can write there.
ours_alone() {
    # shellcheck disable=SC2046  # mode and numbers
    set -- $(LC_ALL=C ls -ldn -- "$1" 2>/dev/null) ''
    case $1 in
        -????w* | -???????w* | d????w* | d???????w* | [!-d]* | '') return 1 ;;
    esac
    [ "$3" = 0 ] || [ "$3" = "${SUDO_UID:-$(id -u)}" ]
}

# Who this computer was registered for, if it was, with this server.
registered_as() {
    [ -f "$RECEIPT" ] || return 1
    sed -n "s/^registered $SERVER //p" "$RECEIPT" | tail -n 1 | grep .
}

server_of_receipt() {
    [ ! -f "$RECEIPT" ] || sed -n 's/^registered \([^ ]*\) .*/\1/p' "$RECEIPT" | tail -n 1
}

# How the server stands in known_hosts.
known_as() {
    if [ "$PORT" -eq 22 ]; then
        printf '%s' "$SERVER"
    else
        printf '[%s]:%s' "$SERVER" "$PORT"
    fi
}

# ssh goes as the account, which can read these files and change none of them.
prepare_call() {
    put_file "$WORK/known-hosts" "$PLACE/known_hosts" root "$ACCOUNT" 640
    name=$(known_as)
    ssh-keygen -F "$name" -f "$PLACE/known_hosts" >/dev/null 2>&1 ||
        die 2 'The known hosts file has no line for %s.' "$name"
    replace "$WORK/register-key" "$PLACE/register-key" root "$ACCOUNT" 640
}

# Standard input is empty or a file: ssh must not eat ours. Sets REPLY_STATUS; the answer is in WORK/reply. What ssh says goes elsewhere, or a warning of its own would stand
# before "success".
call() {    # REQUEST [STANDARD-INPUT]
    line="exec env SSH_AUTH_SOCK= ssh -x -a -T $IP_VERSION -F /dev/null -i $PLACE/register-key -l $SERVER_ACCOUNT"
    line="$line -p $PORT -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    line="$line -o UserKnownHostsFile=$PLACE/known_hosts -o GlobalKnownHostsFile=/dev/null"
    line="$line -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR $SERVER $1"
    {
        { as_account "$line" "${2:-}" 2>&4 && status=0 || status=$?
            printf '%s' "$status" >"$WORK/status"; } | head -c 65536 | tr -d '\r' >"$WORK/reply"
    } 4>&1 | head -c 65536 >"$WORK/ssh-errors"
    REPLY_STATUS=$(cat "$WORK/status")
    if [ "$REPLY_STATUS" -eq 255 ] && [ ! -s "$WORK/reply" ]; then
        not_connected
    fi
    # The name of a laptop's IPv6 address is often missing where that of its IPv4 address is not.
    if [ -z "$IP_VERSION" ] && [ "$(error_code)" = dns-name ]; then
        case $(head -n 1 "$WORK/reply" | cut -d ' ' -f 1) in
            *:*)
                IP_VERSION=-4
                call "$@"
                ;;
        esac
    fi
}

not_connected() {
    printable <"$WORK/ssh-errors" >&2
    if grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        die 6 'This is not the %s that we know: its host key is another one. Nothing was sent. Please tell your administrator.' "$SERVER"
    fi
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        die 4 '%s does not take this setup’s key any more; please get a new copy of the setup.' "$SERVER"
    fi
    die 5 '%s cannot be reached. Is this computer on the network?' "$SERVER"
}

as_account() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && within "$PATIENCE" su "$ACCOUNT" -c "$1") <"${2:-/dev/null}" 3>&-
}

# A Mac has no timeout(1). Status 124 or 137, or 142: it took too long.
within() {    # SECONDS COMMAND...
    if command -v timeout >/dev/null; then
        timeout --foreground -k 5 "$@"
    else
        perl -e 'alarm shift; exec @ARGV or die' "$@"
    fi
}

took_too_long() {
    case $REPLY_STATUS in
        124 | 137 | 142) return 0 ;;
    esac
    return 1
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

# ---------------------------------------------------------------- 31-reply.sh

# Read a reply into REPLY_*. False: it is an error of the server's, or no reply that we understand (PROBLEM says so).
understand() {    # FILE check|register|verify
    REPLY_HOST='' REPLY_PERSON='' REPLY_KEY='' REPLY_FROM='' REPLY_BACKUP='' REPLY_SHARES='' SEEN=' '
    [ "$2" = verify ] || REPLY_URL='' REPLY_ADVICE=''
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
    elif [ "$REPLY_STATUS" -eq 255 ] || took_too_long; then
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
        shares) REPLY_SHARES=$value ;;
        from) REPLY_FROM=$value ;;
        backup) REPLY_BACKUP=$value ;;
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

reply_line_of() {    # KEYWORD
    sed -n "2,\$s/^$1:[[:blank:]]*//p" "$WORK/reply" | head -n 1 | printable
}

give_up() {
    ! took_too_long ||
        die 5 '%s has not answered within %s seconds.' "$SERVER" "$PATIENCE"
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        die 1 'The server’s reply is not understood (%s). Nothing was installed from it.' "${PROBLEM:-$REPLY_STATUS}"
    fi
    show_error
    exit 4
}

# The whole of it, then what to do about it.
show_error() {
    warn 'The server answers:'
    TEXT=$(printable <"$WORK/reply" | sed 's/^/    /')
    keep_in_log
    printf '%s\n' "$TEXT" >&2
    advise "$(error_code)"
}

advise() {    # CODE
    case $1 in
        bad-user) warn 'There is no such logon in the directory. Is it spelled right?' ;;
        dns-name) warn 'The network does not know this computer by a name of ours. Connect it to the campus network, by cable if you can, and try again.' ;;
        other-owner) warn 'This computer is registered for somebody else. Only the backup administrator can change that.' ;;
        host-key-changed) warn 'The server knows another computer under this name. If this one was reinstalled, please tell the backup administrator.' ;;
        not-registered) warn 'The server does not know this computer. Please start the setup again.' ;;
        not-allowed) warn 'This site does not back this computer up. The backup administrator can tell you why.' ;;
        not-reachable) warn 'The server cannot connect to this computer. Is a firewall in the way?' ;;
        too-many-requests) warn 'Please wait a minute and start the setup again.' ;;
        directory-unavailable | dns-unavailable) warn 'The server could not ask all that it needs to know. Please try again in a few minutes.' ;;
        ostype-unknown | no-command) warn 'The server does not understand this setup. Please get a new copy of it.' ;;
        could-not-register | no-config-file | misconfigured | internal) warn 'The server has a problem of its own. Please tell the backup administrator.' ;;
        *) warn 'Please show this to the backup administrator.' ;;
    esac
}

# ---------------------------------------------------------------- os/linux.sh

# By what the system says it is like, else by its package manager: there are too many distributions to name them.
know_linux() {
    likes=" $(os_release ID) $(os_release ID_LIKE) "
    case $likes in
        *' nixos '*) FAMILY=nixos; return 0 ;;
        *' steamos '*) FAMILY=immutable; return 0 ;;
    esac
    if [ -e "$OSTREE" ] || root_is_read_only; then
        FAMILY=immutable
        return 0
    fi
    case $likes in
        *' debian '* | *' ubuntu '*) managers=apt-get ;;
        *' fedora '* | *' rhel '* | *' centos '*) managers='dnf yum' ;;
        *' suse '* | *' opensuse '* | *' opensuse-'*) managers=zypper ;;
        *' arch '*) managers=pacman ;;
        *) managers='apt-get dnf yum zypper pacman' ;;
    esac
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
}

# transactional-update alone says nothing: it can be installed on a plain Tumbleweed too.
root_is_read_only() {
    awk '$2 == "/" { options = "," $4 "," } END { exit options !~ /,ro,/ }' "$MOUNTS" 2>/dev/null
}

os_release() {    # NAME
    sed -n "s/^$1=//p" "$OS_RELEASE" 2>/dev/null | tr -d "\"'" | head -n 1
}

nixos_instructions() {
    warn 'NixOS is set up by its configuration, not by this program. Add to it:'
    cat >&2 <<END

  services.openssh = { enable = true; settings.PasswordAuthentication = false; settings.KbdInteractiveAuthentication = false; };
  environment.systemPackages = with pkgs; [ bash util-linux ];
  users.groups.$ACCOUNT = {};
  users.users.$ACCOUNT = { isSystemUser = true; group = "$ACCOUNT"; home = "$PLACE"; shell = "/bin/sh"; hashedPassword = "*"; };
  security.sudo.extraRules = [ { users = [ "$ACCOUNT" ];
    commands = [ { command = "$HELPER"; options = [ "NOPASSWD" ]; } ]; } ];

END
    warn 'Then, as root, put rsyncsend.sh where that says, with the paths that NixOS has. It starts no rsync below /nix/store, where the group nixbld may write, so that gets a copy:'
    cat >&2 <<END

  mkdir -p $PLACE ${HELPER%/*}
  sed -e '1s|/bin/bash|/run/current-system/sw/bin/bash|' \\
    -e 's|^PATH=/.*|PATH=/run/wrappers/bin:/run/current-system/sw/bin|' rsyncsend.sh >$WRAPPER
  install -m 755 $WRAPPER $HELPER
  install -m 755 "\$(nix-build '<nixpkgs>' -A pkgsStatic.rsync --no-out-link)/bin/rsync" ${HELPER%/*}/rsync
  printf '%s\\n' share=/home restore=off rsync=${HELPER%/*}/rsync >$CONFIG
  chmod 755 $PLACE $WRAPPER
  chmod 644 $CONFIG

END
    warn 'None of this was tried on NixOS; the rest, the registration too, please ask the backup administrator.'
}

immutable_instructions() {
    warn 'The system of this computer is read-only, and this program does not change such a system. It takes these packages:'
    if command -v transactional-update >/dev/null; then
        printf '\n  transactional-update pkg install openssh sudo rsync util-linux\n\n' >&2
    elif [ -e "$OSTREE" ]; then
        printf '\n  rpm-ostree install openssh-server sudo rsync util-linux\n\n' >&2
    else
        printf '\n  openssh sudo rsync util-linux\n\n' >&2
    fi
    warn 'How the rest is done by hand, the backup administrator can tell you.'
}

system_name() {
    os_release PRETTY_NAME | printable | grep . || uname -s
}

add_linux_account() {
    group=--user-group
    if group_exists; then
        group="--gid=$ACCOUNT"
    fi
    useradd --system "$group" --no-create-home --home-dir "$PLACE" --shell /bin/sh --password '*' \
        --comment BackupPC "$ACCOUNT"
}

# userdel takes a group of the same name along, whoever made it.
remove_linux_account() {
    number=$(group_number)
    userdel "$ACCOUNT" || return
    if [ -n "$number" ] && ! remembers "group $ACCOUNT" && ! group_exists; then
        groupadd --system --gid "$number" "$ACCOUNT"
    fi
}

install_packages() {
    case $MANAGER in
        apt-get) apt_get install --yes --no-install-recommends "$@" ||
            { apt_get update && apt_get install --yes --no-install-recommends "$@"; } ;;
        dnf | yum) "$MANAGER" --assumeyes --quiet install "$@" >>"$WORK/packages" 2>&1 ;;
        zypper) zypper --non-interactive --quiet install --no-recommends "$@" >>"$WORK/packages" 2>&1 ;;
        pacman) pacman --sync --needed --noconfirm "$@" >>"$WORK/packages" 2>&1 ;;
    esac || {
        tail -n 5 "$WORK/packages" | printable >&2
        die 1 'These packages could not be installed: %s' "$*"
    }
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$WORK/packages" 2>&1
}

selinux_enforces() {
    [ "$SYSTEM" = Linux ] && command -v getenforce >/dev/null && [ "$(getenforce 2>/dev/null)" = Enforcing ]
}

# Ubuntu waits for connections with ssh.socket; Debian has that unit too, but switched off.
sshd_unit() {
    if systemctl is-enabled ssh.socket >/dev/null 2>&1; then
        printf ssh.socket
    elif systemctl list-unit-files ssh.service 2>/dev/null | grep -q '^ssh\.service'; then
        printf ssh.service
    else
        printf sshd.service
    fi
}

ufw_lets_in() {    # ADDRESS PORT
    ufw status | awk -v address="$1" -v port="$2" '
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

ufw_rule() {    # PORT ADDRESS
    ufw allow from "$2" to any port "$1" proto tcp >/dev/null
}

no_ufw_rule() {
    ufw --force delete allow from "$2" to any port "$1" proto tcp >/dev/null
}

firewalld_lets_in() {    # ADDRESS PORT
    { [ "$2" -eq 22 ] && firewall-cmd --quiet --permanent --query-service=ssh; } ||
        firewall-cmd --quiet --permanent --query-port="$2/tcp" ||
        firewall-cmd --quiet --permanent --query-rich-rule="$(rich_rule "$2" "$1")"
}

rich_rule() {    # PORT ADDRESS
    family=ipv4
    case $2 in
        *:*) family=ipv6 ;;
    esac
    printf 'rule family="%s" source address="%s" port port="%s" protocol="tcp" accept' "$family" "$2" "$1"
}

firewalld_rule() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --add-rich-rule="$(rich_rule "$@")" &&
        firewall-cmd --quiet --add-rich-rule="$(rich_rule "$@")"
}

no_firewalld_rule() {
    firewall-cmd --quiet --permanent --remove-rich-rule="$(rich_rule "$@")"
    firewall-cmd --quiet --remove-rich-rule="$(rich_rule "$@")"
}

# ---------------------------------------------------------------- os/macos.sh

mac_record() {    # ATTRIBUTE
    dscl . -read "/Users/$ACCOUNT" "$1" 2>/dev/null | sed "s/^$1: //"
}

# Below 500 the login window does not show it. It has no password and no SecureToken, so it can log in by key only.
# The number comes last: killed before that, it is no account yet, and the next run goes on.
add_mac_account() {
    number=$(free_number) || return 1
    if group_exists; then
        number=$(group_number)
    else
        dscl . -create "/Groups/$ACCOUNT" &&
            dscl . -create "/Groups/$ACCOUNT" Password '*' &&
            dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" || return 1
    fi
    dscl . -create "/Users/$ACCOUNT" &&
        dscl . -create "/Users/$ACCOUNT" Password '*' &&
        dscl . -create "/Users/$ACCOUNT" RealName BackupPC &&
        dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh &&
        dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$PLACE" &&
        dscl . -create "/Users/$ACCOUNT" IsHidden 1 &&
        dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
        dscl . -create "/Users/$ACCOUNT" UniqueID "$number"
}

# The highest number below 500 that is neither a user's nor a group's: Apple takes more of them from below with
# every release.
free_number() {
    { dscl . -list /Users UniqueID && dscl . -list /Groups PrimaryGroupID; } | awk '
        { taken[$NF] = 1 }
        END { for (n = 499; n >= 200; n--) if (!(n in taken)) { print n; exit 0 } exit 1 }'
}

others_in_mac_group() {    # NUMBER
    { dscl . -list /Users PrimaryGroupID; dscl . -list /Groups PrimaryGroupID; } |
        G=$1 awk '$NF == ENVIRON["G"] { print $1 }'
    dscl . -read "/Groups/$ACCOUNT" GroupMembership NestedGroups 2>/dev/null | awk '
        /^(GroupMembership|NestedGroups):/ { sub(/^[^:]*:/, ""); listed = 1 }
        /^[^ ]/ { listed = 0 }
        listed { for (i = 1; i <= NF; i++) print $i }'
}

# None of these says truly whether it worked, and each of them fails on some release: the port tells.
switch_remote_login_on() {
    launchctl enable system/com.openssh.sshd || true
    launchctl bootstrap system "$MAC_SSH" || true
    sshd_answers || launchctl load -w "$MAC_SSH" || true
    sshd_answers || systemsetup -setremotelogin on || true
}

switch_remote_login_off() {
    launchctl disable system/com.openssh.sshd || true
    launchctl bootout system "$MAC_SSH" || true
}

# That group is there only where Remote Login is for some users alone; made by us it would shut out all others.
join_mac_group() {
    [ "$SYSTEM" = Darwin ] || return 0
    dseditgroup -o read "$MAC_GROUP" >/dev/null 2>&1 || return 0
    if dseditgroup -o checkmember -m "$ACCOUNT" "$MAC_GROUP" >/dev/null 2>&1; then
        return 0
    fi
    note 'letting %s use Remote Login' "$ACCOUNT"
    remember "member $MAC_GROUP"
    change dseditgroup -o edit -a "$ACCOUNT" -t user "$MAC_GROUP"
}

mac_console() {
    if [ "$SYSTEM" = Darwin ]; then
        stat -f %Su /dev/console 2>/dev/null || true
    fi
}

# No program may switch that on; it is for a person, or for the management of a fleet.
full_disk_access() {
    HIDDEN=yes
    mark 'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow it; no program can. Without that they would be missing in the backups.'
    case $(sw_vers -productVersion 2>/dev/null) in
        12*) mark 'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.' ;;
        *) mark 'System Settings, General, Sharing, the (i) of Remote Login: switch on "Allow full disk access for remote users".' ;;
    esac
}

# ---------------------------------------------------------------- os/packages.sh

tools() {
    printf '%s ' ssh ssh-keygen ssh-keyscan sshd sudo visudo rsync su bash
    case $FAMILY in
        mac) printf 'dscl dseditgroup' ;;
        *) printf 'setpriv useradd getent' ;;
    esac
    if selinux_enforces; then
        printf ' semanage restorecon'
    fi
}

package_of() {    # TOOL
    case $FAMILY:$1 in
        mac:*) printf '%s' "$1" ;;
        suse:ssh* | arch:ssh*) printf openssh ;;
        *:sshd) printf openssh-server ;;
        debian:ssh*) printf openssh-client ;;
        redhat:ssh-keygen) printf openssh ;;
        redhat:ssh*) printf openssh-clients ;;
        *:visudo) printf sudo ;;
        *:setpriv | *:su) printf util-linux ;;
        debian:useradd) printf passwd ;;
        redhat:useradd) printf shadow-utils ;;
        *:useradd) printf shadow ;;
        debian:getent) printf libc-bin ;;
        redhat:getent) printf glibc-common ;;
        *:getent) printf glibc ;;
        *:semanage) printf policycoreutils-python-utils ;;
        *:restorecon) printf policycoreutils ;;
        *) printf '%s' "$1" ;;
    esac
}

# ---------------------------------------------------------------- steps/account.sh

make_account() {
    judge_account       # again: the first time its tools may have been missing
    if [ -n "$entry" ]; then
        mend_account "$entry"
    else
        note 'making the account %s' "$ACCOUNT"
        group_exists || remember "group $ACCOUNT"
        remember "account $ACCOUNT"
        change add_account
        change chown "root:$ACCOUNT" "$PLACE"
    fi
    [ ! -d "$PLACE" ] || put_folder "$PLACE" root "$ACCOUNT" 750
    put_folder "$PLACE/.ssh" root "$ACCOUNT" 750
}

# The account as a line of passwd(5), wherever it comes from.
account_entry() {
    case $SYSTEM in
        Darwin) id -u "$ACCOUNT" >/dev/null 2>&1 || return 1
            printf '%s:*:%s:%s:BackupPC:%s:%s\n' "$ACCOUNT" "$(id -u "$ACCOUNT")" "$(id -g "$ACCOUNT")" \
                "$(mac_record NFSHomeDirectory)" "$(mac_record UserShell)" ;;
        *) getent passwd "$ACCOUNT" ;;
    esac
}

account_is_local() {
    case $SYSTEM in
        Darwin) dscl . -read "/Users/$ACCOUNT" UniqueID >/dev/null 2>&1 ;;
        *) getent -s files passwd "$ACCOUNT" >/dev/null ;;
    esac
}

# The lowest number that is a person's, or a person's group's.
first_of_people() {    # UID_MIN|GID_MIN
    case $SYSTEM in
        Darwin) printf 500 ;;
        *) sed -n "s/^$1[[:space:]]*\\([0-9]\\{1,\\}\\).*/\\1/p" /etc/login.defs 2>/dev/null | grep . || printf 1000 ;;
    esac
}

group_exists() {
    case $SYSTEM in
        Darwin) dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1 ;;
        *) getent group "$ACCOUNT" >/dev/null ;;
    esac
}

group_or_root() {
    if group_exists; then
        printf '%s' "$ACCOUNT"
    else
        printf '%s' "$ROOT_GROUP"
    fi
}

# The password field is a star: sshd takes ! for a locked account where PAM is not used.
add_account() {
    case $SYSTEM in
        Darwin) add_mac_account ;;
        *) add_linux_account ;;
    esac >"$WORK/account" 2>&1 || {
        printable <"$WORK/account" >&2
        die 1 'The account %s could not be made.' "$ACCOUNT"
    }
}

# An account or a group that is there already is used only if it is what we would have made. Sets entry.
judge_account() {
    entry=$(account_entry) || entry=''
    [ -z "$entry" ] || judge_entry "$entry"
    judge_group
}

judge_entry() {    # PASSWD-ENTRY
    account_is_local ||
        die 1 'The account %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.' "$ACCOUNT"
    uid=$(printf '%s' "$1" | cut -d: -f3)
    if [ "$uid" -eq 0 ] || [ "$uid" -ge "$(first_of_people UID_MIN)" ]; then
        die 1 'There is an account %s with the number %s: a person’s or root’s, not a system account.' "$ACCOUNT" "$uid"
    fi
    home=$(printf '%s' "$1" | cut -d: -f6)
    if [ "$home" != "$PLACE" ] || [ "$(id -gn "$ACCOUNT")" != "$ACCOUNT" ]; then
        die 1 'There is an account %s already, with another home (%s) or group; please remove it and start again.' \
            "$ACCOUNT" "$home"
    fi
}

# Whoever is in it reads the key that registers, and may change what is restored.
judge_group() {
    if ! group_is_local; then
        ! group_is_elsewhere ||
            die 1 'The group %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.' "$ACCOUNT"
        return 0
    fi
    gid=$(group_number)
    if [ "$gid" -eq 0 ] || [ "$gid" -ge "$(first_of_people GID_MIN)" ]; then
        die 1 'There is a group %s with the number %s: a person’s or root’s, not a system group.' "$ACCOUNT" "$gid"
    fi
    others=$(others_in_group "$gid" | sort -u | tr '\n' ' ')
    [ -z "$others" ] ||
        die 1 'There is a group %s already, and others are in it or may join it: %s. They could read what is the account’s alone; please take them out of it, or remove the group, and start again.' \
            "$ACCOUNT" "${others% }"
}

group_is_local() {
    case $SYSTEM in
        Darwin) group_exists ;;
        *) getent -s files group "$ACCOUNT" >/dev/null ;;
    esac
}

group_is_elsewhere() {
    case $SYSTEM in
        Darwin) dscl /Search -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1 ;;
        *) group_exists ;;
    esac
}

group_number() {
    case $SYSTEM in
        Darwin) dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID | sed 's/^PrimaryGroupID: //' ;;
        *) getent group "$ACCOUNT" | cut -d: -f3 ;;
    esac
}

# Members and administrators of the group, accounts whose own it is, other groups of that number; a password, with which
# anybody can join (gshadow(5), newgrp(1)).
others_in_group() {    # NUMBER
    case $SYSTEM in
        Darwin) others_in_mac_group "$1" ;;
        *)
            { getent group; getent group "$ACCOUNT"; } |
                G=$1 awk -F: '$3 == ENVIRON["G"] { print $1; gsub(",", "\n", $4); print $4 }'
            getent passwd | G=$1 awk -F: '$4 == ENVIRON["G"] { print $1 }'
            getent gshadow "$ACCOUNT" | awk -F: '
                $2 ~ /^[^!*]/ { print "(password)" }
                { gsub(",", "\n"); print $3; print $4 }'
            ;;
    esac | grep -vxF -e "$ACCOUNT" -e '' || true
}

mend_account() {
    if [ "$(printf '%s' "$1" | cut -d: -f7)" != /bin/sh ]; then
        note 'giving the account its shell back'
        change set_shell
    fi
    if [ "$SYSTEM" = Linux ] && [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]; then
        note 'taking the password away from the account'
        change usermod --password '*' "$ACCOUNT"
    fi
}

set_shell() {
    case $SYSTEM in
        Darwin) dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh ;;
        *) usermod --shell /bin/sh "$ACCOUNT" ;;
    esac
}

# ---------------------------------------------------------------- steps/firewall.sh

open_firewall() {
    [ "$FIREWALL" = yes ] || return 0
    wall=$(active_firewall)
    [ -n "$wall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        if ! "${wall}_lets_in" "$address" "$port"; then
            note 'letting %s through the firewall to port %s' "$address" "$port"
            remember "firewall $wall $port $address"
            change "${wall}_rule" "$port" "$address"
        fi
    done
}

active_firewall() {
    if [ "$SYSTEM" != Linux ]; then
        return 0
    elif command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then
        printf ufw
    elif command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
        printf firewalld
    fi
}

# Where the server comes from: as we were told, as it says, as the key's line says, as its name says.
server_addresses() {
    case $FROM in
        '' | none) ;;
        *) printf '%s' "$FROM" | tr ',' '\n'; return 0 ;;
    esac
    list=${REPLY_FROM:-$(sed -n "s|^restrict,from=\"\\([^\"]*\\)\",command=\"$WRAPPER\" .*|\\1|p" "$(keys_file)" 2>/dev/null)}
    if [ -n "$list" ]; then
        printf '%s' "$list" | tr ',' '\n'
    else
        addresses_of "$SERVER"
    fi
}

# ---------------------------------------------------------------- steps/key.sh

# Where sshd looks for our account's keys: of several places the first whose folder is there.
keys_file() {
    patterns=$(setting authorizedkeysfile | head -n 1)
    [ "$patterns" != none ] || return 1
    printf '%s\n' "${patterns:-.ssh/authorized_keys}" | tr ' ' '\n' |
        sed "s|%h|$PLACE|g; s|%u|$ACCOUNT|g; s|%%|%|g; s|^[^/]|$PLACE/&|" >"$WORK/keys-files"
    while IFS= read -r path; do
        if [ -d "${path%/*}" ]; then
            printf '%s' "$path"
            return 0
        fi
    done <"$WORK/keys-files"
    head -n 1 "$WORK/keys-files" | tr -d '\n'
}

# awk ends the last line, so that it cannot swallow ours.
keys_of_others() {    # FILE
    W="command=\"$WRAPPER\"" awk '/^[ \t]*#/ || !index($0, ENVIRON["W"])' "$1"
}

# Whether the line for the server is there as we wrote it, and no other that starts our program.
key_in_place() {
    keys=$(keys_file) && [ -f "$keys" ] && [ -f "$RECEIPT" ] || return 1
    sed -n 's/^key //p' "$RECEIPT" >"$WORK/key-line"
    [ -s "$WORK/key-line" ] && [ "$(identity "$keys")" = "$(keys_identity "$keys")" ] && grep -F "command=\"$WRAPPER\"" "$keys" | grep -v '^[[:blank:]]*#' | cmp -s - "$WORK/key-line"
}

# Whose the file of the keys is to be.
keys_identity() {    # FILE
    case $1 in
        "$PLACE"/*) printf 'root %s 640' "$ACCOUNT" ;;
        *) printf 'root %s 644' "$ROOT_GROUP" ;;
    esac
}

install_key() {
    if ! keys=$(keys_file) || [ ! -d "${keys%/*}" ]; then
        todo 'sshd reads no keys of ours (AuthorizedKeysFile).'
        return 0
    fi
    allowed=$REPLY_FROM
    case $FROM in
        none) allowed='' ;;
        ?*) allowed=$FROM ;;
    esac
    weak=$(weak_folder "${keys%/*}")
    if [ -n "$weak" ]; then
        todo '%s can be changed by others than root; sshd looks for keys below it.' "$weak"
        return 0
    fi
    known=/dev/null
    [ ! -f "$keys" ] || known=$keys
    keys_of_others "$known" >"$WORK/keys"
    key_line=$(printf 'restrict%s,command="%s" %s' "${allowed:+,from=\"$allowed\"}" "$WRAPPER" "$KEY")
    printf '%s\n' "$key_line" >>"$WORK/keys"
    remember_one key "$key_line"
    # shellcheck disable=SC2046  # three words
    put_file "$WORK/keys" "$keys" $(keys_identity "$keys")
    if [ "$(grep -c '^[^#]' "$WORK/keys")" -gt 1 ]; then
        note '%s holds other keys too; they were left as they are' "$keys"
    fi
}

# SELinux wants to be told what files are for before sshd may read them.
label_files() {
    selinux_enforces || return 0
    pattern="$PLACE/\\.ssh(/.*)?"
    if ! semanage fcontext -l -C 2>/dev/null | grep -qF "$pattern"; then
        note 'telling SELinux where the key is'
        remember "selinux $pattern"
        change semanage fcontext -a -t ssh_home_t "$pattern"
    fi
    if restorecon -RFnv "$PLACE" "${HELPER%/*}" "$CONFIG" "$SUDOERS" 2>/dev/null | grep -q .; then
        note 'setting SELinux labels'
        change restorecon -RF "$PLACE" "${HELPER%/*}" "$CONFIG" "$SUDOERS"
    fi
}

# ---------------------------------------------------------------- steps/packages.sh

check_system() {
    know_system
    case $FAMILY in
        debian | redhat | suse | arch | mac) ;;
        nixos) nixos_instructions; exit 77 ;;
        immutable) immutable_instructions; exit 77 ;;
        old-mac) die 77 'This setup is for macOS 12 and later.' ;;
        *) die 77 'This setup knows Debian, Fedora, openSUSE, Arch and their relatives, and macOS; this system is %s.' \
            "$(system_name)" ;;
    esac
    if [ "$(id -u)" -ne 0 ]; then
        die 1 'This changes the system, so it has to be started as root: sudo sh setup.sh'
    fi
}

# Sets SYSTEM, FAMILY, what the server calls it, and what differs from one to the other.
know_system() {
    SYSTEM=$(uname -s)
    FAMILY=unknown ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux
    case $SYSTEM in
        Linux) know_linux ;;
        Darwin)
            ROOT_GROUP=wheel HOMES=/Users OSTYPE_WORD=mac FAMILY=mac
            version=$(sw_vers -productVersion 2>/dev/null) || version=0
            case ${version%%.*} in
                '' | *[!0-9]* | ? | 10 | 11) FAMILY='old-mac' ;;
            esac
            ;;
    esac
}

get_tools() {
    open_receipt
    packages=''
    for tool in $(tools); do
        command -v "$tool" >/dev/null || packages="$packages $(package_of "$tool")"
    done
    [ -n "$packages" ] || return 0
    packages=$(printf '%s\n' "$packages" | tr ' ' '\n' | sort -u | tr '\n' ' ')
    packages=${packages# }
    [ "$FAMILY" != mac ] ||
        die 1 'This Mac lacks what every Mac has: %s' "$packages"
    note 'installing %s' "$packages"
    for package in $packages; do
        remember "package $package"
    done
    command -v sshd >/dev/null || keep_passwords_out
    # shellcheck disable=SC2086  # several words
    change install_packages $packages
}

# Nobody here has asked for an sshd yet, so nobody's password is opened to the network. That stands there before the
# package comes, because Debian starts sshd at once.
keep_passwords_out() {
    if [ -e "$SSHD_DROP_IN" ] && ! bears_our_mark "$SSHD_DROP_IN"; then
        return 0        # an administrator's
    fi
    note 'sshd is new on this computer: it is to let nobody in by password, only by key'
    cat >"$WORK/drop-in" <<END
# Made by setup.sh: there was no sshd on this computer before, and the backup server comes with a key.
# To let people in by password, put other settings into a file that is read before this one, or remove this one.
PasswordAuthentication no
KbdInteractiveAuthentication no
END
    for folder in "${SSHD_DROP_IN%/*/*}" "${SSHD_DROP_IN%/*}"; do
        [ -d "$folder" ] || put_folder "$folder" root "$ROOT_GROUP" 755
    done
    put_file "$WORK/drop-in" "$SSHD_DROP_IN" root "$ROOT_GROUP" 644
}

# ---------------------------------------------------------------- steps/permissions.sh

install_wrapper() {
    check_way_to_helper
    put_file "$WORK/wrapper" "$WRAPPER" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*/*}" ] || put_folder "${HELPER%/*/*/*}" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*}" ] || put_folder "${HELPER%/*/*}" root "$ROOT_GROUP" 755
    put_folder "${HELPER%/*}" root "$ROOT_GROUP" 755
    put_file "$WORK/wrapper" "$HELPER" root "$ROOT_GROUP" 755
    write_config
    make_restore_folder
    allow_helper
    try_wrapper
}

# sudo starts it as root, so nobody else may be able to put another one in its place. Homebrew used to give
# /usr/local to a person, Debian to the group staff.
check_way_to_helper() {
    weak=$(weak_folder "${HELPER%/*/*}")
    [ -z "$weak" ] ||
        die 7 '%s can be changed by others than root, so what is below it cannot be trusted; please do: chown root %s; chmod go-w %s' \
            "$weak" "$weak" "$weak"
}

# What an administrator has put into the configuration, remarks too, stays unless an option says otherwise.
write_config() {
    compose_config
    tell_permissions
    put_file "$WORK/config" "$CONFIG" root "$ROOT_GROUP" 644
    if [ "$RESTORING" = full ]; then
        caution '--restore full: whoever rules the backup server is root on this computer.'
    fi
}

# Sets RESTORING: what holds for restores. Without a line it is off, as rsyncsend.sh takes it.
compose_config() {
    if [ -f "$CONFIG" ]; then
        cat <"$CONFIG" >"$WORK/config"
        restored=$(configured restore | tail -n 1)
        new=no
    else
        printf '# Made by setup.sh. What each line means stands at the top of %s.\n' "$HELPER" >"$WORK/config"
        restored='' new=yes
    fi
    settle share "${SHARES:-$(configured share | grep . || printf '%s' "$HOMES")}"
    if [ -n "$RESTORE" ] || [ "$new" = yes ]; then
        settle restore "${RESTORE:-dirs}"
    fi
    RESTORING=$(configured restore | tail -n 1)
    [ "$RESTORING" != full ] || [ "$restored" = full ] || NEWLY_FULL=yes
    if [ -n "$RESTORE_DIR" ] || [ "$new" = yes ] || { [ "$RESTORING" = dirs ] && [ -z "$(configured restore-dir)" ]; }; then
        settle restore-dir "${RESTORE_DIR:-$RESTORE_PLACE}"
    fi
    binary=$(configured rsync | tail -n 1)
    if [ "$new" = yes ] || [ ! -x "${binary:-/usr/bin/rsync}" ]; then
        binary=$(rsync_to_use)
        settle rsync "$(readlink -f "$binary" 2>/dev/null || printf '%s' "$binary")"     # not before macOS 12.3
    fi
}

configured() {    # KEY
    sed -n "s/^$1=//p" "$WORK/config"
}

# The lines of KEY become those of VALUES, one a line, where the first of them stood; all others stay as they are.
settle() {    # KEY VALUES
    if [ "$(configured "$1")" = "$(printf '%s' "$2")" ]; then
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

# In the plan, and where nobody is shown a plan, if it is new.
tell_permissions() {
    if [ "$DRY_RUN" = no ] && { [ "$UNATTENDED" = no ] || cmp -s "$WORK/config" "$CONFIG"; }; then
        return 0
    fi
    configured share >"$WORK/folders"
    note_folders 'it may read what is in %s'
    [ "$(cat "$WORK/folders")" = "$HOMES" ] ||
        note 'which of them it saves is chosen on its web page for this computer; at first that is usually %s' "$HOMES"
    case $RESTORING in
        full) note 'it may write there too, anywhere, as root' ;;
        dirs)
            configured restore-dir >"$WORK/folders"
            note_folders 'it may put restored files into %s, from where you take them'
            note 'it may write nowhere else, and nothing as root'
            ;;
        *) note 'it may write nothing here: restored files are fetched through its web page' ;;
    esac
    [ "$SYSTEM" != Darwin ] ||
        note 'macOS shows it the folders of people only with Full Disk Access, which you are asked for at the end'
}

# Homebrew's rsync belongs to a person, who would then be root. Apple's does.
rsync_to_use() {
    if [ "$SYSTEM" = Darwin ]; then
        printf /usr/bin/rsync
    else
        command -v rsync || printf /usr/bin/rsync
    fi
}

# Root's folder, in which the account, through its group, may write: no restore runs as root.
make_restore_folder() {
    if [ "$RESTORING" = off ] || [ -z "$RESTORING" ] || ! grep -qxF "restore-dir=$RESTORE_PLACE" "$WORK/config"; then
        return 0
    fi
    put_folder "$RESTORE_PLACE" root "$ACCOUNT" 770
}

allow_helper() {
    printf '%s\n' "# Made by setup.sh: the backup server reads through this program, which checks what it is asked." \
        "$ACCOUNT ALL=(root) NOPASSWD: $HELPER" >"$WORK/sudoers"
    if [ "$DRY_RUN" = no ]; then
        visudo -cqf "$WORK/sudoers" >/dev/null 2>&1 ||
            die 1 'sudo does not understand our line; nothing was given to it.'
        grep -Eqs '^[@#]includedir[[:space:]]+((/private)?/etc/)?sudoers\.d/?[[:space:]]*$' "$SUDOERS_MAIN" ||
            die 7 '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".'
    fi
    put_file "$WORK/sudoers" "$SUDOERS" root "$ROOT_GROUP" 440
}

# The way that a backup takes, without the server.
try_wrapper() {
    [ "$DRY_RUN" = no ] || return 0
    if ! as_account "env SSH_ORIGINAL_COMMAND=probe $WRAPPER" >"$WORK/probe" 2>"$WORK/probe-errors"; then
        printable <"$WORK/probe-errors" >&2
        die 1 'The account %s cannot start the backup program; see above.' "$ACCOUNT"
    fi
    try_restore_folders
    # What a Mac hides from this Terminal it may show to sshd, or the other way round: the server will see.
    [ "$SYSTEM" != Darwin ] || return 0
    sed -n 's/^unreadable://p' "$WORK/probe" | printable | while IFS= read -r folder; do
        caution '%s cannot be read: it will not be backed up.' "$folder"
    done
}

# What is restored to a folder of root's is written by the account itself: said before anything is registered.
try_restore_folders() {
    look_at_restore_folders
    [ "$BARRED" = no ] || exit 7
}

# Sets BARRED.
look_at_restore_folders() {
    BARRED=no
    [ "$(sed -n 's/^restore=//p' "$CONFIG" 2>/dev/null | tail -n 1)" = dirs ] || return 0
    sed -n 's/^restore-dir=//p' "$CONFIG" >"$WORK/folders"
    while IFS= read -r folder; do
        if [ ! -d "$folder" ]; then
            BARRED=yes
            todo '%s is not there: nothing can be restored to it.' "$folder"
        elif [ "$(identity "$folder" | cut -d ' ' -f 1)" = root ] && ! FOLDER=$folder as_account "test -w \"\$FOLDER\""; then
            BARRED=yes
            todo 'The account %s cannot write in %s: nothing can be restored there. Please do: chgrp %s %s; chmod g+rwx %s' \
                "$ACCOUNT" "$folder" "$ACCOUNT" "$folder" "$folder"
        fi
    done <"$WORK/folders"
}

# ---------------------------------------------------------------- steps/register.sh

ask_logon() {
    guess=$(console_user)
    while :; do
        ask 'Your logon [%s]:' "$guess"
        LOGON=${ANSWER:-$guess}
        if possible_logon "$LOGON"; then
            return 0
        fi
        warn 'A logon is made of letters, digits, dots and hyphens.'
    done
}

# The person who sits at this computer, as far as one can tell.
console_user() {
    for name in "${SUDO_USER:-}" "$(mac_console)" "$(logname 2>/dev/null || true)" "$(who 2>/dev/null | awk 'NR == 1 { print $1 }')"; do
        if [ "$name" != root ] && possible_logon "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
}

register() {
    if already_registered; then
        note 'registered already, for %s' "$LOGON"
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        note 'asking %s to register this computer, and installing its key' "$SERVER"
        tell_where_key_comes_from
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
    forget 'verified '
    remember_one registered "$SERVER $LOGON"
    case $REPLY_HOST in
        '' | *[!A-Za-z0-9._-]*) ;;
        *) remember_one host "$REPLY_HOST" ;;
    esac
    [ -z "$REPLY_URL" ] || remember_one url "$REPLY_URL"
    if [ -n "$FROM" ]; then
        remember_one from "$FROM"
    else
        forget 'from '
    fi
    remember_one port "$PORT"
}

# The key is worth what the server's own is: that came with us, or from who started us.
tell_where_key_comes_from() {
    print=$(ssh-keygen -l -F "$(known_as)" -f "$WORK/known-hosts" 2>/dev/null | grep -o 'SHA256:[A-Za-z0-9+/]*' | head -n 1) ||
        print=''
    [ -z "$print" ] || note 'that server is known by its own key, from %s: %s' "${KNOWN_HOSTS_FILE:-setup.sh}" "$print"
    note 'its key opens this computer for backups alone: it starts %s, and nothing else' "$WRAPPER"
}

already_registered() {
    earlier=$(registered_as) || return 1
    [ "$FORCE" = no ] || return 1
    [ -z "$LOGON" ] || [ "$LOGON" = "$earlier" ] || return 1
    [ "$FROM" = "$(remembered from)" ] || return 1
    key_in_place || return 1
    LOGON=$earlier
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
            ostype-unknown) break ;;        # a server from before "check": it does not tell whose logon that is
            bad-user) if [ "$tries" -ge 3 ] || ! can_ask; then give_up; fi ;;
            *) give_up ;;
        esac
        show_error
        tries=$((tries + 1))
        LOGON=''
    done
    [ -z "$REPLY_HOST" ] || note 'computer: %s' "$(readable "$REPLY_HOST")"
    if [ -n "$REPLY_PERSON" ]; then
        note 'person: %s' "$(readable "$REPLY_PERSON") ($LOGON)"
    else
        note 'person: %s (the server tells no name)' "$LOGON"
    fi
    say 'This person will be able to read every backed-up file of this computer, whoever it belongs to.'
    [ "$YES" = yes ] || confirm
}

confirm() {
    yes_or_no 'Is that right (yes/no)?' ||
        die 1 'Nothing was registered.'
}

# ---------------------------------------------------------------- steps/sshd.sh

check_sshd() {
    if [ "$DRY_RUN" = yes ] && ! command -v sshd >/dev/null; then
        return 0
    fi
    [ "$SSHD" = no ] || start_sshd
    join_mac_group
    if ! sshd_settings; then
        return 0
    fi
    check_access
    look_at_passwords
}

# sshd's own view of what holds for our account when the server calls.
sshd_settings() {
    address=$(addresses_of "${SERVER:-localhost}" | head -n 1)
    if sshd_tells "user=$ACCOUNT,host=${SERVER:-localhost},addr=${address:-127.0.0.1}" >"$WORK/sshd"; then
        return 0
    fi
    [ "$DRY_RUN" = no ] || return 1
    printable <"$WORK/sshd-errors" >&2
    todo 'sshd does not tell its settings; please look at its configuration.'
    return 1
}

addresses_of() {    # NAME
    case $SYSTEM in
        Darwin) dscacheutil -q host -a name "$1" | sed -En 's/^ip(v6)?_address: //p' ;;
        *) getent ahosts "$1" | awk '!seen[$1]++ { print $1 }' ;;
    esac
}

setting() {    # KEYWORD: its values, one a line
    sed -n "s/^$1 //p" "$WORK/sshd" 2>/dev/null
}

start_sshd() {
    if is_our_sshd && [ -d "$SYSTEMD" ]; then
        remember "enabled $(sshd_unit)"
    fi
    if sshd_answers; then
        return 0
    fi
    note 'starting sshd'
    is_our_sshd ||
        note 'it lets other accounts of this computer in as well, by password too, if its settings do'
    if [ "$SYSTEM" = Darwin ]; then
        launchctl print system/com.openssh.sshd >/dev/null 2>&1 || remember 'enabled remote-login'
        change switch_remote_login_on >/dev/null 2>&1
    elif [ -d "$SYSTEMD" ]; then
        unit=$(sshd_unit)
        systemctl is-enabled "$unit" >/dev/null 2>&1 || systemctl is-active "$unit" >/dev/null 2>&1 ||
            remember "enabled $unit"
        change systemctl --quiet enable --now "$unit" >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        change service ssh start >/dev/null 2>&1 || true
    fi
    if [ "$DRY_RUN" = no ] && ! sshd_answers; then
        if [ "$SYSTEM" = Darwin ]; then
            todo 'Please switch Remote Login on: System Settings, General, Sharing.'
        else
            todo 'sshd is not running; please start it, and have it start with the computer.'
        fi
    fi
}

# There was none before the setup brought it.
is_our_sshd() {
    grep -qsxF "file $SSHD_DROP_IN" "$RECEIPT"
}

# Before OpenSSH 8.2 sshd reads no such file; elsewhere a setting that comes first holds.
look_at_passwords() {
    if is_our_sshd && [ -f "$SSHD_DROP_IN" ] && [ "$(setting passwordauthentication)" != no ]; then
        caution 'sshd lets the accounts of this computer in by password from the network, whatever %s says.' \
            "$SSHD_DROP_IN"
    fi
}

# A connection tells more than any list of services. Each where sshd says that it listens.
sshd_answers() {
    sshd_doors | while read -r address port; do
        ! ssh-keyscan -T 3 -p "$port" "$address" 2>/dev/null | grep -q . || printf 'yes\n'
    done | grep -q . || sshd_shuts_us_out
}

sshd_doors() {
    sshd_tells user=root,host=localhost,addr=127.0.0.1 2>/dev/null | awk '
        $1 == "listenaddress" {
            port = address = $2
            sub(/.*:/, "", port)
            sub(/:[0-9]+$/, "", address)
            gsub(/[][]/, "", address)
            if (address == "0.0.0.0") address = "127.0.0.1"
            if (address == "::") address = "::1"
            print address, port
            found = 1
        }
        END { if (!found) print "127.0.0.1 22" }'
}

# What holds for a connection, as "keyword value" lines. Where the settings ask for the near end too, it has to be told.
sshd_tells() {    # user=...,host=...,addr=...
    sshd -T -C "$1" 2>"$WORK/sshd-errors" ||
        sshd -T -C "$1,laddr=$(own_address "${1##*addr=}"),lport=22" 2>>"$WORK/sshd-errors"
}

# The address under which this computer meets PEER.
own_address() {    # PEER
    near=$(ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p') || near=''
    printf '%s' "${near:-127.0.0.1}"
}

# From OpenSSH 9.8 on it shuts out for a while who looks too often without logging in, and says so.
sshd_shuts_us_out() {
    # shellcheck disable=SC2016  # for bash
    bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && read -r -t 3 line <&3 && printf "%s\n" "$line"' bash "$(sshd_port)" \
        2>/dev/null | grep -q '^Not allowed at this time'
}

sshd_port() {
    sshd_doors | awk 'NR == 1 { print $2 }'
}

check_access() {
    [ "$(setting pubkeyauthentication)" != no ] ||
        todo 'sshd takes no keys (PubkeyAuthentication no).'
    if [ -n "$(setting allowusers)" ] && ! setting allowusers | names_one_of "$ACCOUNT"; then
        todo 'sshd lets in only those of AllowUsers; please add %s there.' "$ACCOUNT"
    fi
    # Who is kept out from one place alone is let in from the server, as far as we can tell; the way back will show.
    if setting denyusers | { grep -v '@' || true; } | names_one_of "$ACCOUNT"; then
        todo 'sshd keeps %s out (DenyUsers).' "$ACCOUNT"
    fi
    groups=$(id -Gn "$ACCOUNT" 2>/dev/null) || groups=$ACCOUNT
    # shellcheck disable=SC2086  # several words
    if [ -n "$(setting allowgroups)" ] && ! setting allowgroups | names_one_of $groups; then
        todo 'sshd lets in only the groups of AllowGroups; please add %s there.' "$ACCOUNT"
    fi
    # shellcheck disable=SC2086
    if setting denygroups | names_one_of $groups; then
        todo 'sshd keeps the group %s out (DenyGroups).' "$ACCOUNT"
    fi
    { setting authenticationmethods | grep . || printf any; } | tr ' ' '\n' | grep -qxE 'any|publickey' ||
        todo 'sshd wants more than a key (AuthenticationMethods).'
    check_algorithms
    case $(setting forcecommand) in
        '' | none) ;;
        *) todo 'sshd starts another command than ours (ForceCommand).' ;;
    esac
}

# Whether sshd takes the kind of key that the server has, once we know it.
check_algorithms() {
    list=,$(setting pubkeyacceptedalgorithms),
    kind=$(remembered key | grep -oE '(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) AAAA' | sed 's/ AAAA//') || return 0
    [ "$kind" != ssh-rsa ] || kind=rsa-sha2-
    case $list in
        ,, | *",$kind"*) ;;
        *) todo 'sshd does not take keys of the server’s kind, %s (PubkeyAcceptedAlgorithms).' "$kind" ;;
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

# ---------------------------------------------------------------- steps/verify.sh

# No success that is not true: the server comes back, logs in, and tries the way of a backup.
verify() {
    if [ "$VERIFY" = no ]; then
        return 0
    elif [ "$TASK" = setup ] && [ "$TRY_AGAIN" = no ] && remembers "verified $SERVER $LOGON" && [ -z "$(unsaved)" ]; then
        return 0
    fi
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then
        note 'having %s test its way back to this computer' "$SERVER"
        return 0
    fi
    [ -f "$PLACE/register-key" ] || prepare_call
    host_key_lines >"$WORK/host-keys"
    note '%s comes back here; that may take half a minute' "$SERVER"
    call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    if understand "$WORK/reply" verify; then
        remember "verified $SERVER $LOGON"
        LEFT_TO_DO=no       # whatever seemed to be in its way
        note 'it came in and could read: backups will work'
        [ -z "$REPLY_BACKUP" ] || note 'the first backup begins soon'
        case $REPLY_SHARES in
            '' | *[!\ -~]*) forget 'shares ' ;;
            *) remember_one shares "$REPLY_SHARES" ;;
        esac
        tell_unsaved
    elif [ "$(error_code)" = ostype-unknown ]; then
        note 'this server does not test its way back'
    else
        not_verified
    fi
}

# What of this computer's folders is not saved although the server may read it, by what it said last.
unsaved() {
    saved=$(remembered shares)
    if [ -z "$saved" ] || [ ! -f "$CONFIG" ]; then
        return 0
    fi
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r folder; do
        is_in_one_of "$(as_server_writes "${folder%/}")" "$saved" || printf '%s\n' "$folder"
    done
}

# Whether FOLDER is one of FOLDERS, or below one.
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

# Bytes outside printable ASCII, the backslash, the blank and = are \xHH there.
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

tell_unsaved() {
    unsaved >"$WORK/folders"
    [ ! -s "$WORK/folders" ] || UNSAVED=yes
    while IFS= read -r folder; do
        mark 'The server may read %s, and does not save it. Add it on its web page for this computer (Edit Config, Xfer, RsyncShareName) or ask the backup administrator; then: sudo sh setup.sh --verify' "$folder"
    done <"$WORK/folders"
}

# What this computer's sshd calls itself, for the server to compare.
host_key_lines() {
    { setting hostkey | grep . || printf '%s\n' /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key; } |
        while IFS= read -r file; do
            { cat "$file.pub" 2>/dev/null || ssh-keygen -y -P '' -f "$file" 2>/dev/null || true; } |
                awk 'NF >= 2 { print "hostkey:" $1 " " $2; exit }'
        done
    printf '.\n'
}

not_verified() {
    forget "verified $SERVER "
    VERIFIED=no
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        warn 'The server’s reply is not understood (%s).' "${PROBLEM:-$REPLY_STATUS}"
        return 0
    fi
    show_error
    reason=$(reply_line_of step)
    [ -z "$reason" ] || advise_step "$reason"
    print=$(reply_line_of fingerprint)
    [ -z "$print" ] || warn 'Its new key, for the administrator: %s' "$print"
}

# What the owner of this computer can do about a step that failed.
advise_step() {    # STEP
    case $1 in
        refused) warn 'No ssh server listens here. Start the setup with --repair.' ;;
        firewall) warn 'A firewall, here or on the way, keeps the server from port 22. Let it in for ssh.' ;;
        ping) warn 'The server pings before every backup, and got no answer. Let ping (ICMP echo) through the firewall.' ;;
        slow) warn 'The network is too slow for a backup now. Use a cable, or try again nearer to the Wi-Fi.' ;;
        name) warn 'The server finds no address for the name of this computer. The network administrator can mend that.' ;;
        hung-up) warn 'sshd here hangs up on the server, perhaps after too many tries. Wait some minutes.' ;;
        not-ssh) warn 'Something else than sshd answers on the ssh port of this computer.' ;;
        negotiation) warn 'sshd here is too old, or set up so that the server cannot talk to it.' ;;
        host-key) warn 'Another machine answers at the address of this one. Please tell the network administrator.' ;;
        login) warn 'sshd here does not let the account %s in. Start the setup with --doctor.' "$ACCOUNT" ;;
        wrapper | sudo) warn 'The backup program does not start as it should. Start the setup with --repair.' ;;
        rsync) warn 'rsync does not work here. Start the setup with --repair.' ;;
        unclean) warn 'Something prints at the login of the server, and breaks backups. Look at /etc/ssh/sshrc and at .bashrc of %s.' \
            "$ACCOUNT" ;;
        empty) warn 'A folder that is to be backed up has no file in it that the server would save.' ;;
        file-system) warn 'The folders to be backed up are on another file system, a server’s perhaps. Start the setup with --share FOLDER, or have that server backed up.' ;;
        folder) if [ "$SYSTEM" = Darwin ]; then full_disk_access; else
            warn 'A folder that is to be backed up cannot be read. Is it there?'
            fi ;;
        share) warn 'The server is to save a folder that this computer does not give. Start the setup with --share for each folder to be saved, this one too; or take it out on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).' ;;
        silent) warn 'This computer or the network was too slow. Please try again later.' ;;
        disabled) warn 'The backups of this computer are switched off on the server. The backup administrator can tell you why.' ;;
        settings | elsewhere) warn 'The server’s settings for this computer need the backup administrator.' ;;
        *) warn 'Please show this to the backup administrator too.' ;;
    esac
}

# ---------------------------------------------------------------- 90-doctor.sh

doctor() {
    if [ ! -f "$RECEIPT" ]; then
        die 1 'This computer was not set up; start the setup without --doctor.'
    fi
    LOGON=$(registered_as) || LOGON=''
    heading 'What is right, and what is wrong (!)'
    look_at_account
    look_at_files
    look_at_sudo
    look_at_restore_folders
    look_at_sshd
    look_at_key
    look_at_firewall
    look_at_server
    look_at_registration
    if [ "$LEFT_TO_DO$UNSAVED" != nono ]; then
        say 'Much of that is mended by: sudo sh setup.sh --repair'
        exit 1
    fi
    say 'Nothing is wrong.'
}

look_at_account() {
    if ! entry=$(account_entry) || ! account_is_local; then
        todo 'There is no account %s on this computer.' "$ACCOUNT"
    elif [ "$(printf '%s' "$entry" | cut -d: -f6,7)" != "$PLACE:/bin/sh" ]; then
        todo 'The account %s has another home or shell than it should.' "$ACCOUNT"
    elif [ "$SYSTEM" = Linux ] && [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]; then
        todo 'The account %s has a password or is locked; sshd may not let it in.' "$ACCOUNT"
    else
        note 'the account %s' "$ACCOUNT"
    fi
}

look_at_files() {
    weak=$(weak_folder "${HELPER%/*}")
    [ -z "$weak" ] ||
        todo '%s can be changed by others than root, and so can the backup program.' "$weak"
    look_at_permissions
    if [ ! -x "$WRAPPER" ] || [ ! -x "$HELPER" ] || [ ! -f "$CONFIG" ]; then
        todo 'The backup program is not complete (%s, %s, %s).' "$WRAPPER" "$HELPER" "$CONFIG"
    elif ! cmp -s "$WRAPPER" "$HELPER"; then
        todo 'The two copies of the backup program differ.'
    elif given_wrapper && ! cmp -s "$WORK/wrapper" "$HELPER"; then
        todo 'The backup program is another one than this setup brings along: an older one, or changed.'
    else
        note 'the backup program'
    fi
}

look_at_permissions() {
    while read -r path owner group mode; do
        if [ -e "$path" ] && [ "$(identity "$path")" != "$owner $group $mode" ]; then
            todo '%s has other permissions than it should (%s instead of %s).' \
                "$path" "$(identity "$path")" "$owner $group $mode"
        fi
    done <<END
$PLACE root $ACCOUNT 750
$PLACE/.ssh root $ACCOUNT 750
$PLACE/.ssh/authorized_keys root $ACCOUNT 640
$PLACE/known_hosts root $ACCOUNT 640
$WRAPPER root $ROOT_GROUP 755
$HELPER root $ROOT_GROUP 755
$CONFIG root $ROOT_GROUP 644
$SUDOERS root $ROOT_GROUP 440
END
}

# As in a backup: wrapper, sudo, rsync, folders.
look_at_sudo() {
    if ! as_account "env SSH_ORIGINAL_COMMAND=probe $WRAPPER" >"$WORK/probe" 2>"$WORK/probe-errors"; then
        if [ ! -f "$SUDOERS" ] || grep -q sudo "$WORK/probe-errors"; then
            todo 'sudo does not let the account %s start the backup program.' "$ACCOUNT"
        else
            todo 'The backup program does not start: %s' "$(tail -n 1 "$WORK/probe-errors" | printable)"
        fi
        return 0
    fi
    note 'sudo starts it'
    sed -n 's/^share://p' "$WORK/probe" | printable >"$WORK/readable"
    while IFS= read -r folder; do
        note '%s can be read' "$folder"
    done <"$WORK/readable"
    sed -n 's/^unreadable://p' "$WORK/probe" | printable >"$WORK/unreadable"
    while IFS= read -r folder; do
        if [ "$SYSTEM" = Darwin ]; then     # what is hidden from this Terminal need not be hidden from sshd
            note '%s: only the server can tell whether it can be read, with --verify' "$folder"
        else
            todo '%s cannot be read: is it there?' "$folder"
        fi
    done <"$WORK/unreadable"
    look_at_rsync "$(sed -n 's/^rsync://p' "$WORK/probe" | printable)"
}

# The versions before 3.4 have holes that another user of this computer could use against root.
look_at_rsync() {    # VERSION
    case $1 in
        openrsync* | '') note 'rsync: %s' "$1" ;;
        [012].* | v[012].* | 3.[0123] | 3.[0123].* | v3.[0123] | v3.[0123].*)
            if [ "$SYSTEM" = Darwin ]; then
                note 'rsync: %s, as Apple has it' "$1"
            else
                caution 'rsync %s is old (before 3.4); please install the updates of this system.' "$1"
            fi ;;
        *) note 'rsync: %s' "$1" ;;
    esac
}

look_at_sshd() {
    if sshd_answers; then
        note 'sshd answers'
    else
        todo 'sshd does not answer: the server cannot come in.'
    fi
    sshd_settings || return 0
    check_access
    if [ "$(setting persourcepenalties)" != '' ] && [ "$(setting persourcepenalties)" != no ]; then
        note 'note: this sshd shuts out for a while who fails too often (PerSourcePenalties); the server too'
    fi
}

look_at_key() {
    if key_in_place; then
        note 'the server’s key is in %s' "$keys"
    elif keys=$(keys_file) && grep -qsF "command=\"$WRAPPER\"" "$keys"; then
        todo 'The server’s key in %s is not as the setup wrote it.' "$keys"
    else
        todo 'The server’s key is not where sshd looks for it (%s).' "${keys:-AuthorizedKeysFile none}"
    fi
}

look_at_firewall() {
    wall=$(active_firewall)
    [ -n "$wall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        if "${wall}_lets_in" "$address" "$port"; then
            note 'the firewall lets %s in' "$address"
        else
            todo 'The firewall (%s) may keep the server %s from port %s.' "$wall" "$address" "$port"
        fi
    done
}

# As nobody, without a key: whether it is there, and whether it is the one that we know.
look_at_server() {
    if [ -z "$SERVER" ] || [ ! -f "$PLACE/known_hosts" ]; then
        return 0
    fi
    ssh -x -a -n -T -F /dev/null -l "$SERVER_ACCOUNT" -p "$PORT" -o BatchMode=yes -o StrictHostKeyChecking=yes \
        -o PreferredAuthentications=none -o UserKnownHostsFile="$PLACE/known_hosts" -o ConnectTimeout=10 \
        -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR "$SERVER" true </dev/null >/dev/null 2>"$WORK/ssh-errors" || true
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        note '%s can be reached, and is the one that we know' "$SERVER"
    elif grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        todo '%s has another host key than the one that we know. Please tell your administrator.' "$SERVER"
    else
        todo '%s cannot be reached from here: %s' "$SERVER" \
            "$(tail -n 1 "$WORK/ssh-errors" | printable)"
    fi
}

look_at_registration() {
    if [ -z "$LOGON" ]; then
        todo 'This computer is not registered.'
    elif remembers "verified $SERVER $LOGON"; then
        note 'registered for %s, and tested by the server' "$LOGON"
        tell_unsaved
    else
        todo 'Registered for %s, but the server has not come back here yet: sudo sh setup.sh --verify' "$LOGON"
    fi
}

# ---------------------------------------------------------------- 91-uninstall.sh

uninstall() {
    if [ ! -f "$RECEIPT" ]; then
        if [ -n "$(rests)" ]; then
            plan clear_rests
            [ "$DRY_RUN" = yes ] || clear_rests
        fi
        refuse_without_receipt
        say 'Nothing of this setup is on this computer.'
        return 0
    fi
    host=$(remembered host)
    plan undo_all
    [ "$DRY_RUN" = no ] || return 0
    undo_all
    if [ -n "$SERVER" ]; then
        say 'Done. What was backed up stays on %s, which still knows this computer. If its backups shall end, ask the backup administrator to retire %s.' \
            "$SERVER" "${host:-$(uname -n)}"
    else
        say 'Done.'
    fi
}

refuse_without_receipt() {
    marked=''
    for path in "$WRAPPER" "$HELPER" "$SUDOERS" "$CONFIG"; do
        ! bears_our_mark "$path" || marked="$marked $path"
    done
    [ -z "$marked" ] ||
        die 1 'The receipt %s is lost, and these are still there:%s. Please start the setup once more, which finds them again, and then --uninstall.' \
            "$RECEIPT" "$marked"
}

# The receipt backwards; what is gone already is no trouble.
undo_all() {
    heading 'Undoing what the setup has done'
    know_our_keys
    clear_rests
    awk '{ line[NR] = $0 } END { for (n = NR; n; n--) print line[n] }' "$RECEIPT" >"$WORK/undo"
    while read -r kind what; do
        undo "$kind" "$what" </dev/null
    done <"$WORK/undo"
    if [ "$KEPT" = yes ]; then
        keep_receipt
    elif [ -f "$RECEIPT" ]; then
        change rm -f -- "$RECEIPT"
    fi
}

know_our_keys() {
    sshd_settings || true
    keys=$(keys_file) || return 0
    [ -f "$keys" ] || return 0
    keys_of_others "$keys" >"$WORK/keys"
    if grep -q '^[^#]' "$WORK/keys"; then
        note '%s holds other keys too: they stay, and the account with them' "$keys"
        KEEP_USER=yes
        OTHERS_KEYS=$keys
    fi
    if ! cmp -s "$WORK/keys" "$keys"; then
        note 'taking the server’s key away'
        # shellcheck disable=SC2046  # three words
        change replace "$WORK/keys" "$keys" $(identity "$keys")
    fi
}

undo() {    # KIND WHAT
    case $1 in
        registered | verified | key | host | url | shares | from | port) ;;
        file) case $2 in
            "$OTHERS_KEYS") ;;
            "$SSHD_DROP_IN") undo_drop_in ;;
            *) remove_file "$2" ;;
            esac ;;
        folder) undo_folder "$2" ;;
        was) undo_permissions "$2" ;;
        account) undo_account ;;
        group) if [ "$KEEP_USER" = no ] && was_made Groups && { [ "$DRY_RUN" = no ] || [ "$SYSTEM" = Darwin ]; }; then
            change remove_group
            fi ;;
        enabled) undo_enabled "$2" ;;
        member) change dseditgroup -o edit -d "$ACCOUNT" -t user "$2" >/dev/null 2>&1 || true ;;
        selinux) change semanage fcontext -d "$2" >/dev/null 2>&1 || true ;;
        firewall) undo_firewall "$2" ;;
        package) note '%s was installed for it, and stays: others may need it by now' "$2" ;;
        *) caution 'not understood in %s: %s' "$RECEIPT" "$1 $2" ;;
    esac
}

remove_file() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        note 'removing %s' "$1"
        change rm -f -- "$1"
    fi
}

# Where sshd goes on, it stays: without it people could come in by password.
undo_drop_in() {
    if { [ "$DRY_RUN" = yes ] && remembers 'enabled '; } || ! sshd_answers; then
        remove_file "$SSHD_DROP_IN"
    elif [ -f "$SSHD_DROP_IN" ]; then
        note 'sshd still runs: %s stays, which lets nobody in by password' "$SSHD_DROP_IN"
    fi
}

# A folder with something of somebody else's in it stays; sshd's own too, which came with its package.
undo_folder() {
    case $1 in
        "${SSHD_DROP_IN%/*}" | "${SSHD_DROP_IN%/*/*}") if command -v sshd >/dev/null; then return 0; fi ;;
    esac
    if [ ! -d "$1" ] || { [ "$KEEP_USER" = yes ] && { [ "$1" = "$PLACE" ] || [ "$1" = "$PLACE/.ssh" ]; }; }; then
        return 0
    fi
    note 'removing the folder %s' "$1"
    if [ "$1" = "$PLACE" ] && [ "$(ls -A "$PLACE")" = "${RECEIPT##*/}" ]; then
        change bury_place
        return 0
    fi
    change rmdir -- "$1" 2>/dev/null || leave_folder "$1"
}

# The number of the account may be given to somebody else: what was restored must not be theirs then.
leave_folder() {    # FOLDER
    if [ "$1" = "$RESTORE_PLACE" ] && [ "$KEEP_USER" = no ]; then
        caution '%s is not empty: it stays, for root alone' "$1"
        change give_to_root "$1"
    else
        caution '%s is not empty: it stays' "$1"
    fi
}

give_to_root() {    # FOLDER
    chown "root:$ROOT_GROUP" "$1"
    chmod 700 "$1"
    ! was_made Users || find "$1" -xdev -user "$ACCOUNT" -exec chown -h "root:$ROOT_GROUP" '{}' +
}

undo_permissions() {    # "FOLDER OWNER GROUP MODE"
    mode=${1##* }
    rest=${1% *}
    group=${rest##* }
    rest=${rest% *}
    folder=${rest% *}
    if [ ! -d "$folder" ] || [ "$KEEP_USER" = yes ]; then
        return 0
    elif [ "$folder" = "$RESTORE_PLACE" ] && [ -n "$(ls -A "$folder")" ]; then
        leave_folder "$folder"
        return 0
    fi
    note 'setting the permissions of %s' "$folder"
    change chown "${rest##* }:$group" "$folder"
    change chmod "$mode" "$folder"
}

# The reverse of make_place: killed in between, clear_rests goes on.
bury_place() {
    top=$PLACE
    ! grep -qxF "folder ${PLACE%/*}" "$RECEIPT" || top=${PLACE%/*}
    fresh=$(fresh_of "$top")
    mv -- "$PLACE" "$fresh"
    clear_rest "$fresh"
}

# Half of it too: on a Mac an account and a group are made attribute by attribute.
was_made() {    # Users|Groups
    case $SYSTEM:$1 in
        Darwin:*) dscl . -read "/$1/$ACCOUNT" RecordName >/dev/null 2>&1 ;;
        *:Users) account_is_local ;;
        *) group_is_local ;;
    esac
}

undo_account() {
    if [ "$KEEP_USER" = yes ]; then
        KEPT=yes
        return 0
    fi
    was_made Users || return 0
    note 'removing the account %s' "$ACCOUNT"
    if its_processes >/dev/null; then
        note 'ending what runs as %s, a backup perhaps' "$ACCOUNT"
        change end_its_processes
    fi
    change remove_account || die 1 'The account could not be removed: %s' "$(tail -n 1 "$WORK/account" | printable)"
}

its_processes() {
    was_made Users && ps -u "$ACCOUNT" -o pid= 2>/dev/null
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
    case $SYSTEM in
        Darwin) dscl . -delete "/Users/$ACCOUNT" ;;
        *) remove_linux_account ;;
    esac >"$WORK/account" 2>&1
}

remove_group() {
    case $SYSTEM in
        Darwin) dscl . -delete "/Groups/$ACCOUNT" ;;
        *) groupdel "$ACCOUNT" ;;
    esac >/dev/null 2>&1 || true
}

undo_enabled() {    # UNIT
    note 'sshd was switched on for it: switching it off'
    case $1 in
        remote-login) change switch_remote_login_off ;;
        ssh.socket) change systemctl --quiet disable --now ssh.socket ssh.service ;;
        *) change systemctl --quiet disable --now "$1" ;;
    esac >/dev/null 2>&1 || true
}

undo_firewall() {    # "WALL PORT ADDRESS"
    wall=${1%% *}
    rest=${1#* }
    note 'closing the firewall to %s again' "${rest#* }"
    case $wall in
        ufw | firewalld) change "no_${wall}_rule" "${rest%% *}" "${rest#* }" >/dev/null 2>&1 || true ;;
    esac
}

# What --keep-user leaves can be undone by another --uninstall.
keep_receipt() {
    grep -xF -e "folder $PLACE" -e "folder $PLACE/.ssh" -e "file ${OTHERS_KEYS:-none}" -e "account $ACCOUNT" \
        -e "group $ACCOUNT" "$RECEIPT" >"$WORK/kept"
    change replace "$WORK/kept" "$RECEIPT" root "$ROOT_GROUP" 600
}

# ---------------------------------------------------------------- 99-main.sh

farewell() {
    if [ "$TASK" = verify ]; then
        :
    elif [ "$CHANGES" -eq 0 ]; then
        say 'Everything was in place already; nothing was changed.'
    else
        say 'Done. This computer is registered with %s.' "$SERVER"
    fi
    REPLY_URL=${REPLY_URL:-$(remembered url)}
    if [ -n "$REPLY_URL" ]; then
        say 'Your backups, and what they contain: %s' "$REPLY_URL"
    fi
    if [ -n "$REPLY_ADVICE" ]; then
        say 'The server adds: %s' "$(readable "$REPLY_ADVICE")"
    fi
    if [ "$LEFT_TO_DO" = yes ]; then
        warn 'Backups will not work before what is marked with ! above is done.'
        exit 7
    fi
    if [ "$HIDDEN" = yes ]; then
        warn 'Full Disk Access is missing: see ! above. When it is switched on: sudo sh setup.sh --verify'
        exit 9
    fi
    if [ "$VERIFIED" = no ]; then
        warn 'This computer is registered, but the server could not come back to it yet. Do what is said above, and then: sudo sh setup.sh --verify'
        exit 8
    fi
    if [ "$UNSAVED" = yes ]; then
        warn 'Backups work, but what is marked with ! above is not in them.'
        exit 7
    fi
}

defaults() {
    LOGON='' UNATTENDED=no YES=no DRY_RUN=no FORCE=no COLOUR=yes TASK=setup
    KEEP_USER=no KEPT=no OTHERS_KEYS='' SSHD=yes FIREWALL=yes VERIFY=yes VERIFIED='' NEWLY_FULL=no AGREED=no TRY_AGAIN=no
    SHARES='' RESTORE='' RESTORE_DIR='' FROM='' PORT='' LOG='' LOGGING=no
    REGISTER_KEY_FILE='' KNOWN_HOSTS_FILE='' WRAPPER_FILE=''
    CHANGES=0 LEFT_TO_DO=no HIDDEN=no UNSAVED=no LOCKED=no RESTORING='' IP_VERSION='' REPLY_URL='' REPLY_ADVICE='' REPLY_FROM='' REPLY_SHARES='' PROBLEM='' BOLD='' PLAIN=''
    SYSTEM=Linux FAMILY=debian ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux MANAGER=apt-get
    choose_language
}

# What would be done is said first; then the person decides.
plan() {    # FUNCTION
    if [ "$UNATTENDED" = yes ] && [ "$DRY_RUN" = no ]; then
        AGREED=yes      # nobody is there to agree; each deed is told as it is done
        take_lock
        return 0
    fi
    really=$DRY_RUN
    DRY_RUN=yes
    say 'What is to be done:'
    "$1"
    DRY_RUN=$really
    if [ "$DRY_RUN" = yes ]; then
        say 'Nothing was changed (--dry-run).'
    elif [ "$CHANGES" -gt 0 ]; then
        agree_on_plan
        take_lock
        AGREED=yes CHANGES=0 LEFT_TO_DO=no
        say 'It is being done:'
    fi
}

agree_on_plan() {
    if [ "$NEWLY_FULL" = yes ]; then
        yes_or_no 'With --restore full the server becomes root here: who rules it can change every file of this computer. Do you want that (yes/no)?' ||
            die 1 'Nothing was changed. Without --restore full, restored files arrive in a folder of their own.'
    fi
    [ "$YES" = no ] || return 0
    yes_or_no 'Shall this be done (yes/no)?' ||
        die 1 'Nothing was changed.'
}

steps() {
    step get_tools 'The programs that it takes'
    step make_account 'The account %s' "$ACCOUNT"
    step install_wrapper 'What the backup server may do here'
    step check_sshd 'The door that it comes through: sshd'
    step register 'Registration with %s' "$SERVER"
    step open_ways 'The way back'
}

open_ways() {
    label_files
    open_firewall
    verify
}

set_up() {
    if will_ask_logon && ! can_ask; then
        no_terminal       # before anything is made
    fi
    gather_files
    [ -n "$LOGON" ] || LOGON=$(registered_as) || LOGON=''
    judge_account
    refuse_others_files
    plan steps
    [ "$DRY_RUN" = no ] || return 0
    [ "$AGREED" = no ] || steps
    farewell
}

verify_again() {
    gather_files
    LOGON=$(registered_as)
    take_lock
    sshd_settings || true
    step verify 'The way back'
    farewell
}

repair() {
    LOGON=$(registered_as)
    FORCE=yes       # the server has its key renewed, and tries it
    set_up
    [ "$DRY_RUN" = yes ] || doctor
}

main() {
    defaults
    asked_language "$@"
    options "$@"
    exec </dev/null     # started as "... | sh", we are standard input; nobody else shall read it
    LC_ALL=C
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    unset TMPDIR BASH_ENV ENV CDPATH
    choose_colour
    check_options
    check_system
    open_work
    case $TASK in
        doctor) doctor ;;
        uninstall) uninstall ;;
        verify) verify_again ;;
        repair) repair ;;
        *) set_up ;;
    esac
}

main "$@"
