tools() {
    printf '%s ' ssh ssh-keygen ssh-keyscan sshd sudo visudo rsync su bash
    case $FAMILY in
        mac) printf 'dscl dseditgroup' ;;
        *) printf 'setpriv useradd getent' ;;
    esac
    if selinux_enforces; then
        printf ' semanage restorecon'
    fi
}

package_of() {    # TOOL
    case $FAMILY:$1 in
        mac:*) printf '%s' "$1" ;;
        suse:ssh* | arch:ssh*) printf openssh ;;
        *:sshd) printf openssh-server ;;
        debian:ssh*) printf openssh-client ;;
        redhat:ssh-keygen) printf openssh ;;
        redhat:ssh*) printf openssh-clients ;;
        *:visudo) printf sudo ;;
        *:setpriv | *:su) printf util-linux ;;
        debian:useradd) printf passwd ;;
        redhat:useradd) printf shadow-utils ;;
        *:useradd) printf shadow ;;
        debian:getent) printf libc-bin ;;
        redhat:getent) printf glibc-common ;;
        *:getent) printf glibc ;;
        *:semanage) printf policycoreutils-python-utils ;;
        *:restorecon) printf policycoreutils ;;
        *) printf '%s' "$1" ;;
    esac
}
