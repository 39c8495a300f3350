# shellcheck shell=sh
# The set-up that bin/test and bin/demo share: rights, Debian packages, Python environments.
# Sourced by any POSIX sh under `set -eu`, with $checkout (the folder) and $program (the caller's path) set.

: "${checkout:?}" "${program:?}"
PYTHON=/usr/bin/python3
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='backuppc-register: no service starts while packages are installed'

# Each line: package, what for. With "|": something that is there already and provides the second name will do.
packages_for_demo() {
    cat <<'LIST'
backuppc                    BackupPC 4.4 itself, with rsync_bpc
dma|mail-transport-agent    BackupPC depends on a mailer; this one listens nowhere
micro-httpd|httpd           BackupPC depends on a web server; this one is small
rsync                       what a laptop sends its files with
sudo                        how a laptop's rsyncsend.sh may read all files
openssh-client              ssh and ssh-keygen
openssh-server              sshd, on the server and on the laptops
slapd                       a real LDAP directory
ldap-utils                  ldapadd, ldapsearch
nsd                         a real DNS server
rsyslog                     the log that an administrator reads
python3                     the interpreter, 3.11 or later
python3-ldap3               Debian's own releases of the two libraries
python3-dnspython           .
openssl                     certificates for ldaps and StartTLS
perl                        BackupPC's own parser of its hosts file
iproute2                    network namespaces and the bridge of the lab
iputils-ping                BackupPC pings a laptop before it backs it up
util-linux                  unshare, nsenter, setpriv, runuser, flock
mount                       mounting, in the tests of the lab itself
passwd                      useradd, on a laptop
LIST
}

# For the demo without root: real services as child processes.
packages_for_loopback() {
    packages_for_demo | grep -E '^(openssh-|slapd|nsd|python3|util-linux)'
}

packages_for_test() {
    packages_for_demo
    cat <<'LIST'
python3-venv                the two Python environments
ca-certificates             pip's connections
strace                      lets single system calls fail
git                         what README's installation begins with
shellcheck                  the shell files are checked
logrotate                   rotates the log as packaging/logrotate.conf says
mmdebstrap                  makes a laptop's Debian 13, from the mirror that apt uses here
apache2                     the web server of BackupPC's pages, against requests from other sites
chromium                    a real browser, which says where its requests come from
chromium-driver             .
python3-selenium            drives the browser
python3-paramiko            ssh clients and servers that break the rules
dropbear-bin                another ssh server of a laptop, which knows no from=
samba-ad-dc                 a real Active Directory
samba-ad-provision          what a new domain is made of
389-ds-base                 a real 389 Directory Server, which FreeIPA consists of
dnsmasq-base                a resolver that hides private addresses
btrfs-progs                 homes that are subvolumes
LIST
}

close_work_folder() {
    trap - EXIT INT TERM HUP
    give_back
    rm -rf "$work"
}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s: %s\n' "${program##*/}" "$*" >&2
    exit 1
}

seconds() { date +%s; }

# A folder for what this run needs, gone with it; and what it left in the checkout is the owner's.
open_work_folder() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/bpr.XXXXXX")
    trap close_work_folder EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}

# Start this program again as root, with its arguments, if sudo lets us; else say so and go on.
become_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    kept=CI,NO_COLOR,LANG,LC_ALL,http_proxy,https_proxy,no_proxy
    kept=$kept,$(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p' | paste -sd, -)
    if may_sudo; then
        sudo -n --preserve-env="$kept" true 2>/dev/null || kept=
        exec sudo ${kept:+--preserve-env="$kept"} -- "$program" "$@"
    fi
    say 'Not root, and sudo does not let us: going on without.'
}

may_sudo() {
    command -v sudo >/dev/null 2>&1 || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] || return 1
    say 'This builds a small network of disposable hosts, which takes root: sudo may ask for your password.'
    sudo -v
}

# Run a command that takes long: one line with a dot every two seconds; what it says is shown only if it fails.
quietly() {
    title=$1
    shift
    output=$work/output
    began=$(seconds)
    printf '%s .' "$title"
    dots $$ &
    dots_pid=$!
    code=0
    "$@" >"$output" 2>&1 || code=$?
    kill "$dots_pid" 2>/dev/null || true
    wait "$dots_pid" 2>/dev/null || true
    took=$(($(seconds) - began))
    if [ "$code" -eq 0 ]; then
        say " done, $took s"
        return 0
    fi
    say " FAILED with status $code. It said:"
    tail -n 60 "$output" | sed 's/^/    /'
    return "$code"
}

dots() {
    while sleep 2 && kill -0 "$1" 2>/dev/null; do printf '.'; done
}

# Print those packages of the list on standard input that are not installed.
missing_packages() {
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package},${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | sed 's/([^)]*)//g; s/ //g' | tr ',' '\n')
    sed 's/ .*//' | while IFS='|' read -r package provided; do
        printf '%s\n' "$installed" | grep -qxF -e "$package" -e "${provided:-$package}" || printf '%s\n' "$package"
    done
}

# Install what is missing of the list that the function named $1 prints.
install_packages() {
    command -v apt-get >/dev/null 2>&1 || fail 'this needs Debian 12 or a later one: no apt-get here.'
    missing=$("$1" | missing_packages)
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086
        set -- $missing
        [ "$(id -u)" -eq 0 ] || fail "these packages are missing, and only root can install them: $*"
        say "Packages that are missing: $*"
        quietly '  asking for today'"'"'s list of packages' apt_get update || say '  going on with the list that is there'
        installed_packages >"$work/packages-before"
        quietly "  installing $# packages and what they need" without_services apt_get install "$@" ||
            fail 'apt-get could not install what is missing.'
        start_nothing_at_boot
    fi
    # Ctrl-C waits for it: Python would say where it was.
    env --block-signal=INT "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is older than 3.11: this needs Debian 12."
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends "$@" </dev/null
}

# A policy-rc.d of the administrator stays as it is; ours is gone afterwards, also after Ctrl-C, and what a killed
# run left is known by its mark.
without_services() (
    if [ ! -e "$POLICY" ] || grep -qF "$POLICY_MARK" "$POLICY"; then
        trap 'rm -f "$POLICY"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
        printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
        chmod 755 "$POLICY"
    fi
    dpkg --configure -a
    "$@"
)

# The packages are here for our disposable hosts, not for this machine: what came along starts at no boot by itself.
start_nothing_at_boot() {
    command -v systemctl >/dev/null 2>&1 || return 0
    units=
    for unit in $(installed_packages | comm -13 "$work/packages-before" - | xargs -r dpkg -L | sed -n \
        -e 's|^\(/usr\)*/lib/systemd/system/\([^/@]*\.service\)$|\2|p' \
        -e 's|^\(/usr\)*/lib/systemd/system/\([^/@]*\.socket\)$|\2|p' \
        -e 's|^/etc/init\.d/\([^/]*\)$|\1.service|p' | sort -u); do
        if systemctl --quiet is-enabled "$unit" && systemctl --quiet disable "$unit"; then
            units="$units ${unit%.service}"
        fi
    done >"$work/output" 2>&1
    [ -z "$units" ] || say "  these do not start, now or at boot, unless you enable them:$units"
}

installed_packages() { dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u; }

# Keep the newest rsync before 3.5 of the mirror, unpacked: the wall on a laptop must not rely on a later one.
keep_older_rsync() {
    older=$checkout/.systems/older-rsync
    [ ! -x "$older/usr/bin/rsync" ] || return 0
    version=$(older_version_of_rsync)
    if [ -z "$version" ] && [ "$(id -u)" -eq 0 ]; then
        quietly '  asking for today'"'"'s list of packages' apt_get update || true
        version=$(older_version_of_rsync)
    fi
    if [ -z "$version" ]; then
        say 'apt has no rsync before 3.5 here: the tests with one are skipped.'
        return 0
    fi
    quietly "rsync $version, for tests" unpack_rsync "$version" || say 'The tests with an older rsync are skipped.'
}

older_version_of_rsync() {
    apt-cache madison rsync | awk -F '|' '{ gsub(/ /, "", $2); print $2 }' | grep -m 1 -E '^(1:)?3\.[0-4]\.' || true
}

unpack_rsync() {    # VERSION
    mkdir -p "$work/rsync" "$checkout/.systems"
    (cd "$work/rsync" && apt_get download "rsync=$1" && dpkg-deb -x rsync_*.deb unpacked) || return 1
    rm -rf "$checkout/.systems/older-rsync"
    mv "$work/rsync/unpacked" "$checkout/.systems/older-rsync"
}

# Keep the packages of other syslog daemons: apt would take rsyslog away for them. The tests unpack them in the lab.
keep_log_daemons() {
    [ ! -d "$checkout/.systems/log-daemons" ] || return 0
    quietly 'Other syslog daemons, for tests' download_log_daemons || say 'The tests of other syslog daemons are skipped.'
}

download_log_daemons() {
    mkdir -p "$work/log-daemons" "$checkout/.systems"
    # syslog-ng-core with the libraries that it needs, and journald, which is in the package systemd.
    (cd "$work/log-daemons" && apt-get download syslog-ng-core libivykis0 libnet1 libjson-c5 libwrap0 libpcre3 \
        libglib2.0-0 busybox systemd libsystemd-shared) || return 1
    mv "$work/log-daemons" "$checkout/.systems/log-daemons"
}

# Make .venv-pypi (the libraries' releases of today) and .venv-debian (Debian's), unless they are of today's setup.cfg.
make_environments() {
    stamp=$( (cat "$checkout/setup.cfg" "$checkout/tests/prepare.sh" && "$PYTHON" -VV) | sha256sum)
    if is_of_today .venv-pypi && is_of_today .venv-debian; then
        return 0
    fi
    requirements >"$work/requirements-pypi"
    grep -E '^(pytest|hypothesis)' "$work/requirements-pypi" >"$work/requirements-debian"
    quietly 'Two Python environments, with the libraries of PyPI and of Debian' fill_environments ||
        fail 'no Python environments.'
}

is_of_today() { [ "$(cat "$checkout/$1/stamp" 2>/dev/null)" = "$stamp" ]; }

# Both at once: pip mostly waits.
fill_environments() {
    fill_environment debian --system-site-packages &
    debian=$!
    code=0
    fill_environment pypi || code=$?
    wait "$debian" && [ "$code" -eq 0 ]
}

fill_environment() {
    environment=$checkout/.venv-$1
    rm -rf "$environment"
    "$PYTHON" -m venv ${2:+"$2"} "$environment" &&
        "$environment/bin/python" -m pip install --disable-pip-version-check -r "$work/requirements-$1" &&
        printf '%s\n' "$stamp" >"$environment/stamp"
}

# The dependencies as setup.cfg names them, those of the tests included.
requirements() {
    "$PYTHON" - "$checkout/setup.cfg" <<'CODE'
import configparser, sys
setup = configparser.ConfigParser()
setup.read(sys.argv[1])
print((setup["options"]["install_requires"] + "\n" + setup["options.extras_require"]["test"]).strip())
CODE
}

# What root made in somebody's checkout is that person's.
give_back() {
    [ "$(id -u)" -eq 0 ] || return 0
    owner=$(stat -c %u:%g "$checkout")
    [ "${owner%%:*}" -ne 0 ] || return 0
    (cd "$checkout" && find . -path ./.git -prune -o -user 0 \( -path './.venv-*' -o -path './.systems*' -o -path '*/__pycache__*' \) \
        -exec chown -h "$owner" '{}' +)
}
