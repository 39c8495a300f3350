gather_files() {
    given_file register-key "$REGISTER_KEY_FILE" ||
        die 2 'There is no key to register with; please give --register-key FILE.'
    given_file known-hosts "$KNOWN_HOSTS_FILE" ||
        die 2 'There is no host key of the server; please give --known-hosts FILE.'
    given_wrapper ||
        die 2 'rsyncsend.sh is missing; please give --wrapper FILE.'
}

# WORK/NAME from a file that was named, or else from inside this one.
given_file() {    # NAME FILE
    if [ -n "$2" ]; then
        if [ -d "$2" ] || [ ! -r "$2" ]; then
            die 2 '%s cannot be read.' "$2"
        fi
        cat <"$2" >"$WORK/$1"
    else
        bundled "$1" >"$WORK/$1"
    fi
    [ -s "$WORK/$1" ]
}

beside() {
    case $0 in
        */*) if [ -f "${0%/*}/$1" ]; then printf '%s' "${0%/*}/$1"; fi ;;
        # Piped into a shell we are called sh, and there may be a file of that name.
        *.sh) if [ -f "$1" ] && [ -f "$0" ]; then printf '%s' "./$1"; fi ;;
    esac
}

# The wrapper becomes root's helper: what another person could have put beside us is never taken for it.
given_wrapper() {
    if [ -n "$WRAPPER_FILE" ]; then
        given_file wrapper "$WRAPPER_FILE"
        return
    fi
    given_file wrapper '' && return 0
    found=$(beside rsyncsend.sh)
    [ -n "$found" ] || return 1
    if ! ours_alone "$found" || ! ours_alone "${found%/*}/"; then
        die 2 '%s, or its folder, can be changed by others than you; please give --wrapper FILE.' "$found"
    fi
    given_file wrapper "$found"
}

# Whether PATH is root's, or of the person who runs this, and nobody else can write there.
ours_alone() {
    # shellcheck disable=SC2046  # mode and numbers
    set -- $(LC_ALL=C ls -ldn -- "$1" 2>/dev/null) ''
    case $1 in
        -????w* | -???????w* | d????w* | d???????w* | [!-d]* | '') return 1 ;;
    esac
    [ "$3" = 0 ] || [ "$3" = "${SUDO_UID:-$(id -u)}" ]
}

# Who this computer was registered for, if it was, with this server.
registered_as() {
    [ -f "$RECEIPT" ] || return 1
    sed -n "s/^registered $SERVER //p" "$RECEIPT" | tail -n 1 | grep .
}

server_of_receipt() {
    [ ! -f "$RECEIPT" ] || sed -n 's/^registered \([^ ]*\) .*/\1/p' "$RECEIPT" | tail -n 1
}

# How the server stands in known_hosts.
known_as() {
    if [ "$PORT" -eq 22 ]; then
        printf '%s' "$SERVER"
    else
        printf '[%s]:%s' "$SERVER" "$PORT"
    fi
}

# ssh goes as the account, which can read these files and change none of them.
prepare_call() {
    put_file "$WORK/known-hosts" "$PLACE/known_hosts" root "$ACCOUNT" 640
    name=$(known_as)
    ssh-keygen -F "$name" -f "$PLACE/known_hosts" >/dev/null 2>&1 ||
        die 2 'The known hosts file has no line for %s.' "$name"
    replace "$WORK/register-key" "$PLACE/register-key" root "$ACCOUNT" 640
}

# Standard input is empty or a file: ssh must not eat ours. Sets REPLY_STATUS; the answer is in WORK/reply. What ssh says goes elsewhere, or a warning of its own would stand
# before "success".
call() {    # REQUEST [STANDARD-INPUT]
    line="exec env SSH_AUTH_SOCK= ssh -x -a -T $IP_VERSION -F /dev/null -i $PLACE/register-key -l $SERVER_ACCOUNT"
    line="$line -p $PORT -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    line="$line -o UserKnownHostsFile=$PLACE/known_hosts -o GlobalKnownHostsFile=/dev/null"
    line="$line -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR $SERVER $1"
    {
        { as_account "$line" "${2:-}" 2>&4 && status=0 || status=$?
            printf '%s' "$status" >"$WORK/status"; } | head -c 65536 | tr -d '\r' >"$WORK/reply"
    } 4>&1 | head -c 65536 >"$WORK/ssh-errors"
    REPLY_STATUS=$(cat "$WORK/status")
    if [ "$REPLY_STATUS" -eq 255 ] && [ ! -s "$WORK/reply" ]; then
        not_connected
    fi
    # The name of a laptop's IPv6 address is often missing where that of its IPv4 address is not.
    if [ -z "$IP_VERSION" ] && [ "$(error_code)" = dns-name ]; then
        case $(head -n 1 "$WORK/reply" | cut -d ' ' -f 1) in
            *:*)
                IP_VERSION=-4
                call "$@"
                ;;
        esac
    fi
}

not_connected() {
    printable <"$WORK/ssh-errors" >&2
    if grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        die 6 'This is not the %s that we know: its host key is another one. Nothing was sent. Please tell your administrator.' "$SERVER"
    fi
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        die 4 '%s does not take this setup’s key any more; please get a new copy of the setup.' "$SERVER"
    fi
    die 5 '%s cannot be reached. Is this computer on the network?' "$SERVER"
}

as_account() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && within "$PATIENCE" su "$ACCOUNT" -c "$1") <"${2:-/dev/null}" 3>&-
}

# A Mac has no timeout(1). Status 124 or 137, or 142: it took too long.
within() {    # SECONDS COMMAND...
    if command -v timeout >/dev/null; then
        timeout --foreground -k 5 "$@"
    else
        perl -e 'alarm shift; exec @ARGV or die' "$@"
    fi
}

took_too_long() {
    case $REPLY_STATUS in
        124 | 137 | 142) return 0 ;;
    esac
    return 1
}

# Whether TEXT is addresses, or networks, with commas between them and nothing else.
address_list() {    # TEXT
    case $1 in
        '' | *[!0-9a-fA-F:./,]* | ,* | *, | *,,*) return 1 ;;
    esac
    printf '%s\n' "$1" | tr ',' '\n' | awk '
        function number(text, most) { return text ~ /^[0-9]+$/ && length(text) <= 3 && text + 0 <= most }
        function v4(text,  part, i) {
            if (split(text, part, ".") != 4) return 0
            for (i = 1; i <= 4; i++) if (!number(part[i], 255)) return 0
            return 1
        }
        function v6(text,  part, i, count, gaps) {
            gaps = gsub(/::/, ":@:", text)
            if (gaps > 1 || text ~ /::/) return 0
            sub(/^:@/, "@", text)
            sub(/@:$/, "@", text)
            count = split(text, part, ":")
            for (i = 1; i <= count; i++) {
                if (part[i] == "@") continue
                if (i == count && part[i] ~ /\./) { if (!v4(part[i])) return 0; continue }
                if (part[i] !~ /^[0-9a-fA-F]+$/ || length(part[i]) > 4) return 0
            }
            if (text ~ /\./) count++
            return gaps ? count <= 8 : count == 8
        }
        {
            parts = split($0, piece, "/")
            good = piece[1] ~ /:/ ? v6(piece[1]) : v4(piece[1])
            if (parts > 2 || (parts == 2 && !number(piece[2], piece[1] ~ /:/ ? 128 : 32))) good = 0
            if (!good) { bad = 1 }
        }
        END { exit bad }'
}
