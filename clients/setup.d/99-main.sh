# The tasks: set up, verify, repair, doctor, uninstall.

# Report the result, in words and by the exit status.
finish() {
    if [ "$TASK" = verify ]; then
        :
    elif [ "$REGISTRATION_STATUS" -ne 0 ]; then
        [ "$LEFT_TO_DO" = yes ] || say 'On this computer everything is in place.'
    elif [ "$CHANGES" -eq 0 ]; then
        say 'Everything was already in place; nothing was changed.'
    else
        say 'Done. This computer is registered with %s.' "$SERVER"
    fi
    REPLY_URL=${REPLY_URL:-$(receipt_get url)}
    if [ -n "$REPLY_URL" ]; then
        say 'Your backups: %s' "$REPLY_URL"
    fi
    if [ -n "$REPLY_ADVICE" ]; then
        say 'The server adds: %s' "$(readable "$REPLY_ADVICE")"
    fi
    if [ "$REGISTRATION_STATUS" -ne 0 ]; then
        warn 'The server did not confirm the registration of this computer: see above.'
        exit "$REGISTRATION_STATUS"
    fi
    if [ "$LEFT_TO_DO" = yes ]; then
        warn 'Backups will not work until everything marked with ! above is done.'
        exit 7
    fi
    if [ "$HIDDEN" = yes ]; then
        warn 'Full Disk Access is missing: see ! above. After you have turned it on: sudo sh setup.sh --verify'
        exit 9
    fi
    if [ "$VERIFIED" = no ]; then
        warn 'This computer is registered, but the server could not connect to it yet. Follow the advice above, then: sudo sh setup.sh --verify'
        exit 8
    fi
    if [ "$NOT_SAVED" = yes ]; then
        warn 'Backups work, but the folders marked with ! above are not backed up.'
        exit 7
    fi
}

defaults() {
    LOGON='' UNATTENDED=no YES=no DRY_RUN=no FORCE=no COLOUR=yes TASK=setup
    KEEP_USER=no KEPT=no OTHERS_KEYS='' SSHD=yes FIREWALL=yes VERIFY=yes VERIFIED='' NEW_RESTORE='' AGREED=no TRY_AGAIN=no
    SHARES='' RESTORE='' RESTORE_DIR='' FROM='' PORT='' LOG='' LOGGING=no
    REGISTER_KEY_FILE='' KNOWN_HOSTS_FILE='' WRAPPER_FILE=''
    CALL_AS=as_account CALL_FOLDER=$STATE_DIR REGISTRATION='' REGISTRATION_STATUS=0 REPAIRABLE=no IN_DOUBT=no UNTESTED=no
    HALF_DONE=no CHANGES=0 LEFT_TO_DO=no HIDDEN=no NOT_SAVED=no LOCKED=no RESTORING='' ASK_PRIVILEGED=no PRIVILEGED=no IP_VERSION='' BOLD='' PLAIN=''
    REPLY_URL='' REPLY_ADVICE='' REPLY_FROM='' REPLY_SHARES='' REPLY_LACKING='' PROBLEM=''
    START="/bin/bash -p $WRAPPER" ENTERED=yes
    OS=linux FAMILY=debian ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux MANAGER=apt-get
    choose_language
}

# Show what FUNCTION would change, then ask the person to agree.
plan() {    # FUNCTION
    if [ "$UNATTENDED" = yes ] && [ "$DRY_RUN" = no ]; then
        AGREED=yes      # each change is shown as it is made
        take_lock
        return 0
    fi
    asked_dry_run=$DRY_RUN
    DRY_RUN=yes
    say 'Planned changes:'
    "$1"
    DRY_RUN=$asked_dry_run
    if [ "$DRY_RUN" = yes ]; then
        say 'Nothing was changed (--dry-run).'
    elif [ "$CHANGES" -gt 0 ]; then
        agree_on_plan
        take_lock
        AGREED=yes CHANGES=0 LEFT_TO_DO=no
        say 'Applying changes:'
    fi
}

agree_on_plan() {
    case $NEW_RESTORE in
        owner)
            yes_or_no 'With --restore owner, whoever this computer is registered for can change every person’s files in the shared folders, programs and ssh keys among them. The administrators of the backup server can do so too. Do you want that (yes/no)?' ||
                refuse_in_place ;;
        full)
            yes_or_no 'With --restore full, whoever this computer is registered for can change every file in the shared folders, root’s among them. The administrators of the backup server can do so too. Do you want that (yes/no)?' ||
                refuse_in_place ;;
    esac
    if [ "$ASK_PRIVILEGED" = yes ] && yes_or_no 'The whole system is shared. Shall a restore also bring back setuid programs, devices and file capabilities? Then whoever this computer is registered for can become root on it (yes/no)?'; then
        PRIVILEGED=yes
    fi
    [ "$YES" = no ] || return 0
    yes_or_no 'Continue (yes/no)?' || die 1 'Nothing was changed.'
}

refuse_in_place() {
    die 1 'Nothing was changed. Without this option, restored files arrive in a folder of their own.'
}

steps() {
    step install_packages 'Required packages'
    step set_up_account 'Account %s' "$ACCOUNT"
    step set_permissions 'Permissions of the backup server'
    step check_sshd 'SSH server (sshd)'
    step register 'Registration with %s' "$SERVER"
    step check_connection 'Connection from the server'
}

check_connection() {
    label_files
    open_firewall
    verify
}

set_up() {
    if will_ask_logon && ! can_ask; then
        no_terminal       # before the first change
    fi
    gather_files
    [ -n "$LOGON" ] || LOGON=$(registered_as) || LOGON=''
    check_account
    refuse_foreign_files
    plan steps
    [ "$DRY_RUN" = no ] || return 0
    registered_as >/dev/null || HALF_DONE=$AGREED
    [ "$AGREED" = no ] || steps
    HALF_DONE=no
    finish
}

verify_again() {
    gather_files
    LOGON=$(registered_as)
    take_lock
    sshd_settings || true
    step verify 'Connection from the server'
    finish
}

repair() {
    LOGON=$(registered_as)
    FORCE=yes       # so that the key is installed again
    set_up
    [ "$DRY_RUN" = yes ] || doctor
}

# Started by a sudo with "noexec", a shell can start no program, and every check below would find something wrong.
check_programs_start() {
    uname >/dev/null 2>&1 ||
        die 1 'This shell may not start programs, perhaps because sudo forbids it (noexec). Please start the setup as root without sudo: su -, then sh setup.sh'
}

main() {
    defaults
    language_option "$@"
    check_programs_start
    options "$@"
    exec </dev/null     # started as "... | sh", the setup itself is standard input; no other program may read it
    LC_ALL=C
    export LC_ALL
    choose_colour
    check_options
    check_system
    open_work_folder
    case $TASK in
        doctor) doctor ;;
        uninstall) uninstall ;;
        verify) verify_again ;;
        repair) repair ;;
        *) set_up ;;
    esac
}

main "$@"
exit
}
