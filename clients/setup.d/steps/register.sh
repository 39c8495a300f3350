# Step: register this computer with the server, for a person who confirms it.

ask_logon() {
    guess=$(likely_logon)
    while :; do
        ask 'Your logon [%s]:' "$guess"
        LOGON=$(without_blanks "${ANSWER:-$guess}")
        LOGON=${LOGON:-$guess}
        if possible_logon "$LOGON"; then
            return 0
        fi
        explain_logon "$LOGON"
    done
}

# Guess who uses this computer.
likely_logon() {
    for name in "${SUDO_USER:-}" "$(os console_user)" "$(logname 2>/dev/null || true)" "$(who 2>/dev/null | awk 'NR == 1 { print $1 }')"; do
        if [ "$name" != root ] && possible_logon "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
}

register() {
    if already_registered && still_registered; then
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        note 'registering this computer with %s, then installing the key of that server' "$SERVER"
        note_keys
        CHANGES=$((CHANGES + 1))
        return 0
    fi
    prepare_call
    confirm_person
    if [ "$REGISTRATION" = renamed ]; then
        tell_renamed
        return 0
    fi
    call "$OSTYPE_WORD:$LOGON"
    if ! read_reply "$WORK/reply" register; then
        reject_reply
    fi
    accept_registration
    [ "$REPLY_STATE" != retired ] || note_retired
}

accept_registration() {
    install_key
    receipt_drop 'verified '
    receipt_set registered "$SERVER $LOGON"
    case $REPLY_HOST in
        '' | *[!A-Za-z0-9._-]*) ;;
        *) receipt_set host "$REPLY_HOST" ;;
    esac
    [ -z "$REPLY_URL" ] || receipt_set url "$REPLY_URL"
    if [ -n "$FROM" ]; then
        receipt_set from "$FROM"
    else
        receipt_drop 'from '
    fi
    receipt_set port "$PORT"
}

# The next step asks for what the server advises.
note_retired() {
    note 'the administrator has stopped the backups of this computer'
    if [ "$VERIFY" = yes ]; then
        note 'the server now decides whether they start again'
        REPLY_ADVICE=''
    fi
}

# The server's key is as trustworthy as the host key that the server proves itself by.
note_keys() {
    print=$(ssh-keygen -l -F "$(known_hosts_name)" -f "$WORK/known-hosts" 2>/dev/null | grep -o 'SHA256:[A-Za-z0-9+/]*' | head -n 1) ||
        print=''
    [ -z "$print" ] || note 'the server must have this host key, from %s: %s' "${KNOWN_HOSTS_FILE:-setup.sh}" "$print"
    note 'with its key the server can only start %s on this computer' "$WRAPPER"
}

already_registered() {
    earlier=$(registered_as) || return 1
    [ "$FORCE" = no ] || return 1
    [ -z "$LOGON" ] || [ "$LOGON" = "$earlier" ] || return 1
    [ "$FROM" = "$(receipt_get from)" ] || return 1
    key_in_place && key_starts || return 1
    LOGON=$earlier
}

# "check" changes nothing on the server; its answer shows a mistyped logon.
confirm_person() {
    tries=1
    while :; do
        [ -n "$LOGON" ] || ask_logon
        call "check:$OSTYPE_WORD:$LOGON"
        if read_reply "$WORK/reply" check; then
            break
        fi
        case $(error_code) in
            ostype-unknown) break ;;        # an old server without "check" gives no name
            bad-user) if [ "$tries" -ge 3 ] || ! can_ask; then reject_reply; fi ;;
            *) reject_reply ;;
        esac
        show_error
        tries=$((tries + 1))
        LOGON=''
    done
    if would_begin_anew; then
        REGISTRATION=renamed
        return 0
    fi
    [ -z "$REPLY_HOST" ] || note 'computer: %s' "$(readable "$REPLY_HOST")"
    if [ -n "$REPLY_PERSON" ]; then
        note 'person: %s' "$(readable "$REPLY_PERSON") ($LOGON)"
    else
        note 'person: %s (the server gives no name)' "$LOGON"
    fi
    say 'This person will be able to read all backed-up files of this computer, including other people’s.'
    [ "$YES" = yes ] || yes_or_no 'Is this correct (yes/no)?' || die 1 'Nothing was registered.'
}
