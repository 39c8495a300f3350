# Remove what interrupted runs left behind and the receipt does not list.
remove_leftovers() {
    leftovers >"$WORK/leftovers"
    [ -s "$WORK/leftovers" ] || return 0
    note 'removing what an interrupted run left behind'
    while IFS= read -r leftover; do
        change remove_leftover "$leftover"
    done <"$WORK/leftovers"
}

leftovers() {
    for target in "$STATE_DIR" "${STATE_DIR%/*}" "$RECEIPT" "$WRAPPER" "$HELPER" "$CONFIG" "$SUDOERS" "$SSHD_DROP_IN" \
        "$STATE_DIR/known_hosts" "$STATE_DIR/register-key" "$(keys_file)"; do
        leftover=$(temporary_of "$target")
        if [ -e "$leftover" ] || [ -L "$leftover" ]; then
            printf '%s\n' "$leftover"
        fi
    done
    [ ! -e "$STATE_DIR/register-key" ] || printf '%s\n' "$STATE_DIR/register-key"
    leftover_work_folders
    leftover_restores
}

# A work folder has the process number in its name. In /tmp no other user can make or rename a folder of root's.
leftover_work_folders() {
    for folder in /tmp/bckpciuem.*.*; do
        number=${folder#/tmp/bckpciuem.}
        if has_ended "${number%.*}" && [ ! -L "$folder" ] && [ -d "$folder" ] && only_root_writes "$folder"; then
            printf '%s\n' "$folder"
        fi
    done
}

# What rsyncsend.sh has received for several persons, if it was killed.
leftover_restores() {
    [ -f "$CONFIG" ] || return 0
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r share; do
        for folder in "${share%/}/.$ACCOUNT-restore."*; do
            if has_ended "${folder##*.}" && [ ! -L "$folder" ] && [ -d "$folder" ] && [ -z "$(unsafe_folder "$folder")" ]; then
                printf '%s\n' "$folder"
            fi
        done
    done
}

# Whether NUMBER is that of a process which has ended.
has_ended() {    # NUMBER
    case $1 in
        '' | *[!0-9]*) return 1 ;;
    esac
    ! kill -0 "$1" 2>/dev/null
}

remove_leftover() {    # PATH
    if grep -qsxF "folder ${STATE_DIR%/*}" "$1/${RECEIPT##*/}"; then
        rmdir -- "${STATE_DIR%/*}" 2>/dev/null || true
    fi
    rm -rf -- "$1"
}
