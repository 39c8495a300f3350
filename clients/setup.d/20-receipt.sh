# The receipt lists the changes of the setup, so that --uninstall can revert them. All changes go through this part.

# Every change to this computer goes through this function, so that the plan and --dry-run change nothing.
change() {    # COMMAND...
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = no ]; then
        "$@"
    fi
}

# A line is written before its change: if the setup is killed in between, the receipt lists too much, not too little.
receipt_add() {    # LINE
    if [ "$DRY_RUN" = yes ] || grep -qxF -- "$1" "$RECEIPT" 2>/dev/null; then
        return 0
    fi
    (printf '%s\n' "$1" >>"$RECEIPT") 2>/dev/null || cannot_write "$RECEIPT"
}

receipt_drop() {    # BEGINNING
    if [ "$DRY_RUN" = no ] && [ -f "$RECEIPT" ]; then
        B=$1 awk 'index($0, ENVIRON["B"]) != 1' "$RECEIPT" >"$WORK/receipt"
        cmp -s "$WORK/receipt" "$RECEIPT" || replace_file "$WORK/receipt" "$RECEIPT" root "$ROOT_GROUP" 600
    fi
}

# Make "WORD REST" the only line that begins with WORD.
receipt_set() {    # WORD REST
    if [ -f "$RECEIPT" ] && [ "$(W="$1 " awk 'index($0, ENVIRON["W"]) == 1' "$RECEIPT")" = "$1 $2" ]; then
        return 0
    fi
    receipt_drop "$1 "
    receipt_add "$1 $2"
}

receipt_has() {    # BEGINNING
    [ -f "$RECEIPT" ] && B=$1 awk 'index($0, ENVIRON["B"]) == 1 { found = 1 } END { exit !found }' "$RECEIPT"
}

# Print what follows WORD in its last line.
receipt_get() {    # WORD
    [ ! -f "$RECEIPT" ] || sed -n "s/^$1 //p" "$RECEIPT" | tail -n 1
}

# Whether only root may change PATH.
only_root_writes() {    # PATH
    # shellcheck disable=SC2012  # POSIX defines the columns of ls, not those of stat
    ls -ldn -- "$1" 2>/dev/null | awk '
        NR == 1 { good = $3 == "0" && substr($1, 6, 1) != "w" && substr($1, 9, 1) != "w" }
        END { exit !good }'
}

# Print the first folder, from FOLDER up to /, that users other than root may change: nothing below it is safe. Both the
# path as it is and the path without links are checked.
unsafe_folder() {    # FOLDER
    existing=$1
    until [ -d "$existing/" ]; do
        existing=${existing%/*}
    done
    for folder in "$existing" "$(cd -P -- "$existing/" && pwd -P)"; do
        folder=${folder%/}
        while only_root_writes "$folder/." && [ -n "$folder" ]; do
            folder=${folder%/*}
        done
        if ! only_root_writes "$folder/."; then
            printf '%s' "${folder:-/}"
            return 0
        fi
    done
}

# Write FILE's content to TARGET, complete or not at all, unless it is already there.
put_file() {    # FILE TARGET OWNER GROUP MODE
    if [ -L "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        die 1 '%s is not a regular file; please move it away.' "$2"
    fi
    record_file "$2"
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(os identity "$2")" = "$3 $4 $5" ]; then
        return 0
    fi
    note 'writing %s' "$2"
    case $2 in
        "$WRAPPER" | "$HELPER" | "$CONFIG" | "$SUDOERS")
            receipt_drop 'verified '      # the server tested the old file
            TRY_AGAIN=yes ;;
    esac
    change replace_file "$@"
}

# --uninstall may remove a file that did not exist before, or has our mark. The file of the keys and the configuration
# may be an administrator's: their lines stay.
record_file() {    # TARGET
    if [ ! -e "$1" ] || has_our_mark "$1" || [ "$1" = "$STATE_DIR/known_hosts" ]; then
        receipt_add "file $1"
    fi
}

# An older file of this setup has our mark too; a damaged one is in the receipt.
refuse_foreign_files() {
    for target in "$WRAPPER" "$HELPER" "$SUDOERS"; do
        if [ -f "$target" ] && ! has_our_mark "$target" && ! grep -qsxF -- "file $target" "$RECEIPT"; then
            head -n 20 -- "$target" | printable >&2
            die 1 'The file %s already exists, and this setup did not make it; see above. Please move it away.' "$target"
        fi
    done
}

has_our_mark() {    # FILE
    head -n 2 -- "$1" 2>/dev/null | grep -q -e '^# Made by setup\.sh' -e '^# rsyncsend\.sh - '
}

# The name that PATH has until it is complete. It begins with a dot, so that sudo does not read it.
temporary_of() {    # PATH
    printf '%s' "${1%/*}/.${1##*/}.setup"
}

replace_file() {    # FILE TARGET OWNER GROUP MODE
    fresh=$(temporary_of "$2")
    rm -f -- "$fresh"
    cat <"$1" 2>/dev/null >"$fresh" || {
        rm -f -- "$fresh"
        cannot_write "$2"
    }
    chown "$3:$4" "$fresh"
    chmod "$5" "$fresh"
    sync -f "$fresh" 2>/dev/null || true
    mv -f -- "$fresh" "$2"
}

put_folder() {    # FOLDER OWNER GROUP MODE
    if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then
        die 1 '%s is not a folder; please move it away.' "$1"
    fi
    if [ ! -d "$1" ]; then
        note 'creating the folder %s' "$1"
        receipt_add "folder $1"
        change mkdir -m "$4" "$1"
    else
        was=$(os identity "$1") || was=''
        [ -n "$was" ] || die 1 'The permissions of %s cannot be read.' "$1"
        [ "$was" != "$2 $3 $4" ] || return 0
        note 'setting the permissions of %s' "$1"
        receipt_has "was $1 " || grep -qsxF -- "folder $1" "$RECEIPT" || receipt_add "was $1 $was"
    fi
    change chown "$2:$3" "$1"
    change chmod "$4" "$1"
}

cannot_write() {    # PATH
    die 1 '%s cannot be written. Is the disk full?' "$1"
}

open_work_folder() {
    # Not in TMPDIR: su and "sudo -E" keep the person's own, in which the files could be exchanged.
    WORK=$(mktemp -d "/tmp/bckpciuem.$$.XXXXXXXXXX" 2>/dev/null) || cannot_write /tmp
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 131' QUIT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM HUP
    head -c "$ROOM" /dev/zero 2>/dev/null >"$WORK/room" || cannot_write /tmp
    rm -f -- "$WORK/room"
}

clean_up() {
    trap '' INT QUIT PIPE TERM HUP      # a second signal, as when a window is closed after Ctrl-C, would end it half-way
    [ "$HALF_DONE" = no ] || [ "$CHANGES" -eq 0 ] ||
        warn 'What was done so far stays. To go on: sudo sh setup.sh. To undo it: sudo sh setup.sh --uninstall' || :
    rm -rf -- "$WORK"
    if [ "$LOCKED" = yes ]; then
        rm -f -- "$STATE_DIR/register-key" "$LOCK"
    fi
}

# The lock is a link to the process number, made at once or not at all. A lock of a dead process does not count.
take_lock() {
    if ln -s "$$" "$LOCK" 2>/dev/null; then
        LOCKED=yes
        return 0
    fi
    holder=$(readlink "$LOCK") || holder=''
    case $holder in
        '' | *[!0-9]*) ;;
        *) ! kill -0 "$holder" 2>/dev/null ||
            die 1 'Another setup is running on this computer (process %s); please wait until it has ended.' "$holder" ;;
    esac
    remove_stale_lock "$holder"
    ln -s "$$" "$LOCK" 2>/dev/null ||
        die 1 'Another setup has just started on this computer; please wait until it has ended.'
    LOCKED=yes
}

# The lock is renamed first. If it is another run's by now, which was quicker, it is restored.
remove_stale_lock() {    # NUMBER
    mv -f -- "$LOCK" "$LOCK.$$" 2>/dev/null || return 0
    [ "$(readlink "$LOCK.$$")" = "$1" ] || ln -s "$(readlink "$LOCK.$$")" "$LOCK" 2>/dev/null || true
    rm -f -- "$LOCK.$$"
}

# The folder of the receipt must exist before the first change.
open_receipt() {
    remove_leftovers
    if [ -L "$RECEIPT" ]; then
        die 1 '%s is a link; please move it away.' "$RECEIPT"
    fi
    if [ -e "$STATE_DIR" ] || [ -L "$STATE_DIR" ]; then
        adopt_without_receipt
        put_folder "$STATE_DIR" root "$(group_or_root)" 750
        return 0
    fi
    top=$(highest_missing "$STATE_DIR")
    [ "$top" = "$STATE_DIR" ] || note 'creating the folder %s' "$top"
    note 'creating the folder %s' "$STATE_DIR"
    change make_state_dir "$top"
}

# If the receipt was lost, a helper with our mark proves that the setup made it and what belongs to it.
adopt_without_receipt() {
    if [ -e "$RECEIPT" ] || ! has_our_mark "$HELPER"; then
        return 0
    fi
    for line in "folder $STATE_DIR" "group $ACCOUNT" "account $ACCOUNT" "folder $STATE_DIR/.ssh" "folder ${HELPER%/*}" \
        "file $STATE_DIR/.ssh/authorized_keys" "folder $RESTORE_FOLDER"; do
        receipt_add "$line"
    done
}

# A Mac has no /var/lib.
highest_missing() {    # FOLDER
    missing=$1
    until [ -d "${missing%/*}/" ]; do
        missing=${missing%/*}
    done
    printf '%s' "$missing"
}

# The folder is made beside its place and renamed with its receipt in it. If the setup is killed in between, either the
# receipt or remove_leftovers knows what is left.
make_state_dir() {    # HIGHEST-MISSING-FOLDER
    fresh=$(temporary_of "$1")
    folder=$fresh${STATE_DIR#"$1"}
    mkdir -p -- "$folder"
    chmod 755 "$fresh"
    { [ "$1" = "$STATE_DIR" ] || printf 'folder %s\n' "$1"; printf 'folder %s\n' "$STATE_DIR"; } >"$folder/${RECEIPT##*/}"
    chown "root:$(group_or_root)" "$folder"
    chmod 750 "$folder"
    mv -- "$fresh" "$1"
}
