## The template of the per-host config that BackupPC gets for a machine that registers as "linux".
## common/way.pl explains how to change it for a site.
# BackupPC settings of @HOST@, a Linux machine that registered itself.
@INSERT way@
@INSERT restore@
@INSERT shares@
$Conf{RsyncShareName} = ['/home'];

# Caches that programs make again, and the trash.
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
