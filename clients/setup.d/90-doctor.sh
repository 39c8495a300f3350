# --doctor: look at everything, change nothing, mark what is wrong. Here: the account, the files, sudo, rsync.

doctor() {
    if [ ! -f "$RECEIPT" ]; then
        die 1 'This computer is not set up; please start the setup without --doctor.'
    fi
    LOGON=$(registered_as) || LOGON=''
    heading 'What works, what is wrong (!), and what could not be tested (?)'
    doctor_account
    doctor_files
    doctor_sudo
    check_restore_folders || true
    doctor_server       # first: it shows whether the server sees IPv4 or IPv6
    doctor_sshd
    doctor_key
    doctor_firewall
    conclude
}

conclude() {
    if [ "$REPAIRABLE" = yes ] && [ -n "$LOGON" ]; then
        say 'Of this, sudo sh setup.sh --repair corrects what it can.'
    fi
    if [ "$LEFT_TO_DO$NOT_SAVED" != nono ]; then
        exit 1
    elif [ "$UNTESTED" = no ]; then
        say 'No problem was found on this computer. What only a connection from the server can show, such as a firewall, is tested by: sudo sh setup.sh --verify'
    else
        say 'No problem was found, but not everything could be tested: see the lines with ?'
        [ "$IN_DOUBT" = no ] || exit 1
    fi
}

doctor_account() {
    if ! entry=$(os account_entry) || ! os account_is_local; then
        to_repair 'There is no account %s on this computer.' "$ACCOUNT"
        ENTERED=no
        return 0
    elif [ "$(printf '%s' "$entry" | cut -d: -f6)" != "$STATE_DIR" ]; then
        todo 'The account %s has a wrong home.' "$ACCOUNT"
    elif [ "$(printf '%s' "$entry" | cut -d: -f7)" != /bin/sh ]; then
        to_repair 'The account %s has a wrong shell.' "$ACCOUNT"
    elif os account_has_password; then
        to_repair 'The account %s has a password or is locked; sshd may refuse it.' "$ACCOUNT"
    elif [ "$(os account_expiry)" = now ]; then
        to_repair 'The account %s or its password has expired, so sshd and sudo refuse it. To correct that: sudo sh setup.sh --repair' "$ACCOUNT"
    else
        note 'the account %s' "$ACCOUNT"
    fi
    [ "$(os account_expiry)" != later ] ||
        caution 'The account %s or its password will expire; then sshd refuses it. To prevent that: sudo sh setup.sh --repair' "$ACCOUNT"
    can_enter || {
        ENTERED=no
        todo 'Root cannot become the account %s: %s' "$ACCOUNT" "$(tail -n 1 "$WORK/entry-errors" | printable)"
    }
}

doctor_files() {
    unsafe=$(unsafe_folder "${HELPER%/*}")
    [ -z "$unsafe" ] || todo 'Users other than root can change %s, and so the backup program.' "$unsafe"
    doctor_permissions
    missing=''
    for path in "$WRAPPER" "$HELPER" "$CONFIG"; do
        [ -f "$path" ] || missing="$missing $path"
    done
    if [ -n "$missing" ]; then
        to_repair 'The backup program is incomplete; missing:%s' "$missing"
    elif ! can_examine "$WRAPPER" || ! can_examine "$HELPER"; then
        :       # doctor_permissions has told it
    elif ! env test -x "$HELPER"; then
        todo 'The file system of %s may not start programs (noexec).' "$HELPER"
    elif ! cmp -s "$WRAPPER" "$HELPER"; then
        to_repair 'The two copies of the backup program differ.'
    elif given_wrapper && ! cmp -s "$WORK/wrapper" "$HELPER"; then
        to_repair 'The backup program is not the one of this setup: it is older, or was changed.'
    else
        note 'the backup program'
    fi
}

doctor_permissions() {
    while read -r path owner group mode; do
        if [ ! -e "$path" ]; then
            continue
        elif ! can_examine "$path"; then
            doubt 'not tested: %s, which root cannot examine' "$path"
        elif [ "$(os identity "$path")" != "$owner $group $mode" ]; then
            to_repair '%s has wrong permissions (%s instead of %s).' "$path" "$(os identity "$path")" "$owner $group $mode"
        fi
    done <<END
$STATE_DIR root $ACCOUNT 750
$STATE_DIR/.ssh root $ACCOUNT 750
$STATE_DIR/.ssh/authorized_keys root $ACCOUNT 640
$STATE_DIR/known_hosts root $ACCOUNT 640
$WRAPPER root $ROOT_GROUP 755
$HELPER root $ROOT_GROUP 755
$CONFIG root $ROOT_GROUP 644
$SUDOERS root $ROOT_GROUP 440
END
}

# Whether root can read a file and its permissions. If not, it is neither right nor wrong.
can_examine() {    # PATH
    { [ -d "$1" ] || cat <"$1" >/dev/null; } 2>/dev/null && [ -n "$(os identity "$1" 2>/dev/null)" ]
}

doctor_sudo() {
    if [ -f "$SUDOERS" ] && can_examine "$SUDOERS" && command -v visudo >/dev/null && compose_sudoers && ! cmp -s "$WORK/sudoers" "$SUDOERS"; then
        to_repair 'The lines for sudo in %s are not those of this setup: they are older, or were changed.' "$SUDOERS"
    fi
    tell_later_settings
    [ "$ENTERED" = yes ] || return 0
    status=0
    probe || status=$?
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ] || [ "$status" -eq 142 ]; then
        doubt 'not tested: the backup program, which did not answer within %s seconds' "$TIMEOUT"
        return 0
    elif [ "$status" -ne 0 ]; then
        # Our program begins each line with the name of the account.
        if grep -q "^$ACCOUNT: " "$WORK/probe-errors"; then
            todo 'The backup program does not start: %s' "$(grep "^$ACCOUNT: " "$WORK/probe-errors" | tail -n 1 | printable)"
        else
            [ -f "$SUDOERS" ] || REPAIRABLE=yes
            todo 'sudo does not let the account %s start the backup program: %s' "$ACCOUNT" \
                "$(tail -n 1 "$WORK/probe-errors" | printable)"
        fi
        return 0
    fi
    note 'sudo starts the backup program'
    probed share
    each_folder note '%s can be read'
    probed unreadable
    if [ "$OS" = macos ]; then     # macOS may hide from this Terminal what it shows to sshd
        each_folder untested '%s: only the server can test whether it can be read, with --verify'
    else
        each_folder todo '%s cannot be read. Does it exist?'
    fi
    probed included
    each_folder note '%s is a file system of its own, and is backed up too'
    probed closed
    each_folder caution '%s cannot be read and will not be backed up.'
    rsync=$(sed -n 's/^rsync://p' "$WORK/probe" | printable)
    doctor_rsync "$rsync"
    wall=$(sed -n 's/^wall://p' "$WORK/probe" | printable)
    doctor_wall "$wall" "$rsync"
    RESTORING=$(sed -n 's/^restore://p' "$WORK/probe" | printable)
    doctor_restore "$rsync" "$wall"
}

doctor_restore() {    # RSYNC-VERSION WALL
    say_who_restores
    case $RESTORING-$1-$2 in
        owner-*-namespace | owner-3.[5-9]* | owner-3.[1-9][0-9]* | owner-[4-9]* | owner-[1-9][0-9]*) ;;
        owner-*) todo 'A restore to the original folders (restore=owner) needs rsync 3.5 or later, not %s.' "$1" ;;
    esac
}

# Versions before 3.4 have vulnerabilities that another user of this computer could use against root.
doctor_rsync() {    # VERSION
    case $1 in
        openrsync* | '') note 'rsync: %s' "$1" ;;
        [012].* | v[012].* | 3.[0123] | 3.[0123].* | v3.[0123] | v3.[0123].*)
            if [ "$OS" = macos ]; then
                note 'rsync: %s, from Apple' "$1"
            else
                caution 'rsync %s is old (before 3.4); please install the updates of this system.' "$1"
            fi ;;
        *) note 'rsync: %s' "$1" ;;
    esac
}

# What keeps rsync inside the shared folders.
doctor_wall() {    # WALL VERSION
    case $1 in
        namespace) note 'rsync works in a file system that holds only the folder that is backed up or restored' ;;
        sandbox) note 'a sandbox keeps rsync inside the folder that is backed up or restored' ;;
        confine-root) note 'rsync keeps itself inside the folder that is backed up or restored' ;;
        *) todo 'Nothing keeps rsync %s inside the shared folders, so no backup starts. Please update rsync to 3.5 or later; in a container, let root mount.' "$2" ;;
    esac
}
