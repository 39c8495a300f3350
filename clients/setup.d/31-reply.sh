# The reply of the server: read it, trust only what is well-formed, explain an error.

# Read a reply into REPLY_*. Return false if it is an error of the server, or not understood (PROBLEM says why).
read_reply() {    # FILE check|register|verify
    REPLY_HOST='' REPLY_PERSON='' REPLY_KEY='' REPLY_FROM='' REPLY_BACKUP='' REPLY_SHARES='' REPLY_LACKING='' REPLY_PORT='' REPLY_STATE='' SEEN=' '
    [ "$2" = verify ] || REPLY_URL='' REPLY_ADVICE=''
    PROBLEM=''
    first=yes
    while IFS= read -r reply_line || [ -n "$reply_line" ]; do
        if [ "$first" = yes ]; then
            [ "$reply_line" = success ] || return 1
            first=no
        else
            read_reply_line "$reply_line"
        fi
    done <"$1"
    case $REPLY_URL in
        *[!!-~]*) REPLY_URL='' ;;
        http://?* | https://?*) ;;
        *) REPLY_URL='' ;;
    esac
    if [ "$first" = yes ]; then
        PROBLEM=empty
    elif [ "$REPLY_STATUS" -eq 255 ] || timed_out; then
        PROBLEM='cut off'
    elif [ "$2" = register ]; then
        check_registration
    fi
    [ -z "$PROBLEM" ]
}

read_reply_line() {
    case $1 in
        *:*) ;;
        *) return 0 ;;
    esac
    word=${1%%:*}
    case $word in
        host | person | key | url | shares | lacking | from | backup | port | status | advice) ;;
        *) return 0 ;;
    esac
    case $SEEN in
        *" $word "*) PROBLEM="$word twice"; return 0 ;;
    esac
    SEEN="$SEEN$word "
    value=$(printf '%s' "${1#*:}" | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//')
    case $word in
        host) REPLY_HOST=$value ;;
        person) REPLY_PERSON=$value ;;
        key) REPLY_KEY=$value ;;
        url) REPLY_URL=$value ;;
        shares) REPLY_SHARES=$value ;;
        lacking) REPLY_LACKING=$value ;;
        from) REPLY_FROM=$value ;;
        backup) REPLY_BACKUP=$value ;;
        port) REPLY_PORT=$value ;;
        status) REPLY_STATE=$value ;;
        advice) REPLY_ADVICE=$value ;;
    esac
}

# A registration must bring one key, and its addresses must be well-formed.
check_registration() {
    if [ -z "$REPLY_KEY" ]; then
        PROBLEM='no key'
    elif ! check_key "$REPLY_KEY"; then
        PROBLEM='key'
    elif [ -n "$REPLY_FROM" ] && ! address_list "$REPLY_FROM"; then
        PROBLEM='from'
    fi
}

# Whether TEXT is one public key and nothing more. Set KEY to its type, its body and a harmless comment. Text before the
# type is refused, because sshd would take it for options.
check_key() {    # TEXT
    kind=${1%% *}
    rest=${1#* }
    body=${rest%% *}
    comment=''
    [ "$rest" = "$body" ] || comment=${rest#* }
    case $kind in
        ssh-ed25519 | ssh-rsa | ecdsa-sha2-nistp256 | ecdsa-sha2-nistp384 | ecdsa-sha2-nistp521) ;;
        *) return 1 ;;
    esac
    case $body in
        '' | *[!A-Za-z0-9+/=]*) return 1 ;;
    esac
    printf '%s %s\n' "$kind" "$body" >"$WORK/key"
    bits=$(ssh-keygen -lf "$WORK/key" 2>/dev/null | cut -d ' ' -f 1)
    case $bits in
        '' | *[!0-9]*) return 1 ;;
    esac
    if [ "$kind" = ssh-rsa ] && [ "$bits" -lt 2048 ]; then
        return 1
    fi
    comment=$(printf '%s' "$comment" | tr -cd 'A-Za-z0-9 ._@:+-' | cut -c 1-200)
    KEY="$kind $body${comment:+ $comment}"
}

# Print the CODE of the error in WORK/reply. Old servers have no line "error:", only the message.
error_code() {
    code=$(sed -n '2,$s/^error:[[:blank:]]*\([a-z-]*\)$/\1/p' "$WORK/reply" | head -n 1)
    if [ -n "$code" ]; then
        printf '%s' "$code"
        return 0
    fi
    case $(head -n 1 "$WORK/reply" | printable) in
        success) ;;
        *'no command given'*) printf no-command ;;
        *'ostype is unknown'*) printf ostype-unknown ;;
        *'bad user request'*) printf bad-user ;;
        *'invalid DNS name for this IP'*) printf dns-name ;;
        *'refusing to re-register client host'*) printf other-owner ;;
        *'Could not register'*) printf could-not-register ;;
        *'could not generate config file'*) printf no-config-file ;;
    esac
}

reply_line_of() {    # KEYWORD
    sed -n "2,\$s/^$1:[[:blank:]]*//p" "$WORK/reply" | head -n 1 | printable
}

reject_reply() {
    ! timed_out || die 5 '%s did not answer within %s seconds.' "$SERVER" "$TIMEOUT"
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        die 1 'The reply of the server is not understood (%s). Nothing was installed from it.' "${PROBLEM:-$REPLY_STATUS}"
    fi
    show_error
    exit 4
}

# Show the whole reply, then what to do. A step has advice of its own.
show_error() {
    warn 'The server replied:'
    TEXT=$(printable <"$WORK/reply" | sed 's/^/    /')
    show_warning
    [ -n "$(reply_line_of step)" ] || advise "$(error_code)"
}

advise() {    # CODE
    case $1 in
        bad-user) warn 'There is no such logon in the directory. Is it spelled correctly?' ;;
        dns-name) warn 'The network has no name of the institution for this computer. Connect it to the campus network, by cable if you can, and try again.' ;;
        other-owner) warn 'This computer is registered for another person. Only the backup administrator can change that.' ;;
        host-key-changed) warn 'The server knows another computer under this name. If this computer was reinstalled, please tell the backup administrator.' ;;
        not-registered) warn 'The server does not know this computer any more. Please start the setup with --force.' ;;
        not-allowed) warn 'This site does not back up this computer. The backup administrator can tell you why.' ;;
        not-reachable) warn 'The server cannot connect to this computer. Is a firewall in the way?' ;;
        too-many-requests) warn 'Please wait a minute, then start the setup again.' ;;
        directory-unavailable | dns-unavailable) warn 'The server could not check everything. Please try again in a few minutes.' ;;
        ostype-unknown | no-command) warn 'The server does not understand this setup. Please get a new copy of the setup.' ;;
        could-not-register | no-config-file | misconfigured | internal)
            if [ "$REPLY_STATUS" -eq 75 ]; then
                warn 'The server is busy. Please try again later.'
            else
                warn 'The server has an internal problem. Please tell the backup administrator.'
            fi ;;
        *) warn 'Please show this to the backup administrator.' ;;
    esac
}
