# --doctor: look at everything, change nothing, mark what is wrong.

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

# Only a connection from the server goes through the network and what is between.
conclude() {
    if [ "$REPAIRABLE" = yes ] && [ -n "$LOGON" ]; then
        say 'Of this, sudo sh setup.sh --repair corrects what it can.'
    fi
    if [ "$LEFT_TO_DO$NOT_SAVED" != nono ]; then
        exit 1
    elif [ "$IN_DOUBT" = yes ]; then
        say 'No problem was found, but not everything could be tested: see the lines with ?'
        exit 1
    fi
    say 'No problem was found on this computer. What lies between it and the server is tested by: sudo sh setup.sh --verify'
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
        if [ -e "$path" ] && [ "$(os identity "$path")" != "$owner $group $mode" ]; then
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

doctor_sudo() {
    if [ -f "$SUDOERS" ] && command -v visudo >/dev/null && compose_sudoers && ! cmp -s "$WORK/sudoers" "$SUDOERS"; then
        to_repair 'The lines for sudo in %s are not those of this setup: they are older, or were changed.' "$SUDOERS"
    fi
    [ "$ENTERED" = yes ] || return 0
    if ! probe; then
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
        each_folder note '%s: only the server can test whether it can be read, with --verify'
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

doctor_sshd() {
    address=$(own_addresses | head -n 1)
    port=$(server_port)
    if [ -z "$address" ]; then
        if sshd_answers; then
            note 'sshd answers on this computer; at which address the server connects is unknown, as %s has no address now' "$SERVER"
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
    check_pam
    if [ "$(sshd_setting persourcepenalties)" != '' ] && [ "$(sshd_setting persourcepenalties)" != no ]; then
        note 'note: after too many failed logins sshd blocks an address for a while (PerSourcePenalties), the server’s too'
    fi
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
    elif keys=$(keys_file) && has_server_key "$keys"; then
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
