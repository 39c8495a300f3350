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
