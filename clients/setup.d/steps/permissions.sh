install_wrapper() {
    check_way_to_helper
    put_file "$WORK/wrapper" "$WRAPPER" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*/*}" ] || put_folder "${HELPER%/*/*/*}" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*}" ] || put_folder "${HELPER%/*/*}" root "$ROOT_GROUP" 755
    put_folder "${HELPER%/*}" root "$ROOT_GROUP" 755
    put_file "$WORK/wrapper" "$HELPER" root "$ROOT_GROUP" 755
    write_config
    make_restore_folder
    allow_helper
    try_wrapper
}

# sudo starts it as root, so nobody else may be able to put another one in its place. Homebrew used to give
# /usr/local to a person, Debian to the group staff.
check_way_to_helper() {
    weak=$(weak_folder "${HELPER%/*/*}")
    [ -z "$weak" ] ||
        die 7 '%s can be changed by others than root, so what is below it cannot be trusted; please do: chown root %s; chmod go-w %s' \
            "$weak" "$weak" "$weak"
}

# What an administrator has put into the configuration, remarks too, stays unless an option says otherwise.
write_config() {
    compose_config
    tell_permissions
    put_file "$WORK/config" "$CONFIG" root "$ROOT_GROUP" 644
    if [ "$RESTORING" = full ]; then
        caution '--restore full: whoever rules the backup server is root on this computer.'
    fi
}

# Sets RESTORING: what holds for restores. Without a line it is off, as rsyncsend.sh takes it.
compose_config() {
    if [ -f "$CONFIG" ]; then
        cat <"$CONFIG" >"$WORK/config"
        restored=$(configured restore | tail -n 1)
        new=no
    else
        printf '# Made by setup.sh. What each line means stands at the top of %s.\n' "$HELPER" >"$WORK/config"
        restored='' new=yes
    fi
    settle share "${SHARES:-$(configured share | grep . || printf '%s' "$HOMES")}"
    if [ -n "$RESTORE" ] || [ "$new" = yes ]; then
        settle restore "${RESTORE:-dirs}"
    fi
    RESTORING=$(configured restore | tail -n 1)
    [ "$RESTORING" != full ] || [ "$restored" = full ] || NEWLY_FULL=yes
    if [ -n "$RESTORE_DIR" ] || [ "$new" = yes ] || { [ "$RESTORING" = dirs ] && [ -z "$(configured restore-dir)" ]; }; then
        settle restore-dir "${RESTORE_DIR:-$RESTORE_PLACE}"
    fi
    binary=$(configured rsync | tail -n 1)
    if [ "$new" = yes ] || [ ! -x "${binary:-/usr/bin/rsync}" ]; then
        binary=$(rsync_to_use)
        settle rsync "$(readlink -f "$binary" 2>/dev/null || printf '%s' "$binary")"     # not before macOS 12.3
    fi
}

configured() {    # KEY
    sed -n "s/^$1=//p" "$WORK/config"
}

# The lines of KEY become those of VALUES, one a line, where the first of them stood; all others stay as they are.
settle() {    # KEY VALUES
    if [ "$(configured "$1")" = "$(printf '%s' "$2")" ]; then
        return 0
    fi
    K="$1=" V=$2 awk '
        function put(  value, count, i) {
            count = done++ ? 0 : split(ENVIRON["V"], value, "\n")
            for (i = 1; i <= count; i++) if (value[i] != "") print ENVIRON["K"] value[i]
        }
        index($0, ENVIRON["K"]) == 1 { put(); next }
        { print }
        END { put() }' "$WORK/config" >"$WORK/settled"
    cat <"$WORK/settled" >"$WORK/config"
}

# In the plan, and where nobody is shown a plan, if it is new.
tell_permissions() {
    if [ "$DRY_RUN" = no ] && { [ "$UNATTENDED" = no ] || cmp -s "$WORK/config" "$CONFIG"; }; then
        return 0
    fi
    configured share >"$WORK/folders"
    note_folders 'it may read what is in %s'
    [ "$(cat "$WORK/folders")" = "$HOMES" ] ||
        note 'which of them it saves is chosen on its web page for this computer; at first that is usually %s' "$HOMES"
    case $RESTORING in
        full) note 'it may write there too, anywhere, as root' ;;
        dirs)
            configured restore-dir >"$WORK/folders"
            note_folders 'it may put restored files into %s, from where you take them'
            note 'it may write nowhere else, and nothing as root'
            ;;
        *) note 'it may write nothing here: restored files are fetched through its web page' ;;
    esac
    [ "$SYSTEM" != Darwin ] ||
        note 'macOS shows it the folders of people only with Full Disk Access, which you are asked for at the end'
}

# Homebrew's rsync belongs to a person, who would then be root. Apple's does.
rsync_to_use() {
    if [ "$SYSTEM" = Darwin ]; then
        printf /usr/bin/rsync
    else
        command -v rsync || printf /usr/bin/rsync
    fi
}

# Root's folder, in which the account, through its group, may write: no restore runs as root.
make_restore_folder() {
    if [ "$RESTORING" = off ] || [ -z "$RESTORING" ] || ! grep -qxF "restore-dir=$RESTORE_PLACE" "$WORK/config"; then
        return 0
    fi
    put_folder "$RESTORE_PLACE" root "$ACCOUNT" 770
}

allow_helper() {
    printf '%s\n' "# Made by setup.sh: the backup server reads through this program, which checks what it is asked." \
        "$ACCOUNT ALL=(root) NOPASSWD: $HELPER" >"$WORK/sudoers"
    if [ "$DRY_RUN" = no ]; then
        visudo -cqf "$WORK/sudoers" >/dev/null 2>&1 ||
            die 1 'sudo does not understand our line; nothing was given to it.'
        grep -Eqs '^[@#]includedir[[:space:]]+((/private)?/etc/)?sudoers\.d/?[[:space:]]*$' "$SUDOERS_MAIN" ||
            die 7 '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".'
    fi
    put_file "$WORK/sudoers" "$SUDOERS" root "$ROOT_GROUP" 440
}

# The way that a backup takes, without the server.
try_wrapper() {
    [ "$DRY_RUN" = no ] || return 0
    if ! as_account "env SSH_ORIGINAL_COMMAND=probe $WRAPPER" >"$WORK/probe" 2>"$WORK/probe-errors"; then
        printable <"$WORK/probe-errors" >&2
        die 1 'The account %s cannot start the backup program; see above.' "$ACCOUNT"
    fi
    try_restore_folders
    # What a Mac hides from this Terminal it may show to sshd, or the other way round: the server will see.
    [ "$SYSTEM" != Darwin ] || return 0
    sed -n 's/^unreadable://p' "$WORK/probe" | printable | while IFS= read -r folder; do
        caution '%s cannot be read: it will not be backed up.' "$folder"
    done
}

# What is restored to a folder of root's is written by the account itself: said before anything is registered.
try_restore_folders() {
    look_at_restore_folders
    [ "$BARRED" = no ] || exit 7
}

# Sets BARRED.
look_at_restore_folders() {
    BARRED=no
    [ "$(sed -n 's/^restore=//p' "$CONFIG" 2>/dev/null | tail -n 1)" = dirs ] || return 0
    sed -n 's/^restore-dir=//p' "$CONFIG" >"$WORK/folders"
    while IFS= read -r folder; do
        if [ ! -d "$folder" ]; then
            BARRED=yes
            todo '%s is not there: nothing can be restored to it.' "$folder"
        elif [ "$(identity "$folder" | cut -d ' ' -f 1)" = root ] && ! FOLDER=$folder as_account "test -w \"\$FOLDER\""; then
            BARRED=yes
            todo 'The account %s cannot write in %s: nothing can be restored there. Please do: chgrp %s %s; chmod g+rwx %s' \
                "$ACCOUNT" "$folder" "$ACCOUNT" "$folder" "$folder"
        fi
    done <"$WORK/folders"
}
