# Step: the server's key, in the file where sshd reads it.

# Print the file in which sshd reads the keys of the account: of several, the first that has a folder.
keys_file() {
    patterns=$(sshd_setting authorizedkeysfile | head -n 1)
    [ "$patterns" != none ] || return 1
    printf '%s\n' "${patterns:-.ssh/authorized_keys}" | tr ' ' '\n' |
        sed "s|%h|$STATE_DIR|g; s|%u|$ACCOUNT|g; s|%%|%|g; s|^[^/]|$STATE_DIR/&|" >"$WORK/keys-files"
    while IFS= read -r path; do
        if [ -d "${path%/*}" ]; then
            printf '%s' "$path"
            return 0
        fi
    done <"$WORK/keys-files"
    head -n 1 "$WORK/keys-files" | tr -d '\n'
}

# awk adds a missing line end, so that our line does not join the last one.
keys_of_others() {    # FILE
    W="command=\"$WRAPPER\"" awk '/^[ \t]*#/ || !index($0, ENVIRON["W"])' "$1"
}

# Whether the server's line is as the setup wrote it, and no other line starts the backup program.
key_in_place() {
    keys=$(keys_file) && [ -f "$keys" ] && [ -f "$RECEIPT" ] || return 1
    sed -n 's/^key //p' "$RECEIPT" >"$WORK/key-line"
    [ -s "$WORK/key-line" ] && [ "$(os identity "$keys")" = "$(keys_identity "$keys")" ] &&
        grep -F "command=\"$WRAPPER\"" "$keys" | grep -v '^[[:blank:]]*#' | cmp -s - "$WORK/key-line"
}

# Print the owner, group and mode that the file of the keys must have.
keys_identity() {    # FILE
    case $1 in
        "$STATE_DIR"/*) printf 'root %s 640' "$ACCOUNT" ;;
        *) printf 'root %s 644' "$ROOT_GROUP" ;;
    esac
}

install_key() {
    if ! keys=$(keys_file) || [ ! -d "${keys%/*}" ]; then
        todo 'sshd reads no keys for this account (AuthorizedKeysFile).'
        return 0
    fi
    allowed=$REPLY_FROM
    case $FROM in
        none) allowed='' ;;
        ?*) allowed=$FROM ;;
    esac
    unsafe=$(unsafe_folder "${keys%/*}")
    if [ -n "$unsafe" ]; then
        todo 'Users other than root can change %s, and sshd reads keys below it.' "$unsafe"
        return 0
    fi
    : >"$WORK/keys"
    [ ! -f "$keys" ] || keys_of_others "$keys" >"$WORK/keys"
    key_line=$(printf 'restrict%s,command="%s" %s' "${allowed:+,from=\"$allowed\"}" "$WRAPPER" "$KEY")
    printf '%s\n' "$key_line" >>"$WORK/keys"
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
