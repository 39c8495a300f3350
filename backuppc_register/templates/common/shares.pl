## Part of every template: what comes before the folders.
# A backup without a single file has failed, even if rsync succeeds: a wrong share name, a missing permission.
$Conf{BackupZeroFilesIsFatal} = 1;

# Only people's folders, because the owner of the machine can read everything that is backed up.
