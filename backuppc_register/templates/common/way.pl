## What every machine's config has: the way from BackupPC to the machine.
##
## To change a template for a site, copy it to the folder that config.toml names ([backuppc] templates) and edit
## the copy; a part such as this one goes to its folder "common". A line such as @INSERT way@ inserts a part.
## Lines that begin with ## are left out. @HOST@ (BackupPC's name of the machine), @FULL_NAME@ (its DNS name) and
## @SSH_CONFIG@ (the path of our own ssh settings for it) become whole Perl literals, so write them without
## quotes. Write a comment on lines of its own: BackupPC's web editor loses what follows a ; on its line.
#
# This file is yours and BackupPC's: nothing overwrites it once you have changed it.
# What is not set here comes from BackupPC's main configuration.

# The machine that was checked when it registered; a short name could lead to another one.
$Conf{ClientNameAlias} = @FULL_NAME@;

# Milliseconds. Wi-Fi that saves power answers late; the default of 20 would take that for a machine far away.
$Conf{PingMaxMsec} = 500;

# rsync through ssh, the only thing that the machine's own rsyncsend.sh answers to.
$Conf{XferMethod} = 'rsync';

# A name without path and without sudo: rsyncsend.sh runs the right rsync with the right privileges.
$Conf{RsyncClientPath} = 'rsync';

# Exactly these two elements. Key, account, known host key and timeouts stand in the file after -F.
$Conf{RsyncSshArgs} = ['-e', '$sshPath -F ' . @SSH_CONFIG@];

