## The template of the per-host config that BackupPC gets for a machine that registers as "linux".
## To change it for a site, copy it to the folder that config.toml names ([backuppc] templates) and edit the copy.
## Lines that begin with ## stay behind. @HOST@ (BackupPC's name of the machine), @FULL_NAME@ (its DNS name) and
## @SSH_CONFIG@ (the path of our own ssh settings for it) become whole Perl literals, so write them without
## quotes. Keep a comment on lines of its own: BackupPC's web editor swallows what follows a ; on its line.
# BackupPC settings of @HOST@, a Linux machine that registered itself.
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

# As in BackupPC's own configuration, but without --delete: a restore never removes a newer file.
$Conf{RsyncRestoreArgs} = [
    '--recursive',
    '--super',
    '--protect-args',
    '--numeric-ids',
    '--perms',
    '--owner',
    '--group',
    '-D',
    '--times',
    '--links',
    '--hard-links',
    '--partial',
    '--log-format=log: %o %i %B %8U,%8G %9l %f%L',
    '--stats',
];

# A backup without a single file has failed, whatever rsync says: a wrong share name, or a missing permission.
$Conf{BackupZeroFilesIsFatal} = 1;

# People's folders and nothing else: whoever registered the machine can read all that is backed up.
$Conf{RsyncShareName} = ['/home'];

# What programs make again by themselves, and what was thrown away.
# A leading / is the top of the share, one * is one folder's name.
$Conf{BackupFilesExclude} = {
    '*' => [
        '/lost+found',
        '/*/.cache',
        '/*/.thumbnails',
        '/*/.local/share/Trash',
        '/.Trash-*',
        '/*/.gvfs',
        '/*/.var/app/*/cache',
        '/*/snap/*/*/.cache',
    ],
};
