# Step: the server's key, in the file where sshd reads it.

# Print the files in which sshd reads the keys of the account, a line "own PATH" or "shared PATH" for each. A file is
# shared if its pattern gives the same file for other accounts: one without %h, %u and %U that is not below the home.
keys_files() {
    patterns=$(sshd_setting authorizedkeysfile | head -n 1)
    uid=$(id -u "$ACCOUNT" 2>/dev/null) || uid=UID      # in the plan there is no account yet
    printf '%s\n' "${patterns:-.ssh/authorized_keys}" | tr ' ' '\n' | H=$STATE_DIR U=$ACCOUNT N=$uid awk '
        BEGIN { value["h"] = ENVIRON["H"]; value["u"] = ENVIRON["U"]; value["U"] = ENVIRON["N"]; value["%"] = "%" }
        $0 == "" || $0 == "none" { next }
        {
            path = ""
            kind = "shared"
            for (i = 1; i <= length($0); i++) {
                letter = substr($0, i, 1)
                if (letter == "%") {
                    token = substr($0, ++i, 1)
                    if (value[token] == "") next
                    if (token != "%") kind = "own"
                    letter = value[token]
                }
                path = path letter
            }
            if (path !~ /^\//) { path = ENVIRON["H"] "/" path; kind = "own" }
            if (path "/" ~ /\/\.\.\//) kind = "shared"
            print kind, path
        }'
}

# Print the account’s own file of keys: of several, the first that has a folder.
keys_file() {
    keys_files | sed -n 's/^own //p' >"$WORK/keys-files"
    while IFS= read -r path; do
        if [ -d "${path%/*}" ]; then
            printf '%s' "$path"
            return 0
        fi
    done <"$WORK/keys-files"
    head -n 1 "$WORK/keys-files" | grep . | tr -d '\n'
    [ -s "$WORK/keys-files" ]
}

# Print the file that an earlier setup may have used and this one does not: sshd reads it for other accounts too, or its
# setting has changed since.
other_keys_files() {
    { keys_files | sed -n 's/^shared //p'; receipt_get keys; } | grep -vxF -e "$(keys_file)" -e '' | sort -u
}

# Whether FILE has a line of the server’s key.
has_server_key() {    # FILE
    [ -f "$1" ] && grep -v '^[[:blank:]]*#' "$1" | grep -qF -e "command=\"$WRAPPER\"" -e "command=\"$START\""
}

# Remove the server’s key from FILE, and change nothing else there.
take_key_out() {    # FILE
    has_server_key "$1" || return 0
    if [ -L "$1" ] || [ -n "$(unsafe_folder "${1%/*}")" ]; then
        todo 'Please remove the line with %s from %s: users other than root can change this file or its folder.' "$WRAPPER" "$1"
        return 0
    fi
    note 'removing the server’s key from %s' "$1"
    keys_of_others "$1" >"$WORK/keys"
    # shellcheck disable=SC2046  # three words
    change replace_file "$WORK/keys" "$1" $(os identity "$1")
}

no_own_keys() {
    shared=$(keys_files | sed -n 's/^shared //p' | head -n 1)
    if [ -n "$shared" ]; then
        todo 'sshd reads the keys of all accounts from the same file, %s (AuthorizedKeysFile): the server’s key there would open every account. Please add .ssh/authorized_keys to AuthorizedKeysFile, and start the setup again.' "$shared"
    else
        todo 'sshd reads no keys for this account (AuthorizedKeysFile).'
    fi
}

# awk adds a missing line end, so that our line does not join the last one.
keys_of_others() {    # FILE
    W="command=\"$WRAPPER\"" S="command=\"$START\"" \
        awk '/^[ \t]*#/ || !(index($0, ENVIRON["W"]) || index($0, ENVIRON["S"]))' "$1"
}

# Whether the server's line is as the setup wrote it, and no other line starts the backup program.
key_in_place() {
    keys=$(keys_file) && [ -f "$keys" ] && [ -f "$RECEIPT" ] || return 1
    sed -n 's/^key //p' "$RECEIPT" >"$WORK/key-line"
    [ -s "$WORK/key-line" ] && [ "$(os identity "$keys")" = "$(keys_identity "$keys")" ] &&
        grep -F -e "command=\"$WRAPPER\"" -e "command=\"$START\"" "$keys" | grep -v '^[[:blank:]]*#' | cmp -s - "$WORK/key-line"
}

# Whether sshd can start what the line names. That of an older setup names the program itself.
key_starts() {
    grep -qF "command=\"$START\"" "$WORK/key-line" || env test -x "$WRAPPER"
}

# Print the owner, group and mode that the file of the keys must have.
keys_identity() {    # FILE
    case $1 in
        "$STATE_DIR"/*) printf 'root %s 640' "$ACCOUNT" ;;
        *)
            if [ -f "$1" ] && only_root_writes "$1" && os identity "$1" | grep -q '[4-7]$'; then
                os identity "$1"        # an administrator's, and sshd can read it for the account
            else
                printf 'root %s 644' "$ROOT_GROUP"
            fi ;;
    esac
}

install_key() {
    other_keys_files >"$WORK/others-files"
    while IFS= read -r path; do
        take_key_out "$path"
    done <"$WORK/others-files"
    keys=$(keys_file) || return 0       # check_access has told it
    if [ ! -d "${keys%/*}" ]; then
        todo 'sshd reads no keys for this account (AuthorizedKeysFile).'
        return 0
    fi
    allowed=$REPLY_FROM
    case $FROM in
        none) allowed='' ;;
        ?*) allowed=$FROM ;;
    esac
    if [ -n "$allowed" ] && sshd_is dropbear; then
        caution 'The ssh server of this computer is dropbear, which refuses a key with a list of addresses. So it takes the server’s key from any address that the firewall lets in.'
        allowed=''
    fi
    unsafe=$(unsafe_folder "${keys%/*}")
    if [ -n "$unsafe" ]; then
        todo 'Users other than root can change %s, and sshd reads keys below it.' "$unsafe"
        return 0
    fi
    : >"$WORK/keys"
    [ ! -f "$keys" ] || keys_of_others "$keys" >"$WORK/keys"
    # By its interpreter, because the file system of /var may not start programs (noexec).
    key_line=$(printf 'restrict%s,command="%s" %s' "${allowed:+,from=\"$allowed\"}" "$START" "$KEY")
    printf '%s\n' "$key_line" >>"$WORK/keys"
    receipt_set keys "$keys"
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
