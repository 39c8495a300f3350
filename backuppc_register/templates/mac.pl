## The template of the per-host config that BackupPC gets for a machine that registers as "mac".
## common/way.pl explains how to change it for a site.
# BackupPC settings of @HOST@, a Mac that registered itself.
@INSERT way@
# As in BackupPC's own configuration, and never --acls or --xattrs, here or below: Apple's rsync refuses them.
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
    '--one-file-system',
    '--partial',
    '--log-format=log: %o %i %B %8U,%8G %9l %f%L',
    '--stats',
];

# Nothing more for any backup: what a site adds for all machines may be what Apple's rsync refuses.
$Conf{RsyncArgsExtra} = [];

# A full backup compares contents, not only times and sizes.
$Conf{RsyncFullArgsExtra} = ['--checksum'];

# An incremental one compares times and sizes.
$Conf{RsyncIncrArgsExtra} = [];

@INSERT restore@
# Nothing more for a restore either, for the same reason as with backups.
$Conf{RsyncRestoreArgsExtra} = [];

@INSERT shares@
$Conf{RsyncShareName} = ['/Users'];

# What programs make again by themselves, what was thrown away, and what the system keeps for itself.
# A leading / is the top of the share, one * is one folder's name.
$Conf{BackupFilesExclude} = {
    '*' => [
        '/*/.Trash',
        '/.Trashes',
        '/*/.cache',
        '/*/Library/Caches',
        '/*/Library/Containers/*/Data/Library/Caches',
        '/*/Library/Group Containers/*/Library/Caches',
        '/*/Library/Logs',
        '/*/Library/Developer/Xcode/DerivedData',
        '.DocumentRevisions-V100',
        '.Spotlight-V100',
        '.fseventsd',
        '.TemporaryItems',
    ],
};
