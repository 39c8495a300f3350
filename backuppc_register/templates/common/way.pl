## Part of every template: how BackupPC connects to the machine.
##
## To change a template for your site, copy it to the folder that config.toml names ([backuppc] templates), and edit
## the copy. Copy a part such as this one to the folder "common" there. A line @INSERT way@ inserts a part.
## Lines that begin with ## are left out. @HOST@ (BackupPC's name of the machine), @FULL_NAME@ (its DNS name) and
## @SSH_CONFIG@ (the path of our ssh settings for it) become whole Perl literals, so write them without quotes.
## Write each comment on a line of its own: BackupPC's web editor removes comments after a ; on the same line.
#
# You can edit this file: nothing overwrites it after you have changed it.
# Settings that are missing here come from BackupPC's main configuration.

# The machine that was checked at its registration. A short name could lead to another machine.
$Conf{ClientNameAlias} = @FULL_NAME@;

# Milliseconds. Wi-Fi in power saving answers late. With the default of 20 the machine would seem to be far away.
$Conf{PingMaxMsec} = 500;

# rsync through ssh: the machine's rsyncsend.sh answers nothing else.
$Conf{XferMethod} = 'rsync';

# A name without path and without sudo: rsyncsend.sh runs the right rsync with the right privileges.
$Conf{RsyncClientPath} = 'rsync';

# Seconds without a byte after which a transfer ends. BackupPC's 20 hours would let a machine that says nothing hold a
# place among MaxBackups all day. A full backup can be silent while the machine reads one large file for its checksum.
$Conf{ClientTimeout} = 14400;

# Exactly these two elements. The file after -F has the key, the account, the known ssh host key and the timeouts.
$Conf{RsyncSshArgs} = ['-e', '$sshPath -F ' . @SSH_CONFIG@];

