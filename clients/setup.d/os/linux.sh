# Linux: Debian, Fedora, openSUSE, Arch and their derivatives. What each function does is in os/unsupported.sh.

# By what the system says about itself, else by its package manager: the distributions are too many to name them.
system_detect_linux() {
    ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux FAMILY=''
    likes=" $(os_release ID) $(os_release ID_LIKE) "
    case $likes in
        *' nixos '* | *' steamos '*) managers='' ;;
        *' debian '* | *' ubuntu '*) managers=apt-get ;;
        *' fedora '* | *' rhel '* | *' centos '*) managers='dnf yum' ;;
        *' suse '* | *' opensuse '* | *' opensuse-'*) managers=zypper ;;
        *' arch '*) managers=pacman ;;
        *) managers='apt-get dnf yum zypper pacman' ;;
    esac
    if [ -z "$managers" ] || [ -e "$OSTREE" ] || root_is_read_only; then
        OS=unsupported FAMILY=immutable
        return 0
    fi
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
    OS=unsupported
}

# transactional-update alone proves nothing: it can be installed on a plain Tumbleweed too.
root_is_read_only() { awk '$2 == "/" { options = "," $4 "," } END { exit options !~ /,ro,/ }' "$MOUNTS" 2>/dev/null; }

os_release() {    # NAME
    sed -n "s/^$1=//p" "$OS_RELEASE" 2>/dev/null | tr -d "\"'" | head -n 1
}

tools_linux() {
    package_table | awk 'NR > 1 { print $1 }' |
        if selinux_enforces; then cat; else grep -v -e semanage -e restorecon; fi
}

packages_for_linux() {
    package_table | T="$*" F=$FAMILY awk '
        NR == 1 { for (column = 2; column < NF && $column != ENVIRON["F"]; ) column++ }
        index(" " ENVIRON["T"] " ", " " $1 " ") { print $column }'
}

packages_install_linux() {
    case $MANAGER in
        apt-get) apt_get install --yes --no-install-recommends "$@" ||
            { apt_get update && apt_get install --yes --no-install-recommends "$@"; } ;;
        dnf | yum) "$MANAGER" --assumeyes --quiet install "$@" ;;
        zypper) zypper --non-interactive --quiet install --no-recommends "$@" ;;
        pacman) pacman --sync --needed --noconfirm "$@" ;;
    esac >>"$WORK/packages" 2>&1
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"; }

selinux_enforces() {
    [ "$OS" = linux ] && command -v getenforce >/dev/null && [ "$(getenforce 2>/dev/null)" = Enforcing ]
}

identity_linux() { stat -c '%U %G %a' -- "$1"; }
account_entry_linux() { getent passwd "$ACCOUNT"; }
account_is_local_linux() { getent -s files passwd "$ACCOUNT" >/dev/null; }
account_was_made_linux() { account_is_local_linux; }

# The password field is a star: sshd takes ! for a locked account if PAM is not used.
account_add_linux() {
    group=--user-group
    if group_is_local_linux; then
        group="--gid=$ACCOUNT"
    fi
    useradd --system "$group" --no-create-home --home-dir "$STATE_DIR" --shell /bin/sh --password '*' \
        --comment BackupPC "$ACCOUNT"
}

# Without su, which PAM may refuse for reasons of its own, and which starts the shell of the account. A new session keeps
# the account away from root's terminal.
as_account_linux() {
    with_timeout "$TIMEOUT" env HOME="$STATE_DIR" USER="$ACCOUNT" LOGNAME="$ACCOUNT" SHELL=/bin/sh setsid \
        setpriv --reuid="$(id -u "$ACCOUNT")" --regid="$(id -g "$ACCOUNT")" --clear-groups -- /bin/sh -c "$1"
}

account_has_password_linux() {
    [ "$(getent shadow "$ACCOUNT" | cut -d: -f2)" != '*' ]
}

# Print "now" if the account or its password has expired, or "later" if it will. The fields are those of shadow(5).
account_expiry_linux() {
    getent shadow "$ACCOUNT" | T=$(($(date +%s) / 86400)) awk -F: '
        function by(day) { if (day <= ENVIRON["T"] + 0) now = 1; else later = 1 }
        $8 != "" && $8 >= 0 { by($8 + 0) }
        $3 == "0" { now = 1 }
        $3 > 0 && $5 != "" && $5 >= 0 && $5 < 99999 { by($3 + $5 + 1) }
        END { if (now) print "now"; else if (later) print "later" }'
}

# A new password is one of today.
account_repair_linux() {
    usermod --shell /bin/sh --password '*' "$ACCOUNT" &&
        chage --mindays -1 --maxdays -1 --inactive -1 --expiredate -1 "$ACCOUNT"
}

# userdel removes a group of the same name too, even if it was there before the account.
account_remove_linux() {
    number=$(group_number_linux)
    userdel "$ACCOUNT" || return
    if [ -n "$number" ] && ! receipt_has "group $ACCOUNT" && ! group_is_local_linux; then
        groupadd --system --gid "$number" "$ACCOUNT"
    fi
}

first_person_id_linux() {
    sed -n "s/^$1[[:space:]]*\\([0-9]\\{1,\\}\\).*/\\1/p" /etc/login.defs 2>/dev/null | grep . || printf 1000
}

group_is_local_linux() { getent -s files group "$ACCOUNT" >/dev/null; }
group_is_known_linux() { getent group "$ACCOUNT" >/dev/null; }
group_was_made_linux() { group_is_local_linux; }

group_number_linux() {
    getent group "$ACCOUNT" | cut -d: -f3
}

# A password lets anybody join (gshadow(5), newgrp(1)).
group_members_linux() {
    { getent group; getent group "$ACCOUNT"; } |
        G=$1 awk -F: '$3 == ENVIRON["G"] { print $1; gsub(",", "\n", $4); print $4 }'
    getent passwd | G=$1 awk -F: '$4 == ENVIRON["G"] { print $1 }'
    getent gshadow "$ACCOUNT" | awk -F: '
        $2 ~ /^[^!*]/ { print "(password)" }
        { gsub(",", "\n"); print $3; print $4 }'
}

group_remove_linux() { groupdel "$ACCOUNT"; }

sshd_enable_linux() {
    if [ -d "$SYSTEMD" ]; then
        unit=$(sshd_unit)
        systemctl is-enabled "$unit" >/dev/null 2>&1 || systemctl is-active "$unit" >/dev/null 2>&1 ||
            receipt_add "enabled $unit"
        change systemctl --quiet enable --now "$unit" >/dev/null 2>&1 || true
    elif command -v service >/dev/null; then
        change service ssh start >/dev/null 2>&1 || true
    fi
}

# Ubuntu waits for connections with ssh.socket; Debian has that unit too, but disabled.
sshd_unit() {
    if systemctl is-enabled ssh.socket >/dev/null 2>&1; then
        printf ssh.socket
    elif systemctl list-unit-files ssh.service 2>/dev/null | grep -q '^ssh\.service'; then
        printf ssh.service
    else
        printf sshd.service
    fi
}

sshd_disable_linux() {
    case $1 in
        ssh.socket) systemctl --quiet disable --now ssh.socket ssh.service ;;
        *) systemctl --quiet disable --now "$1" ;;
    esac
}

# As "[::]:2222 (Stream)".
sshd_sockets_linux() {
    [ -d "$SYSTEMD" ] && systemctl is-active ssh.socket sshd.socket 2>/dev/null | grep -qx active || return 0
    systemctl show --property=Listen --value ssh.socket sshd.socket 2>/dev/null |
        sed -n 's/^\(Listen=\)\{0,1\}\(.*:[0-9][0-9]*\) (Stream).*/listenaddress \2/p'
}

own_address_linux() { ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p'; }

# In a network of its own, let a second sshd with the same PAM admit the account from an address of the server. It has
# no other setting: "sshd -T" has told those. Print "let-in", or what refused it, or nothing if that cannot be tried.
login_trial_linux() {    # SERVER-ADDRESS
    trial=$WORK/trial
    case $1 in *:*) here=::1 ;; *) here=127.0.0.1 ;; esac
    mkdir -p -- "$trial" && chmod 711 "$WORK" "$trial" || return 0
    [ -f "$trial/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$trial/key" 2>/dev/null || return 0
    cat <"$trial/key.pub" >"$trial/keys" && chmod 644 "$trial/keys"
    printf '%s\n' "ListenAddress $here" 'Port 22' "HostKey $trial/key" 'PidFile none' 'StrictModes no' 'UsePAM yes' \
        "AuthorizedKeysFile $trial/keys" 'ForceCommand echo let-in' >"$trial/config"
    sshd_setting pamservicename | sed 's/^/PAMServiceName /' >>"$trial/config"
    # shellcheck disable=SC2016  # for the other shell
    with_timeout 20 unshare --net -- sh -c 'ip link set lo up && ip address add "$2" dev lo || exit
        "$4" -d -f "$1/config" 2>"$1/log" &
        for i in 1 2 3 4 5 6 7 8 9; do grep -q "Server listening" "$1/log" && break; sleep 0.2; done
        ssh -F /dev/null -i "$1/key" -b "$2" -x -a -T -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
            -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR \
            "$5@$3" true
        grep -q "^Connection from" "$1/log" || kill "$!"
        wait' sh "$trial" "$1" "$here" "$(command -v sshd)" "$ACCOUNT" </dev/null >"$trial/said" 2>&1 3>&- || true
    grep -hs -e '^let-in$' -e 'by PAM account configuration' -e '^Password change required' "$trial/said" "$trial/log" |
        head -n 1
}

sshd_ask_to_enable_linux() { todo 'sshd does not answer; please start it and enable it at boot.'; }
sshd_allow_account_linux() { :; }

firewall_name_linux() {
    if command -v ufw >/dev/null && ufw status 2>/dev/null | grep -q '^Status: active'; then
        printf ufw
    elif command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1; then
        printf firewalld
    fi
}

addresses_of_linux() {
    getent ahosts "$1" | awk '!seen[$1]++ { print $1 }'
}

console_user_linux() { :; }

rsync_path_linux() {
    command -v rsync || printf /usr/bin/rsync
}

advise_unreadable_folder_linux() { warn 'A folder to back up cannot be read. Does it exist?'; }
