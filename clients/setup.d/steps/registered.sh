# Does the registration of the receipt still hold? Only the server knows: hosts are renamed, retired and transferred there.

# Ask the server, as root and with files of WORK: a question changes nothing, so that the plan and the doctor may ask it
# too. Set REGISTRATION to known, renamed, gone, retired, refused or unknown.
ask_registration() {    # call_once|call_patiently
    [ -s "$WORK/known_hosts" ] || cat <"$WORK/known-hosts" >"$WORK/known_hosts"
    CALL_AS=as_root CALL_FOLDER=$WORK
    "$1" "check:$OSTYPE_WORD:$LOGON"
    CALL_AS=as_account CALL_FOLDER=$STATE_DIR
    if no_connection || timed_out || [ ! -s "$WORK/reply" ]; then
        REGISTRATION=unknown
    elif read_reply "$WORK/reply" check; then
        case $REPLY_STATE in
            new) REGISTRATION=gone ;;
            retired) REGISTRATION=retired ;;
            *) REGISTRATION=known ;;
        esac
        ! is_renamed || REGISTRATION=renamed
    else
        case $(error_code) in
            ostype-unknown) REGISTRATION=known ;;       # an old server, which cannot be asked
            other-owner | bad-user | not-allowed) REGISTRATION=refused ;;
            *) REGISTRATION=unknown ;;
        esac
    fi
}

# An early setup has not noted the name.
is_renamed() {
    name=$(receipt_get host)
    [ -n "$name" ] && [ -n "$REPLY_HOST" ] && [ "$name" != "$REPLY_HOST" ]
}

# Whether a registration would begin a history of its own under a new name, and nobody has asked for that.
would_begin_anew() {
    registered_as >/dev/null && is_renamed && { [ "$FORCE" = no ] || [ "$TASK" = repair ]; }
}

# The server names a computer by its address, and knows nothing of the earlier name.
tell_renamed() {
    VERIFY=no
    new_name=$(readable "$REPLY_HOST")
    todo 'This computer is called %s now, and is registered as %s, where its backups are. To go on with them, ask the backup administrator to give the new name to %s (ClientNameAlias). To begin anew as %s, without them: sudo sh setup.sh --force' \
        "$new_name" "$name" "$name" "$new_name"
}

# Whether nothing needs to be registered. A server that cannot be asked leaves that open: what is to be done on this
# computer is done, and the exit status tells it.
still_registered() {
    if [ -z "$REGISTRATION" ]; then
        if ! command -v ssh >/dev/null; then
            return 0        # in the plan it may be missing
        fi
        ask_registration call_patiently
    fi
    case $REGISTRATION in
        known) note 'already registered for %s' "$LOGON" ;;
        renamed) tell_renamed ;;
        retired)
            VERIFY=no       # a test that succeeds would have them start again
            note 'the administrator has stopped the backups of this computer; to have them start again: sudo sh setup.sh --verify' ;;
        gone)
            note 'the registration on the server is missing or incomplete'
            return 1 ;;
        *)
            VERIFY=no REGISTRATION_STATUS=0
            (why_not_confirmed) || REGISTRATION_STATUS=$? ;;
    esac
}

why_not_confirmed() {
    ! no_connection || not_connected
    reject_reply
}
