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
