open_firewall() {
    [ "$FIREWALL" = yes ] || return 0
    wall=$(active_firewall)
    [ -n "$wall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        if ! "${wall}_lets_in" "$address" "$port"; then
            note 'letting %s through the firewall to port %s' "$address" "$port"
            remember "firewall $wall $port $address"
            change "${wall}_rule" "$port" "$address"
        fi
    done
}

active_firewall() {
    if [ "$SYSTEM" != Linux ]; then
        return 0
    elif command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then
        printf ufw
    elif command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
        printf firewalld
    fi
}

# Where the server comes from: as we were told, as it says, as the key's line says, as its name says.
server_addresses() {
    case $FROM in
        '' | none) ;;
        *) printf '%s' "$FROM" | tr ',' '\n'; return 0 ;;
    esac
    list=${REPLY_FROM:-$(sed -n "s|^restrict,from=\"\\([^\"]*\\)\",command=\"$WRAPPER\" .*|\\1|p" "$(keys_file)" 2>/dev/null)}
    if [ -n "$list" ]; then
        printf '%s' "$list" | tr ',' '\n'
    else
        addresses_of "$SERVER"
    fi
}
