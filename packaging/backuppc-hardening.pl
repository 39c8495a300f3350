# What the owner of a host may not change in BackupPC's web editor.
#
# Append this to the end of /etc/backuppc/config.pl (plain Perl, the last assignment wins), then
# `BackupPC_serverMesg server reload`. It concerns BackupPC 4.4 as Debian ships it, where every registered person may
# edit the settings of their hosts. Administrators ($Conf{CgiAdminUsers}) still can change all of these.
#
# What stays open to owners: what is saved (RsyncShareName, ClientShareName2Path, BackupFilesOnly, BackupFilesExclude)
# and ClientComment. `$Conf{CgiUserConfigEditEnable} = 0;` would close the editor to them altogether.

# Anyone logged in would run commands as backuppc: these reach the command line of ssh or rsync on the server.
$Conf{CgiUserConfigEdit}{RsyncSshArgs} = 0;
$Conf{CgiUserConfigEdit}{RsyncArgs} = 0;
$Conf{CgiUserConfigEdit}{RsyncArgsExtra} = 0;
$Conf{CgiUserConfigEdit}{RsyncFullArgsExtra} = 0;
$Conf{CgiUserConfigEdit}{RsyncIncrArgsExtra} = 0;
$Conf{CgiUserConfigEdit}{RsyncRestoreArgs} = 0;
$Conf{CgiUserConfigEdit}{RsyncRestoreArgsExtra} = 0;
$Conf{CgiUserConfigEdit}{RsyncClientPath} = 0;
$Conf{CgiUserConfigEdit}{RsyncBackupPCPath} = 0;
$Conf{CgiUserConfigEdit}{TarFullArgs} = 0;
$Conf{CgiUserConfigEdit}{TarIncrArgs} = 0;
$Conf{CgiUserConfigEdit}{TarClientPath} = 0;
$Conf{CgiUserConfigEdit}{SmbClientPath} = 0;

# The commands themselves; Debian has them closed, and so they stay.
$Conf{CgiUserConfigEdit}{$_} = 0 for grep { /Cmd$/ } keys(%{$Conf{CgiUserConfigEdit}});
$Conf{CgiUserConfigEdit}{UserCmdCheckStatus} = 0;

# Another way of transfer: `archive` packs other people's backups, `tar` and `ftp` go past the host's own ssh key.
$Conf{CgiUserConfigEdit}{XferMethod} = 0;
$Conf{CgiUserConfigEdit}{$_} = 0 for grep { /^(Archive|Ftp|Smb|Rsyncd|Tar)/ } keys(%{$Conf{CgiUserConfigEdit}});

# Another machine than the one whose name and ssh host key were checked at the registration.
$Conf{CgiUserConfigEdit}{ClientNameAlias} = 0;
$Conf{CgiUserConfigEdit}{FixedIPNetBiosNameCheck} = 0;

# Old backups go away: whoever breaks into a person's account would wait until the good ones have expired.
$Conf{CgiUserConfigEdit}{FullKeepCnt} = 0;
$Conf{CgiUserConfigEdit}{FullKeepCntMin} = 0;
$Conf{CgiUserConfigEdit}{FullAgeMax} = 0;
$Conf{CgiUserConfigEdit}{IncrKeepCnt} = 0;
$Conf{CgiUserConfigEdit}{IncrKeepCntMin} = 0;
$Conf{CgiUserConfigEdit}{IncrAgeMax} = 0;
$Conf{CgiUserConfigEdit}{FillCycle} = 0;
$Conf{CgiUserDeleteBackupEnable} = 0;

# New backups stop, or look well without being so.
$Conf{CgiUserConfigEdit}{BackupsDisable} = 0;
$Conf{CgiUserConfigEdit}{FullPeriod} = 0;
$Conf{CgiUserConfigEdit}{IncrPeriod} = 0;
$Conf{CgiUserConfigEdit}{BlackoutPeriods} = 0;
$Conf{CgiUserConfigEdit}{BlackoutGoodCnt} = 0;
$Conf{CgiUserConfigEdit}{BlackoutBadPingLimit} = 0;
$Conf{CgiUserConfigEdit}{PingMaxMsec} = 0;
$Conf{CgiUserConfigEdit}{ClientTimeout} = 0;
$Conf{CgiUserConfigEdit}{ClientCharset} = 0;
$Conf{CgiUserConfigEdit}{ClientCharsetLegacy} = 0;
$Conf{CgiUserConfigEdit}{BackupZeroFilesIsFatal} = 0;

# Nobody hears of it: the mails that would say so, to whom they go and what they say.
$Conf{CgiUserConfigEdit}{$_} = 0 for grep { /^EMail/ } keys(%{$Conf{CgiUserConfigEdit}});

# The server's own disk and time, and the traces that an administrator would look for.
$Conf{CgiUserConfigEdit}{CompressLevel} = 0;
$Conf{CgiUserConfigEdit}{RefCntFsck} = 0;
$Conf{CgiUserConfigEdit}{XferLogLevel} = 0;
$Conf{CgiUserConfigEdit}{MaxOldPerPCLogFiles} = 0;
$Conf{CgiUserConfigEdit}{RestoreInfoKeepCnt} = 0;
