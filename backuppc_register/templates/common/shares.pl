## What every machine's config has before its folders.
# A backup without a single file has failed, whatever rsync says: a wrong share name, or a missing permission.
$Conf{BackupZeroFilesIsFatal} = 1;

# People's folders and nothing else: whoever registered the machine can read all that is backed up.
