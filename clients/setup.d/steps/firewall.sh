# Step: an active firewall lets the backup server in.

open_firewall() {
    [ "$FIREWALL" = yes ] || return 0
    close_wide_rules
    agree_on_networks
    blocked_addresses >"$WORK/blocked"
    while read -r firewall port address; do
        note 'opening the firewall for %s, port %s' "$address" "$port"
        receipt_add "firewall $firewall $port $address"
        change "${firewall}_open" "$port" "$address" </dev/null
    done <"$WORK/blocked"
}

# An earlier setup let in whatever network the server named.
close_wide_rules() {
    wide_rules >"$WORK/wide"
    while IFS= read -r rule; do
        undo_firewall "${rule#firewall }" </dev/null
        receipt_drop "$rule"
    done <"$WORK/wide"
}

wide_rules() {
    [ ! -f "$RECEIPT" ] || grep '^firewall ' "$RECEIPT" | while IFS= read -r rule; do
        address_list "${rule##* }" || printf '%s\n' "$rule"
    done
}

# Print "FIREWALL PORT ADDRESS" for each address of the server that the firewall blocks.
blocked_addresses() {
    firewall=$(os firewall_name)
    [ -n "$firewall" ] || return 0
    port=$(sshd_port)
    for address in $(server_addresses); do
        "${firewall}_allows" "$port" "$address" || printf '%s %s %s\n' "$firewall" "$port" "$address"
    done
}

# The addresses of the server: from --from, the reply, the line of its key, or its name. The firewall is opened for a
# network only if a person asked for it.
server_addresses() {
    case $FROM in
        '' | none) ;;
        *) printf '%s' "$FROM" | tr ',' '\n'; return 0 ;;
    esac
    named_by_server >"$WORK/named"
    found=no
    while IFS= read -r entry; do
        if ! is_network "$entry" || grep -qsxF -- "network $entry" "$RECEIPT"; then
            printf '%s\n' "$entry"
            found=yes
        fi
    done <"$WORK/named"
    [ "$found" = yes ] || os addresses_of "$SERVER"
}

# Print the addresses and networks that the server says it connects from.
named_by_server() {
    list=${REPLY_FROM:-$(sed -n "s|^restrict,from=\"\\([^\"]*\\)\",command=\"\\(/bin/bash -p \\)\\{0,1\\}$WRAPPER\" .*|\\1|p" "$(keys_file)" 2>/dev/null)} || list=''
    [ -z "$list" ] || printf '%s\n' "$list" | tr ',' '\n'
}

# Ask about each network that the server names: a mistake on the server, or its intruder, must not open this computer.
agree_on_networks() {
    closed_networks >"$WORK/networks"
    while IFS= read -r network; do
        if [ "$DRY_RUN" = no ] && [ "$YES" = no ] && can_ask && [ -n "$REPLY_FROM" ] &&
            yes_or_no 'The server also connects from the network %s. Shall the firewall let in every computer of that network (yes/no)?' "$network"; then
            receipt_add "network $network"
        else
            caution 'The firewall stays closed for the network %s, which the server names. To open it: sudo sh setup.sh --from %s' \
                "$network" "$(named_by_server | tr '\n' ',' | sed 's/,$//')"
        fi
    done <"$WORK/networks"
}

# Print the networks that the server names and that the firewall blocks, without those that a person agreed to.
closed_networks() {
    firewall=$(os firewall_name)
    case $FROM-$firewall in
        -?*) ;;
        *) return 0 ;;
    esac
    port=$(sshd_port)
    for entry in $(named_by_server); do
        if is_network "$entry" && ! grep -qsxF -- "network $entry" "$RECEIPT" && ! "${firewall}_allows" "$port" "$entry"; then
            printf '%s\n' "$entry"
        fi
    done
}

ufw_allows() {    # PORT ADDRESS
    ufw status | awk -v port="$1" -v address="$2" '
        / ALLOW / {
            from = $0
            sub(/.* ALLOW( IN)? +/, "", from)
            sub(/ *#.*/, "", from)
            sub(/ +$/, "", from)
            v6 = address ~ /:/
            to = $1 == port || $1 == port "/tcp" || $1 == "Anywhere" || (port == 22 && ($1 == "OpenSSH" || $1 == "SSH"))
            if (to && (from == address || from == (v6 ? "Anywhere (v6)" : "Anywhere"))) found = 1
        }
        END { exit !found }'
}

ufw_open() {    # PORT ADDRESS
    ufw allow from "$2" to any port "$1" proto tcp >/dev/null
}

ufw_close() {    # PORT ADDRESS
    ufw --force delete allow from "$2" to any port "$1" proto tcp >/dev/null
}

firewalld_allows() {    # PORT ADDRESS
    { [ "$1" -eq 22 ] && firewall-cmd --quiet --permanent --query-service=ssh; } ||
        firewall-cmd --quiet --permanent --query-port="$1/tcp" ||
        firewall-cmd --quiet --permanent --query-rich-rule="$(rich_rule "$@")"
}

firewalld_open() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --add-rich-rule="$(rich_rule "$@")" &&
        firewall-cmd --quiet --add-rich-rule="$(rich_rule "$@")"
}

firewalld_close() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --remove-rich-rule="$(rich_rule "$@")"
    firewall-cmd --quiet --remove-rich-rule="$(rich_rule "$@")"
}

rich_rule() {    # PORT ADDRESS
    family=ipv4
    case $2 in
        *:*) family=ipv6 ;;
    esac
    printf 'rule family="%s" source address="%s" port port="%s" protocol="tcp" accept' "$family" "$2" "$1"
}
