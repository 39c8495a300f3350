farewell() {
    if [ "$TASK" = verify ]; then
        :
    elif [ "$CHANGES" -eq 0 ]; then
        say 'Everything was in place already; nothing was changed.'
    else
        say 'Done. This computer is registered with %s.' "$SERVER"
    fi
    REPLY_URL=${REPLY_URL:-$(remembered url)}
    if [ -n "$REPLY_URL" ]; then
        say 'Your backups, and what they contain: %s' "$REPLY_URL"
    fi
    if [ -n "$REPLY_ADVICE" ]; then
        say 'The server adds: %s' "$(readable "$REPLY_ADVICE")"
    fi
    if [ "$LEFT_TO_DO" = yes ]; then
        warn 'Backups will not work before what is marked with ! above is done.'
        exit 7
    fi
    if [ "$HIDDEN" = yes ]; then
        warn 'Full Disk Access is missing: see ! above. When it is switched on: sudo sh setup.sh --verify'
        exit 9
    fi
    if [ "$VERIFIED" = no ]; then
        warn 'This computer is registered, but the server could not come back to it yet. Do what is said above, and then: sudo sh setup.sh --verify'
        exit 8
    fi
    if [ "$UNSAVED" = yes ]; then
        warn 'Backups work, but what is marked with ! above is not in them.'
        exit 7
    fi
}

defaults() {
    LOGON='' UNATTENDED=no YES=no DRY_RUN=no FORCE=no COLOUR=yes TASK=setup
    KEEP_USER=no KEPT=no OTHERS_KEYS='' SSHD=yes FIREWALL=yes VERIFY=yes VERIFIED='' NEWLY_FULL=no AGREED=no TRY_AGAIN=no
    SHARES='' RESTORE='' RESTORE_DIR='' FROM='' PORT='' LOG='' LOGGING=no
    REGISTER_KEY_FILE='' KNOWN_HOSTS_FILE='' WRAPPER_FILE=''
    CHANGES=0 LEFT_TO_DO=no HIDDEN=no UNSAVED=no LOCKED=no RESTORING='' IP_VERSION='' REPLY_URL='' REPLY_ADVICE='' REPLY_FROM='' REPLY_SHARES='' PROBLEM='' BOLD='' PLAIN=''
    SYSTEM=Linux FAMILY=debian ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux MANAGER=apt-get
    choose_language
}

# What would be done is said first; then the person decides.
plan() {    # FUNCTION
    if [ "$UNATTENDED" = yes ] && [ "$DRY_RUN" = no ]; then
        AGREED=yes      # nobody is there to agree; each deed is told as it is done
        take_lock
        return 0
    fi
    really=$DRY_RUN
    DRY_RUN=yes
    say 'What is to be done:'
    "$1"
    DRY_RUN=$really
    if [ "$DRY_RUN" = yes ]; then
        say 'Nothing was changed (--dry-run).'
    elif [ "$CHANGES" -gt 0 ]; then
        agree_on_plan
        take_lock
        AGREED=yes CHANGES=0 LEFT_TO_DO=no
        say 'It is being done:'
    fi
}

agree_on_plan() {
    if [ "$NEWLY_FULL" = yes ]; then
        yes_or_no 'With --restore full the server becomes root here: who rules it can change every file of this computer. Do you want that (yes/no)?' ||
            die 1 'Nothing was changed. Without --restore full, restored files arrive in a folder of their own.'
    fi
    [ "$YES" = no ] || return 0
    yes_or_no 'Shall this be done (yes/no)?' ||
        die 1 'Nothing was changed.'
}

steps() {
    step get_tools 'The programs that it takes'
    step make_account 'The account %s' "$ACCOUNT"
    step install_wrapper 'What the backup server may do here'
    step check_sshd 'The door that it comes through: sshd'
    step register 'Registration with %s' "$SERVER"
    step open_ways 'The way back'
}

open_ways() {
    label_files
    open_firewall
    verify
}

set_up() {
    if will_ask_logon && ! can_ask; then
        no_terminal       # before anything is made
    fi
    gather_files
    [ -n "$LOGON" ] || LOGON=$(registered_as) || LOGON=''
    judge_account
    refuse_others_files
    plan steps
    [ "$DRY_RUN" = no ] || return 0
    [ "$AGREED" = no ] || steps
    farewell
}

verify_again() {
    gather_files
    LOGON=$(registered_as)
    take_lock
    sshd_settings || true
    step verify 'The way back'
    farewell
}

repair() {
    LOGON=$(registered_as)
    FORCE=yes       # the server has its key renewed, and tries it
    set_up
    [ "$DRY_RUN" = yes ] || doctor
}

main() {
    defaults
    asked_language "$@"
    options "$@"
    exec </dev/null     # started as "... | sh", we are standard input; nobody else shall read it
    LC_ALL=C
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    unset TMPDIR BASH_ENV ENV CDPATH
    choose_colour
    check_options
    check_system
    open_work
    case $TASK in
        doctor) doctor ;;
        uninstall) uninstall ;;
        verify) verify_again ;;
        repair) repair ;;
        *) set_up ;;
    esac
}

main "$@"
