mac_record() {    # ATTRIBUTE
    dscl . -read "/Users/$ACCOUNT" "$1" 2>/dev/null | sed "s/^$1: //"
}

# Below 500 the login window does not show it. It has no password and no SecureToken, so it can log in by key only.
# The number comes last: killed before that, it is no account yet, and the next run goes on.
add_mac_account() {
    number=$(free_number) || return 1
    if group_exists; then
        number=$(group_number)
    else
        dscl . -create "/Groups/$ACCOUNT" &&
            dscl . -create "/Groups/$ACCOUNT" Password '*' &&
            dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" || return 1
    fi
    dscl . -create "/Users/$ACCOUNT" &&
        dscl . -create "/Users/$ACCOUNT" Password '*' &&
        dscl . -create "/Users/$ACCOUNT" RealName BackupPC &&
        dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh &&
        dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$PLACE" &&
        dscl . -create "/Users/$ACCOUNT" IsHidden 1 &&
        dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
        dscl . -create "/Users/$ACCOUNT" UniqueID "$number"
}

# The highest number below 500 that is neither a user's nor a group's: Apple takes more of them from below with
# every release.
free_number() {
    { dscl . -list /Users UniqueID && dscl . -list /Groups PrimaryGroupID; } | awk '
        { taken[$NF] = 1 }
        END { for (n = 499; n >= 200; n--) if (!(n in taken)) { print n; exit 0 } exit 1 }'
}

others_in_mac_group() {    # NUMBER
    { dscl . -list /Users PrimaryGroupID; dscl . -list /Groups PrimaryGroupID; } |
        G=$1 awk '$NF == ENVIRON["G"] { print $1 }'
    dscl . -read "/Groups/$ACCOUNT" GroupMembership NestedGroups 2>/dev/null | awk '
        /^(GroupMembership|NestedGroups):/ { sub(/^[^:]*:/, ""); listed = 1 }
        /^[^ ]/ { listed = 0 }
        listed { for (i = 1; i <= NF; i++) print $i }'
}

# None of these says truly whether it worked, and each of them fails on some release: the port tells.
switch_remote_login_on() {
    launchctl enable system/com.openssh.sshd || true
    launchctl bootstrap system "$MAC_SSH" || true
    sshd_answers || launchctl load -w "$MAC_SSH" || true
    sshd_answers || systemsetup -setremotelogin on || true
}

switch_remote_login_off() {
    launchctl disable system/com.openssh.sshd || true
    launchctl bootout system "$MAC_SSH" || true
}

# That group is there only where Remote Login is for some users alone; made by us it would shut out all others.
join_mac_group() {
    [ "$SYSTEM" = Darwin ] || return 0
    dseditgroup -o read "$MAC_GROUP" >/dev/null 2>&1 || return 0
    if dseditgroup -o checkmember -m "$ACCOUNT" "$MAC_GROUP" >/dev/null 2>&1; then
        return 0
    fi
    note 'letting %s use Remote Login' "$ACCOUNT"
    remember "member $MAC_GROUP"
    change dseditgroup -o edit -a "$ACCOUNT" -t user "$MAC_GROUP"
}

mac_console() {
    if [ "$SYSTEM" = Darwin ]; then
        stat -f %Su /dev/console 2>/dev/null || true
    fi
}

# No program may switch that on; it is for a person, or for the management of a fleet.
full_disk_access() {
    HIDDEN=yes
    mark 'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow it; no program can. Without that they would be missing in the backups.'
    case $(sw_vers -productVersion 2>/dev/null) in
        12*) mark 'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.' ;;
        *) mark 'System Settings, General, Sharing, the (i) of Remote Login: switch on "Allow full disk access for remote users".' ;;
    esac
}
