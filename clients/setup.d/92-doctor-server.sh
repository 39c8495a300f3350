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
