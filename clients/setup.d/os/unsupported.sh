# Unsupported systems: the setup refuses them. Each file in this folder has these functions: `os account_add` calls
# account_add_linux or account_add_macos. To support a new system, copy this file.

os() {    # FUNCTION [ARGUMENT]...
    os_function=$1_$OS
    shift
    "$os_function" "$@"
}

# Set OS, FAMILY, and what differs between systems: ROOT_GROUP, HOMES, the word OSTYPE_WORD for the server.
detect_system() {
    case $(uname -s) in
        Linux) OS=linux ;;
        Darwin) OS=macos ;;
        *) OS=unsupported ;;
    esac
    os system_detect
}

refuse_system() {
    case $FAMILY in
        immutable) die 77 'This setup does not change NixOS or a read-only system. The manual steps are in docs/client/linux.en.md; please ask the backup administrator.' ;;
        macos) die 77 'This setup needs macOS 12 or later.' ;;
        *) die 77 'This setup supports Debian, Fedora, openSUSE, Arch, their derivatives, and macOS; this system is %s.' \
            "$(os_release PRETTY_NAME | printable | grep . || uname -s)" ;;
    esac
}

system_detect_unsupported() { FAMILY=''; }              # sets what detect_system promises; OS=unsupported if too old
tools_unsupported() { refuse_system; }                  # the programs that the setup needs, one a line
packages_for_unsupported() { refuse_system; }           # TOOL...: the packages that bring them, one a line
packages_install_unsupported() { refuse_system; }       # PACKAGE...
identity_unsupported() { refuse_system; }               # FILE: its owner, group and mode, as in "root bckpciuem 750"
account_entry_unsupported() { refuse_system; }          # a line as in passwd(5), from whatever source
account_is_local_unsupported() { refuse_system; }       # from this computer, not from LDAP
account_was_made_unsupported() { refuse_system; }       # at least half of it
account_add_unsupported() { refuse_system; }            # hidden, without a password, in a group of its own
account_has_password_unsupported() { refuse_system; }   # or is locked, so that sshd refuses it
account_expiry_unsupported() { refuse_system; }         # now, later or nothing: whether the account or its password expires
account_repair_unsupported() { refuse_system; }         # its shell, its password, its expiry
as_account_unsupported() { refuse_system; }             # COMMAND-LINE, away from the terminal, for at most TIMEOUT seconds
account_remove_unsupported() { refuse_system; }
first_person_id_unsupported() { refuse_system; }        # UID_MIN|GID_MIN: the lowest number of a person
group_is_local_unsupported() { refuse_system; }
group_is_known_unsupported() { refuse_system; }         # from whatever source
group_was_made_unsupported() { refuse_system; }         # at least half of it
group_number_unsupported() { refuse_system; }
group_members_unsupported() { refuse_system; }          # NUMBER: all who are in it, own it or may join it
group_remove_unsupported() { refuse_system; }
sshd_enable_unsupported() { refuse_system; }            # now and at boot; notes it in the receipt
sshd_disable_unsupported() { refuse_system; }           # what the receipt has after "enabled"
sshd_sockets_unsupported() { refuse_system; }           # where the service manager listens for it, as sshd -T says it
own_address_unsupported() { refuse_system; }            # PEER: the address of this computer that PEER sees
login_trial_unsupported() { refuse_system; }            # SERVER-ADDRESS: let-in, or sshd’s words if PAM refuses the account
sshd_ask_to_enable_unsupported() { refuse_system; }
sshd_allow_account_unsupported() { refuse_system; }     # if only some users may log in
firewall_name_unsupported() { refuse_system; }          # ufw, firewalld, or nothing if none is active
addresses_of_unsupported() { refuse_system; }           # NAME: its addresses, one a line
console_user_unsupported() { refuse_system; }           # who sits at the screen, if that is known
rsync_path_unsupported() { refuse_system; }             # an rsync that only root can change
advise_unreadable_folder_unsupported() { refuse_system; }
