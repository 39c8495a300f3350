# The package that brings each tool, by family of Linux distributions. semanage and restorecon are for SELinux alone.
package_table() {
    cat <<'END'
TOOL        debian                       redhat                       suse                         arch
ssh         openssh-client               openssh-clients              openssh                      openssh
ssh-keygen  openssh-client               openssh                      openssh                      openssh
sshd        openssh-server               openssh-server               openssh                      openssh
sudo        sudo                         sudo                         sudo                         sudo
visudo      sudo                         sudo                         sudo                         sudo
rsync       rsync                        rsync                        rsync                        rsync
setsid      util-linux                   util-linux                   util-linux                   util-linux
bash        bash                         bash                         bash                         bash
setpriv     util-linux                   util-linux                   util-linux                   util-linux
unshare     util-linux                   util-linux                   util-linux                   util-linux
mount       mount                        util-linux                   util-linux                   util-linux
useradd     passwd                       shadow-utils                 shadow                       shadow
getent      libc-bin                     glibc-common                 glibc                        glibc
semanage    policycoreutils-python-utils policycoreutils-python-utils policycoreutils-python-utils policycoreutils-python-utils
restorecon  policycoreutils              policycoreutils              policycoreutils              policycoreutils
END
}
