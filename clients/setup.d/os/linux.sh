# By what the system says it is like, else by its package manager: there are too many distributions to name them.
know_linux() {
    likes=" $(os_release ID) $(os_release ID_LIKE) "
    case $likes in
        *' nixos '*) FAMILY=nixos; return 0 ;;
        *' steamos '*) FAMILY=immutable; return 0 ;;
    esac
    if [ -e "$OSTREE" ] || root_is_read_only; then
        FAMILY=immutable
        return 0
    fi
    case $likes in
        *' debian '* | *' ubuntu '*) managers=apt-get ;;
        *' fedora '* | *' rhel '* | *' centos '*) managers='dnf yum' ;;
        *' suse '* | *' opensuse '* | *' opensuse-'*) managers=zypper ;;
        *' arch '*) managers=pacman ;;
        *) managers='apt-get dnf yum zypper pacman' ;;
    esac
    for MANAGER in $managers; do
        if command -v "$MANAGER" >/dev/null; then
            case $MANAGER in
                apt-get) FAMILY=debian ;;
                dnf | yum) FAMILY=redhat ;;
                zypper) FAMILY=suse ;;
                pacman) FAMILY=arch ;;
            esac
            return 0
        fi
    done
}

# transactional-update alone says nothing: it can be installed on a plain Tumbleweed too.
root_is_read_only() {
    awk '$2 == "/" { options = "," $4 "," } END { exit options !~ /,ro,/ }' "$MOUNTS" 2>/dev/null
}

os_release() {    # NAME
    sed -n "s/^$1=//p" "$OS_RELEASE" 2>/dev/null | tr -d "\"'" | head -n 1
}

nixos_instructions() {
    warn 'NixOS is set up by its configuration, not by this program. Add to it:'
    cat >&2 <<END

  services.openssh = { enable = true; settings.PasswordAuthentication = false; settings.KbdInteractiveAuthentication = false; };
  environment.systemPackages = with pkgs; [ bash util-linux ];
  users.groups.$ACCOUNT = {};
  users.users.$ACCOUNT = { isSystemUser = true; group = "$ACCOUNT"; home = "$PLACE"; shell = "/bin/sh"; hashedPassword = "*"; };
  security.sudo.extraRules = [ { users = [ "$ACCOUNT" ];
    commands = [ { command = "$HELPER"; options = [ "NOPASSWD" ]; } ]; } ];

END
    warn 'Then, as root, put rsyncsend.sh where that says, with the paths that NixOS has. It starts no rsync below /nix/store, where the group nixbld may write, so that gets a copy:'
    cat >&2 <<END

  mkdir -p $PLACE ${HELPER%/*}
  sed -e '1s|/bin/bash|/run/current-system/sw/bin/bash|' \\
    -e 's|^PATH=/.*|PATH=/run/wrappers/bin:/run/current-system/sw/bin|' rsyncsend.sh >$WRAPPER
  install -m 755 $WRAPPER $HELPER
  install -m 755 "\$(nix-build '<nixpkgs>' -A pkgsStatic.rsync --no-out-link)/bin/rsync" ${HELPER%/*}/rsync
  printf '%s\\n' share=/home restore=off rsync=${HELPER%/*}/rsync >$CONFIG
  chmod 755 $PLACE $WRAPPER
  chmod 644 $CONFIG

END
    warn 'None of this was tried on NixOS; the rest, the registration too, please ask the backup administrator.'
}

immutable_instructions() {
    warn 'The system of this computer is read-only, and this program does not change such a system. It takes these packages:'
    if command -v transactional-update >/dev/null; then
        printf '\n  transactional-update pkg install openssh sudo rsync util-linux\n\n' >&2
    elif [ -e "$OSTREE" ]; then
        printf '\n  rpm-ostree install openssh-server sudo rsync util-linux\n\n' >&2
    else
        printf '\n  openssh sudo rsync util-linux\n\n' >&2
    fi
    warn 'How the rest is done by hand, the backup administrator can tell you.'
}

system_name() {
    os_release PRETTY_NAME | printable | grep . || uname -s
}

add_linux_account() {
    group=--user-group
    if group_exists; then
        group="--gid=$ACCOUNT"
    fi
    useradd --system "$group" --no-create-home --home-dir "$PLACE" --shell /bin/sh --password '*' \
        --comment BackupPC "$ACCOUNT"
}

# userdel takes a group of the same name along, whoever made it.
remove_linux_account() {
    number=$(group_number)
    userdel "$ACCOUNT" || return
    if [ -n "$number" ] && ! remembers "group $ACCOUNT" && ! group_exists; then
        groupadd --system --gid "$number" "$ACCOUNT"
    fi
}

install_packages() {
    case $MANAGER in
        apt-get) apt_get install --yes --no-install-recommends "$@" ||
            { apt_get update && apt_get install --yes --no-install-recommends "$@"; } ;;
        dnf | yum) "$MANAGER" --assumeyes --quiet install "$@" >>"$WORK/packages" 2>&1 ;;
        zypper) zypper --non-interactive --quiet install --no-recommends "$@" >>"$WORK/packages" 2>&1 ;;
        pacman) pacman --sync --needed --noconfirm "$@" >>"$WORK/packages" 2>&1 ;;
    esac || {
        tail -n 5 "$WORK/packages" | printable >&2
        die 1 'These packages could not be installed: %s' "$*"
    }
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$WORK/packages" 2>&1
}

selinux_enforces() {
    [ "$SYSTEM" = Linux ] && command -v getenforce >/dev/null && [ "$(getenforce 2>/dev/null)" = Enforcing ]
}

# Ubuntu waits for connections with ssh.socket; Debian has that unit too, but switched off.
sshd_unit() {
    if systemctl is-enabled ssh.socket >/dev/null 2>&1; then
        printf ssh.socket
    elif systemctl list-unit-files ssh.service 2>/dev/null | grep -q '^ssh\.service'; then
        printf ssh.service
    else
        printf sshd.service
    fi
}

ufw_lets_in() {    # ADDRESS PORT
    ufw status | awk -v address="$1" -v port="$2" '
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

ufw_rule() {    # PORT ADDRESS
    ufw allow from "$2" to any port "$1" proto tcp >/dev/null
}

no_ufw_rule() {
    ufw --force delete allow from "$2" to any port "$1" proto tcp >/dev/null
}

firewalld_lets_in() {    # ADDRESS PORT
    { [ "$2" -eq 22 ] && firewall-cmd --quiet --permanent --query-service=ssh; } ||
        firewall-cmd --quiet --permanent --query-port="$2/tcp" ||
        firewall-cmd --quiet --permanent --query-rich-rule="$(rich_rule "$2" "$1")"
}

rich_rule() {    # PORT ADDRESS
    family=ipv4
    case $2 in
        *:*) family=ipv6 ;;
    esac
    printf 'rule family="%s" source address="%s" port port="%s" protocol="tcp" accept' "$family" "$2" "$1"
}

firewalld_rule() {    # PORT ADDRESS
    firewall-cmd --quiet --permanent --add-rich-rule="$(rich_rule "$@")" &&
        firewall-cmd --quiet --add-rich-rule="$(rich_rule "$@")"
}

no_firewalld_rule() {
    firewall-cmd --quiet --permanent --remove-rich-rule="$(rich_rule "$@")"
    firewall-cmd --quiet --remove-rich-rule="$(rich_rule "$@")"
}
