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
