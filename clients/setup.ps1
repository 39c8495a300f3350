# setup.ps1 - registers this computer with the backup server, which backs it up from then on.
#
# EXPERIMENTAL: this file has never been run on Windows. Only a parser and a list of rules have checked it. Restore a
# file before you rely on backups that it set up.
#
# In a PowerShell that was started as administrator:
#
#     powershell -NoProfile -ExecutionPolicy Bypass -File setup.ps1 -CygwinSha256 HASH [OPTION]...
#
#   -Server NAME          the backup server
#   -Logon LOGON          logon of the computer's owner (default: that of the last run, else the setup asks)
#   -Verify               only ask the server to test its connection to this computer
#   -Uninstall            undo what the setup has done
#   -Unattended           ask no questions: needs a logon, and trusts the name that the server finds for it
#   -DryRun               show the plan and change nothing
#   -Share PATH,...       folders to back up, in Cygwin's spelling (default: those of the last run, at first /cygdrive/c/Users)
#   -Port PORT            ssh port of the backup server (default: 22)
#   -CygwinSha256 HASH    SHA256 of Cygwin's setup-x86_64.exe, which is beside this file: both are from cygwin.com
#
# Exit status: 0 done, or nothing to do; 1 failed, or not agreed to; 2 wrong options; 4 the server refuses; 5 the
# server cannot be reached; 6 the server has another host key than the known one; 7 something is left to do for the
# administrator; 8 registered, but the server could not connect to this computer yet; 77 this system is not supported.
#
# C:\ProgramData\bckpciuem\receipt lists what the setup has made. To keep the messages, start the setup from cmd.exe
# and add >FILE 2>&1.

# "backuppc-register-admin bundle" fills in Server here and the three texts below.
param(
    [string]$Server = '',
    [string]$Logon = '',
    [switch]$Verify,
    [switch]$Uninstall,
    [switch]$Unattended,
    [switch]$DryRun,
    [string]$Share = '',
    [string]$Port = '22',
    [string]$CygwinSha256 = ''
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# Programs of the same person that do not run as administrator can change that person's environment and modules. So the
# setup takes no folder from the environment and loads only the modules of Windows.
$env:PSModulePath = "$PSHOME\Modules"

$BundledRegisterKey = @'

'@

$BundledKnownHosts = @'

'@

$BundledWrapper = @'

'@

# ---------------------------------------------------------------- names

$Account = 'bckpciuem'
$System = 'S-1-5-18'
$Administrators = 'S-1-5-32-544'
$TrustedInstaller = 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
$System32 = [Environment]::SystemDirectory
$ProgramData = [Environment]::GetFolderPath('CommonApplicationData')
$Base = Join-Path ([System.IO.Path]::GetPathRoot($System32)) 'bckpciuem'
$Cygwin = Join-Path $Base 'cygwin'
$EditRights = Join-Path $Cygwin 'bin\editrights.exe'
$Restored = Join-Path $Base 'restored'
$WrapperFolder = Join-Path $Cygwin 'usr\local\libexec\bckpciuem'
$WrapperConfig = Join-Path $Cygwin 'etc\bckpciuem.conf'
$WrapperPath = '/usr/local/libexec/bckpciuem/rsyncsend.sh'
$State = Join-Path $ProgramData 'bckpciuem'
$Receipt = Join-Path $State 'receipt'
$KeyFile = Join-Path $State 'register-key'
$KnownHostsFile = Join-Path $State 'known_hosts'
$CygwinCopy = Join-Path $State 'setup-x86_64.exe'
$SshFolder = Join-Path $ProgramData 'ssh'
$SshdConfig = Join-Path $SshFolder 'sshd_config'
$AuthorizedKeys = Join-Path $SshFolder 'bckpciuem_authorized_keys'
$OpenSsh = Join-Path $System32 'OpenSSH'
$Sshd = Join-Path $OpenSsh 'sshd.exe'
# Cygwin's setup checks the signatures of the packages that it gets from here.
$CygwinMirror = 'https://mirrors.kernel.org/sourceware/cygwin/'
$BlockBegin = '# BEGIN bckpciuem'
$BlockEnd = '# END bckpciuem'
# Some domains move profiles, so the path of the key file is absolute.
$SshdBlock = @(
    $BlockBegin,
    "Match User $Account",
    '    AuthorizedKeysFile __PROGRAMDATA__/ssh/bckpciuem_authorized_keys',
    '    PasswordAuthentication no',
    '    AllowTcpForwarding no',
    'Match all',
    "$BlockEnd`r`n"
) -join "`r`n"
$FirewallRules = @('bckpciuem-ssh', 'bckpciuem-ping', 'bckpciuem-ping-6')
$Rights = @('SeBackupPrivilege', 'SeDenyInteractiveLogonRight', 'SeDenyRemoteInteractiveLogonRight')
# Rights to files, as security descriptors write them: read and execute; these and write and delete.
$ReadExecute = 'FRFX'
$Modify = '0x1301bf'
$MaxOutput = 1048576
$MaxReply = 65536
# Files are read and written byte by byte: each byte is one character of Latin-1.
$Latin1 = [System.Text.Encoding]::GetEncoding(28591)

$script:Notes = @{}
$script:Planning = $false
$script:CallKeyMade = $false
$script:Reply = $null
$script:Words = @{}
$script:Verifying = $false

# ---------------------------------------------------------------- messages

function Complain {
    param([string]$Message)
    [Console]::Error.WriteLine($Message)
}

function Stop-Setup {
    param([int]$Status, [string]$Message)
    Complain $Message
    exit $Status
}

function Read-Consent {
    param([string]$Question, [string]$Otherwise)
    if (-not $Unattended -and (Read-Host $Question) -ne 'yes') {
        Stop-Setup 1 $Otherwise
    }
}

# A terminal obeys control characters, so text from elsewhere loses them before it is shown.
function Get-Printable {
    param([string]$Text)
    return [regex]::Replace($Text.Replace("`r", ''), '[^\n -~]', '?')
}

# ---------------------------------------------------------------- changes

# Every change to this computer goes through this function. In a plan it only shows the change.
function Invoke-Change {
    param([string]$Deed, [scriptblock]$Action)
    Write-Host $Deed
    if (-not $script:Planning) {
        & $Action | Out-Null
    }
}

function Read-File {
    param([string]$Path)
    return $Latin1.GetString([System.IO.File]::ReadAllBytes($Path))
}

# The file is written under another name with its final access list, then renamed: it is never partial, and others can
# never read it.
function Write-File {
    param([string]$Path, [string]$Text, [string[]]$Others = @())
    $fresh = $Path + '.setup'
    Write-NewFile $fresh $Text $Others
    Move-Over $fresh $Path
    Protect-Path $Path $Others
}

function Write-NewFile {
    param([string]$Path, [string]$Text, [string[]]$Others = @())
    [System.IO.File]::Delete($Path)
    $bytes = $Latin1.GetBytes($Text)
    $security = New-Security $false $Others
    $stream = New-Object System.IO.FileStream($Path, [System.IO.FileMode]::CreateNew, [System.Security.AccessControl.FileSystemRights]::Write, [System.IO.FileShare]::None, 4096, [System.IO.FileOptions]::WriteThrough, $security)
    try {
        $stream.Write($bytes, 0, $bytes.Length)
    }
    finally {
        $stream.Dispose()
    }
}

# File.Replace keeps the access list of the file that it replaces.
function Move-Over {
    param([string]$Fresh, [string]$Path)
    if (Test-Path -LiteralPath $Path) {
        [System.IO.File]::Replace($Fresh, $Path, [NullString]::Value)
        return
    }
    [System.IO.File]::Move($Fresh, $Path)
}

# The receipt has one line "WORD VALUE" for each note. What -Uninstall has to undo is noted before it is done, so an
# interrupted run notes too much rather than too little.
function Read-Receipt {
    Test-Owner $Receipt
    if (Test-Path -LiteralPath $Receipt) {
        foreach ($line in @((Read-File $Receipt) -split "`n")) {
            $word, $value = $line -split ' ', 2
            if ($null -ne $value) {
                $script:Notes[$word] = $value
            }
        }
    }
}

function Get-Note {
    param([string]$Word)
    return [string]$script:Notes[$Word]
}

function Set-Note {
    param([string]$Word, [string]$Value)
    $script:Notes.Remove($Word)
    if ($Value -cne '') {
        $script:Notes[$Word] = $Value
    }
    $lines = @($script:Notes.Keys | Sort-Object | ForEach-Object { "$_ $($script:Notes[$_])" })
    Write-File $Receipt (($lines -join "`n") + "`n")
}

# ---------------------------------------------------------------- programs

# Return status, output and errors, at most 1 MiB each. If a program writes more, it blocks until the timeout (in
# seconds). A child of the program may hold an output open for longer than the program runs.
function Invoke-Program {
    param([string]$Path, [string[]]$Arguments, [string]$StandardInput = '', [int]$Timeout = 120)
    if (@($Arguments | Where-Object { $_ -cnotmatch '\A[^"\s]*[^"\s\\]\z' }).Count -gt 0) {
        throw "an argument of $Path would need quotes: $Arguments"
    }
    $start = New-Object System.Diagnostics.ProcessStartInfo($Path, ($Arguments -join ' '))
    $start.WorkingDirectory = $System32
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $output = New-Capture $process.StandardOutput.BaseStream
    $errors = New-Capture $process.StandardError.BaseStream
    # Not through the StreamWriter, which may begin with the mark of UTF-8.
    $bytes = [System.Text.Encoding]::ASCII.GetBytes($StandardInput)
    $process.StandardInput.BaseStream.Write($bytes, 0, $bytes.Length)
    $process.StandardInput.BaseStream.Close()
    $ended = $process.WaitForExit(1000 * $Timeout)
    if (-not $ended) {
        $process.Kill()
        $process.WaitForExit()
    }
    return New-Object PSObject -Property @{
        Status = $process.ExitCode
        TimedOut = -not $ended
        Output = Get-Captured $output
        Errors = Get-Captured $errors
    }
}

function New-Capture {
    param([System.IO.Stream]$Stream)
    $bytes = New-Object byte[] $MaxOutput
    $room = [System.IO.MemoryStream]::new($bytes)
    return New-Object PSObject -Property @{
        Bytes = $bytes
        Room = $room
        Copying = $Stream.CopyToAsync($room)
    }
}

# ASCII: each other byte becomes a question mark.
function Get-Captured {
    param([psobject]$Capture)
    $null = [System.Threading.Tasks.Task]::WaitAny(@($Capture.Copying), 5000)
    return [System.Text.Encoding]::ASCII.GetString($Capture.Bytes, 0, [int]$Capture.Room.Position)
}

function Invoke-Needed {
    param([string]$Path, [string[]]$Arguments, [int]$Timeout = 120)
    $done = Invoke-Program $Path $Arguments '' $Timeout
    if ($done.TimedOut -or $done.Status -ne 0) {
        throw "$Path failed with status $($done.Status): $(Get-Printable ($done.Output + $done.Errors))"
    }
}

# ---------------------------------------------------------------- owners and access lists

# The security of a new file or folder: the administrators own it, they and SYSTEM may do everything, nothing is
# inherited from the folder above. Each of Others is SID=RIGHTS.
function New-Security {
    param([bool]$ForFolder, [string[]]$Others = @())
    $security = New-Object System.Security.AccessControl.FileSecurity
    $flags = ''
    if ($ForFolder) {
        $security = New-Object System.Security.AccessControl.DirectorySecurity
        $flags = 'OICI'
    }
    $form = "O:BAD:P(A;$flags;FA;;;SY)(A;$flags;FA;;;BA)"
    foreach ($each in $Others) {
        $sid, $allowed = $each.Split('=')
        $form += "(A;$flags;$allowed;;;$sid)"
    }
    $security.SetSecurityDescriptorSddlForm($form, [System.Security.AccessControl.AccessControlSections]'Access, Owner')
    $security.SetAccessRuleProtection($true, $false)
    return $security
}

function Protect-Path {
    param([string]$Path, [string[]]$Others = @())
    if (Test-Path -LiteralPath $Path -PathType Container) {
        [System.IO.Directory]::SetAccessControl($Path, (New-Security $true $Others))
        return
    }
    [System.IO.File]::SetAccessControl($Path, (New-Security $false $Others))
}

# Anyone may create folders in C:\ and in ProgramData. The setup only uses what belongs to the administrators and is no
# link.
function Test-Owner {
    param([string]$Path)
    if (-not (Test-Path -LiteralPath $Path)) {
        return
    }
    $item = Get-Item -LiteralPath $Path -Force
    if (($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) {
        Stop-Setup 1 "$Path is a link. Move it away, then start the setup again."
    }
    $owner = (Get-Acl -LiteralPath $Path).GetOwner([System.Security.Principal.SecurityIdentifier]).Value
    if (@($System, $Administrators, $TrustedInstaller) -cnotcontains $owner) {
        Stop-Setup 1 "$Path belongs to $owner and not to the administrators. Move it away, then start the setup again."
    }
}

# CreateDirectory gives a new folder its access list at once, but accepts an existing folder as it is. An existing one
# must be empty, because others may have put files into it.
function New-Folder {
    param([string]$Path, [string[]]$Others = @())
    $null = [System.IO.Directory]::CreateDirectory($Path, (New-Security $true $Others))
    Test-Owner $Path
    Protect-Path $Path $Others
    if (@(Get-ChildItem -LiteralPath $Path -Force).Count -gt 0) {
        throw "$Path is not empty, and this setup did not make it. Move it away."
    }
}

function Set-Folder {
    param([string]$Path, [string[]]$Others = @())
    Test-Owner $Path
    if (-not (Test-Path -LiteralPath $Path)) {
        Invoke-Change "  making the folder $Path" {
            New-Folder $Path $Others
        }
    }
}

function Set-File {
    param([string]$Path, [string]$Text, [string[]]$Others = @())
    Test-Owner $Path
    if ((Test-Path -LiteralPath $Path) -and (Read-File $Path).Equals($Text, [StringComparison]::Ordinal)) {
        return
    }
    Invoke-Change "  writing $Path" {
        Write-File $Path $Text $Others
    }
}

# The command rd does not follow junctions. Remove-Item of PowerShell 5.1 may follow them. The status of rd says nothing.
function Remove-Tree {
    param([string]$Path)
    if (Test-Path -LiteralPath $Path) {
        $null = Invoke-Program (Join-Path $System32 'cmd.exe') @('/d', '/c', 'rd', '/s', '/q', $Path) '' 600
    }
    if (Test-Path -LiteralPath $Path) {
        throw "$Path could not be removed. A program may still use it."
    }
}

# ---------------------------------------------------------------- options

# Everything that ends in a command line or in a file is checked before anything else happens.
function Test-Options {
    $script:Logon = Get-WithoutBlanks $script:Logon
    if ($script:Logon.Contains('@')) {
        Stop-Setup 2 '-Logon is a mail address. Give the logon without the @ and what follows it.'
    }
    $rules = @(
        @('Server', $Server, '\A[A-Za-z0-9][A-Za-z0-9.:-]*\z'),
        @('Logon', $script:Logon, '\A([A-Za-z0-9_][A-Za-z0-9._-]{0,63})?\z'),
        @('Share', $Share, '\A(/cygdrive/[a-z](/(?!\.\.?(/|,|\z))[^/,\x00-\x1f]+)*(,(?!\z)|\z))*\z'),
        @('Port', $Port, '\A[1-9][0-9]{0,4}\z'),
        @('CygwinSha256', $CygwinSha256, '\A([0-9A-Fa-f]{64})?\z')
    )
    foreach ($rule in $rules) {
        $option, $value, $form = $rule
        if ($value -cnotmatch $form) {
            Stop-Setup 2 "-$option is missing or wrong: $(Get-Printable $value)"
        }
    }
    if ($script:Logon -ceq '') {
        $script:Logon = Get-Note 'logon'
    }
    if ($script:Logon -ceq '' -and $Unattended -and -not $DryRun) {
        Stop-Setup 2 '-Unattended needs -Logon.'
    }
}

# A copied text may have no-break and invisible blanks around it too.
function Get-WithoutBlanks {
    param([string]$Text)
    return [regex]::Replace($Text, '\A[\s\u200B-\u200F\u2060\uFEFF]+|[\s\u200B-\u200F\u2060\uFEFF]+\z', '')
}

function Get-Bundled {
    param([string]$Name, [string]$Text)
    $filled = $Text.Replace("`r", '').TrimEnd("`n")
    if ($filled -ceq '') {
        Stop-Setup 2 "This file has no $Name inside. Get it from the command: backuppc-register-admin bundle --os windows"
    }
    return ($filled + "`n")
}

function Test-System {
    $me = New-Object System.Security.Principal.WindowsPrincipal([System.Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $me.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Setup 1 'Start PowerShell as administrator.'
    }
    if ([Environment]::OSVersion.Version.Major -lt 10 -or -not [Environment]::Is64BitProcess) {
        Stop-Setup 77 'This setup needs 64-bit Windows 10 or later.'
    }
    Test-Owner $State
    Test-Owner $Base
}

# ---------------------------------------------------------------- step: required programs

# The receipt is in State, so State comes first. Base is only used if this setup made it.
function Set-Places {
    if (-not (Test-Path -LiteralPath $Receipt)) {
        Invoke-Change "  making the folder $State" {
            New-Folder $State
        }
    }
    if ((Test-Path -LiteralPath $Base) -ne ((Get-Note 'base') -cne '')) {
        Stop-Setup 1 "$Base is not from this setup, or was removed. Move it away, or start the setup with -Uninstall."
    }
    if ((Get-Note 'base') -ceq '') {
        Invoke-Change "  making the folder $Base" {
            Set-Note 'base' 'made'
            New-Folder $Base
        }
    }
}

# The setup downloads no program itself. It starts Cygwin's setup only if that file has the SHA256 that was given: a
# signature would only show that someone signed something. The check is made on a copy that others cannot change.
function Install-Cygwin {
    if ((Get-Note 'cygwin') -cne '') {
        return
    }
    $program = Join-Path $PSScriptRoot 'setup-x86_64.exe'
    if ($CygwinSha256 -ceq '' -or -not (Test-Path -LiteralPath $program -PathType Leaf)) {
        Stop-Setup 7 'Cygwin is needed. Put https://cygwin.com/setup-x86_64.exe beside this file, and give its SHA256, also from cygwin.com: -CygwinSha256 HASH.'
    }
    Invoke-Change "  installing a small Cygwin in $Cygwin" {
        [System.IO.File]::Delete($CygwinCopy)
        Copy-Item -LiteralPath $program -Destination $CygwinCopy
        Protect-Path $CygwinCopy
        if ((Get-FileHash -LiteralPath $CygwinCopy -Algorithm SHA256).Hash -ne $CygwinSha256) {
            Stop-Setup 1 "$program does not have the SHA256 that you gave. The setup did not start it."
        }
        $packages = Join-Path $State 'packages'
        Invoke-Needed $CygwinCopy @('-q', '-n', '-N', '-d', '-R', $Cygwin, '-l', $packages, '-s', $CygwinMirror, '-P', 'rsync,bash,coreutils,util-linux,editrights') 1800
        Reset-Tree $Cygwin
        Remove-Tree $packages
        Remove-Item -LiteralPath $CygwinCopy -Force
        Set-Note 'cygwin' 'installed'
    }
}

# Give the whole tree to the administrators; it inherits the access list of its top folder. /L: change a link, not its
# target.
function Reset-Tree {
    param([string]$Path)
    $icacls = Join-Path $System32 'icacls.exe'
    Invoke-Needed $icacls @($Path, '/setowner', "*$Administrators", '/T', '/L', '/Q') 600
    Invoke-Needed $icacls @($Path, '/reset', '/T', '/L', '/Q') 600
}

# The setup neither installs nor starts an ssh server: whether others may reach one is for an administrator to decide.
function Test-Sshd {
    $service = Get-CimInstance -ClassName Win32_Service -Filter "Name='sshd'"
    if ($null -ne $service -and $service.State -ceq 'Running' -and $service.StartMode -ceq 'Auto') {
        return
    }
    Complain "The ssh server of Windows is missing, or does not run, or does not start with Windows. Such a server lets everyone whom the firewall lets in try the passwords of this computer's accounts. If there was none before, disable its own firewall rule too:"
    Complain '    Add-WindowsCapability -Online -Name OpenSSH.Server~~~~0.0.1.0'
    Complain '    Disable-NetFirewallRule -Name OpenSSH-Server-In-TCP'
    Complain '    Set-Service sshd -StartupType Automatic'
    Complain '    Start-Service sshd'
    Stop-Setup 7 'Run these commands, then start the setup again.'
}

# ---------------------------------------------------------------- step: the account

# The password is random and kept nowhere: only the server's key opens the account. The account may read every
# file, and no more. Members of the group Backup Operators may also write every file: they could change the wrapper,
# which would then refuse to run. The SID is noted last.
function Set-Account {
    $sid = Get-AccountSid
    if ($sid -cne (Get-Note 'sid')) {
        Stop-Setup 1 "The account $Account is not the one that this setup made. Start the setup with -Uninstall, or rename the account."
    }
    if ($sid -cne '') {
        return
    }
    Invoke-Change "  making the account $Account, which is no administrator and may read every file" {
        Set-Note 'account' 'made'
        $random = New-Object byte[] 32
        [System.Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($random)
        $password = New-Object System.Security.SecureString
        foreach ($letter in ([Convert]::ToBase64String($random) + 'aA1!').ToCharArray()) {
            $password.AppendChar($letter)
        }
        $null = New-LocalUser -Name $Account -Password $password -PasswordNeverExpires -AccountNeverExpires -UserMayNotChangePassword -Description 'Backups'
        foreach ($right in $Rights) {
            Invoke-Needed $EditRights @('-a', $right, '-u', $Account)
        }
        # Newer builds of Windows' sshd only let members of this group in.
        foreach ($group in @(Get-LocalGroup | Where-Object { $_.Name -eq 'OpenSSH Users' })) {
            Add-LocalGroupMember -Name $group.Name -Member $Account
        }
        Protect-Path $Base @("$(Get-AccountSid)=$ReadExecute")
        Set-Note 'sid' (Get-AccountSid)
    }
}

# Return '' if there is no such account. The whole list is read, because by name an error looks like "no such account".
function Get-AccountSid {
    foreach ($user in @(Get-LocalUser | Where-Object { $_.Name -eq $Account })) {
        return $user.SID.Value
    }
    return ''
}

# Without -Share the settings of the last run stay, and what an administrator changed in them.
function Set-Wrapper {
    $sid = Get-AccountSid
    Set-Folder $Restored @("$sid=$Modify")
    Set-Folder $WrapperFolder @("$sid=$ReadExecute")
    Set-File (Join-Path $WrapperFolder 'rsyncsend.sh') (Get-Bundled 'rsyncsend.sh' $BundledWrapper) @("$sid=$ReadExecute")
    if ($Share -cne '' -or -not (Test-Path -LiteralPath $WrapperConfig)) {
        Set-File $WrapperConfig (Get-WrapperConfig) @("$sid=FR")
    }
}

# Cygwin reads this file as UTF-8.
function Get-WrapperConfig {
    $folders = @($Share -split ',')
    if ($Share -ceq '') {
        $folders = @('/cygdrive/c/Users')
    }
    $drive = $Base.Substring(0, 1).ToLowerInvariant()
    $lines = @("# Made by setup.ps1. $WrapperPath explains each line.")
    $lines += @($folders | ForEach-Object { 'share=' + $Latin1.GetString([System.Text.Encoding]::UTF8.GetBytes($_)) })
    # rsyncsend.sh refuses restore=owner and restore=full without root.
    $lines += @('restore=dirs', "restore-dir=/cygdrive/$drive/bckpciuem/restored", 'rsync=/usr/bin/rsync')
    return (($lines -join "`n") + "`n")
}

# ---------------------------------------------------------------- step: sshd

# sshd reads its settings when it starts, so the note says whether it was restarted.
function Set-Sshd {
    Test-Owner $SshFolder
    Test-Owner $SshdConfig
    $there = (Test-Path -LiteralPath $SshdConfig) -and (Read-File $SshdConfig).Contains($SshdBlock)
    if ($there -and (Get-Note 'match') -ceq 'restarted') {
        return
    }
    Invoke-Change "  adding `"Match User $Account`" to $SshdConfig, and restarting sshd" {
        Set-Note 'match' 'added'
        $text = Remove-SshdBlock (Read-File $SshdConfig)
        if ($text -cne '' -and -not $text.EndsWith("`n", [StringComparison]::Ordinal)) {
            $text += "`r`n"
        }
        Set-SshdConfig ($text + $SshdBlock)
        Set-Note 'match' 'restarted'
    }
}

# Return the text without our lines; no other byte changes.
function Remove-SshdBlock {
    param([string]$Text)
    $pattern = '(?m)^' + [regex]::Escape($BlockBegin) + '\r?\n(?s:.*?)^' + [regex]::Escape($BlockEnd) + '(\r?\n|\z)'
    $rest = [regex]::Replace($Text, $pattern, '')
    if ($rest.Contains($BlockBegin) -or $rest.Contains($BlockEnd)) {
        Stop-Setup 1 "$SshdConfig has only a part of the lines from $BlockBegin to $BlockEnd. Remove them."
    }
    return $rest
}

# sshd checks the new file before it replaces the old one. If the OpenSSH server was removed, nothing can check it.
function Set-SshdConfig {
    param([string]$Text)
    $fresh = $SshdConfig + '.setup'
    Write-NewFile $fresh $Text
    if (Test-Path -LiteralPath $Sshd) {
        $tried = Invoke-Program $Sshd @('-t', '-f', $fresh)
        if ($tried.TimedOut -or $tried.Status -ne 0) {
            [System.IO.File]::Delete($fresh)
            Stop-Setup 1 "sshd refuses its new settings. They were not changed: $(Get-Printable $tried.Errors)"
        }
    }
    Move-Over $fresh $SshdConfig
    foreach ($service in @(Get-CimInstance -ClassName Win32_Service -Filter "Name='sshd' AND State='Running'")) {
        Restart-Service -Name $service.Name
    }
}

# ---------------------------------------------------------------- step: registration

# The server gives the same owner the same key, or a new one that replaces it here, so asking again is harmless.
function Register-Computer {
    Invoke-Change "  asking $Server to register this computer, and installing its key" {
        Set-CallFiles
        Confirm-Person
        Send-Request ('windows:' + $script:Logon) '' 90
        Read-Reply
        $key = Get-PublicKey (Get-Word 'key')
        if ($key -ceq '' -or -not (Test-AddressList (Get-Word 'from'))) {
            Stop-OnReply 'it has no usable key, or a bad list of addresses'
        }
        Set-Note 'from' (Get-Word 'from')
        Set-Note 'host' (Get-Printable (Get-Word 'host'))
        Install-Key $key
        Set-Note 'logon' $script:Logon
        if ((Get-Word 'url') -cmatch '\Ahttps?://[!-~]+\z') {
            Write-Host "  your backups, and what they contain: $(Get-Word 'url')"
        }
    }
}

# The file is only for the account bckpciuem and has one line.
function Install-Key {
    param([string]$Key)
    $options = 'restrict'
    if ((Get-Note 'from') -cne '') {
        $options += ',from="' + (Get-Note 'from') + '"'
    }
    $options += ',command="' + (Join-Path $Cygwin 'bin\bash.exe') + ' -p ' + $WrapperPath + '"'
    Set-File $AuthorizedKeys "$options $Key`n"
}

# The register-key is on the disk only while the setup asks the server.
function Set-CallFiles {
    $script:CallKeyMade = $true
    Set-File $KnownHostsFile (Get-Bundled 'KnownHosts' $BundledKnownHosts)
    Set-File $KeyFile (Get-Bundled 'RegisterKey' $BundledRegisterKey)
}

# Try again if the same request may work later. The wait is random, so that many computers that were refused together do
# not come back together.
function Send-Request {
    param([string]$Request, [string]$StandardInput, [int]$Timeout)
    foreach ($longest in @(6, 12, 24, 48, 0)) {
        $script:Reply = Invoke-Ssh $Request $StandardInput $Timeout
        if ($longest -eq 0 -or -not (Test-MayWorkLater)) {
            break
        }
        $pause = Get-Random -Minimum ($longest / 2) -Maximum ($longest + 1)
        Write-Host "  the server is busy; the next try is in $pause seconds"
        Start-Sleep -Seconds $pause
    }
    $script:Reply.Output = [regex]::Replace($script:Reply.Output.Replace("`r", ''), '[^\n\t -~]', '?')
    if ($script:Reply.TimedOut) {
        Stop-Setup 5 "$Server took too long to answer. Try again later."
    }
    if ($script:Reply.Status -eq 255 -and $script:Reply.Output -ceq '') {
        Stop-NotConnected
    }
}

function Test-MayWorkLater {
    return ($script:Reply.Status -eq 75 -or (Test-TurnedAway))
}

# Return whether sshd closed the connection before the login: it has too many at once, or shuts this address out.
function Test-TurnedAway {
    $closed = '(?m)^(kex|ssh)_exchange_identification: (read: )?Connection (closed|reset)|banner exchange|^Connection (closed|reset) by '
    return ($script:Reply.Status -eq 255 -and $script:Reply.Output -ceq '' -and $script:Reply.Errors -cmatch $closed)
}

function Invoke-Ssh {
    param([string]$Request, [string]$StandardInput, [int]$Timeout)
    $options = @('-x', '-a', '-T', '-F', 'none', '-l', 'backuppc', '-p', $Port, '-i', $KeyFile)
    $options += @('-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes')
    $options += @('-o', "UserKnownHostsFile=$KnownHostsFile", '-o', "GlobalKnownHostsFile=$KnownHostsFile")
    $options += @('-o', 'ConnectTimeout=15', '-o', 'ServerAliveInterval=15', '-o', 'LogLevel=ERROR')
    $options += @($Server, $Request)
    return (Invoke-Program (Join-Path $OpenSsh 'ssh.exe') $options $StandardInput $Timeout)
}

function Stop-NotConnected {
    $complaint = $script:Reply.Errors
    Complain (Get-Printable $complaint)
    if ($complaint.Contains('Host key verification failed')) {
        Stop-Setup 6 "This is not the known $Server: its host key is different, or not in this setup. Nothing was sent. Tell your administrator."
    }
    if ($complaint.Contains('Permission denied')) {
        Stop-Setup 4 "$Server no longer accepts the key of this setup. Get a new copy of the setup."
    }
    if (Test-TurnedAway) {
        Stop-Setup 5 "$Server closes the connection before the login: it has too many connections, or has blocked the address of this computer for a while. Try again in some minutes."
    }
    Stop-Setup 5 "$Server cannot be reached. Is this computer on the network?"
}

# The request "check" changes nothing on the server. Its answer shows whether the logon was mistyped.
function Confirm-Person {
    while ($script:Logon -cnotmatch '\A[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\z') {
        $script:Logon = Get-WithoutBlanks (Read-Host 'Your logon')
        if ($script:Logon.Contains('@')) {
            Write-Host 'Give the logon without the @ and what follows it.'
        }
    }
    Send-Request ('check:windows:' + $script:Logon) '' 90
    Read-Reply
    Write-Host "  computer: $(Get-Printable (Get-Word 'host'))"
    Write-Host "  person: $(Get-Printable (Get-Word 'person')) ($($script:Logon))"
    Write-Host 'This person will be able to read every backed-up file of this computer, even the files of other people.'
    Read-Consent 'Is that right (yes/no)?' 'Nothing was registered.'
}

# ---------------------------------------------------------------- the reply

# Read the reply into Words. Stop if the server reports an error, or if the reply is not understood.
function Read-Reply {
    $script:Words = @{}
    $lines = @($script:Reply.Output -split "`n")
    if ($script:Reply.Output -ceq '' -or $script:Reply.Output.Length -gt $MaxReply) {
        Stop-OnReply 'it is empty or too long'
    }
    if ($lines[0] -cne 'success') {
        Stop-OnReply ''
    }
    if ($script:Reply.Status -ne 0) {
        Stop-OnReply 'it was cut off'
    }
    foreach ($line in $lines) {
        Read-ReplyLine $line
    }
    if ((Get-Word 'advice') -cne '') {
        Write-Host "  ! The server adds: $(Get-Printable (Get-Word 'advice'))"
    }
}

# Unknown words are for other clients.
function Read-ReplyLine {
    param([string]$Line)
    $word, $value = $Line -split ':', 2
    if ($null -eq $value -or @('host', 'person', 'key', 'url', 'from', 'backup', 'advice') -cnotcontains $word) {
        return
    }
    if ($script:Words.ContainsKey($word)) {
        Stop-OnReply "it has $word twice"
    }
    $script:Words[$word] = $value.Trim(' ', "`t")
}

function Get-Word {
    param([string]$Word)
    return [string]$script:Words[$Word]
}

# Return TYPE BASE64 COMMENT if Text is one public key as the server makes them, else ''. The comment loses everything
# that could mean something in authorized_keys.
function Get-PublicKey {
    param([string]$Text)
    if ($Text -cnotmatch '\A(ssh-ed25519 [A-Za-z0-9+/]{68})( .{0,200})?\z') {
        return ''
    }
    return $Matches[1] + [regex]::Replace([string]$Matches[2], '[^A-Za-z0-9 ._@:+-]', '')
}

# Return whether Text is empty or a list of addresses or networks, separated by commas; no network is wider than /8, or
# /32 for IPv6. IPAddress.TryParse alone accepts
# "1" and "0x7f.1", and reads 010 as 8.
function Test-AddressList {
    param([string]$Text)
    $four = '\A(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}(/([89]|[12][0-9]|3[0-2]))?\z'
    $six = '\A(?=.*:)[0-9a-fA-F:.]+(/(3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-8]))?\z'
    foreach ($piece in @($Text -split ',' | Where-Object { $Text -cne '' })) {
        $parsed = $null
        $form = ($piece -cmatch $four) -or ($piece -cmatch $six)
        if (-not $form -or -not [System.Net.IPAddress]::TryParse(@($piece -split '/')[0], [ref]$parsed)) {
            return $false
        }
    }
    return $true
}

# Show the reply: the server's own text has its advice and the number for the help desk. A computer that is registered
# but cannot be reached has a status of its own.
function Stop-OnReply {
    param([string]$Reason)
    Complain 'The server answers:'
    Complain (Get-Printable ($script:Reply.Errors + $script:Reply.Output))
    if ($Reason -cne '') {
        Stop-Setup 1 "The setup does not understand this reply: $Reason. Nothing of it was installed."
    }
    if ($script:Verifying) {
        Stop-Setup 8 'This computer is registered, but the server could not connect to it yet. Follow the advice above, then start the setup with -Verify.'
    }
    exit 4
}

# ---------------------------------------------------------------- step: the server's connection to this computer

# Windows answers no ping by default, but the server pings before every backup. The ssh rule is for the program sshd.exe,
# whatever port it has. Networks that the server names stay closed: a mistake there must not open this computer.
function Open-Firewall {
    Invoke-Change "  letting $Server through the firewall: ssh and ping" {
        $addresses = @((Get-Note 'from') -split ',' | Where-Object { $_ -cne '' -and -not $_.Contains('/') })
        if ($addresses.Count -eq 0) {
            $addresses = @([System.Net.Dns]::GetHostAddresses($Server) | ForEach-Object { $_.ToString() })
        }
        Remove-OurRules
        Add-OurRule 'bckpciuem-ssh' $addresses @{ Protocol = 'TCP'; Program = $Sshd }
        Add-OurRule 'bckpciuem-ping' @($addresses | Where-Object { -not $_.Contains(':') }) @{ Protocol = 'ICMPv4'; IcmpType = 8 }
        Add-OurRule 'bckpciuem-ping-6' @($addresses | Where-Object { $_.Contains(':') }) @{ Protocol = 'ICMPv6'; IcmpType = 128 }
    }
}

function Add-OurRule {
    param([string]$Rule, [string[]]$Addresses, [hashtable]$What)
    if ($Addresses.Count -gt 0) {
        $null = New-NetFirewallRule -Name $Rule -DisplayName 'Backup server' -Direction Inbound -Action Allow -RemoteAddress $Addresses -Profile Any @What
    }
}

# Without a rule, Remove-NetFirewallRule would remove all rules. The whole list is read, because by name an error looks
# like "no such rule".
function Remove-OurRules {
    foreach ($rule in @(Get-NetFirewallRule | Where-Object { $FirewallRules -ccontains $_.Name })) {
        Remove-NetFirewallRule -Name $rule.Name
    }
}

function Request-Verification {
    Invoke-Change "  asking $Server to test its connection to this computer; this may take half a minute" {
        Set-CallFiles
        $script:Verifying = $true
        Send-Request ('verify:windows:' + $script:Logon) (Get-HostKeyLines) 180
        Read-Reply
        Write-Host '  the server connected and could read: backups will work'
        if ((Get-Word 'backup') -cne '') {
            Write-Host '  the first backup begins soon'
        }
    }
}

# The public ssh host keys of this computer, which the server compares with what it meets.
function Get-HostKeyLines {
    $lines = @()
    foreach ($file in @(Get-ChildItem -LiteralPath $SshFolder -Filter 'ssh_host_*_key.pub')) {
        $kind, $body, $comment = (Read-File $file.FullName).Trim() -split ' ', 3
        if ($body -cmatch '\A[A-Za-z0-9+/=]+\z') {
            $lines += "hostkey:$kind $body"
        }
    }
    return ((($lines + @('.')) -join "`n") + "`n")
}

# ---------------------------------------------------------------- uninstall

# What is gone already is skipped. The receipt goes last.
function Remove-Setup {
    if ($script:Notes.Count -eq 0) {
        Stop-Setup ([int](Test-Path -LiteralPath $Base)) "There is no $Receipt, so the setup removes nothing."
    }
    Invoke-Change "  removing $AuthorizedKeys and our firewall rules" {
        if (Test-Path -LiteralPath $AuthorizedKeys) {
            Remove-Item -LiteralPath $AuthorizedKeys -Force
        }
        Remove-OurRules
    }
    Remove-OurSettings
    Remove-Account
    Remove-Base
    $name = Get-Note 'host'
    Invoke-Change "  removing $State" {
        Remove-Tree $State
    }
    Write-Host "What was backed up stays on the server, which still knows this computer. To end its backups, ask the backup administrator to retire it: $name"
}

function Remove-OurSettings {
    if ((Get-Note 'match') -cne '' -and (Test-Path -LiteralPath $SshdConfig)) {
        Test-Owner $SshFolder
        Test-Owner $SshdConfig
        Invoke-Change "  removing our lines from $SshdConfig" {
            Set-SshdConfig (Remove-SshdBlock (Read-File $SshdConfig))
        }
    }
}

# An account of the same name with another SID is not ours. A running backup ends here.
function Remove-Account {
    $sid = Get-AccountSid
    if ($sid -ceq '' -or (Get-Note 'account') -ceq '' -or @('', $sid) -cnotcontains (Get-Note 'sid')) {
        return
    }
    Invoke-Change "  removing the account $Account and its profile" {
        $name = [Environment]::MachineName + '\' + $Account
        foreach ($program in @(Get-Process -IncludeUserName | Where-Object { $_.UserName -eq $name })) {
            $program.Kill()
            $program.WaitForExit()
        }
        if (Test-Path -LiteralPath $EditRights) {
            foreach ($right in $Rights) {
                $null = Invoke-Program $EditRights @('-r', $right, '-u', $Account)
            }
        }
        Get-CimInstance -ClassName Win32_UserProfile | Where-Object { $_.SID -ceq $sid } | Remove-CimInstance
        Remove-LocalUser -Name $Account
    }
}

function Remove-Base {
    if ((Get-Note 'base') -ceq '') {
        return
    }
    if ((Test-Path -LiteralPath $Restored) -and @(Get-ChildItem -LiteralPath $Restored -Force).Count -gt 0) {
        Stop-Setup 1 "$Restored has restored files. Move them away, then start -Uninstall again."
    }
    Invoke-Change "  removing $Base" {
        Remove-Tree $Base
    }
}

# ---------------------------------------------------------------- the whole setup

function Invoke-Steps {
    Write-Host 'Required programs'
    Test-Sshd
    Set-Places
    Install-Cygwin
    Write-Host "The account $Account, and what the backup server may do here"
    Set-Account
    Set-Wrapper
    Set-Sshd
    Write-Host "Registration with $Server"
    Register-Computer
    Write-Host 'Connection from the server'
    Open-Firewall
    Request-Verification
}

# Show the plan and ask. Then carry it out.
function Invoke-Plan {
    param([scriptblock]$Plan)
    Write-Host 'Plan:'
    $script:Planning = $true
    & $Plan | Out-Null
    if ($DryRun) {
        Write-Host 'Nothing was changed (-DryRun).'
        return
    }
    Read-Consent 'Continue (yes/no)?' 'Nothing was changed.'
    Write-Host 'Applying changes:'
    $script:Planning = $false
    & $Plan | Out-Null
    Write-Host 'Done.'
}

function Invoke-Setup {
    Write-Host 'EXPERIMENTAL: this setup has never been run on Windows. Restore a file before you rely on your backups.'
    Test-System
    Read-Receipt
    Test-Options
    if ($Uninstall) {
        Invoke-Plan { Remove-Setup }
    }
    elseif ($Verify) {
        if ((Get-Note 'logon') -ceq '') {
            Stop-Setup 2 'This computer is not registered.'
        }
        Invoke-Plan { Request-Verification }
    }
    else {
        Invoke-Plan { Invoke-Steps }
    }
}

if ($args.Count -gt 0) {
    Complain "Unknown option: $($args[0])"
    exit 2
}
try {
    Invoke-Setup
}
catch {
    Complain "The setup failed: $($_.Exception.Message)"
    exit 1
}
finally {
    if ($script:CallKeyMade) {
        [System.IO.File]::Delete($KeyFile)
    }
}
exit 0
