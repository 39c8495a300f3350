# Every change to this computer passes here, and only here.
change() {    # COMMAND...
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = no ]; then
        "$@"
    fi
}

# The receipt says what there was not before us; --uninstall goes by it. A line is written before the deed: killed
# in between, we have noted too much and not too little.
remember() {    # LINE
    if [ "$DRY_RUN" = yes ] || grep -qxF -- "$1" "$RECEIPT" 2>/dev/null; then
        return 0
    fi
    (printf '%s\n' "$1" >>"$RECEIPT") 2>/dev/null || cannot_write "$RECEIPT"
}

# What was true before, of whatever begins so, is not any more.
forget() {    # BEGINNING
    if [ "$DRY_RUN" = no ] && [ -f "$RECEIPT" ]; then
        B=$1 awk 'index($0, ENVIRON["B"]) != 1' "$RECEIPT" >"$WORK/receipt"
        cmp -s "$WORK/receipt" "$RECEIPT" || replace "$WORK/receipt" "$RECEIPT" root "$ROOT_GROUP" 600
    fi
}

# The one line that begins with WORD.
remember_one() {    # WORD REST
    if [ -f "$RECEIPT" ] && [ "$(W="$1 " awk 'index($0, ENVIRON["W"]) == 1' "$RECEIPT")" = "$1 $2" ]; then
        return 0
    fi
    forget "$1 "
    remember "$1 $2"
}

remembers() {    # BEGINNING
    [ -f "$RECEIPT" ] && B=$1 awk 'index($0, ENVIRON["B"]) == 1 { found = 1 } END { exit !found }' "$RECEIPT"
}

# What follows WORD in its last line.
remembered() {    # WORD
    [ ! -f "$RECEIPT" ] || sed -n "s/^$1 //p" "$RECEIPT" | tail -n 1
}

# Owner, group and mode of a file, as in "root bckpciuem 750".
identity() {
    case $SYSTEM in
        Darwin) stat -f '%Su %Sg %Lp' -- "$1" ;;
        *) stat -c '%U %G %a' -- "$1" ;;
    esac
}

# Whether nobody but root, and perhaps one person, may change PATH.
kept_from_others() {    # PATH [NUMBER-OF-THE-PERSON]
    # shellcheck disable=SC2012  # its columns are POSIX's, stat's are not
    ls -ldn -- "$1" 2>/dev/null | awk -v person="${2:-0}" '
        NR == 1 { good = ($3 == "0" || $3 == person "") && substr($1, 6, 1) != "w" && substr($1, 9, 1) != "w" }
        END { exit !good }'
}

# The first folder from FOLDER up to / that somebody else than root may change: nothing below it can be trusted. Links
# are followed, and both ways looked at.
weak_folder() {    # FOLDER
    way=$1
    until [ -d "$way/" ]; do
        way=${way%/*}
    done
    for folder in "$way" "$(cd -P -- "$way/" && pwd -P)"; do
        folder=${folder%/}
        while kept_from_others "$folder/." && [ -n "$folder" ]; do
            folder=${folder%/*}
        done
        if ! kept_from_others "$folder/."; then
            printf '%s' "${folder:-/}"
            return 0
        fi
    done
}

# Put FILE's content at TARGET, complete or not at all, unless it is already there.
put_file() {    # FILE TARGET OWNER GROUP MODE
    if [ -L "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        die 1 '%s is not a plain file; please move it away.' "$2"
    fi
    claim_file "$2"
    if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(identity "$2")" = "$3 $4 $5" ]; then
        return 0
    fi
    note 'writing %s' "$2"
    case $2 in
        "$WRAPPER" | "$HELPER" | "$CONFIG" | "$SUDOERS")
            forget 'verified '      # that was with the old one
            TRY_AGAIN=yes ;;
    esac
    change replace "$@"
}

# A file is ours to take away again if it was not there, or bears our mark. What is another's is not written over; but
# keys and the configuration are others' too, whose lines stay.
claim_file() {    # TARGET
    if [ ! -e "$1" ] || bears_our_mark "$1" || [ "$1" = "$PLACE/known_hosts" ]; then
        remember "file $1"
    fi
}

# Before anything is made. An older one of ours bears our mark too; a damaged one stands in the receipt.
refuse_others_files() {
    for target in "$WRAPPER" "$HELPER" "$SUDOERS"; do
        if [ -f "$target" ] && ! bears_our_mark "$target" && ! grep -qsxF -- "file $target" "$RECEIPT"; then
            head -n 20 -- "$target" | printable >&2
            die 1 'There is a file %s already, which this setup has not made; see above. Please move it away.' "$target"
        fi
    done
}

bears_our_mark() {    # FILE
    head -n 2 -- "$1" 2>/dev/null | grep -q -e '^# Made by setup\.sh' -e '^# rsyncsend\.sh - '
}

# Where PATH is made before it goes to its place. The name has a dot, so that sudo does not read it.
fresh_of() {    # PATH
    printf '%s' "${1%/*}/.${1##*/}.setup"
}

replace() {    # FILE TARGET OWNER GROUP MODE
    fresh=$(fresh_of "$2")
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
        note 'making the folder %s' "$1"
        remember "folder $1"
        change mkdir -m "$4" "$1"
    elif [ "$(identity "$1")" = "$2 $3 $4" ]; then
        return 0
    else
        note 'setting the permissions of %s' "$1"
        remembers "was $1 " || grep -qsxF -- "folder $1" "$RECEIPT" || remember "was $1 $(identity "$1")"
    fi
    change chown "$2:$3" "$1"
    change chmod "$4" "$1"
}

cannot_write() {    # PATH
    die 1 '%s cannot be written. Is the disk full?' "$1"
}

open_work() {
    # Not TMPDIR: su and "sudo -E" keep the person's own, where what we unpack could be exchanged.
    WORK=$(mktemp -d "/tmp/bckpciuem.$$.XXXXXXXXXX" 2>/dev/null) || cannot_write /tmp
    trap tidy EXIT
    trap 'exit 130' INT
    trap 'exit 131' QUIT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM HUP
    head -c "$ROOM" /dev/zero 2>/dev/null >"$WORK/room" || cannot_write /tmp
    rm -f -- "$WORK/room"
}

tidy() {
    trap '' INT QUIT PIPE TERM HUP      # a second one, a closed window's after Ctrl-C, would end it half-way
    rm -rf -- "$WORK"
    if [ "$LOCKED" = yes ]; then
        rm -f -- "$PLACE/register-key" "$LOCK"
    fi
}

# A link to our number, which is made at once or not at all; that of a run that was killed counts for nothing.
take_lock() {
    if ln -s "$$" "$LOCK" 2>/dev/null; then
        LOCKED=yes
        return 0
    fi
    holder=$(readlink "$LOCK") || holder=''
    case $holder in
        '' | *[!0-9]*) ;;
        *) ! kill -0 "$holder" 2>/dev/null ||
            die 1 'Another setup is at work here (process %s); please wait until it is done.' "$holder" ;;
    esac
    drop_lock_of "$holder"
    ln -s "$$" "$LOCK" 2>/dev/null ||
        die 1 'Another setup has just begun here; please wait until it is done.'
    LOCKED=yes
}

# Moved away first: had another run been quicker to take it, we hold that run's, and put it back.
drop_lock_of() {    # NUMBER
    mv -f -- "$LOCK" "$LOCK.$$" 2>/dev/null || return 0
    [ "$(readlink "$LOCK.$$")" = "$1" ] || ln -s "$(readlink "$LOCK.$$")" "$LOCK" 2>/dev/null || true
    rm -f -- "$LOCK.$$"
}

# Where the receipt lies must be there before anything is done.
open_receipt() {
    clear_rests
    if [ -L "$RECEIPT" ]; then
        die 1 '%s is a link; please move it away.' "$RECEIPT"
    fi
    if [ -e "$PLACE" ] || [ -L "$PLACE" ]; then
        take_over
        put_folder "$PLACE" root "$(group_or_root)" 750
        return 0
    fi
    top=$(highest_missing "$PLACE")
    [ "$top" = "$PLACE" ] || note 'making the folder %s' "$top"
    note 'making the folder %s' "$PLACE"
    change make_place "$top"
}

# A receipt that was lost: what bears our mark is ours, and what goes with it.
take_over() {
    if [ -e "$RECEIPT" ] || ! bears_our_mark "$HELPER"; then
        return 0
    fi
    for line in "folder $PLACE" "group $ACCOUNT" "account $ACCOUNT" "folder $PLACE/.ssh" "folder ${HELPER%/*}" \
        "file $PLACE/.ssh/authorized_keys" "folder $RESTORE_PLACE"; do
        remember "$line"
    done
}

# A Mac has no /var/lib.
highest_missing() {    # FOLDER
    way=$1
    until [ -d "${way%/*}/" ]; do
        way=${way%/*}
    done
    printf '%s' "$way"
}

# Made beside its place, and moved there with the receipt in it that tells of it: killed in between we leave nothing
# that neither the receipt nor clear_rests knows of.
make_place() {    # HIGHEST-FOLDER-THAT-IS-MISSING
    fresh=$(fresh_of "$1")
    folder=$fresh${PLACE#"$1"}
    mkdir -p -- "$folder"
    chmod 755 "$fresh"
    { [ "$1" = "$PLACE" ] || printf 'folder %s\n' "$1"; printf 'folder %s\n' "$PLACE"; } >"$folder/${RECEIPT##*/}"
    chown "root:$(group_or_root)" "$folder"
    chmod 750 "$folder"
    mv -- "$fresh" "$1"
}

# What runs that were cut off have left where the receipt does not tell of it.
clear_rests() {
    rests >"$WORK/rests"
    [ -s "$WORK/rests" ] || return 0
    note 'clearing away what a run that was cut off has left'
    while IFS= read -r rest; do
        change clear_rest "$rest"
    done <"$WORK/rests"
}

rests() {
    for target in "$PLACE" "${PLACE%/*}" "$RECEIPT" "$WRAPPER" "$HELPER" "$CONFIG" "$SUDOERS" "$SSHD_DROP_IN" \
        "$PLACE/known_hosts" "$PLACE/register-key" "$(keys_file)"; do
        rest=$(fresh_of "$target")
        if [ -e "$rest" ] || [ -L "$rest" ]; then
            printf '%s\n' "$rest"
        fi
    done
    [ ! -e "$PLACE/register-key" ] || printf '%s\n' "$PLACE/register-key"
    abandoned_work
}

# Each run's own folder has its number in the name. In /tmp nobody else can make one of root's, or move it.
abandoned_work() {
    for folder in /tmp/bckpciuem.*.*; do
        number=${folder#/tmp/bckpciuem.}
        number=${number%.*}
        case $number in
            '' | *[!0-9]*) continue ;;
        esac
        if [ ! -L "$folder" ] && [ -d "$folder" ] && kept_from_others "$folder" && ! kill -0 "$number" 2>/dev/null; then
            printf '%s\n' "$folder"
        fi
    done
}

clear_rest() {    # PATH
    if grep -qsxF "folder ${PLACE%/*}" "$1/${RECEIPT##*/}"; then
        rmdir -- "${PLACE%/*}" 2>/dev/null || true
    fi
    rm -rf -- "$1"
}
