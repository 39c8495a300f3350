check_sshd() {
    if [ "$DRY_RUN" = yes ] && ! command -v sshd >/dev/null; then
        return 0
    fi
    [ "$SSHD" = no ] || start_sshd
    join_mac_group
    if ! sshd_settings; then
        return 0
    fi
    check_access
    look_at_passwords
}

# sshd's own view of what holds for our account when the server calls.
sshd_settings() {
    address=$(addresses_of "${SERVER:-localhost}" | head -n 1)
    if sshd_tells "user=$ACCOUNT,host=${SERVER:-localhost},addr=${address:-127.0.0.1}" >"$WORK/sshd"; then
        return 0
    fi
    [ "$DRY_RUN" = no ] || return 1
    printable <"$WORK/sshd-errors" >&2
    todo 'sshd does not tell its settings; please look at its configuration.'
    return 1
}

addresses_of() {    # NAME
    case $SYSTEM in
        Darwin) dscacheutil -q host -a name "$1" | sed -En 's/^ip(v6)?_address: //p' ;;
        *) getent ahosts "$1" | awk '!seen[$1]++ { print $1 }' ;;
    esac
}

setting() {    # KEYWORD: its values, one a line
    sed -n "s/^$1 //p" "$WORK/sshd" 2>/dev/null
}

start_sshd() {
    if is_our_sshd && [ -d "$SYSTEMD" ]; then
        remember "enabled $(sshd_unit)"
    fi
    if sshd_answers; then
        return 0
    fi
    note 'starting sshd'
    is_our_sshd ||
        note 'it lets other accounts of this computer in as well, by password too, if its settings do'
    if [ "$SYSTEM" = Darwin ]; then
        launchctl print system/com.openssh.sshd >/dev/null 2>&1 || remember 'enabled remote-login'
        change switch_remote_login_on >/dev/null 2>&1
    elif [ -d "$SYSTEMD" ]; then
        unit=$(sshd_unit)
        systemctl is-enabled "$unit" >/dev/null 2>&1 || systemctl is-active "$unit" >/dev/null 2>&1 ||
            remember "enabled $unit"
        change systemctl --quiet enable --now "$unit" >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        change service ssh start >/dev/null 2>&1 || true
    fi
    if [ "$DRY_RUN" = no ] && ! sshd_answers; then
        if [ "$SYSTEM" = Darwin ]; then
            todo 'Please switch Remote Login on: System Settings, General, Sharing.'
        else
            todo 'sshd is not running; please start it, and have it start with the computer.'
        fi
    fi
}

# There was none before the setup brought it.
is_our_sshd() {
    grep -qsxF "file $SSHD_DROP_IN" "$RECEIPT"
}

# Before OpenSSH 8.2 sshd reads no such file; elsewhere a setting that comes first holds.
look_at_passwords() {
    if is_our_sshd && [ -f "$SSHD_DROP_IN" ] && [ "$(setting passwordauthentication)" != no ]; then
        caution 'sshd lets the accounts of this computer in by password from the network, whatever %s says.' \
            "$SSHD_DROP_IN"
    fi
}

# A connection tells more than any list of services. Each where sshd says that it listens.
sshd_answers() {
    sshd_doors | while read -r address port; do
        ! ssh-keyscan -T 3 -p "$port" "$address" 2>/dev/null | grep -q . || printf 'yes\n'
    done | grep -q . || sshd_shuts_us_out
}

sshd_doors() {
    sshd_tells user=root,host=localhost,addr=127.0.0.1 2>/dev/null | awk '
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

# What holds for a connection, as "keyword value" lines. Where the settings ask for the near end too, it has to be told.
sshd_tells() {    # user=...,host=...,addr=...
    sshd -T -C "$1" 2>"$WORK/sshd-errors" ||
        sshd -T -C "$1,laddr=$(own_address "${1##*addr=}"),lport=22" 2>>"$WORK/sshd-errors"
}

# The address under which this computer meets PEER.
own_address() {    # PEER
    near=$(ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p') || near=''
    printf '%s' "${near:-127.0.0.1}"
}

# From OpenSSH 9.8 on it shuts out for a while who looks too often without logging in, and says so.
sshd_shuts_us_out() {
    # shellcheck disable=SC2016  # for bash
    bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && read -r -t 3 line <&3 && printf "%s\n" "$line"' bash "$(sshd_port)" \
        2>/dev/null | grep -q '^Not allowed at this time'
}

sshd_port() {
    sshd_doors | awk 'NR == 1 { print $2 }'
}

check_access() {
    [ "$(setting pubkeyauthentication)" != no ] ||
        todo 'sshd takes no keys (PubkeyAuthentication no).'
    if [ -n "$(setting allowusers)" ] && ! setting allowusers | names_one_of "$ACCOUNT"; then
        todo 'sshd lets in only those of AllowUsers; please add %s there.' "$ACCOUNT"
    fi
    # Who is kept out from one place alone is let in from the server, as far as we can tell; the way back will show.
    if setting denyusers | { grep -v '@' || true; } | names_one_of "$ACCOUNT"; then
        todo 'sshd keeps %s out (DenyUsers).' "$ACCOUNT"
    fi
    groups=$(id -Gn "$ACCOUNT" 2>/dev/null) || groups=$ACCOUNT
    # shellcheck disable=SC2086  # several words
    if [ -n "$(setting allowgroups)" ] && ! setting allowgroups | names_one_of $groups; then
        todo 'sshd lets in only the groups of AllowGroups; please add %s there.' "$ACCOUNT"
    fi
    # shellcheck disable=SC2086
    if setting denygroups | names_one_of $groups; then
        todo 'sshd keeps the group %s out (DenyGroups).' "$ACCOUNT"
    fi
    { setting authenticationmethods | grep . || printf any; } | tr ' ' '\n' | grep -qxE 'any|publickey' ||
        todo 'sshd wants more than a key (AuthenticationMethods).'
    check_algorithms
    case $(setting forcecommand) in
        '' | none) ;;
        *) todo 'sshd starts another command than ours (ForceCommand).' ;;
    esac
}

# Whether sshd takes the kind of key that the server has, once we know it.
check_algorithms() {
    list=,$(setting pubkeyacceptedalgorithms),
    kind=$(remembered key | grep -oE '(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp[0-9]+) AAAA' | sed 's/ AAAA//') || return 0
    [ "$kind" != ssh-rsa ] || kind=rsa-sha2-
    case $list in
        ,, | *",$kind"*) ;;
        *) todo 'sshd does not take keys of the server’s kind, %s (PubkeyAcceptedAlgorithms).' "$kind" ;;
    esac
}

# Whether a pattern on standard input (USER or USER@HOST) fits one of the names.
names_one_of() {    # NAME...
    while IFS= read -r pattern; do
        for name in "$@"; do
            # shellcheck disable=SC2254  # sshd's * and ? mean here what they mean there
            case $name in
                ${pattern%%@*}) return 0 ;;
            esac
        done
    done
    return 1
}
