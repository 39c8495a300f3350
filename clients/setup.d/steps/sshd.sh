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
    ! server_finds_sshd || return 0
    if sshd_answers; then
        tell_other_door
        return 0
    fi
    note 'starting sshd'
    is_our_sshd ||
        note 'other accounts of this computer can then log in too, by password if the settings of sshd allow that'
    os sshd_enable
    if [ "$DRY_RUN" = yes ] || server_finds_sshd; then
        return 0
    elif sshd_answers; then
        tell_other_door
    else
        os sshd_ask_to_enable
    fi
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

# The port of this computer that the server connects to. After a test it has named another one, if its settings do.
server_port() {
    receipt_get door | grep . || printf 22
}

# Print the addresses of this computer that the server may connect to: those on the routes to its own addresses. Before a
# call it is not known which of IPv4 and IPv6 the server sees.
own_addresses() {
    os addresses_of "${SERVER:-localhost}" | V=$IP_VERSION awk 'ENVIRON["V"] != "-4" || !/:/' | while read -r peer; do
        os own_address "$peer"
    done | awk '!seen[$0]++'
}

# Only a connection proves it. It goes where the server's goes, whatever the settings of sshd say.
server_finds_sshd() {
    port=$(server_port)
    { own_addresses | grep . || printf '127.0.0.1\n'; } | while read -r address; do
        ! greets "$address" "$port" || printf 'yes\n'
    done | grep -q .
}

tell_other_door() {
    todo 'sshd listens elsewhere (%s): the server connects to %s, port %s. Please look at Port, ListenAddress and AddressFamily in the settings of sshd, at ListenStream of ssh.socket, and at the firewall.' \
        "$(sshd_doors | awk '{ printf "%s%s, port %s", (NR > 1) ? "; " : "", $1, $2 }')" \
        "$(own_addresses | head -n 1 | grep . || printf '127.0.0.1')" "$(server_port)"
}

sshd_answers() { [ -n "$(sshd_doors)" ]; }

# Print those where it answers too.
sshd_doors() {
    sshd_listeners | while read -r address port; do
        ! greets "$address" "$port" || printf '%s %s\n' "$address" "$port"
    done
}

# Whether an ssh server greets. From OpenSSH 9.8 on sshd blocks an address for a while after too many connections without
# a login, and says so.
greets() {    # ADDRESS PORT
    greeting "$1" "$2" | grep -qE '^(SSH-|Not allowed at this time|Exceeded MaxStartups)'
}

# Print the first line of a service. A firewall may drop the connection.
greeting() {    # ADDRESS PORT
    # shellcheck disable=SC2016  # for bash
    with_timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" && IFS= read -r -t 3 line <&3 && printf "%s\n" "$line"' bash "$1" "$2" \
        </dev/null 2>/dev/null || true
}

# Whether the ssh server of this computer is SOFTWARE, such as dropbear.
sshd_is() {    # SOFTWARE
    sshd_doors | head -n 1 | while read -r address port; do
        greeting "$address" "$port"
    done | grep -qi "^SSH-[0-9.]*-$1"
}

# Print "ADDRESS PORT" for each place where the service manager listens for sshd, or where sshd says that it listens.
sshd_listeners() {
    { os sshd_sockets; sshd_effective user=root,host=localhost,addr=127.0.0.1 2>/dev/null; } | awk '
        $1 == "listenaddress" {
            port = address = $2
            sub(/.*:/, "", port)
            sub(/:[0-9]+$/, "", address)
            gsub(/[][]/, "", address)
            if (address == "0.0.0.0") address = "127.0.0.1"
            if (address == "::") address = "::1"
            if (!seen[address, port]++) print address, port
            found = 1
        }
        END { if (!found) print "127.0.0.1 22" }'
}

# Print the settings for a connection, as lines "keyword value". Without the address and port of this computer sshd would
# take a Match block by them for one that does not fit, or fail; an old sshd knows neither word.
sshd_effective() {    # user=...,host=...,addr=...
    own=$(os own_address "${1##*addr=}" | grep . || printf '127.0.0.1')
    sshd -T -C "$1,laddr=$own,lport=$(server_port)" 2>"$WORK/sshd-errors" || sshd -T -C "$1" 2>"$WORK/sshd-errors"
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
    check_sessions
    case $(sshd_setting forcecommand) in
        '' | none | "$WRAPPER") ;;
        *) todo 'sshd starts another command than the backup program (ForceCommand).' ;;
    esac
}

# What sshd may refuse after the login, or for one key.
check_sessions() {
    [ "$(sshd_setting maxsessions)" != 0 ] ||
        todo 'sshd lets nobody start a program (MaxSessions 0).'
    [ "$(sshd_setting refuseconnection)" != yes ] ||
        todo 'sshd refuses the connection (RefuseConnection).'
    case $(sshd_setting chrootdirectory) in
        '' | none) ;;
        *) todo 'sshd locks %s into a folder without the backup program (ChrootDirectory).' "$ACCOUNT" ;;
    esac
    revoked=$(sshd_setting revokedkeys)
    case $revoked in
        '' | none) ;;
        *)
            if [ ! -f "$revoked" ]; then
                todo 'sshd accepts no key at all, because it cannot read %s (RevokedKeys).' "$revoked"
            elif server_key_revoked "$revoked"; then
                todo 'sshd refuses the server’s key, because it is in %s (RevokedKeys).' "$revoked"
            fi ;;
    esac
}

# Such a file is a list of keys, or in the binary form of ssh-keygen.
server_key_revoked() {    # FILE
    receipt_get key | grep -oE '[a-z0-9-]+ AAAA[A-Za-z0-9+/=]+' >"$WORK/server-key" || return 1
    grep -qF "$(cut -d ' ' -f 2 "$WORK/server-key")" "$1" ||
        ssh-keygen -Q -f "$1" "$WORK/server-key" 2>/dev/null | grep -q 'REVOKED$'
}

# sshd asks PAM too, whose rules "sshd -T" does not tell: access.conf, a list of users, hours, a file nologin. Return
# false if that could not be tried: on a Mac, in most containers, for networks.
check_pam() {
    if [ "$(os account_expiry)" = now ]; then
        [ "$TASK" = doctor ] ||
            todo 'The account %s or its password has expired, so sshd and sudo refuse it. To correct that: sudo sh setup.sh --repair' "$ACCOUNT"
        return 0
    fi
    [ "$(sshd_setting usepam)" = yes ] || return 0
    refusal=''
    for address in $(server_addresses | grep -v / | head -n 4); do
        said=$(os login_trial "$address" | printable)
        [ "$said" != let-in ] || return 0
        refusal=${said:-$refusal}
    done
    [ -n "$refusal" ] || return 1
    for file in /etc/nologin /run/nologin; do
        if [ -e "$file" ]; then
            todo '%s exists, so nobody but root can log in. Please remove it when its reason is over.' "$file"
            return 0
        fi
    done
    todo 'PAM does not let the account %s log in through sshd (%s). See the account lines of /etc/pam.d/sshd and what they name, such as /etc/security/access.conf. The log has more: journalctl -t sshd -t sshd-session, or /var/log/auth.log or secure' \
        "$ACCOUNT" "$refusal"
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
