# The server: the files that it is known by, the registration in the receipt, the calls over ssh.

gather_files() {
    given_register_key
    given_file known-hosts "$KNOWN_HOSTS_FILE" || die 2 'The host key of the server is missing; please give --known-hosts FILE.'
    check_known_hosts
    given_wrapper || die 2 'rsyncsend.sh is missing; please give --wrapper FILE.'
}

# Write WORK/NAME from FILE, or if none was given from inside this file.
given_file() {    # NAME FILE
    if [ -n "$2" ]; then
        if [ -d "$2" ] || [ ! -r "$2" ]; then
            die 2 '%s cannot be read.' "$2"
        fi
        head -c "$ROOM" <"$2" >"$WORK/$1"
        [ -s "$WORK/$1" ] || die 2 '%s is empty.' "$2"
    else
        bundled "$1" >"$WORK/$1"
    fi
    [ -s "$WORK/$1" ]
}

given_register_key() {
    given_file register-key "$REGISTER_KEY_FILE" || die 2 'The register-key is missing; please give --register-key FILE.'
    # What a mail or an editor of Windows adds, and the line end that it cuts off.
    LC_ALL=C awk '{ sub(/\r$/, ""); if (NR == 1) sub(/^\357\273\277/, ""); print }' "$WORK/register-key" >"$WORK/plain-key"
    cat <"$WORK/plain-key" >"$WORK/register-key"
    check_register_key
}

# Of a damaged or locked key ssh would only say that the server refuses it. The packages may still be missing.
check_register_key() {
    command -v ssh-keygen >/dev/null || return 0
    case $(head -n 1 "$WORK/register-key") in
        ssh-* | ecdsa-* | sk-* | *'PUBLIC KEY'*)
            die 2 'The register-key (%s) is the public half of a key; please give the private one.' "$(register_key_name)" ;;
        PuTTY-*)
            die 2 'The register-key (%s) has the form of PuTTY; please get it in the form of OpenSSH.' "$(register_key_name)" ;;
    esac
    ! ssh-keygen -y -P '' -f "$WORK/register-key" >/dev/null 2>"$WORK/key-errors" || return 0
    ! grep -q passphrase "$WORK/key-errors" ||
        die 2 'The register-key (%s) is locked with a passphrase; please get a new copy of it from the backup administrator.' \
            "$(register_key_name)"
    die 2 'The register-key (%s) is damaged or not a key; please get a new copy of it from the backup administrator.' \
        "$(register_key_name)"
}

register_key_name() { printf '%s' "${REGISTER_KEY_FILE:-setup.sh}"; }

# A line may also be the authority of the server's certificate.
check_known_hosts() {
    command -v ssh-keygen >/dev/null || return 0
    name=$(known_hosts_name)
    ssh-keygen -F "$name" -f "$WORK/known-hosts" >/dev/null 2>&1 ||
        die 2 'The known hosts file has no line for %s.' "$name"
}

file_beside() {
    case $0 in
        */*) if [ -f "${0%/*}/$1" ]; then printf '%s' "${0%/*}/$1"; fi ;;
        # Piped into a shell, $0 is sh, and there may be a file of that name.
        *.sh) if [ -f "$1" ] && [ -f "$0" ]; then printf '%s' "./$1"; fi ;;
    esac
}

# The wrapper becomes root's helper, so a file that other users may have put beside this one is refused.
given_wrapper() {
    if [ -n "$WRAPPER_FILE" ]; then
        given_file wrapper "$WRAPPER_FILE"
        return
    fi
    given_file wrapper '' && return 0
    found=$(file_beside rsyncsend.sh)
    [ -n "$found" ] || return 1
    if ! only_we_write "$found" || ! only_we_write "${found%/*}/"; then
        die 2 'Other users can change %s or its folder; please give --wrapper FILE.' "$found"
    fi
    given_file wrapper "$found"
}

# Whether PATH belongs to root or to the person who runs this, and no other user can write there.
only_we_write() {
    # shellcheck disable=SC2046  # mode and numbers
    set -- $(LC_ALL=C ls -ldn -- "$1" 2>/dev/null) ''
    case $1 in
        -????w* | -???????w* | d????w* | d???????w* | [!-d]* | '') return 1 ;;
    esac
    [ "$3" = 0 ] || [ "$3" = "${SUDO_UID:-$(id -u)}" ]
}

# Print the logon that this computer is registered for with this server.
registered_as() {
    [ -f "$RECEIPT" ] || return 1
    sed -n "s/^registered $SERVER //p" "$RECEIPT" | tail -n 1 | grep .
}

server_of_receipt() {
    [ ! -f "$RECEIPT" ] || sed -n 's/^registered \([^ ]*\) .*/\1/p' "$RECEIPT" | tail -n 1
}

# The name of the server in known_hosts.
known_hosts_name() {
    if [ "$PORT" -eq 22 ]; then
        printf '%s' "$SERVER"
    else
        printf '[%s]:%s' "$SERVER" "$PORT"
    fi
}

# ssh runs as the account, which can read these files but not change them.
prepare_call() {
    can_enter ||
        die 1 'Root cannot become the account %s: %s' "$ACCOUNT" "$(tail -n 1 "$WORK/entry-errors" | printable)"
    put_file "$WORK/known-hosts" "$STATE_DIR/known_hosts" root "$ACCOUNT" 640
    replace_file "$WORK/register-key" "$STATE_DIR/register-key" root "$ACCOUNT" 640
}

call() {    # REQUEST [STANDARD-INPUT]
    call_patiently "$@"
    ! no_connection || not_connected
}

# Call the server; if the same request may work later, wait and try again. The wait is random, so that many computers that
# were refused together do not come back together.
call_patiently() {    # REQUEST [STANDARD-INPUT]
    for longest in 6 12 24 48 0; do
        call_once "$@"
        if [ "$longest" -eq 0 ] || ! may_work_later; then
            break
        fi
        pause=$((longest / 2 + $(od -An -N 2 -t u2 /dev/urandom | tr -d ' ') % (longest / 2 + 1)))
        note 'the server is busy; the next try is in %s seconds' "$pause"
        sleep "$pause"
    done
}

may_work_later() { [ "$REPLY_STATUS" -eq 75 ] || turned_away; }
no_connection() { [ "$REPLY_STATUS" -eq 255 ] && [ ! -s "$WORK/reply" ]; }

# Whether sshd closed the connection before the login: it has too many at once (MaxStartups, PerSourceMaxStartups), or
# shuts this address out for a while (PerSourcePenalties).
turned_away() {
    no_connection &&
        grep -qE '^(kex|ssh)_exchange_identification: (read: )?Connection (closed|reset)|banner exchange|^Connection (closed|reset) by ' \
            "$WORK/ssh-errors"
}

# Set REPLY_STATUS, and write the answer to WORK/reply. What ssh itself says goes to WORK/ssh-errors: a warning of ssh
# must not come before "success". Standard input is empty or a file, so that ssh does not read the setup's own.
call_once() {    # REQUEST [STANDARD-INPUT]
    line="exec env SSH_AUTH_SOCK= ssh -x -a -T $IP_VERSION -F /dev/null -i $CALL_FOLDER/register-key -l $SERVER_ACCOUNT"
    line="$line -p $PORT -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    line="$line -o UserKnownHostsFile=$CALL_FOLDER/known_hosts -o GlobalKnownHostsFile=/dev/null"
    line="$line -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR $SERVER $1"
    {
        { "$CALL_AS" "$line" "${2:-}" 2>&4 && status=0 || status=$?
            printf '%s' "$status" >"$WORK/status"; } | head -c 65536 | tr -d '\r' >"$WORK/reply"
    } 4>&1 | head -c 65536 >"$WORK/ssh-errors"
    REPLY_STATUS=$(cat "$WORK/status")
    # Often the IPv4 address of a laptop has a name, and its IPv6 address has none.
    if [ -z "$IP_VERSION" ] && [ "$(error_code)" = dns-name ]; then
        case $(head -n 1 "$WORK/reply" | cut -d ' ' -f 1) in
            *:*) IP_VERSION=-4; call_once "$@" ;;
        esac
    fi
}

not_connected() {
    printable <"$WORK/ssh-errors" >&2
    if grep -q 'Host key verification failed' "$WORK/ssh-errors"; then
        die 6 'The host key of %s is not the known one: this may be another server. Nothing was sent. Please tell your administrator.' "$SERVER"
    fi
    if grep -q 'Permission denied' "$WORK/ssh-errors"; then
        die 4 '%s no longer accepts the key of this setup; please get a new copy of the setup.' "$SERVER"
    fi
    if turned_away; then
        die 5 '%s closes the connection before the login: it has too many connections, or has blocked the address of this computer for a while. Please try again in some minutes.' "$SERVER"
    fi
    die 5 '%s cannot be reached. Is this computer on the network?' "$SERVER"
}

as_account() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && os as_account "$1") <"${2:-/dev/null}" 3>&-
}

# Whether root can become the account. If not, what only the account can find out is not known.
can_enter() {
    [ "$(as_account 'echo in' 2>"$WORK/entry-errors")" = in ]
}

# For what changes nothing on this computer: the files of a call are in WORK, which is root's alone.
as_root() {    # COMMAND-LINE [STANDARD-INPUT]
    (cd / && with_timeout "$TIMEOUT" sh -c "$1") <"${2:-/dev/null}" 3>&-
}

# A Mac has no timeout(1). A timeout has the exit status 124, 137 or 142.
with_timeout() {    # SECONDS COMMAND...
    if command -v timeout >/dev/null; then
        timeout --foreground -k 5 "$@"
    else
        perl -e 'alarm shift; exec @ARGV or die' "$@"
    fi
}

timed_out() {
    [ "$REPLY_STATUS" -eq 124 ] || [ "$REPLY_STATUS" -eq 137 ] || [ "$REPLY_STATUS" -eq 142 ]
}

# Whether TEXT is a list of addresses or networks, separated by commas, that this computer may let in: no network wider
# than /8 or /32 (IPv6), none of all IPv4 addresses inside IPv6 ones (mapped, NAT64, Teredo), and not too many. The
# server's configuration has the same limits.
address_list() {    # TEXT
    case $1 in
        '' | *[!0-9a-fA-F:./,]* | ,* | *, | *,,*) return 1 ;;
    esac
    printf '%s\n' "$1" | tr ',' '\n' | awk '
        function number(text, most) { return text ~ /^(0|[1-9][0-9]*)$/ && length(text) <= 3 && text + 0 <= most }
        function v4(text,  part, i) {
            if (split(text, part, ".") != 4) return 0
            for (i = 1; i <= 4; i++) if (!number(part[i], 255)) return 0
            return part[1] > 0 && part[1] < 224
        }
        # Set all to the eight groups, in lower case and without leading zeros; an IPv4 address at the end is one group.
        function v6(text,  part, i, count, gaps, zeros) {
            gaps = gsub(/::/, ":@:", text)
            if (gaps > 1 || text ~ /::/) return 0
            sub(/^:@/, "@", text)
            sub(/@:$/, "@", text)
            count = split(text, part, ":")
            zeros = 8 - (count - gaps) - (text ~ /\./)
            if (gaps ? zeros < 1 : zeros != 0) return 0
            all = ""
            for (i = 1; i <= count; i++) {
                if (part[i] == "@") { while (zeros-- > 0) all = all "0:"; continue }
                if (i == count && part[i] ~ /\./) { if (!v4(part[i])) return 0 }
                else if (part[i] !~ /^[0-9a-fA-F]+$/ || length(part[i]) > 4) return 0
                sub(/^0+/, "", part[i])
                all = all (part[i] == "" ? "0" : tolower(part[i])) ":"
            }
            return all != "0:0:0:0:0:0:0:0:" && all !~ /^ff[0-9a-f][0-9a-f]:/
        }
        {
            parts = split($0, piece, "/")
            six = piece[1] ~ /:/
            bits = six ? 128 : 32
            good = six ? v6(piece[1]) : v4(piece[1])
            if (parts > 2 || (parts == 2 && !number(piece[2], bits))) good = 0
            if (parts == 2 && piece[2] + 0 < bits) {
                networks++
                if (piece[2] + 0 < (six ? 32 : 8) || (six && all ~ /^(0:0|64:ff9b|2001:0):/)) good = 0
            }
            if (!good) bad = 1
        }
        END { exit bad || networks > 16 || NR > 64 }'
}

# Whether ENTRY of such a list is a network, not one address.
is_network() {    # ENTRY
    case $1 in
        *:*/128 | *.*.*.*/32) return 1 ;;
        */*) return 0 ;;
        *) return 1 ;;
    esac
}
