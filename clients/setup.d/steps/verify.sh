# Step: the server proves that a backup works: it connects to this computer, logs in, and tries to read.

verify() {
    if [ "$VERIFY" = no ]; then
        return 0
    elif [ "$TASK" = setup ] && [ "$TRY_AGAIN" = no ] && receipt_has "verified $SERVER $LOGON" &&
        [ -z "$(folders_not_saved)$(receipt_get lacking)" ]; then
        return 0
    fi
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then
        note 'having %s connect to this computer as a test' "$SERVER"
        return 0
    fi
    [ -f "$STATE_DIR/register-key" ] || prepare_call
    host_key_lines >"$WORK/host-keys"
    note '%s now connects to this computer; this may take half a minute' "$SERVER"
    call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    if stopped_meanwhile; then
        get_new_key
        call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    fi
    if read_reply "$WORK/reply" verify; then
        [ "$REPLY_STATE" != resumed ] || note 'the backups of this computer had been stopped, and start again'
        receipt_add "verified $SERVER $LOGON"
        LEFT_TO_DO=no       # whatever seemed to block it does not
        note 'the server logged in and could read: backups will work'
        [ -z "$REPLY_BACKUP" ] || note 'the first backup starts soon'
        case $REPLY_SHARES in
            '' | *[!\ -~]*) receipt_drop 'shares ' ;;
            *) receipt_set shares "$REPLY_SHARES" ;;
        esac
        case $REPLY_PORT in
            '' | *[!0-9]* | ??????*) ;;
            *) receipt_set door "$REPLY_PORT" ;;
        esac
        receipt_drop 'lacking '
        case $REPLY_LACKING in
            '' | *[!\ -~]*) ;;
            *) receipt_set lacking "$REPLY_LACKING" ;;
        esac
        say_own_file_systems
        mark_folders_not_saved
    elif [ "$(error_code)" = ostype-unknown ]; then
        note 'this server does not test its connection to this computer'
    elif [ "$(error_code)" = not-registered ] && renamed_meanwhile; then
        receipt_drop "verified $SERVER "
        tell_renamed
    else
        not_verified
    fi
}

# A computer with a new name is one that the server does not know. Keeps the reply.
renamed_meanwhile() {
    cat <"$WORK/reply" >"$WORK/verify-reply"
    ask_registration call_once
    cat <"$WORK/verify-reply" >"$WORK/reply"
    [ "$REGISTRATION" = renamed ]
}

# Whether the server did not take the key because an administrator has stopped the backups: then only a key that it
# gives after that counts. Keeps the reply.
stopped_meanwhile() {
    case $(error_code) in
        not-registered) ;;
        not-reachable) [ "$(reply_line_of step)" = login ] || return 1 ;;
        *) return 1 ;;
    esac
    cat <"$WORK/reply" >"$WORK/verify-reply"
    verify_status=$REPLY_STATUS
    ask_registration call_once
    cat <"$WORK/verify-reply" >"$WORK/reply"
    REPLY_STATUS=$verify_status
    [ "$REGISTRATION" = retired ]
}

# The person has confirmed the registration before.
get_new_key() {
    call "$OSTYPE_WORD:$LOGON"
    if ! read_reply "$WORK/reply" register; then
        reject_reply
    fi
    accept_registration
    REPLY_ADVICE=''
    note 'the server has given this computer a new key'
}

# Print the folders that the server may read but does not back up, by its last reply.
folders_not_saved() {
    saved=$(receipt_get shares)
    if [ -z "$saved" ] || [ ! -f "$CONFIG" ]; then
        return 0
    fi
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r folder; do
        is_in_one_of "$(as_server_writes "${folder%/}")" "$saved" || is_saved_in_parts "$folder" "$saved" ||
            printf '%s\n' "$folder"
    done
}

# Whether FOLDER is one of FOLDERS, or below one of them.
is_in_one_of() {    # FOLDER FOLDERS
    F=$1 S=$2 awk 'BEGIN {
        count = split(ENVIRON["S"], whole, " ")
        for (i = 1; i <= count; i++) {
            sub(/\/+$/, "", whole[i])
            if (index(ENVIRON["F"] "/", whole[i] "/") == 1) exit 0
        }
        exit 1
    }'
}

# Whether all folders at the top of FOLDER are file systems of their own, by the last probe, and are among SAVED.
is_saved_in_parts() {    # FOLDER SAVED
    [ -f "$WORK/probe" ] && F=${1%/} S=$2 awk 'BEGIN {
            count = split(ENVIRON["S"], saved, " ")
            for (i = 1; i <= count; i++) {
                sub(/\/+$/, "", saved[i])
                is[saved[i]] = 1
            }
        }
        index($0, "folders:") == 1 && substr($0, index($0, " ") + 1) == ENVIRON["F"] { all = substr($0, 9) + 0 }
        index($0, "mounted:" ENVIRON["F"] "/") == 1 && substr($0, 9) in is { parts++ }
        END { exit !(all && parts >= all) }' "$WORK/probe"
}

# The server writes bytes outside printable ASCII, the backslash, the blank and = as \xHH.
as_server_writes() {    # TEXT
    printf '%s' "$1" | od -An -v -tx1 | awk '{
        for (i = 1; i <= NF; i++) {
            byte = 16 * (index(digits, substr($i, 1, 1)) - 1) + index(digits, substr($i, 2, 1)) - 1
            plain = byte > 32 && byte < 127 && byte != 61 && byte != 92
            out = out (plain ? sprintf("%c", byte) : "\\x" $i)
        }
    }
    BEGIN { digits = "0123456789abcdef" }
    END { printf "%s", out }'
}

# Homes that are file systems of their own are backed up too; those that are not on a disk of this computer are not.
say_own_file_systems() {
    if probe; then
        probed included
        each_folder note '%s is a file system of its own, and is backed up too'
    fi
}

mark_folders_not_saved() {
    probed closed
    cat "$WORK/folders" >"$WORK/closed"
    receipt_get lacking | tr ' ' '\n' >"$WORK/lacking"
    [ ! -s "$WORK/lacking" ] || NOT_SAVED=yes
    grep -vxF -f "$WORK/closed" "$WORK/lacking" >"$WORK/folders" || true
    each_folder mark 'The home %s is not backed up, because it is on another file system. If it is on a file server, have that file server backed up. Otherwise add it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify'
    grep -xF -f "$WORK/closed" "$WORK/lacking" >"$WORK/folders" || true
    each_folder mark 'The home %s is not backed up, because not even root may read it. If it is mounted by FUSE, mount it with the option allow_other. Then: sudo sh setup.sh --verify'
    folders_not_saved >"$WORK/folders"
    [ ! -s "$WORK/folders" ] || NOT_SAVED=yes
    each_folder mark 'The server may read %s but does not back it up. Add the folder on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName), or ask the backup administrator. Then: sudo sh setup.sh --verify'
}

# Print the host keys of this computer, for the server to compare.
host_key_lines() {
    { sshd_setting hostkey | grep . || printf '%s\n' /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key; } |
        while IFS= read -r file; do
            { cat "$file.pub" 2>/dev/null || ssh-keygen -y -P '' -f "$file" 2>/dev/null || true; } |
                awk 'NF >= 2 { print "hostkey:" $1 " " $2; exit }'
        done
    printf '.\n'
}

not_verified() {
    receipt_drop "verified $SERVER "
    VERIFIED=no
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        warn 'The reply of the server is not understood (%s).' "${PROBLEM:-$REPLY_STATUS}"
        return 0
    fi
    show_error
    reason=$(reply_line_of step)
    [ -z "$reason" ] || advise_step "$reason"
    print=$(reply_line_of fingerprint)
    [ -z "$print" ] || warn 'The new host key, for the administrator: %s' "$print"
}

# What a person at this computer can do about a step that failed.
advise_step() {    # STEP
    case $1 in
        login | wrapper | sudo | unclean)
            check_pam || true
            [ "$LEFT_TO_DO" = no ] || return 0 ;;
    esac
    case $1 in
        refused) warn 'No ssh server listens on this computer. Start the setup with --repair.' ;;
        firewall) warn 'A firewall, on this computer or on the network, blocks port 22 for the server. Allow ssh from the server.' ;;
        ping) warn 'The server pings this computer before every backup, and got no answer. Allow ping (ICMP echo) in the firewall.' ;;
        slow) warn 'The network is too slow for a backup now. Use a cable, or move closer to the Wi-Fi, and try again.' ;;
        name) warn 'The server finds no address for the name of this computer. Please tell the network administrator.' ;;
        hung-up) warn 'sshd on this computer closes the connection of the server, perhaps after too many attempts. Wait some minutes.' ;;
        not-ssh) warn 'Another program than sshd answers on the ssh port of this computer.' ;;
        negotiation) warn 'The ssh server of this computer and the backup server have no method of encryption in common. Please update this computer. If that does not help, the backup administrator can tell you more.' ;;
        host-key) warn 'Another computer answers at the address of this one. Please tell the network administrator.' ;;
        login)
            ! sshd_is tinyssh ||
                warn 'The ssh server of this computer is tinysshd, which cannot limit a key to the backup program. Please install OpenSSH instead.'
            warn 'sshd on this computer refuses the account %s. Start the setup with --doctor.' "$ACCOUNT" ;;
        wrapper | sudo) warn 'The backup program does not start correctly. Start the setup with --repair.' ;;
        rsync)
            if reply_line_of advice | grep -q 'BackupPC'; then
                advise_step settings
            else
                warn 'rsync does not work on this computer. Start the setup with --repair.'
            fi ;;
        unclean) warn 'Something prints text when the server logs in, and that breaks backups. Check /etc/ssh/sshrc and the .bashrc of %s.' "$ACCOUNT" ;;
        empty) warn 'A folder to back up contains no file that the server would back up.' ;;
        file-system) warn 'The folders to back up are file systems of their own, which the server leaves out. The advice of the server names what to do. Then: sudo sh setup.sh --verify' ;;
        folder) os advise_unreadable_folder ;;
        share) warn 'The server is set to back up a folder that this computer does not share. Start the setup with --share for each folder to back up, including this one. Or remove it on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).' ;;
        silent) warn 'This computer or the network was too slow. Please try again later.' ;;
        disabled) warn 'The backups of this computer are disabled on the server. The backup administrator can tell you why.' ;;
        settings | elsewhere) warn 'Only the backup administrator can correct the server’s settings for this computer.' ;;
        *) warn 'Please show this to the backup administrator too.' ;;
    esac
}
