# No success that is not true: the server comes back, logs in, and tries the way of a backup.
verify() {
    if [ "$VERIFY" = no ]; then
        return 0
    elif [ "$TASK" = setup ] && [ "$TRY_AGAIN" = no ] && remembers "verified $SERVER $LOGON" && [ -z "$(unsaved)" ]; then
        return 0
    fi
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then
        note 'having %s test its way back to this computer' "$SERVER"
        return 0
    fi
    [ -f "$PLACE/register-key" ] || prepare_call
    host_key_lines >"$WORK/host-keys"
    note '%s comes back here; that may take half a minute' "$SERVER"
    call "verify:$OSTYPE_WORD:$LOGON" "$WORK/host-keys"
    if understand "$WORK/reply" verify; then
        remember "verified $SERVER $LOGON"
        LEFT_TO_DO=no       # whatever seemed to be in its way
        note 'it came in and could read: backups will work'
        [ -z "$REPLY_BACKUP" ] || note 'the first backup begins soon'
        case $REPLY_SHARES in
            '' | *[!\ -~]*) forget 'shares ' ;;
            *) remember_one shares "$REPLY_SHARES" ;;
        esac
        tell_unsaved
    elif [ "$(error_code)" = ostype-unknown ]; then
        note 'this server does not test its way back'
    else
        not_verified
    fi
}

# What of this computer's folders is not saved although the server may read it, by what it said last.
unsaved() {
    saved=$(remembered shares)
    if [ -z "$saved" ] || [ ! -f "$CONFIG" ]; then
        return 0
    fi
    sed -n 's/^share=//p' "$CONFIG" | while IFS= read -r folder; do
        is_in_one_of "$(as_server_writes "${folder%/}")" "$saved" || printf '%s\n' "$folder"
    done
}

# Whether FOLDER is one of FOLDERS, or below one.
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

# Bytes outside printable ASCII, the backslash, the blank and = are \xHH there.
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

tell_unsaved() {
    unsaved >"$WORK/folders"
    [ ! -s "$WORK/folders" ] || UNSAVED=yes
    while IFS= read -r folder; do
        mark 'The server may read %s, and does not save it. Add it on its web page for this computer (Edit Config, Xfer, RsyncShareName) or ask the backup administrator; then: sudo sh setup.sh --verify' "$folder"
    done <"$WORK/folders"
}

# What this computer's sshd calls itself, for the server to compare.
host_key_lines() {
    { setting hostkey | grep . || printf '%s\n' /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key; } |
        while IFS= read -r file; do
            { cat "$file.pub" 2>/dev/null || ssh-keygen -y -P '' -f "$file" 2>/dev/null || true; } |
                awk 'NF >= 2 { print "hostkey:" $1 " " $2; exit }'
        done
    printf '.\n'
}

not_verified() {
    forget "verified $SERVER "
    VERIFIED=no
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        warn 'The server’s reply is not understood (%s).' "${PROBLEM:-$REPLY_STATUS}"
        return 0
    fi
    show_error
    reason=$(reply_line_of step)
    [ -z "$reason" ] || advise_step "$reason"
    print=$(reply_line_of fingerprint)
    [ -z "$print" ] || warn 'Its new key, for the administrator: %s' "$print"
}

# What the owner of this computer can do about a step that failed.
advise_step() {    # STEP
    case $1 in
        refused) warn 'No ssh server listens here. Start the setup with --repair.' ;;
        firewall) warn 'A firewall, here or on the way, keeps the server from port 22. Let it in for ssh.' ;;
        ping) warn 'The server pings before every backup, and got no answer. Let ping (ICMP echo) through the firewall.' ;;
        slow) warn 'The network is too slow for a backup now. Use a cable, or try again nearer to the Wi-Fi.' ;;
        name) warn 'The server finds no address for the name of this computer. The network administrator can mend that.' ;;
        hung-up) warn 'sshd here hangs up on the server, perhaps after too many tries. Wait some minutes.' ;;
        not-ssh) warn 'Something else than sshd answers on the ssh port of this computer.' ;;
        negotiation) warn 'sshd here is too old, or set up so that the server cannot talk to it.' ;;
        host-key) warn 'Another machine answers at the address of this one. Please tell the network administrator.' ;;
        login) warn 'sshd here does not let the account %s in. Start the setup with --doctor.' "$ACCOUNT" ;;
        wrapper | sudo) warn 'The backup program does not start as it should. Start the setup with --repair.' ;;
        rsync) warn 'rsync does not work here. Start the setup with --repair.' ;;
        unclean) warn 'Something prints at the login of the server, and breaks backups. Look at /etc/ssh/sshrc and at .bashrc of %s.' \
            "$ACCOUNT" ;;
        empty) warn 'A folder that is to be backed up has no file in it that the server would save.' ;;
        file-system) warn 'The folders to be backed up are on another file system, a server’s perhaps. Start the setup with --share FOLDER, or have that server backed up.' ;;
        folder) if [ "$SYSTEM" = Darwin ]; then full_disk_access; else
            warn 'A folder that is to be backed up cannot be read. Is it there?'
            fi ;;
        share) warn 'The server is to save a folder that this computer does not give. Start the setup with --share for each folder to be saved, this one too; or take it out on the server’s web page for this computer (Edit Config, Xfer, RsyncShareName).' ;;
        silent) warn 'This computer or the network was too slow. Please try again later.' ;;
        disabled) warn 'The backups of this computer are switched off on the server. The backup administrator can tell you why.' ;;
        settings | elsewhere) warn 'The server’s settings for this computer need the backup administrator.' ;;
        *) warn 'Please show this to the backup administrator too.' ;;
    esac
}
