## The template of the per-host config that BackupPC gets for a machine that registers as "linux".
## common/way.pl explains how to change it for a site.
# BackupPC settings of @HOST@, a Linux machine that registered itself.
@INSERT way@
@INSERT restore@
@INSERT shares@
$Conf{RsyncShareName} = ['/home'];

# Caches that programs make again, and the trash.
# A leading / is the top of the share, one * is one folder's name. Without a leading /, it is any folder.
# Homes are the share itself, or one to three levels below it, as in /home/DOMAIN/LOGON.
$Conf{BackupFilesExclude} = {
    '*' => [
        '/lost+found',
        '/.Trash-*',
        '/.cache',
        '/*/.cache',
        '/*/*/.cache',
        '/*/*/*/.cache',
        '/.thumbnails',
        '/*/.thumbnails',
        '/*/*/.thumbnails',
        '/*/*/*/.thumbnails',
        '.gvfs',
        '.local/share/Trash',
        '.var/app/*/cache',
        'snap/*/*/.cache',
    ],
};
