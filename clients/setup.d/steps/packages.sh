# Step: the system is a supported one, and has the programs that the setup needs.

check_system() {
    detect_system
    [ "$OS" != unsupported ] || refuse_system
    if [ "$(id -u)" -ne 0 ]; then
        die 1 'Please start the setup as root: sudo sh setup.sh'
    fi
}

install_packages() {
    open_receipt
    missing=''
    for tool in $(os tools); do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086  # several words
    os packages_for $missing >"$WORK/needed"
    packages=$(sort -u "$WORK/needed" | tr '\n' ' ')
    packages=${packages% }
    note 'installing %s' "$packages"
    for package in $packages; do
        receipt_add "package $package"
    done
    command -v sshd >/dev/null || forbid_passwords
    # shellcheck disable=SC2086  # several words
    change os packages_install $packages || {
        tail -n 5 "$WORK/packages" | printable >&2
        die 1 'These packages could not be installed: %s' "$packages"
    }
    if [ "$DRY_RUN" = no ]; then
        check_register_key
        check_known_hosts
    fi
}

# No person asked for an sshd on this computer, so it must not accept people's passwords. The file is there before the
# package, because Debian starts sshd at once.
forbid_passwords() {
    if [ -e "$SSHD_DROP_IN" ] && ! has_our_mark "$SSHD_DROP_IN"; then
        return 0        # an administrator's
    fi
    note 'sshd is new on this computer: it will accept keys only, no passwords'
    cat >"$WORK/drop-in" <<END
# Made by setup.sh: there was no sshd on this computer before, and the backup server logs in with a key.
# To let people log in by password, put other settings into a file that is read before this one, or remove this one.
PasswordAuthentication no
KbdInteractiveAuthentication no
END
    for folder in "${SSHD_DROP_IN%/*/*}" "${SSHD_DROP_IN%/*}"; do
        [ -d "$folder" ] || put_folder "$folder" root "$ROOT_GROUP" 755
    done
    put_file "$WORK/drop-in" "$SSHD_DROP_IN" root "$ROOT_GROUP" 644
}
