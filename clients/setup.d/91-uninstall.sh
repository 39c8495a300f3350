uninstall() {
    if [ ! -f "$RECEIPT" ]; then
        if [ -n "$(rests)" ]; then
            plan clear_rests
            [ "$DRY_RUN" = yes ] || clear_rests
        fi
        refuse_without_receipt
        say 'Nothing of this setup is on this computer.' 'Il n’y a rien de ce programme sur cet ordinateur.'
        return 0
    fi
    host=$(remembered host)
    plan undo_all
    [ "$DRY_RUN" = no ] || return 0
    undo_all
    if [ -n "$SERVER" ]; then
        say 'Done. What was backed up stays on %s, which still knows this computer. If its backups shall end, ask the backup administrator to retire %s.' \
            'C’est fait. Ce qui a été sauvegardé reste sur %s, qui connaît encore cet ordinateur. Pour mettre fin aux sauvegardes, demandez à l’administrateur des sauvegardes de retirer %s.' \
            "$SERVER" "${host:-$(uname -n)}"
    else
        say 'Done.' 'C’est fait.'
    fi
}

refuse_without_receipt() {
    marked=''
    for path in "$WRAPPER" "$HELPER" "$SUDOERS" "$CONFIG"; do
        ! bears_our_mark "$path" || marked="$marked $path"
    done
    [ -z "$marked" ] ||
        die 1 'The receipt %s is lost, and these are still there:%s. Please start the setup once more, which finds them again, and then --uninstall.' \
            'Le reçu %s est perdu, et ceci est encore là :%s. Relancez le programme, qui les retrouvera, puis --uninstall.' \
            "$RECEIPT" "$marked"
}

# The receipt backwards; what is gone already is no trouble.
undo_all() {
    heading 'Undoing what the setup has done' 'Retour à l’état d’avant'
    know_our_keys
    clear_rests
    awk '{ line[NR] = $0 } END { for (n = NR; n; n--) print line[n] }' "$RECEIPT" >"$WORK/undo"
    while read -r kind what; do
        undo "$kind" "$what" </dev/null
    done <"$WORK/undo"
    if [ "$KEPT" = yes ]; then
        keep_receipt
    elif [ -f "$RECEIPT" ]; then
        change rm -f -- "$RECEIPT"
    fi
}

know_our_keys() {
    sshd_settings || true
    keys=$(keys_file) || return 0
    [ -f "$keys" ] || return 0
    keys_of_others "$keys" >"$WORK/keys"
    if grep -q '^[^#]' "$WORK/keys"; then
        say '  %s holds other keys too: they stay, and the account with them' \
            '  %s contient aussi d’autres clefs : elles restent, et le compte avec elles' "$keys"
        KEEP_USER=yes
        OTHERS_KEYS=$keys
    fi
    if ! cmp -s "$WORK/keys" "$keys"; then
        say '  taking the server’s key away' '  retrait de la clef du serveur'
        # shellcheck disable=SC2046  # three words
        change replace "$WORK/keys" "$keys" $(identity "$keys")
    fi
}

undo() {    # KIND WHAT
    case $1 in
        registered | verified | key | host | url | shares | from | port) ;;
        file) case $2 in
            "$OTHERS_KEYS") ;;
            "$SSHD_DROP_IN") undo_drop_in ;;
            *) remove_file "$2" ;;
            esac ;;
        folder) undo_folder "$2" ;;
        was) undo_permissions "$2" ;;
        account) undo_account ;;
        group) if [ "$KEEP_USER" = no ] && was_made Groups && { [ "$DRY_RUN" = no ] || [ "$SYSTEM" = Darwin ]; }; then
            change remove_group
            fi ;;
        enabled) undo_enabled "$2" ;;
        member) change dseditgroup -o edit -d "$ACCOUNT" -t user "$2" >/dev/null 2>&1 || true ;;
        selinux) change semanage fcontext -d "$2" >/dev/null 2>&1 || true ;;
        firewall) undo_firewall "$2" ;;
        package) say '  %s was installed for it, and stays: others may need it by now' \
            '  %s a été installé pour lui, et reste : d’autres peuvent en avoir besoin' "$2" ;;
        *) warn '  not understood in %s: %s' '  incompréhensible dans %s : %s' "$RECEIPT" "$1 $2" ;;
    esac
}

remove_file() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        say '  removing %s' '  suppression de %s' "$1"
        change rm -f -- "$1"
    fi
}

# Where sshd goes on, it stays: without it people could come in by password.
undo_drop_in() {
    if { [ "$DRY_RUN" = yes ] && remembers 'enabled '; } || ! sshd_answers; then
        remove_file "$SSHD_DROP_IN"
    elif [ -f "$SSHD_DROP_IN" ]; then
        say '  sshd still runs: %s stays, which lets nobody in by password' \
            '  sshd tourne encore : %s reste, qui ne laisse entrer personne par mot de passe' "$SSHD_DROP_IN"
    fi
}

# A folder with something of somebody else's in it stays; sshd's own too, which came with its package.
undo_folder() {
    case $1 in
        "${SSHD_DROP_IN%/*}" | "${SSHD_DROP_IN%/*/*}") if command -v sshd >/dev/null; then return 0; fi ;;
    esac
    if [ ! -d "$1" ] || { [ "$KEEP_USER" = yes ] && { [ "$1" = "$PLACE" ] || [ "$1" = "$PLACE/.ssh" ]; }; }; then
        return 0
    fi
    say '  removing the folder %s' '  suppression du dossier %s' "$1"
    if [ "$1" = "$PLACE" ] && [ "$(ls -A "$PLACE")" = "${RECEIPT##*/}" ]; then
        change bury_place
        return 0
    fi
    change rmdir -- "$1" 2>/dev/null || leave_folder "$1"
}

# The number of the account may be given to somebody else: what was restored must not be theirs then.
leave_folder() {    # FOLDER
    if [ "$1" = "$RESTORE_PLACE" ] && [ "$KEEP_USER" = no ]; then
        warn '  %s is not empty: it stays, for root alone' '  %s n’est pas vide : il reste, pour root seul' "$1"
        change give_to_root "$1"
    else
        warn '  %s is not empty: it stays' '  %s n’est pas vide : il reste' "$1"
    fi
}

give_to_root() {    # FOLDER
    chown "root:$ROOT_GROUP" "$1"
    chmod 700 "$1"
    ! was_made Users || find "$1" -xdev -user "$ACCOUNT" -exec chown -h "root:$ROOT_GROUP" '{}' +
}

undo_permissions() {    # "FOLDER OWNER GROUP MODE"
    mode=${1##* }
    rest=${1% *}
    group=${rest##* }
    rest=${rest% *}
    folder=${rest% *}
    if [ ! -d "$folder" ] || [ "$KEEP_USER" = yes ]; then
        return 0
    elif [ "$folder" = "$RESTORE_PLACE" ] && [ -n "$(ls -A "$folder")" ]; then
        leave_folder "$folder"
        return 0
    fi
    say '  setting the permissions of %s' '  réglage des droits de %s' "$folder"
    change chown "${rest##* }:$group" "$folder"
    change chmod "$mode" "$folder"
}

# The reverse of make_place: killed in between, clear_rests goes on.
bury_place() {
    top=$PLACE
    ! grep -qxF "folder ${PLACE%/*}" "$RECEIPT" || top=${PLACE%/*}
    fresh=$(fresh_of "$top")
    mv -- "$PLACE" "$fresh"
    clear_rest "$fresh"
}

# Half of it too: on a Mac an account and a group are made attribute by attribute.
was_made() {    # Users|Groups
    case $SYSTEM:$1 in
        Darwin:*) dscl . -read "/$1/$ACCOUNT" RecordName >/dev/null 2>&1 ;;
        *:Users) account_is_local ;;
        *) group_is_local ;;
    esac
}

undo_account() {
    if [ "$KEEP_USER" = yes ]; then
        KEPT=yes
        return 0
    fi
    was_made Users || return 0
    say '  removing the account %s' '  suppression du compte %s' "$ACCOUNT"
    if its_processes >/dev/null; then
        say '  ending what runs as %s, a backup perhaps' '  arrêt de ce qui tourne sous %s, peut-être une sauvegarde' "$ACCOUNT"
        change end_its_processes
    fi
    change remove_account || die 1 'The account could not be removed: %s' 'Le compte n’a pas pu être supprimé : %s' \
        "$(tail -n 1 "$WORK/account" | printable)"
}

its_processes() {
    was_made Users && ps -u "$ACCOUNT" -o pid= 2>/dev/null
}

end_its_processes() {
    for signal in TERM TERM KILL; do
        pids=$(its_processes) || return 0
        # shellcheck disable=SC2086  # several words
        kill -s "$signal" $pids 2>/dev/null || true
        sleep 1
    done
}

remove_account() {
    case $SYSTEM in
        Darwin) dscl . -delete "/Users/$ACCOUNT" ;;
        *) remove_linux_account ;;
    esac >"$WORK/account" 2>&1
}

remove_group() {
    case $SYSTEM in
        Darwin) dscl . -delete "/Groups/$ACCOUNT" ;;
        *) groupdel "$ACCOUNT" ;;
    esac >/dev/null 2>&1 || true
}

undo_enabled() {    # UNIT
    say '  sshd was switched on for it: switching it off' '  sshd avait été activé pour lui : désactivation'
    case $1 in
        remote-login) change switch_remote_login_off ;;
        ssh.socket) change systemctl --quiet disable --now ssh.socket ssh.service ;;
        *) change systemctl --quiet disable --now "$1" ;;
    esac >/dev/null 2>&1 || true
}

undo_firewall() {    # "WALL PORT ADDRESS"
    wall=${1%% *}
    rest=${1#* }
    say '  closing the firewall to %s again' '  fermeture du pare-feu à %s' "${rest#* }"
    case $wall in
        ufw | firewalld) change "no_${wall}_rule" "${rest%% *}" "${rest#* }" >/dev/null 2>&1 || true ;;
    esac
}

# What --keep-user leaves can be undone by another --uninstall.
keep_receipt() {
    grep -xF -e "folder $PLACE" -e "folder $PLACE/.ssh" -e "file ${OTHERS_KEYS:-none}" -e "account $ACCOUNT" \
        -e "group $ACCOUNT" "$RECEIPT" >"$WORK/kept"
    change replace "$WORK/kept" "$RECEIPT" root "$ROOT_GROUP" 600
}
