make_account() {
    judge_account       # again: the first time its tools may have been missing
    if [ -n "$entry" ]; then
        mend_account "$entry"
    else
        note 'making the account %s' "$ACCOUNT"
        group_exists || remember "group $ACCOUNT"
        remember "account $ACCOUNT"
        change add_account
        change chown "root:$ACCOUNT" "$PLACE"
    fi
    [ ! -d "$PLACE" ] || put_folder "$PLACE" root "$ACCOUNT" 750
    put_folder "$PLACE/.ssh" root "$ACCOUNT" 750
}

# The account as a line of passwd(5), wherever it comes from.
account_entry() {
    case $SYSTEM in
        Darwin) id -u "$ACCOUNT" >/dev/null 2>&1 || return 1
            printf '%s:*:%s:%s:BackupPC:%s:%s\n' "$ACCOUNT" "$(id -u "$ACCOUNT")" "$(id -g "$ACCOUNT")" \
                "$(mac_record NFSHomeDirectory)" "$(mac_record UserShell)" ;;
        *) getent passwd "$ACCOUNT" ;;
    esac
}

account_is_local() {
    case $SYSTEM in
        Darwin) dscl . -read "/Users/$ACCOUNT" UniqueID >/dev/null 2>&1 ;;
        *) getent -s files passwd "$ACCOUNT" >/dev/null ;;
    esac
}

# The lowest number that is a person's, or a person's group's.
first_of_people() {    # UID_MIN|GID_MIN
    case $SYSTEM in
        Darwin) printf 500 ;;
        *) sed -n "s/^$1[[:space:]]*\\([0-9]\\{1,\\}\\).*/\\1/p" /etc/login.defs 2>/dev/null | grep . || printf 1000 ;;
    esac
}

group_exists() {
    case $SYSTEM in
        Darwin) dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1 ;;
        *) getent group "$ACCOUNT" >/dev/null ;;
    esac
}

group_or_root() {
    if group_exists; then
        printf '%s' "$ACCOUNT"
    else
        printf '%s' "$ROOT_GROUP"
    fi
}

# The password field is a star: sshd takes ! for a locked account where PAM is not used.
add_account() {
    case $SYSTEM in
        Darwin) add_mac_account ;;
        *) add_linux_account ;;
    esac >"$WORK/account" 2>&1 || {
        printable <"$WORK/account" >&2
        die 1 'The account %s could not be made.' "$ACCOUNT"
    }
}

# An account or a group that is there already is used only if it is what we would have made. Sets entry.
judge_account() {
    entry=$(account_entry) || entry=''
    [ -z "$entry" ] || judge_entry "$entry"
    judge_group
}

judge_entry() {    # PASSWD-ENTRY
    account_is_local ||
        die 1 'The account %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.' "$ACCOUNT"
    uid=$(printf '%s' "$1" | cut -d: -f3)
    if [ "$uid" -eq 0 ] || [ "$uid" -ge "$(first_of_people UID_MIN)" ]; then
        die 1 'There is an account %s with the number %s: a person’s or root’s, not a system account.' "$ACCOUNT" "$uid"
    fi
    home=$(printf '%s' "$1" | cut -d: -f6)
    if [ "$home" != "$PLACE" ] || [ "$(id -gn "$ACCOUNT")" != "$ACCOUNT" ]; then
        die 1 'There is an account %s already, with another home (%s) or group; please remove it and start again.' \
            "$ACCOUNT" "$home"
    fi
}

# Whoever is in it reads the key that registers, and may change what is restored.
judge_group() {
    if ! group_is_local; then
        ! group_is_elsewhere ||
            die 1 'The group %s comes from a directory (LDAP, SSSD), not from this computer; that is not safe to use.' "$ACCOUNT"
        return 0
    fi
    gid=$(group_number)
    if [ "$gid" -eq 0 ] || [ "$gid" -ge "$(first_of_people GID_MIN)" ]; then
        die 1 'There is a group %s with the number %s: a person’s or root’s, not a system group.' "$ACCOUNT" "$gid"
    fi
    others=$(others_in_group "$gid" | sort -u | tr '\n' ' ')
    [ -z "$others" ] ||
        die 1 'There is a group %s already, and others are in it or may join it: %s. They could read what is the account’s alone; please take them out of it, or remove the group, and start again.' \
            "$ACCOUNT" "${others% }"
}

group_is_local() {
    case $SYSTEM in
        Darwin) group_exists ;;
        *) getent -s files group "$ACCOUNT" >/dev/null ;;
    esac
}

group_is_elsewhere() {
    case $SYSTEM in
        Darwin) dscl /Search -read "/Groups/$ACCOUNT" PrimaryGroupID >/dev/null 2>&1 ;;
        *) group_exists ;;
    esac
}

group_number() {
    case $SYSTEM in
        Darwin) dscl . -read "/Groups/$ACCOUNT" PrimaryGroupID | sed 's/^PrimaryGroupID: //' ;;
        *) getent group "$ACCOUNT" | cut -d: -f3 ;;
    esac
}

# Members and administrators of the group, accounts whose own it is, other groups of that number; a password, with which
# anybody can join (gshadow(5), newgrp(1)).
others_in_group() {    # NUMBER
    case $SYSTEM in
        Darwin) others_in_mac_group "$1" ;;
        *)
            { getent group; getent group "$ACCOUNT"; } |
                G=$1 awk -F: '$3 == ENVIRON["G"] { print $1; gsub(",", "\n", $4); print $4 }'
            getent passwd | G=$1 awk -F: '$4 == ENVIRON["G"] { print $1 }'
            getent gshadow "$ACCOUNT" | awk -F: '
                $2 ~ /^[^!*]/ { print "(password)" }
                { gsub(",", "\n"); print $3; print $4 }'
            ;;
    esac | grep -vxF -e "$ACCOUNT" -e '' || true
}

mend_account() {
    if [ "$(printf '%s' "$1" | cut -d: -f7)" != /bin/sh ]; then
        note 'giving the account its shell back'
        change set_shell
    fi
    if [ "$SYSTEM" = Linux ] && [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]; then
        note 'taking the password away from the account'
        change usermod --password '*' "$ACCOUNT"
    fi
}

set_shell() {
    case $SYSTEM in
        Darwin) dscl . -create "/Users/$ACCOUNT" UserShell /bin/sh ;;
        *) usermod --shell /bin/sh "$ACCOUNT" ;;
    esac
}
