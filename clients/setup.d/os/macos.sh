# macOS 12 and later. What each function does is in os/unsupported.sh.

system_detect_macos() {
    ROOT_GROUP=wheel HOMES=/Users OSTYPE_WORD=mac FAMILY=macos
    version=$(sw_vers -productVersion 2>/dev/null) || version=0
    case ${version%%.*} in
        '' | *[!0-9]* | ? | 10 | 11) OS=unsupported ;;
    esac
}

tools_macos() { printf '%s\n' ssh ssh-keygen sshd sudo visudo rsync su bash dscl dseditgroup; }
packages_for_macos() { die 1 'This Mac lacks standard programs of macOS: %s' "$*"; }
packages_install_macos() { return 1; }
identity_macos() { stat -f '%Su %Sg %Lp' -- "$1"; }

account_entry_macos() {
    id -u "$ACCOUNT" >/dev/null 2>&1 || return 1
    printf '%s:*:%s:%s:BackupPC:%s:%s\n' "$ACCOUNT" "$(id -u "$ACCOUNT")" "$(id -g "$ACCOUNT")" \
        "$(account_attribute NFSHomeDirectory)" "$(account_attribute UserShell)"
}

account_attribute() {    # ATTRIBUTE
    dscl . -read "/Users/$ACCOUNT" "$1" 2>/dev/null | sed "s/^$1: //"
}

account_is_local_macos() { dscl . -read "/Users/$ACCOUNT" UniqueID >/dev/null 2>&1; }

# An account or a group is created attribute by attribute; half of it counts too.
account_was_made_macos() { dscl . -read "/Users/$ACCOUNT" RecordName >/dev/null 2>&1; }

# Below 500 the login window does not show it. It has no password and no SecureToken, so it can log in by key only.
# The number comes last: if the setup is killed before that, this is no account yet, and the next run continues.
account_add_macos() {
    number=$(free_number) || return 1
    if group_is_local_macos; then
        number=$(group_number_macos)
    else
        dscl . -create "/Groups/$ACCOUNT" &&
            dscl . -create "/Groups/$ACCOUNT" Password '*' &&
            dscl . -create "/Groups/$ACCOUNT" PrimaryGroupID "$number" || return 1
    fi
    dscl . -create "/Users/$ACCOUNT" &&
        dscl . -create "/Users/$ACCOUNT" Password '*' &&
        dscl . -create "/Users/$ACCOUNT" RealName BackupPC &&
        dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh &&
        dscl . -create "/Users/$ACCOUNT" NFSHomeDirectory "$STATE_DIR" &&
        dscl . -create "/Users/$ACCOUNT" IsHidden 1 &&
        dscl . -create "/Users/$ACCOUNT" PrimaryGroupID "$number" &&
        dscl . -create "/Users/$ACCOUNT" UniqueID "$number"
}

# The highest number below 500 that no user and no group has: each release of macOS uses more of them, from below.
free_number() {
    { dscl . -list /Users UniqueID && dscl . -list /Groups PrimaryGroupID; } | awk '
        { taken[$NF] = 1 }
        END { for (n = 499; n >= 200; n--) if (!(n in taken)) { print n; exit 0 } exit 1 }'
}

as_account_macos() { with_timeout "$TIMEOUT" su "$ACCOUNT" -c "$1"; }
account_expiry_macos() { :; }
account_has_password_macos() { return 1; }
account_repair_macos() { dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh; }
account_remove_macos() { dscl . -delete "/Users/$ACCOUNT"; }
first_person_id_macos() { printf 500; }
group_is_local_macos() { dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1; }
group_is_known_macos() { dscl /Search -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1; }
group_was_made_macos() { dscl . -read "/Groups/$ACCOUNT" RecordName >/dev/null 2>&1; }

group_number_macos() {
    dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID | sed 's/^PrimaryGroupID: //'
}

group_members_macos() {
    { dscl . -list /Users PrimaryGroupID; dscl . -list /Groups PrimaryGroupID; } |
        G=$1 awk '$NF == ENVIRON["G"] { print $1 }'
    dscl . -read "/Groups/$ACCOUNT" GroupMembership NestedGroups 2>/dev/null | awk '
        /^(GroupMembership|NestedGroups):/ { sub(/^[^:]*:/, ""); listed = 1 }
        /^[^ ]/ { listed = 0 }
        listed { for (i = 1; i <= NF; i++) print $i }'
}

group_remove_macos() { dscl . -delete "/Groups/$ACCOUNT"; }

sshd_enable_macos() {
    launchctl print system/com.openssh.sshd >/dev/null 2>&1 || receipt_add 'enabled remote-login'
    change turn_on_remote_login >/dev/null 2>&1
}

# The status of none of these commands is reliable, and each of them fails on some release: only the port proves it.
turn_on_remote_login() {
    launchctl enable system/com.openssh.sshd || true
    launchctl bootstrap system "$MAC_SSH" || true
    server_finds_sshd || launchctl load -w "$MAC_SSH" || true
    server_finds_sshd || systemsetup -setremotelogin on || true
}

sshd_disable_macos() {
    launchctl disable system/com.openssh.sshd || true
    launchctl bootout system "$MAC_SSH" || true
}

sshd_sockets_macos() { :; }

own_address_macos() {
    case $1 in
        *:*) interface=$(route -n get -inet6 "$1" 2>/dev/null | sed -n 's/^ *interface: //p') family=inet6 ;;
        *) interface=$(route -n get "$1" 2>/dev/null | sed -n 's/^ *interface: //p') family=inet ;;
    esac
    [ -z "$interface" ] || ifconfig "$interface" "$family" 2>/dev/null |
        awk -v family="$family" '$1 == family && $2 !~ /^fe80/ && !/temporary|deprecated/ { print $2; exit }'
}

login_trial_macos() { :; }

sshd_ask_to_enable_macos() { todo 'Please turn on Remote Login: System Settings, General, Sharing.'; }

# That group exists only if Remote Login is limited to some users. If the setup created it, all others were locked out.
sshd_allow_account_macos() {
    dseditgroup -o read "$MAC_GROUP" >/dev/null 2>&1 || return 0
    if dseditgroup -o checkmember -m "$ACCOUNT" "$MAC_GROUP" >/dev/null 2>&1; then
        return 0
    fi
    note 'allowing %s to use Remote Login' "$ACCOUNT"
    receipt_add "member $MAC_GROUP"
    change dseditgroup -o edit -a "$ACCOUNT" -t user "$MAC_GROUP"
}

firewall_name_macos() { :; }

addresses_of_macos() {
    dscacheutil -q host -a name "$1" | sed -En 's/^ip(v6)?_address: //p'
}

console_user_macos() {
    stat -f %Su /dev/console 2>/dev/null || true
}

# Homebrew's rsync belongs to a person, who would then be root. Apple's belongs to root.
rsync_path_macos() { printf /usr/bin/rsync; }

# No program may turn that on; a person can, or the management of a fleet.
advise_unreadable_folder_macos() {
    HIDDEN=yes
    mark 'macOS hides Documents, Desktop, Mail and other folders from the server, even from root, until you allow access. No program can allow it. Until then these folders are missing in the backups.'
    case $(sw_vers -productVersion 2>/dev/null) in
        12*) mark 'System Preferences, Security & Privacy, Privacy, Full Disk Access: add /usr/libexec/sshd-keygen-wrapper.' ;;
        *) mark 'System Settings, General, Sharing, the (i) of Remote Login: turn on "Allow full disk access for remote users".' ;;
    esac
}
