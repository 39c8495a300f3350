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
