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
