## Part of every template: how files are restored.
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

