## The template of the per-host config that BackupPC gets for a machine that registers as "mac".
## common/way.pl explains how to change it for a site.
# BackupPC settings of @HOST@, a Mac that registered itself.
@INSERT way@
# Apple's openrsync may take no more than an hour.
$Conf{ClientTimeout} = 3600;

# As in BackupPC's own configuration, and never --acls or --xattrs, here or below: Apple's rsync refuses them.
# With --ignore-errors, what was deleted on the Mac leaves the next backup even if some folder cannot be read.
$Conf{RsyncArgs} = [
    '--super',
    '--recursive',
    '--protect-args',
    '--numeric-ids',
    '--perms',
    '--owner',
    '--group',
    '-D',
    '--times',
    '--links',
    '--hard-links',
    '--delete',
    '--delete-excluded',
    '--ignore-errors',
    '--one-file-system',
    '--partial',
    '--log-format=log: %o %i %B %8U,%8G %9l %f%L',
    '--stats',
];

# No further options for any backup: Apple's rsync may refuse options that a site adds for all machines.
$Conf{RsyncArgsExtra} = [];

# A full backup compares contents, not only times and sizes.
$Conf{RsyncFullArgsExtra} = ['--checksum'];

# An incremental one compares times and sizes.
$Conf{RsyncIncrArgsExtra} = [];

@INSERT restore@
# No further options for a restore, for the same reason.
$Conf{RsyncRestoreArgsExtra} = [];

@INSERT shares@
$Conf{RsyncShareName} = ['/Users'];

# Caches that programs make again, the trash, and the system's own files.
# A leading / is the top of the share, one * is one folder's name. Without a leading /, it is any folder.
# Homes are the share itself, or one to three levels below it, as in /Users/DOMAIN/LOGON.
$Conf{BackupFilesExclude} = {
    '*' => [
        '.Trash',
        '/.Trashes',
        '/.cache',
        '/*/.cache',
        '/*/*/.cache',
        '/*/*/*/.cache',
        'Library/Caches',
        '/Library/Logs',
        '/*/Library/Logs',
        '/*/*/Library/Logs',
        '/*/*/*/Library/Logs',
        'Library/Developer/Xcode/DerivedData',
        '.DocumentRevisions-V100',
        '.Spotlight-V100',
        '.fseventsd',
        '.TemporaryItems',
    ],
};
