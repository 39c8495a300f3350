doctor() {
    if [ ! -f "$RECEIPT" ]; then
        die 1 'This computer was not set up; start the setup without --doctor.' \
            'Cet ordinateur n’est pas configuré ; lancez ce programme sans --doctor.'
    fi
    LOGON=$(registered_as) || LOGON=''
    heading 'What is right, and what is wrong (!)' 'Ce qui va, et ce qui ne va pas (!)'
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
        say 'Much of that is mended by: sudo sh setup.sh --repair' \
            'Une bonne part s’arrange par : sudo sh setup.sh --repair'
        exit 1
    fi
    say 'Nothing is wrong.' 'Tout va bien.'
}

look_at_account() {
    if ! entry=$(account_entry) || ! account_is_local; then
        todo 'There is no account %s on this computer.' 'Le compte %s n’existe pas sur cet ordinateur.' "$ACCOUNT"
    elif [ "$(printf '%s' "$entry" | cut -d: -f6,7)" != "$PLACE:/bin/sh" ]; then
        todo 'The account %s has another home or shell than it should.' \
            'Le compte %s n’a pas le dossier ou l’interpréteur qu’il devrait.' "$ACCOUNT"
    elif [ "$SYSTEM" = Linux ] && [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]; then
        todo 'The account %s has a password or is locked; sshd may not let it in.' \
            'Le compte %s a un mot de passe ou est verrouillé ; sshd peut le refuser.' "$ACCOUNT"
    else
        say '  the account %s' '  le compte %s' "$ACCOUNT"
    fi
}

look_at_files() {
    weak=$(weak_folder "${HELPER%/*}")
    [ -z "$weak" ] ||
        todo '%s can be changed by others than root, and so can the backup program.' \
            '%s peut être modifié par d’autres que root, et donc le programme de sauvegarde aussi.' "$weak"
    look_at_permissions
    if [ ! -x "$WRAPPER" ] || [ ! -x "$HELPER" ] || [ ! -f "$CONFIG" ]; then
        todo 'The backup program is not complete (%s, %s, %s).' \
            'Le programme de sauvegarde est incomplet (%s, %s, %s).' "$WRAPPER" "$HELPER" "$CONFIG"
    elif ! cmp -s "$WRAPPER" "$HELPER"; then
        todo 'The two copies of the backup program differ.' 'Les deux copies du programme de sauvegarde diffèrent.'
    elif given_wrapper && ! cmp -s "$WORK/wrapper" "$HELPER"; then
        todo 'The backup program is another one than this setup brings along: an older one, or changed.' \
            'Le programme de sauvegarde n’est pas celui qu’apporte ce programme : plus ancien, ou modifié.'
    else
        say '  the backup program' '  le programme de sauvegarde'
    fi
}

look_at_permissions() {
    while read -r path owner group mode; do
        if [ -e "$path" ] && [ "$(identity "$path")" != "$owner $group $mode" ]; then
            todo '%s has other permissions than it should (%s instead of %s).' \
                '%s n’a pas les droits qu’il devrait (%s au lieu de %s).' \
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
            todo 'sudo does not let the account %s start the backup program.' \
                'sudo n’autorise pas le compte %s à lancer le programme de sauvegarde.' "$ACCOUNT"
        else
            todo 'The backup program does not start: %s' 'Le programme de sauvegarde ne démarre pas : %s' \
                "$(tail -n 1 "$WORK/probe-errors" | printable)"
        fi
        return 0
    fi
    say '  sudo starts it' '  sudo le lance'
    sed -n 's/^share://p' "$WORK/probe" | printable >"$WORK/readable"
    while IFS= read -r folder; do
        say '  %s can be read' '  %s est lisible' "$folder"
    done <"$WORK/readable"
    sed -n 's/^unreadable://p' "$WORK/probe" | printable >"$WORK/unreadable"
    while IFS= read -r folder; do
        if [ "$SYSTEM" = Darwin ]; then     # what is hidden from this Terminal need not be hidden from sshd
            say '  %s: only the server can tell whether it can be read, with --verify' \
                '  %s : seul le serveur peut dire s’il est lisible, avec --verify' "$folder"
        else
            todo '%s cannot be read: is it there?' '%s est illisible : ce dossier existe-t-il ?' "$folder"
        fi
    done <"$WORK/unreadable"
    look_at_rsync "$(sed -n 's/^rsync://p' "$WORK/probe" | printable)"
}

# The versions before 3.4 have holes that another user of this computer could use against root.
look_at_rsync() {    # VERSION
    case $1 in
        openrsync* | '') say '  rsync: %s' '  rsync : %s' "$1" ;;
        [012].* | v[012].* | 3.[0123] | 3.[0123].* | v3.[0123] | v3.[0123].*)
            if [ "$SYSTEM" = Darwin ]; then
                say '  rsync: %s, as Apple has it' '  rsync : %s, celui d’Apple' "$1"
            else
                warn '  rsync %s is old (before 3.4); please install the updates of this system.' \
                    '  rsync %s est ancien (avant 3.4) ; installez les mises à jour du système.' "$1"
            fi ;;
        *) say '  rsync: %s' '  rsync : %s' "$1" ;;
    esac
}

look_at_sshd() {
    if sshd_answers; then
        say '  sshd answers' '  sshd répond'
    else
        todo 'sshd does not answer: the server cannot come in.' 'sshd ne répond pas : le serveur ne peut pas entrer.'
    fi
    sshd_settings || return 0
    check_access
    if [ "$(setting persourcepenalties)" != '' ] && [ "$(setting persourcepenalties)" != no ]; then
        say '  note: this sshd shuts out for a while who fails too often (PerSourcePenalties); the server too' \
            '  note : ce sshd écarte un moment qui échoue trop souvent (PerSourcePenalties), le serveur aussi'
    fi
}

look_at_key() {
    if key_in_place; then
        say '  the server’s key is in %s' '  la clef du serveur est dans %s' "$keys"
    elif keys=$(keys_file) && grep -qsF "command=\"$WRAPPER\"" "$keys"; then
        todo 'The server’s key in %s is not as the setup wrote it.' \
            'La clef du serveur dans %s n’est pas telle que ce programme l’a écrite.' "$keys"
    else
        todo 'The server’s key is not where sshd looks for it (%s).' \
            'La clef du serveur n’est pas là où sshd la cherche (%s).' "${keys:-AuthorizedKeysFile none}"
    fi
}

look_at_firewall() {
    wall=$(active_firewall)
    [ -n "$wall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        if "${wall}_lets_in" "$address" "$port"; then
            say '  the firewall lets %s in' '  le pare-feu laisse entrer %s' "$address"
        else
            todo 'The firewall (%s) may keep the server %s from port %s.' \
                'Le pare-feu (%s) interdit peut-être au serveur %s le port %s.' "$wall" "$address" "$port"
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
        say '  %s can be reached, and is the one that we know' '  %s est joignable, et c’est bien lui' "$SERVER"
    elif grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        todo '%s has another host key than the one that we know. Please tell your administrator.' \
            '%s a une autre clef d’hôte que celle que nous connaissons. Prévenez votre administrateur.' "$SERVER"
    else
        todo '%s cannot be reached from here: %s' '%s est injoignable d’ici : %s' "$SERVER" \
            "$(tail -n 1 "$WORK/ssh-errors" | printable)"
    fi
}

look_at_registration() {
    if [ -z "$LOGON" ]; then
        todo 'This computer is not registered.' 'Cet ordinateur n’est pas enregistré.'
    elif remembers "verified $SERVER $LOGON"; then
        say '  registered for %s, and tested by the server' '  enregistré pour %s, et essayé par le serveur' "$LOGON"
        tell_unsaved
    else
        todo 'Registered for %s, but the server has not come back here yet: sudo sh setup.sh --verify' \
            'Enregistré pour %s, mais le serveur n’est pas encore revenu ici : sudo sh setup.sh --verify' "$LOGON"
    fi
}
