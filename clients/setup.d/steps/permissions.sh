# Step: what the backup server may do on this computer: the backup program, its configuration, the line for sudo.

set_permissions() {
    check_helper_folder
    put_file "$WORK/wrapper" "$WRAPPER" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*/*}" ] || put_folder "${HELPER%/*/*/*}" root "$ROOT_GROUP" 755
    [ -d "${HELPER%/*/*}" ] || put_folder "${HELPER%/*/*}" root "$ROOT_GROUP" 755
    put_folder "${HELPER%/*}" root "$ROOT_GROUP" 755
    put_file "$WORK/wrapper" "$HELPER" root "$ROOT_GROUP" 755
    write_config
    make_restore_folder
    allow_sudo
    try_backup_program
}

# sudo starts the helper as root, so no other user may be able to exchange it. Homebrew used to give /usr/local to a
# person, Debian gave it to the group staff.
check_helper_folder() {
    unsafe=$(unsafe_folder "${HELPER%/*/*}")
    [ -z "$unsafe" ] ||
        die 7 'Users other than root can change %s, so the programs below it are not safe. Please run: chown root %s; chmod go-w %s' \
            "$unsafe" "$unsafe" "$unsafe"
}

# Lines and comments that an administrator wrote stay, unless an option replaces them.
write_config() {
    compose_config
    note_permissions
    put_file "$WORK/config" "$CONFIG" root "$ROOT_GROUP" 644
    say_who_restores
}

# Also for the doctor.
say_who_restores() {
    case $RESTORING in
        owner) caution '--restore owner: whoever this computer is registered for can change every person’s files in the shared folders, and so can the administrators of the backup server.' ;;
        full) caution '--restore full: whoever this computer is registered for can change every file in the shared folders, and so can the administrators of the backup server.' ;;
    esac
}

# Set RESTORING: off, dirs, owner or full. Without a line rsyncsend.sh takes it as off.
compose_config() {
    if [ -f "$CONFIG" ]; then
        cat <"$CONFIG" >"$WORK/config"
        restored=$(config_values restore | tail -n 1)
        new=no
    else
        printf '# Made by setup.sh. The top of %s explains each line.\n' "$HELPER" >"$WORK/config"
        restored='' new=yes
    fi
    config_set share "${SHARES:-$(config_values share | grep . || printf '%s' "$HOMES")}"
    if [ -n "$RESTORE" ] || [ "$new" = yes ]; then
        config_set restore "${RESTORE:-dirs}"
    fi
    RESTORING=$(config_values restore | tail -n 1)
    [ "$RESTORING" = "$restored" ] || NEW_RESTORE=$RESTORING
    ask_for_privileges
    if [ -n "$RESTORE_DIR" ] || [ "$new" = yes ] || { [ "$RESTORING" = dirs ] && [ -z "$(config_values restore-dir)" ]; }; then
        config_set restore-dir "${RESTORE_DIR:-$RESTORE_FOLDER}"
    fi
    binary=$(config_values rsync | tail -n 1)
    if [ "$new" = yes ] || [ ! -x "${binary:-/usr/bin/rsync}" ]; then
        binary=$(os rsync_path)
        config_set rsync "$(readlink -f "$binary" 2>/dev/null || printf '%s' "$binary")"     # macOS has readlink -f from 12.3 on
    fi
}

# Without the line rsyncsend.sh takes it as no. Only a person can agree, so an unattended run never says yes.
ask_for_privileges() {
    if [ "$RESTORING" = full ] && config_values share | grep -qxF / && [ -z "$(config_values restore-privileged)" ]; then
        ASK_PRIVILEGED=yes
        config_set restore-privileged "$PRIVILEGED"
    fi
}

config_values() {    # KEY
    sed -n "s/^$1=//p" "$WORK/config"
}

# Replace the lines of KEY by one for each of VALUES, at the place of the first; all other lines stay.
config_set() {    # KEY VALUES
    if [ "$(config_values "$1")" = "$(printf '%s' "$2")" ]; then
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

# This is part of the plan. An unattended run shows no plan, so it is shown there if the configuration is new.
note_permissions() {
    if [ "$DRY_RUN" = no ] && { [ "$UNATTENDED" = no ] || cmp -s "$WORK/config" "$CONFIG"; }; then
        return 0
    fi
    config_values share >"$WORK/folders"
    each_folder note 'the server may read %s'
    [ "$(cat "$WORK/folders")" = "$HOMES" ] ||
        note 'which of these folders are backed up is set on its web page for this computer; at first usually %s' "$HOMES"
    case $RESTORING in
        full) note 'it may write there too, anywhere, as root' ;;
        owner)
            note 'it may write there too, each file as the owner of the folder that it goes to'
            note 'it may write nowhere else, and nothing as root'
            ;;
        dirs)
            config_values restore-dir >"$WORK/folders"
            each_folder note 'it may put restored files into %s, where you fetch them'
            note 'it may write nowhere else, and nothing as root'
            ;;
        *) note 'it may write nothing here; restored files are downloaded from its web page' ;;
    esac
    [ "$OS" != macos ] ||
        note 'macOS shows it people’s folders only with Full Disk Access; you are asked for that at the end'
}

# The folder is root's, and the account may write in it through its group: no restore runs as root.
make_restore_folder() {
    if [ "$RESTORING" = off ] || [ -z "$RESTORING" ] || ! grep -qxF "restore-dir=$RESTORE_FOLDER" "$WORK/config"; then
        return 0
    fi
    put_folder "$RESTORE_FOLDER" root "$ACCOUNT" 770
}

allow_sudo() {
    compose_sudoers
    if [ "$DRY_RUN" = no ]; then
        sudo_takes_it ||
            die 1 'sudo does not accept the line for the backup program; the line was not installed.'
        grep -Eqs '^[@#]includedir[[:space:]]+((/private)?/etc/)?sudoers\.d/?[[:space:]]*$' "$SUDOERS_MAIN" ||
            die 7 '/etc/sudoers does not read /etc/sudoers.d; please add the line "@includedir /etc/sudoers.d".'
    fi
    put_file "$WORK/sudoers" "$SUDOERS" root "$ROOT_GROUP" 440
    tell_later_settings
}

# An administrator may mean them, so they stay. Also for the doctor.
tell_later_settings() {
    later_settings | printable >"$WORK/folders"
    each_folder caution 'Settings in %s come after those of this setup, so sudo prefers them: they may stop backups, or record them. Please put them where sudo reads them first, as in /etc/sudoers.d/aa-site.'
}

# Print the files with a setting for all commands, for a list of them or for ours, that sudo reads after our file.
later_settings() {
    setting='^[[:blank:]]*Defaults![[:blank:]]*([A-Z]|.*rsync-helper)' later=no
    for file in "${SUDOERS%/*}"/*; do
        case $later-${file##*/} in
            *-"${SUDOERS##*/}") later=yes ;;
            no-* | *.* | *'~') ;;
            *) ! grep -qsE -- "$setting" "$file" || printf '%s\n' "$file" ;;
        esac
    done
    ! sed -n '/^[@#]includedir/,$p' "$SUDOERS_MAIN" 2>/dev/null | grep -qE -- "$setting" || printf '%s\n' "$SUDOERS_MAIN"
}

# A site may demand a terminal of sudo, forbid that a program starts another one, end a program that takes long, or
# record what goes through it: whole backups. No person types this command, so nothing of that applies to it. A setting
# for one command wins over one for all. Older versions do not know all of these words, and sudo-rs knows none.
compose_sudoers() {
    accepted=''
    for setting in '!requiretty' '!noexec' '!intercept' '!log_input' '!log_output' '!log_subcmds' '!command_timeout' \
        'fdexec=never'; do
        write_sudoers "$accepted${accepted:+, }$setting"
        ! sudo_takes_it || accepted="$accepted${accepted:+, }$setting"
    done
    write_sudoers "$accepted"
}

write_sudoers() {    # SETTINGS
    {
        printf '# Made by setup.sh: the backup server reads through this program, which checks what it is asked.\n'
        [ -z "$1" ] || printf 'Defaults!%s %s\n' "$HELPER" "$1"
        printf '%s ALL=(root) NOPASSWD: %s\n' "$ACCOUNT" "$HELPER"
    } >"$WORK/sudoers"
}

sudo_takes_it() { visudo -cqf "$WORK/sudoers" >/dev/null 2>&1; }

try_backup_program() {
    [ "$DRY_RUN" = no ] || return 0
    if ! probe; then
        printable <"$WORK/probe-errors" >&2
        env test -x "$HELPER" || caution 'The file system of %s may not start programs (noexec).' "$HELPER"
        die 1 'The account %s cannot start the backup program; see above.' "$ACCOUNT"
    fi
    check_restore_folders || exit 7
    # macOS may hide from this Terminal what it shows to sshd, or the reverse: only the server can test that.
    if [ "$OS" != macos ]; then
        probed unreadable
        each_folder caution '%s cannot be read and will not be backed up.'
    fi
}

# Start the backup program as the server does: account, wrapper, sudo, rsync, folders.
probe() {
    as_account "env SSH_ORIGINAL_COMMAND=probe $START" >"$WORK/probe" 2>"$WORK/probe-errors"
}

# Write what the backup program answered for KEYWORD to WORK/folders.
probed() {    # KEYWORD
    sed -n "s/^$1://p" "$WORK/probe" 2>/dev/null | printable >"$WORK/folders"       # if it was not started, there is none
}

# Print yes or no, or nothing if root cannot become the account.
may_write() {    # FOLDER
    FOLDER=$1 as_account "if test -w \"\$FOLDER\"; then echo yes; else echo no; fi" 2>/dev/null || true
}

# The account itself writes restored files to a folder of root's. Return false if it cannot.
check_restore_folders() {
    writable=yes
    case $(sed -n 's/^restore=//p' "$CONFIG" 2>/dev/null | tail -n 1) in
        dirs | owner) ;;
        *) return 0 ;;
    esac
    sed -n 's/^restore-dir=//p' "$CONFIG" >"$WORK/folders"
    while IFS= read -r folder; do
        if [ ! -d "$folder" ]; then
            writable=no
            [ "$folder" != "$RESTORE_FOLDER" ] || REPAIRABLE=yes
            todo '%s does not exist: nothing can be restored to it.' "$folder"
        elif [ "$(os identity "$folder" | cut -d ' ' -f 1)" = root ] && [ "$(may_write "$folder")" = no ]; then
            writable=no
            [ "$folder" != "$RESTORE_FOLDER" ] || REPAIRABLE=yes
            todo 'The account %s cannot write in %s: nothing can be restored there. Please run: chgrp %s %s; chmod g+rwx %s' \
                "$ACCOUNT" "$folder" "$ACCOUNT" "$folder" "$folder"
        fi
    done <"$WORK/folders"
    [ "$writable" = yes ]
}
