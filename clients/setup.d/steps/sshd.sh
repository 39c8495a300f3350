# Step: an sshd that runs, and that lets the account log in by key.

check_sshd() {
    if [ "$DRY_RUN" = yes ] && ! command -v sshd >/dev/null; then
        return 0
    fi
    [ "$SSHD" = no ] || start_sshd
    os sshd_allow_account
    sshd_settings || return 0
    check_access
    warn_of_passwords
}

# Write to WORK/sshd the settings that sshd applies to the account when the server connects.
sshd_settings() {
    address=$(os addresses_of "${SERVER:-localhost}" | head -n 1)
    if sshd_effective "user=$ACCOUNT,host=${SERVER:-localhost},addr=${address:-127.0.0.1}" >"$WORK/sshd"; then
        return 0
    fi
    [ "$DRY_RUN" = no ] || return 1
    printable <"$WORK/sshd-errors" >&2
    todo 'sshd does not report its settings; please check its configuration.'
    return 1
}

sshd_setting() {    # KEYWORD: its values, one a line
    sed -n "s/^$1 //p" "$WORK/sshd" 2>/dev/null
}

start_sshd() {
    if is_our_sshd && [ -d "$SYSTEMD" ]; then
        receipt_add "enabled $(sshd_unit)"
    fi
    ! sshd_answers || return 0
    note 'starting sshd'
    is_our_sshd ||
        note 'other accounts of this computer can then log in too, by password if the settings of sshd allow that'
    os sshd_enable
    [ "$DRY_RUN" = yes ] || sshd_answers || os sshd_ask_to_enable
}

# Whether there was no sshd before the setup.
is_our_sshd() {
    grep -qsxF "file $SSHD_DROP_IN" "$RECEIPT"
}

# Before OpenSSH 8.2 sshd does not read that file; later, a setting in an earlier file wins.
warn_of_passwords() {
    if is_our_sshd && [ -f "$SSHD_DROP_IN" ] && [ "$(sshd_setting passwordauthentication)" != no ]; then
        caution 'sshd accepts passwords from the network, although %s forbids that.' "$SSHD_DROP_IN"
    fi
}

# Only a connection proves it: try each address where sshd says that it listens.
sshd_answers() {
    sshd_listeners | while read -r address port; do
        ! ssh-keyscan -T 3 -p "$port" "$address" 2>/dev/null | grep -q . || printf 'yes\n'
    done | grep -q . || sshd_rejects_us
}

sshd_listeners() {
    sshd_effective user=root,host=localhost,addr=127.0.0.1 2>/dev/null | awk '
        $1 == "listenaddress" {
            port = address = $2
            sub(/.*:/, "", port)
            sub(/:[0-9]+$/, "", address)
            gsub(/[][]/, "", address)
            if (address == "0.0.0.0") address = "127.0.0.1"
            if (address == "::") address = "::1"
            print address, port
            found = 1
        }
        END { if (!found) print "127.0.0.1 22" }'
}

# Print the settings for a connection, as lines "keyword value". sshd fails if they depend on an address of this computer
# that was not given.
sshd_effective() {    # user=...,host=...,addr=...
    sshd -T -C "$1" 2>"$WORK/sshd-errors" ||
        sshd -T -C "$1,laddr=$(local_address "${1##*addr=}"),lport=22" 2>>"$WORK/sshd-errors"
}

# Print the address of this computer on the route to PEER.
local_address() {    # PEER
    own=$(ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p') || own=''
    printf '%s' "${own:-127.0.0.1}"
}

# From OpenSSH 9.8 on sshd blocks an address for a while after too many connections without a login, and says so.
sshd_rejects_us() {
    # shellcheck disable=SC2016  # for bash
    bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && read -r -t 3 line <&3 && printf "%s\n" "$line"' bash "$(sshd_port)" \
        2>/dev/null | grep -q '^Not allowed at this time'
}

sshd_port() {
    sshd_listeners | awk 'NR == 1 { print $2 }'
}

check_access() {
    [ "$(sshd_setting pubkeyauthentication)" != no ] ||
        todo 'sshd does not accept keys (PubkeyAuthentication no).'
    keys_file >/dev/null || no_own_keys
    if [ -n "$(sshd_setting allowusers)" ] && ! sshd_setting allowusers | matches_any "$ACCOUNT"; then
        todo 'sshd accepts only the users in AllowUsers; please add %s.' "$ACCOUNT"
    fi
    # A user who is refused from one place only may log in from the server; the connection of the server will prove it.
    if sshd_setting denyusers | { grep -v '@' || true; } | matches_any "$ACCOUNT"; then
        todo 'sshd refuses %s (DenyUsers).' "$ACCOUNT"
    fi
    groups=$(id -Gn "$ACCOUNT" 2>/dev/null) || groups=$ACCOUNT
    # shellcheck disable=SC2086  # several words
    if [ -n "$(sshd_setting allowgroups)" ] && ! sshd_setting allowgroups | matches_any $groups; then
        todo 'sshd accepts only the groups in AllowGroups; please add %s.' "$ACCOUNT"
    fi
    # shellcheck disable=SC2086
    if sshd_setting denygroups | matches_any $groups; then
        todo 'sshd refuses the group %s (DenyGroups).' "$ACCOUNT"
    fi
    { sshd_setting authenticationmethods | grep . || printf any; } | tr ' ' '\n' | grep -qxE 'any|publickey' ||
        todo 'sshd requires more than a key (AuthenticationMethods).'
    check_algorithms
    case $(sshd_setting forcecommand) in
        '' | none) ;;
        *) todo 'sshd starts another command than the backup program (ForceCommand).' ;;
    esac
}

# The type of the server's key is known once this computer is registered.
check_algorithms() {
    list=,$(sshd_setting pubkeyacceptedalgorithms),
    kind=$(receipt_get key | grep -oE '(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) AAAA' | sed 's/ AAAA//') || return 0
    [ "$kind" != ssh-rsa ] || kind=rsa-sha2-
    case $list in
        ,, | *",$kind"*) ;;
        *) todo 'sshd does not accept keys of the server’s type, %s (PubkeyAcceptedAlgorithms).' "$kind" ;;
    esac
}

# Whether a pattern on standard input (USER or USER@HOST) matches one of the names.
matches_any() {    # NAME...
    while IFS= read -r pattern; do
        for name in "$@"; do
            # shellcheck disable=SC2254  # * and ? mean the same to sshd and to the shell
            case $name in
                ${pattern%%@*}) return 0 ;;
            esac
        done
    done
    return 1
}
