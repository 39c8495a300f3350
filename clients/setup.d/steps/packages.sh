check_system() {
    know_system
    case $FAMILY in
        debian | redhat | suse | arch | mac) ;;
        nixos) nixos_instructions; exit 77 ;;
        immutable) immutable_instructions; exit 77 ;;
        old-mac) die 77 'This setup is for macOS 12 and later.' ;;
        *) die 77 'This setup knows Debian, Fedora, openSUSE, Arch and their relatives, and macOS; this system is %s.' \
            "$(system_name)" ;;
    esac
    if [ "$(id -u)" -ne 0 ]; then
        die 1 'This changes the system, so it has to be started as root: sudo sh setup.sh'
    fi
}

# Sets SYSTEM, FAMILY, what the server calls it, and what differs from one to the other.
know_system() {
    SYSTEM=$(uname -s)
    FAMILY=unknown ROOT_GROUP=root HOMES=/home OSTYPE_WORD=linux
    case $SYSTEM in
        Linux) know_linux ;;
        Darwin)
            ROOT_GROUP=wheel HOMES=/Users OSTYPE_WORD=mac FAMILY=mac
            version=$(sw_vers -productVersion 2>/dev/null) || version=0
            case ${version%%.*} in
                '' | *[!0-9]* | ? | 10 | 11) FAMILY='old-mac' ;;
            esac
            ;;
    esac
}

get_tools() {
    open_receipt
    packages=''
    for tool in $(tools); do
        command -v "$tool" >/dev/null || packages="$packages $(package_of "$tool")"
    done
    [ -n "$packages" ] || return 0
    packages=$(printf '%s\n' "$packages" | tr ' ' '\n' | sort -u | tr '\n' ' ')
    packages=${packages# }
    [ "$FAMILY" != mac ] ||
        die 1 'This Mac lacks what every Mac has: %s' "$packages"
    note 'installing %s' "$packages"
    for package in $packages; do
        remember "package $package"
    done
    command -v sshd >/dev/null || keep_passwords_out
    # shellcheck disable=SC2086  # several words
    change install_packages $packages
}

# Nobody here has asked for an sshd yet, so nobody's password is opened to the network. That stands there before the
# package comes, because Debian starts sshd at once.
keep_passwords_out() {
    if [ -e "$SSHD_DROP_IN" ] && ! bears_our_mark "$SSHD_DROP_IN"; then
        return 0        # an administrator's
    fi
    note 'sshd is new on this computer: it is to let nobody in by password, only by key'
    cat >"$WORK/drop-in" <<END
# Made by setup.sh: there was no sshd on this computer before, and the backup server comes with a key.
# To let people in by password, put other settings into a file that is read before this one, or remove this one.
PasswordAuthentication no
KbdInteractiveAuthentication no
END
    for folder in "${SSHD_DROP_IN%/*/*}" "${SSHD_DROP_IN%/*}"; do
        [ -d "$folder" ] || put_folder "$folder" root "$ROOT_GROUP" 755
    done
    put_file "$WORK/drop-in" "$SSHD_DROP_IN" root "$ROOT_GROUP" 644
}
