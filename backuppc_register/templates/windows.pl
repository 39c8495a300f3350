## The template of the per-host config that BackupPC gets for a machine that registers as "windows".
## common/way.pl explains how to change it for a site.
# BackupPC settings of @HOST@, a Windows machine that registered itself.
@INSERT way@
@INSERT restore@
@INSERT shares@
$Conf{RsyncShareName} = ['/cygdrive/c/Users'];

# Caches that programs make again, the trash, and files that Windows holds open.
# A leading / is the top of the share, one * is one folder's name. Without a leading /, it is any folder.
$Conf{BackupFilesExclude} = {
    '*' => [
        'AppData/Local/Temp',
        'AppData/Local/CrashDumps',
        'AppData/Local/Microsoft/Windows/INetCache',
        'AppData/Local/Microsoft/Windows/Temporary Internet Files',
        'AppData/Local/Microsoft/Windows/WebCache',
        'AppData/Local/Microsoft/Windows/UsrClass.dat*',
        'AppData/Local/Packages/*/AC/INetCache',
        'AppData/Local/Packages/*/AC/Temp',
        'AppData/Local/Packages/*/TempState',
        'AppData/Local/*/*/User Data/*/Cache',
        'AppData/Local/*/*/User Data/*/Code Cache',
        'AppData/Local/Mozilla/Firefox/Profiles/*/cache2',
        '/NTUSER.DAT*',
        '/ntuser.dat*',
        '/*/NTUSER.DAT*',
        '/*/ntuser.dat*',
        '$RECYCLE.BIN',
    ],
};
