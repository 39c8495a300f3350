# Read a reply into REPLY_*. False: it is an error of the server's, or no reply that we understand (PROBLEM says so).
understand() {    # FILE check|register|verify
    REPLY_HOST='' REPLY_PERSON='' REPLY_KEY='' REPLY_FROM='' REPLY_BACKUP='' REPLY_SHARES='' SEEN=' '
    [ "$2" = verify ] || REPLY_URL='' REPLY_ADVICE=''
    PROBLEM=''
    first=yes
    while IFS= read -r reply_line || [ -n "$reply_line" ]; do
        if [ "$first" = yes ]; then
            [ "$reply_line" = success ] || return 1
            first=no
        else
            reply_word "$reply_line"
        fi
    done <"$1"
    if [ "$first" = yes ]; then
        PROBLEM=empty
    elif [ "$REPLY_STATUS" -eq 255 ] || took_too_long; then
        PROBLEM='cut off'
    elif [ "$2" = register ]; then
        judge_registration
    fi
    [ -z "$PROBLEM" ]
}

reply_word() {
    case $1 in
        *:*) ;;
        *) return 0 ;;
    esac
    word=${1%%:*}
    value=$(printf '%s' "${1#*:}" | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//')
    case $word in
        host) REPLY_HOST=$value ;;
        person) REPLY_PERSON=$value ;;
        key) REPLY_KEY=$value ;;
        url) REPLY_URL=$value ;;
        shares) REPLY_SHARES=$value ;;
        from) REPLY_FROM=$value ;;
        backup) REPLY_BACKUP=$value ;;
        advice) REPLY_ADVICE=$value ;;
        *) return 0 ;;
    esac
    case $SEEN in
        *" $word "*) PROBLEM="$word twice" ;;
    esac
    SEEN="$SEEN$word "
}

# What a registration must bring: one key, and addresses and an address of a page that are what they should be.
judge_registration() {
    if [ -z "$REPLY_KEY" ]; then
        PROBLEM='no key'
    elif ! plain_key "$REPLY_KEY"; then
        PROBLEM='key'
    elif [ -n "$REPLY_FROM" ] && ! address_list "$REPLY_FROM"; then
        PROBLEM='from'
    fi
    case $REPLY_URL in
        http://?* | https://?*) ;;
        *) REPLY_URL='' ;;
    esac
    case $REPLY_URL in
        *[!!-~]*) REPLY_URL='' ;;
    esac
}

# Whether TEXT is one public key and nothing more. KEY becomes its type, its body and a tame comment: a comment is
# text from the network, and nothing before the type could ever be taken for an option.
plain_key() {    # TEXT
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

# The CODE of the error in WORK/reply; servers from before "error:" say it in words only.
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

give_up() {
    ! took_too_long ||
        die 5 '%s has not answered within %s seconds.' "$SERVER" "$PATIENCE"
    if [ -n "$PROBLEM" ] || [ ! -s "$WORK/reply" ]; then
        printable <"$WORK/ssh-errors" >&2
        printable <"$WORK/reply" >&2
        die 1 'The server’s reply is not understood (%s). Nothing was installed from it.' "${PROBLEM:-$REPLY_STATUS}"
    fi
    show_error
    exit 4
}

# The whole of it, then what to do about it.
show_error() {
    warn 'The server answers:'
    TEXT=$(printable <"$WORK/reply" | sed 's/^/    /')
    keep_in_log
    printf '%s\n' "$TEXT" >&2
    advise "$(error_code)"
}

advise() {    # CODE
    case $1 in
        bad-user) warn 'There is no such logon in the directory. Is it spelled right?' ;;
        dns-name) warn 'The network does not know this computer by a name of ours. Connect it to the campus network, by cable if you can, and try again.' ;;
        other-owner) warn 'This computer is registered for somebody else. Only the backup administrator can change that.' ;;
        host-key-changed) warn 'The server knows another computer under this name. If this one was reinstalled, please tell the backup administrator.' ;;
        not-registered) warn 'The server does not know this computer. Please start the setup again.' ;;
        not-allowed) warn 'This site does not back this computer up. The backup administrator can tell you why.' ;;
        not-reachable) warn 'The server cannot connect to this computer. Is a firewall in the way?' ;;
        too-many-requests) warn 'Please wait a minute and start the setup again.' ;;
        directory-unavailable | dns-unavailable) warn 'The server could not ask all that it needs to know. Please try again in a few minutes.' ;;
        ostype-unknown | no-command) warn 'The server does not understand this setup. Please get a new copy of it.' ;;
        could-not-register | no-config-file | misconfigured | internal) warn 'The server has a problem of its own. Please tell the backup administrator.' ;;
        *) warn 'Please show this to the backup administrator.' ;;
    esac
}
