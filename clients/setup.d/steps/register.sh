ask_logon() {
    guess=$(console_user)
    while :; do
        ask 'Your logon [%s]:' "$guess"
        LOGON=${ANSWER:-$guess}
        if possible_logon "$LOGON"; then
            return 0
        fi
        warn 'A logon is made of letters, digits, dots and hyphens.'
    done
}

# The person who sits at this computer, as far as one can tell.
console_user() {
    for name in "${SUDO_USER:-}" "$(mac_console)" "$(logname 2>/dev/null || true)" "$(who 2>/dev/null | awk 'NR == 1 { print $1 }')"; do
        if [ "$name" != root ] && possible_logon "$name"; then
            printf '%s' "$name"
            return 0
        fi
    done
}

register() {
    if already_registered; then
        note 'registered already, for %s' "$LOGON"
        return 0
    fi
    if [ "$DRY_RUN" = yes ]; then
        note 'asking %s to register this computer, and installing its key' "$SERVER"
        tell_where_key_comes_from
        CHANGES=$((CHANGES + 1))
        return 0
    fi
    prepare_call
    agree_on_person
    call "$OSTYPE_WORD:$LOGON"
    if ! understand "$WORK/reply" register; then
        give_up
    fi
    install_key
    forget 'verified '
    remember_one registered "$SERVER $LOGON"
    case $REPLY_HOST in
        '' | *[!A-Za-z0-9._-]*) ;;
        *) remember_one host "$REPLY_HOST" ;;
    esac
    [ -z "$REPLY_URL" ] || remember_one url "$REPLY_URL"
    if [ -n "$FROM" ]; then
        remember_one from "$FROM"
    else
        forget 'from '
    fi
    remember_one port "$PORT"
}

# The key is worth what the server's own is: that came with us, or from who started us.
tell_where_key_comes_from() {
    print=$(ssh-keygen -l -F "$(known_as)" -f "$WORK/known-hosts" 2>/dev/null | grep -o 'SHA256:[A-Za-z0-9+/]*' | head -n 1) ||
        print=''
    [ -z "$print" ] || note 'that server is known by its own key, from %s: %s' "${KNOWN_HOSTS_FILE:-setup.sh}" "$print"
    note 'its key opens this computer for backups alone: it starts %s, and nothing else' "$WRAPPER"
}

already_registered() {
    earlier=$(registered_as) || return 1
    [ "$FORCE" = no ] || return 1
    [ -z "$LOGON" ] || [ "$LOGON" = "$earlier" ] || return 1
    [ "$FROM" = "$(remembered from)" ] || return 1
    key_in_place || return 1
    LOGON=$earlier
}

# "check" changes nothing on the server; with its answer one can see a mistyped logon.
agree_on_person() {
    tries=1
    while :; do
        [ -n "$LOGON" ] || ask_logon
        call "check:$OSTYPE_WORD:$LOGON"
        if understand "$WORK/reply" check; then
            break
        fi
        case $(error_code) in
            ostype-unknown) break ;;        # a server from before "check": it does not tell whose logon that is
            bad-user) if [ "$tries" -ge 3 ] || ! can_ask; then give_up; fi ;;
            *) give_up ;;
        esac
        show_error
        tries=$((tries + 1))
        LOGON=''
    done
    [ -z "$REPLY_HOST" ] || note 'computer: %s' "$(readable "$REPLY_HOST")"
    if [ -n "$REPLY_PERSON" ]; then
        note 'person: %s' "$(readable "$REPLY_PERSON") ($LOGON)"
    else
        note 'person: %s (the server tells no name)' "$LOGON"
    fi
    say 'This person will be able to read every backed-up file of this computer, whoever it belongs to.'
    [ "$YES" = yes ] || confirm
}

confirm() {
    yes_or_no 'Is that right (yes/no)?' ||
        die 1 'Nothing was registered.'
}
