# setup.ps1 - makes this computer known to the backup server, so that it is backed up from now on.
#
# EXPERIMENTAL: this file has never been run on Windows. It is checked by a parser and by rules, no more. Do not
# rely on backups made through it before you have restored one.
#
# In a PowerShell that was started as administrator:
#
#     powershell -NoProfile -ExecutionPolicy Bypass -File setup.ps1 -CygwinSha256 HASH [OPTION]...
#
#   -Server NAME          the backup server
#   -Logon LOGON          whose computer this is (asked for otherwise)
#   -LogonFile FILE       the same, from the first line of a file
#   -Verify               only have the server test its way back to this computer
#   -Doctor               only look what is wrong; changes nothing
#   -Repair               mend what is wrong
#   -Uninstall            undo what the setup has done
#   -Unattended           ask nothing: needs a logon, takes the reply for right
#   -DryRun               show what would be changed, and change nothing
#   -Lang fr|en           language of the messages (otherwise: that of Windows)
#   -Share PATH,...       folders to back up, as Cygwin calls them (otherwise: as before; at first /cygdrive/c/Users)
#   -Restore off|dirs     where the server may restore files: nowhere; in a folder of their own (otherwise: as
#                         before; at first dirs)
#   -RegisterKey FILE     the key that registers (otherwise: the one inside this file)
#   -KnownHosts FILE      the backup server's ssh host keys (otherwise: those inside this file)
#   -Wrapper FILE         rsyncsend.sh (otherwise: the one inside this file)
#   -CygwinSetup FILE     Cygwin's setup-x86_64.exe (otherwise: the one beside this file)
#   -CygwinSha256 HASH    its SHA256 as cygwin.com tells it; no signature will do in its place
#   -CygwinMirror URL     where it gets its packages, whose signatures it checks
#   -From LIST            addresses that the server may come from (otherwise: as before; at first those that it names)
#   -Port PORT            ssh port of the backup server (otherwise: as before; at first 22)
#   -NoFirewall           leave the firewall as it is
#   -NoVerify             do not have the server test its way back
#   -Force                register again even if this computer is registered
#   -Help
#
# Exit status: 0 done, or nothing to do; 1 it did not work, or the doctor found something; 2 wrong options; 4 the
# server refuses; 5 the server cannot be reached; 6 it is not the server that we know; 7 something is left for the
# administrator to do; 8 registered, but the server could not come back here yet; 77 this system is not known.
#
# What was made on this computer stands in C:\ProgramData\bckpciuem\receipt. To keep the messages, start it from
# cmd.exe with >FILE 2>&1 behind it.

# "backuppc-register-admin bundle" sets Server here and fills the three texts below.
param(
    [string]$Server = '',
    [string]$Logon = '',
    [string]$LogonFile = '',
    [switch]$Verify,
    [switch]$Doctor,
    [switch]$Repair,
    [switch]$Uninstall,
    [switch]$Unattended,
    [switch]$DryRun,
    [string]$Lang = '',
    [string]$Share = '',
    [string]$Restore = '',
    [string]$RegisterKey = '',
    [string]$KnownHosts = '',
    [string]$Wrapper = '',
    [string]$CygwinSetup = '',
    [string]$CygwinSha256 = '',
    [string]$CygwinMirror = 'https://mirrors.kernel.org/sourceware/cygwin/',
    [string]$From = '',
    [int]$Port = 0,
    [switch]$NoFirewall,
    [switch]$NoVerify,
    [switch]$Force,
    [switch]$Help
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# A program that runs as the same person, and not as administrator, can change that person's environment and modules:
# neither may lead us. So no folder is taken from the environment, and no module but those of Windows.
$env:PSModulePath = "$PSHOME\Modules"

# ---------------------------------------------------------------- what a bundle brings along

$BundledRegisterKey = @'

'@

$BundledKnownHosts = @'

'@

$BundledWrapper = @'

'@

# ---------------------------------------------------------------- names

$Account = 'bckpciuem'
$ServerAccount = 'backuppc'
$System = 'S-1-5-18'
$Administrators = 'S-1-5-32-544'
$TrustedInstaller = 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
$CreatorOwner = 'S-1-3-0'
$System32 = [Environment]::SystemDirectory
$ProgramData = [Environment]::GetFolderPath('CommonApplicationData')
$Base = Join-Path ([System.IO.Path]::GetPathRoot($System32)) 'bckpciuem'
$Cygwin = Join-Path $Base 'cygwin'
$Restored = Join-Path $Base 'restored'
$WrapperConfig = Join-Path $Cygwin 'etc\bckpciuem.conf'
$State = Join-Path $ProgramData 'bckpciuem'
$Receipt = Join-Path $State 'receipt'
$KeyFile = Join-Path $State 'register-key'
$TrialKey = Join-Path $State 'key'
$KnownHostsFile = Join-Path $State 'known_hosts'
$CygwinCopy = Join-Path $State 'setup-x86_64.exe'
$SshFolder = Join-Path $ProgramData 'ssh'
$SshdConfig = Join-Path $SshFolder 'sshd_config'
$AuthorizedKeys = Join-Path $SshFolder 'bckpciuem_authorized_keys'
$OpenSsh = Join-Path $System32 'OpenSSH'
$Sshd = Join-Path $OpenSsh 'sshd.exe'
$Capability = 'OpenSSH.Server~~~~0.0.1.0'
$CapabilityRule = 'OpenSSH-Server-In-TCP'
$WrapperPath = '/usr/local/libexec/bckpciuem/rsyncsend.sh'
$BlockBegin = '# BEGIN bckpciuem'
$BlockEnd = '# END bckpciuem'
$FirewallSsh = 'bckpciuem-ssh'
$FirewallPing = 'bckpciuem-ping'
$Rights = @('SeBackupPrivilege', 'SeDenyInteractiveLogonRight', 'SeDenyRemoteInteractiveLogonRight')
$MaxReply = 65536
# What others' files hold is read and written byte by byte: each byte is a character of Latin-1.
$Latin1 = [System.Text.Encoding]::GetEncoding(28591)
$Utf8 = New-Object System.Text.UTF8Encoding($false)
# Rights to files as Windows keeps them, and the bits of those that change something: Write, Delete,
# DeleteSubdirectoriesAndFiles, ChangePermissions, TakeOwnership, GENERIC_WRITE, GENERIC_ALL.
$Masks = @{
    F = 0x1f01ff
    M = 0x1301bf
    RX = 0x1200a9
    R = 0x120089
}
$Writing = 0x116 -bor 0x10000 -bor 0x40 -bor 0x40000 -bor 0x80000 -bor 0x40000000 -bor 0x10000000

$script:Tongue = 'en'
$script:Changes = 0
$script:Verified = $true
$script:Planning = $false
$script:IpVersion = ''
$script:Reply = $null
$script:Words = @{}
$script:Problem = ''
$script:KeyLine = ''
$script:Url = ''
$script:Advice = ''
$script:AllowedFrom = ''
$script:CallKeyMade = $false
$script:Unsaved = $false
$script:Lock = $null
$script:Kept = @()

# ---------------------------------------------------------------- talking

# Everything is said in two languages, English first; the text is a -f format. PowerShell takes a typographic
# apostrophe for the end of a string: French has plain ones here.
function Get-Text {
    param(
        [string]$English,
        [string]$French,
        [object[]]$Values
    )
    $format = $English
    if ($script:Tongue -eq 'fr') {
        $format = $French
    }
    return ($format -f $Values)
}

function Say {
    param(
        [string]$English,
        [string]$French,
        [object[]]$Values = @('')
    )
    Write-Host (Get-Text $English $French $Values)
}

function Complain {
    param(
        [string]$English,
        [string]$French,
        [object[]]$Values = @('')
    )
    [Console]::Error.WriteLine((Get-Text $English $French $Values))
}

function Stop-Setup {
    param(
        [int]$Status,
        [string]$English,
        [string]$French,
        [object[]]$Values = @('')
    )
    Complain $English $French $Values
    exit $Status
}

function Read-YesOrNo {
    param(
        [string]$English,
        [string]$French
    )
    while ($true) {
        $answer = Read-Host (Get-Text $English $French @(''))
        if ($answer -match '\A(y|yes|o|oui)\z') {
            return $true
        }
        if ($answer -match '\A(n|no|non)\z') {
            return $false
        }
    }
}

# What the server says, fit for a screen.
function Get-Printable {
    param(
        [string]$Text
    )
    return [regex]::Replace($Text, '[^\n -~]', '?')
}

# The server writes every byte outside ASCII as \xHH. Give back those that make letters, nothing else: no control
# characters, nothing that changes the direction of the text.
function Get-Readable {
    param(
        [string]$Text
    )
    $strict = New-Object System.Text.UTF8Encoding($false, $true)
    $shown = Get-Printable $Text
    foreach ($found in @([regex]::Matches($shown, '(\\x[89a-fA-F][0-9a-fA-F])+'))) {
        $digits = $found.Value.Replace('\x', '')
        $bytes = New-Object byte[] ($digits.Length / 2)
        for ($at = 0; $at -lt $bytes.Length; $at++) {
            $bytes[$at] = [Convert]::ToByte($digits.Substring(2 * $at, 2), 16)
        }
        try {
            $letters = $strict.GetString($bytes)
        }
        catch [System.Text.DecoderFallbackException] {
            continue
        }
        if ($letters -cmatch '\A[\p{L}\p{M}]+\z') {
            $shown = $shown.Replace($found.Value, $letters)
        }
    }
    return $shown
}

# ---------------------------------------------------------------- changing

# Every change to this computer passes here, and only here. After one, what the server found when it came back says
# nothing any more.
function Invoke-Change {
    param(
        [string]$English,
        [string]$French,
        [object[]]$Values,
        [scriptblock]$Action
    )
    Say $English $French $Values
    $script:Changes += 1
    if (-not $script:Planning) {
        if (Test-Receipt 'verified ') {
            Remove-Receipt 'verified '
        }
        & $Action | Out-Null
    }
}

# A file's bytes, as characters of Latin-1.
function Read-File {
    param(
        [string]$Path
    )
    return $Latin1.GetString([System.IO.File]::ReadAllBytes($Path))
}

# To the byte. -ceq goes by the rules of a language, for which a soft hyphen (byte 0xAD) or a control character is
# nothing.
function Test-Same {
    param(
        [string]$One,
        [string]$Other
    )
    return $One.Equals($Other, [StringComparison]::Ordinal)
}

function Read-Lines {
    param(
        [string]$Path
    )
    return @((Read-File $Path) -split "`r?`n" | Where-Object { $_ -cne '' })
}

# Whole or not at all, and never for a moment open to others: made beside the file with its access list, then renamed.
function Write-File {
    param(
        [string]$Path,
        [string]$Text,
        [string[]]$Others = @()
    )
    $fresh = $Path + '.setup'
    Write-Fresh $fresh $Text $Others
    Move-Over $fresh $Path
}

function Write-Fresh {
    param(
        [string]$Fresh,
        [string]$Text,
        [string[]]$Others = @()
    )
    [System.IO.File]::Delete($Fresh)
    $bytes = $Latin1.GetBytes($Text)
    $security = New-Security $false $Others
    $stream = New-Object System.IO.FileStream($Fresh, [System.IO.FileMode]::CreateNew, [System.Security.AccessControl.FileSystemRights]::Write, [System.IO.FileShare]::None, 4096, [System.IO.FileOptions]::WriteThrough, $security)
    try {
        $stream.Write($bytes, 0, $bytes.Length)
    }
    finally {
        $stream.Dispose()
    }
}

# File.Replace keeps the access list of what it replaces.
function Move-Over {
    param(
        [string]$Fresh,
        [string]$Path
    )
    if (Test-Path -LiteralPath $Path) {
        [System.IO.File]::Replace($Fresh, $Path, [NullString]::Value)
        return
    }
    [System.IO.File]::Move($Fresh, $Path)
}

# ---------------------------------------------------------------- the receipt

function Read-Receipt {
    if (Test-Path -LiteralPath $Receipt) {
        return @(Read-Lines $Receipt)
    }
    return @()
}

function Write-Receipt {
    param(
        [string[]]$Lines
    )
    $text = ''
    foreach ($line in $Lines) {
        $text += $line + "`n"
    }
    Write-File $Receipt $text
}

# What is to be undone one day is written down before the deed: killed in between, we have noted too much and not too
# little. Whether a deed is done is therefore never read here but looked at, or has a line of its own behind it.
function Add-Receipt {
    param(
        [string]$Line
    )
    if (@(Read-Receipt) -cnotcontains $Line) {
        Write-Receipt (@(Read-Receipt) + @($Line))
    }
}

function Remove-Receipt {
    param(
        [string]$Beginning
    )
    Write-Receipt @(Read-Receipt | Where-Object { -not $_.StartsWith($Beginning, [StringComparison]::Ordinal) })
}

function Test-Receipt {
    param(
        [string]$Beginning
    )
    return (@(Read-Receipt | Where-Object { $_.StartsWith($Beginning, [StringComparison]::Ordinal) }).Count -gt 0)
}

# The one line that begins with Word becomes "Word Rest"; without a Rest it goes.
function Set-Receipt {
    param(
        [string]$Word,
        [string]$Rest
    )
    $lines = @(Read-Receipt | Where-Object { -not $_.StartsWith("$Word ", [StringComparison]::Ordinal) })
    if ($Rest -cne '') {
        $lines += "$Word $Rest"
    }
    Write-Receipt $lines
}

function Get-Receipt {
    param(
        [string]$Word
    )
    foreach ($line in @(Read-Receipt)) {
        if ($line.StartsWith("$Word ", [StringComparison]::Ordinal)) {
            return $line.Substring($Word.Length + 1)
        }
    }
    return ''
}

# ---------------------------------------------------------------- programs

function Join-Words {
    param(
        [string[]]$Words
    )
    $quoted = @()
    foreach ($word in $Words) {
        if ($word.Contains('"') -or $word.EndsWith('\', [StringComparison]::Ordinal)) {
            throw "not a plain argument: $word"
        }
        if ($word -match '\s' -or $word -eq '') {
            $word = '"' + $word + '"'
        }
        $quoted += $word
    }
    return ($quoted -join ' ')
}

# One of a program's two outputs while it is read: the first 64 KiB and some are kept, what comes after is dropped.
function New-Outlet {
    param(
        [System.IO.Stream]$Stream
    )
    $buffer = New-Object byte[] 4096
    return New-Object PSObject -Property @{
        Stream = $Stream
        Buffer = $buffer
        Reading = $Stream.ReadAsync($buffer, 0, $buffer.Length)
        Kept = New-Object System.IO.MemoryStream
        Open = $true
    }
}

function Read-Outlet {
    param(
        [psobject]$Outlet
    )
    if (-not $Outlet.Open -or -not $Outlet.Reading.Wait(50)) {
        return
    }
    $count = $Outlet.Reading.Result
    if ($count -eq 0) {
        $Outlet.Open = $false
        return
    }
    if ($Outlet.Kept.Length -le $MaxReply) {
        $Outlet.Kept.Write($Outlet.Buffer, 0, $count)
    }
    $Outlet.Reading = $Outlet.Stream.ReadAsync($Outlet.Buffer, 0, $Outlet.Buffer.Length)
}

# True: it ended by itself within Patience seconds. A child of its own may hold its outputs open for longer.
function Wait-Program {
    param(
        [System.Diagnostics.Process]$Process,
        [object[]]$Outlets,
        [int]$Patience
    )
    $until = [DateTime]::UtcNow.AddSeconds($Patience)
    $ended = $false
    while ([DateTime]::UtcNow -lt $until -and @($Outlets | Where-Object { $_.Open }).Count -gt 0) {
        foreach ($outlet in $Outlets) {
            Read-Outlet $outlet
        }
        if (-not $ended -and $Process.HasExited) {
            $ended = $true
            $until = [DateTime]::UtcNow.AddSeconds(5)
        }
    }
    $left = [Math]::Max(1000, ($until - [DateTime]::UtcNow).TotalMilliseconds)
    return $Process.WaitForExit([int]$left)
}

# Start a program with its own standard input, and keep its outputs apart: what ssh says itself must not come before
# what the server says.
function Invoke-Program {
    param(
        [string]$Path,
        [string[]]$Arguments,
        [string]$StandardInput = '',
        [int]$Patience = 120
    )
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Path
    $start.Arguments = Join-Words $Arguments
    $start.WorkingDirectory = $System32
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $output = New-Outlet $process.StandardOutput.BaseStream
    $errors = New-Outlet $process.StandardError.BaseStream
    try {
        $given = [System.Text.Encoding]::ASCII.GetBytes($StandardInput)
        $process.StandardInput.BaseStream.Write($given, 0, $given.Length)
        $process.StandardInput.BaseStream.Flush()
        $process.StandardInput.Close()
    }
    catch [System.IO.IOException] {
        # It ended without reading: its status tells.
    }
    $byItself = Wait-Program $process @($output, $errors) $Patience
    if (-not $byItself) {
        Stop-Program $process
    }
    return New-Object PSObject -Property @{
        Status = $process.ExitCode
        TimedOut = -not $byItself
        Output = [System.Text.Encoding]::ASCII.GetString($output.Kept.ToArray())
        Errors = [System.Text.Encoding]::ASCII.GetString($errors.Kept.ToArray())
    }
}

function Stop-Program {
    param(
        [System.Diagnostics.Process]$Process
    )
    try {
        $Process.Kill()
    }
    catch [System.InvalidOperationException] {
        # It has just ended.
    }
    catch [System.ComponentModel.Win32Exception] {
        # It is just ending.
    }
    $Process.WaitForExit()
}

function Invoke-Needed {
    param(
        [string]$Path,
        [string[]]$Arguments,
        [int]$Patience = 120
    )
    $done = Invoke-Program $Path $Arguments '' $Patience
    if ($done.TimedOut -or $done.Status -ne 0) {
        throw ("{0}: {1} {2}" -f $Path, $done.Status, (Get-Printable ($done.Output + $done.Errors)))
    }
}

# ---------------------------------------------------------------- who may change what

# The access list that a file or folder of ours has, in lines "Allow SID MASK INHERITANCE": SYSTEM and the
# administrators, and whoever else is named as SID=RIGHT.
function Get-WantedAccess {
    param(
        [bool]$Container,
        [string[]]$Others = @()
    )
    $passedOn = 0
    if ($Container) {
        $passedOn = 3
    }
    $list = @()
    foreach ($each in (@("$System=F", "$Administrators=F") + $Others)) {
        $name, $right = $each.Split('=')
        if ($name -cne '') {
            $list += ('Allow {0} {1} {2}' -f $name, $Masks[$right], $passedOn)
        }
    }
    return $list
}

function Get-Access {
    param(
        [System.Security.AccessControl.FileSystemSecurity]$Security
    )
    $list = @()
    foreach ($rule in $Security.GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier])) {
        $list += ('{0} {1} {2} {3}' -f $rule.AccessControlType, $rule.IdentityReference.Value, [int]$rule.FileSystemRights, [int]$rule.InheritanceFlags)
    }
    return $list
}

function Get-Owner {
    param(
        [System.Security.AccessControl.FileSystemSecurity]$Security
    )
    return $Security.GetOwner([System.Security.Principal.SecurityIdentifier]).Value
}

# Owner and access list for a new file or folder; nothing is inherited.
function New-Security {
    param(
        [bool]$Container,
        [string[]]$Others = @()
    )
    $security = New-Object System.Security.AccessControl.FileSecurity
    $flags = ''
    if ($Container) {
        $security = New-Object System.Security.AccessControl.DirectorySecurity
        $flags = 'OICI'
    }
    $form = 'O:BAD:P'
    foreach ($line in @(Get-WantedAccess $Container $Others)) {
        $words = $line.Split(' ')
        $form += ('(A;{0};0x{1:x};;;{2})' -f $flags, [int]$words[2], $words[1])
    }
    $security.SetSecurityDescriptorSddlForm($form, [System.Security.AccessControl.AccessControlSections]'Access, Owner')
    $security.SetAccessRuleProtection($true, $false)
    return $security
}

function Protect-Path {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    if (Test-Path -LiteralPath $Path -PathType Container) {
        [System.IO.Directory]::SetAccessControl($Path, (New-Security $true $Others))
        return
    }
    [System.IO.File]::SetAccessControl($Path, (New-Security $false $Others))
}

# Whether owner and access list are to the letter what Protect-Path makes them.
function Test-Access {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    $security = Get-Acl -LiteralPath $Path
    $wanted = @(Get-WantedAccess (Test-Path -LiteralPath $Path -PathType Container) $Others | Sort-Object)
    $found = @(Get-Access $security | Sort-Object)
    return ($security.AreAccessRulesProtected -and (Get-Owner $security) -ceq $Administrators -and ($found -join '|') -ceq ($wanted -join '|'))
}

# The SID of somebody who can change Path and should not, or ''. Who may modify it by Others is no stranger; only the
# administrators may own it, because an owner gives himself every right. "Creator owner" is nobody.
function Get-ForeignWriter {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    $security = Get-Acl -LiteralPath $Path
    $trusted = @($System, $Administrators, $TrustedInstaller)
    $owner = Get-Owner $security
    if ($trusted -cnotcontains $owner) {
        return $owner
    }
    $trusted += $CreatorOwner
    $trusted += @($Others | Where-Object { $_.EndsWith('=M', [StringComparison]::Ordinal) } | ForEach-Object { $_.Split('=')[0] })
    foreach ($line in @(Get-Access $security)) {
        $kind, $name, $mask, $passedOn = $line.Split(' ')
        if ($kind -ceq 'Allow' -and ([int]$mask -band $Writing) -ne 0 -and $trusted -cnotcontains $name) {
            return $name
        }
    }
    return ''
}

# Anyone may make folders in C:\ and in ProgramData: what is there already must be no link, and nobody but the
# administrators may have been able to put something into it.
function Test-Safe {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    if (-not (Test-Path -LiteralPath $Path)) {
        return
    }
    $item = Get-Item -LiteralPath $Path -Force
    if (($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) {
        Stop-Setup 1 '{0} is a link; please move it away.' '{0} est un lien ; déplacez-le, s''il vous plaît.' @($Path)
    }
    $stranger = Get-ForeignWriter $Path $Others
    if ($stranger -cne '') {
        Stop-Setup 1 'Others than the administrators can change {0} ({1}); please take that right away, or move it elsewhere.' 'D''autres que les administrateurs peuvent modifier {0} ({1}) ; retirez ce droit, ou déplacez-le.' @($Path, $stranger)
    }
}

# It has its access list from the first moment; CreateDirectory takes what is there already, so that is looked at.
function New-Folder {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    $null = [System.IO.Directory]::CreateDirectory($Path, (New-Security $true $Others))
    Test-Safe $Path $Others
    Protect-Path $Path $Others
    if (@(Get-ChildItem -LiteralPath $Path -Force).Count -gt 0) {
        throw "$Path is not empty"
    }
}

function Set-Folder {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    Test-Safe $Path $Others
    if (Test-Path -LiteralPath $Path) {
        Set-Access $Path $Others
        return
    }
    Invoke-Change '  making the folder {0}' '  création du dossier {0}' @($Path) {
        New-Folder $Path $Others
    }
}

function Set-Access {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    if (-not (Test-Access $Path $Others)) {
        Invoke-Change '  setting the access list of {0}' '  réglage de la liste d''accès de {0}' @($Path) {
            Protect-Path $Path $Others
        }
    }
}

function Set-File {
    param(
        [string]$Path,
        [string]$Text,
        [string[]]$Others = @()
    )
    Test-Safe $Path
    if ((Test-Path -LiteralPath $Path) -and (Test-Same (Read-File $Path) $Text)) {
        Set-Access $Path $Others
        return
    }
    Invoke-Change '  writing {0}' '  écriture de {0}' @($Path) {
        Write-File $Path $Text $Others
        Protect-Path $Path $Others
    }
}

# ---------------------------------------------------------------- the options

function Test-Logon {
    param(
        [string]$Name
    )
    return ($Name -cmatch '\A[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\z')
}

function Select-Language {
    if ($Lang -ceq '') {
        if ((Get-UICulture).Name -like 'fr*') {
            $script:Tongue = 'fr'
        }
        return
    }
    if (@('fr', 'en') -cnotcontains $Lang) {
        Stop-Setup 2 '-Lang is fr or en.' '-Lang vaut fr ou en.'
    }
    $script:Tongue = $Lang
}

# Everything that ends in a command line or in a file is checked before anything else is done.
function Test-Options {
    Test-Task
    if ($LogonFile -cne '') {
        Read-LogonFile
    }
    if ($script:Server -ceq '') {
        $script:Server = Get-RegisteredServer
    }
    Restore-Settings
    if ($script:Server -ceq '' -and -not $Uninstall) {
        Stop-Setup 2 'Which server? Please give -Server NAME.' 'Quel serveur ? Donnez -Server NOM.'
    }
    if ($script:Server -cnotmatch '\A([A-Za-z0-9][A-Za-z0-9.:-]*)?\z') {
        Stop-Setup 2 '{0} is no name of a server.' '{0} n''est pas un nom de serveur.' @($script:Server)
    }
    if ($script:Logon -cne '' -and -not (Test-Logon $script:Logon)) {
        Stop-Setup 2 '{0} cannot be a logon.' '{0} ne peut pas être un identifiant.' @((Get-Printable $script:Logon))
    }
    if (@('', 'off', 'dirs') -cnotcontains $Restore) {
        Stop-Setup 2 '-Restore is off or dirs.' '-Restore vaut off ou dirs.'
    }
    if ($script:Port -lt 1 -or $script:Port -gt 65535) {
        Stop-Setup 2 '{0} is no port.' '{0} n''est pas un port.' @($script:Port)
    }
    if ($script:From -cne '' -and -not (Test-AddressList $script:From)) {
        Stop-Setup 2 '-From is a list of addresses: {0}' '-From est une liste d''adresses : {0}' @($script:From)
    }
    if ($CygwinMirror -cnotmatch '\Ahttps://[A-Za-z0-9./_~-]+\z') {
        Stop-Setup 2 '-CygwinMirror is an https address.' '-CygwinMirror est une adresse https.'
    }
    if ($CygwinSha256 -cne '' -and $CygwinSha256 -cnotmatch '\A[0-9A-Fa-f]{64}\z') {
        Stop-Setup 2 '-CygwinSha256 is 64 hexadecimal digits.' '-CygwinSha256 est fait de 64 chiffres hexadécimaux.'
    }
    foreach ($folder in @($Share -split ',' | Where-Object { $Share -cne '' })) {
        if ($folder -cnotmatch '\A/cygdrive/[a-z](/[^/\x00-\x1f]+)*\z' -or $folder -match '/\.\.?(/|\z)') {
            Stop-Setup 2 '{0} is not a folder as Cygwin calls it, as in /cygdrive/c/Users.' '{0} n''est pas un dossier au nom de Cygwin, comme /cygdrive/c/Users.' @($folder)
        }
    }
    if (($Verify -or $Repair) -and (Get-RegisteredLogon) -ceq '') {
        Stop-Setup 2 'This computer is not registered with {0}.' 'Cet ordinateur n''est pas enregistré auprès de {0}.' @($script:Server)
    }
    $known = ($script:Logon -cne '') -or $DryRun -or $Uninstall -or $Doctor -or ((Get-RegisteredLogon) -cne '')
    if ($Unattended -and -not $known) {
        Stop-Setup 2 '-Unattended needs -Logon.' '-Unattended demande -Logon.'
    }
}

function Test-Task {
    if (@(@($Verify, $Doctor, $Repair, $Uninstall) | Where-Object { $_.IsPresent }).Count -gt 1) {
        Stop-Setup 2 'Only one of -Verify, -Doctor, -Repair and -Uninstall.' 'Un seul de -Verify, -Doctor, -Repair et -Uninstall.'
    }
    if ($script:Logon -cne '' -and $LogonFile -cne '') {
        Stop-Setup 2 'Either -Logon or -LogonFile.' 'Soit -Logon, soit -LogonFile.'
    }
}

# The first line; Windows' editors may begin the file with the mark of UTF-8, which is these three bytes.
function Read-LogonFile {
    if (-not (Test-Path -LiteralPath $LogonFile -PathType Leaf)) {
        Stop-Setup 2 'There is no file {0}.' 'Il n''y a pas de fichier {0}.' @($LogonFile)
    }
    $text = Read-File (Resolve-Path -LiteralPath $LogonFile).ProviderPath
    $mark = $Latin1.GetString([byte[]]@(0xef, 0xbb, 0xbf))
    if ($text.StartsWith($mark, [StringComparison]::Ordinal)) {
        $text = $text.Substring($mark.Length)
    }
    $script:Logon = @($text -split "`r?`n")[0]
    if ($script:Logon -ceq '') {
        Stop-Setup 2 'There is no logon in {0}.' 'Il n''y a pas d''identifiant dans {0}.' @($LogonFile)
    }
}

# What was given once holds until something else is given.
function Restore-Settings {
    if ($script:Port -eq 0) {
        $script:Port = 22
        if ((Get-Receipt 'port') -cmatch '\A[0-9]{1,5}\z') {
            $script:Port = [int](Get-Receipt 'port')
        }
    }
    if ($script:From -ceq '') {
        $script:From = Get-Receipt 'from'
    }
    $script:AllowedFrom = $script:From
    if ($script:From -ceq '') {
        $script:AllowedFrom = Get-Receipt 'allowed'
    }
}

function Test-System {
    $me = New-Object System.Security.Principal.WindowsPrincipal([System.Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $me.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Setup 1 'Please start PowerShell as administrator.' 'Lancez PowerShell en tant qu''administrateur.'
    }
    if ([Environment]::OSVersion.Version.Major -lt 10 -or -not [Environment]::Is64BitProcess) {
        Stop-Setup 77 'This setup is for 64-bit Windows 10 or later.' 'Ce programme est fait pour Windows 10 ou plus récent, en 64 bits.'
    }
    Test-Safe $State
    Test-Safe $Receipt
    Test-Safe $Base
}

# A part of the setup: from a file, or from this one.
function Get-Part {
    param(
        [string]$Name,
        [string]$File,
        [string]$Bundled
    )
    $text = $Bundled
    if ($File -cne '') {
        if (-not (Test-Path -LiteralPath $File -PathType Leaf)) {
            Stop-Setup 2 'There is no file {0}.' 'Il n''y a pas de fichier {0}.' @($File)
        }
        $text = Read-File (Resolve-Path -LiteralPath $File).ProviderPath
    }
    $text = $text.Replace("`r", '').TrimEnd("`n")
    if ($text -ceq '') {
        Stop-Setup 2 'This file has no {0} inside; please give -{0} FILE.' 'Ce fichier ne contient pas de {0} ; donnez -{0} FICHIER.' @($Name)
    }
    return ($text + "`n")
}

# ---------------------------------------------------------------- step: the programs

function Install-Programs {
    Install-Sshd
    Limit-Sshd
    Start-Sshd
    Limit-Sshd
    Install-Cygwin
}

# The rule of the firewall that comes with it lets everybody in, and sshd takes the password of every account.
function Install-Sshd {
    if (Test-Path -LiteralPath $Sshd) {
        return
    }
    if ($NoFirewall) {
        Say '  ! the OpenSSH server lets everybody on the network try the passwords of this computer''s accounts; with -NoFirewall that stays so' '  ! le serveur OpenSSH laisse tout le réseau essayer les mots de passe des comptes de cet ordinateur ; avec -NoFirewall, cela reste ainsi'
    }
    else {
        Say '  ! the OpenSSH server lets everybody on the network try the passwords of this computer''s accounts: the rule of the firewall that comes with it ({0}) is switched off, and the backup server gets one of its own' '  ! le serveur OpenSSH laisse tout le réseau essayer les mots de passe des comptes de cet ordinateur : la règle du pare-feu qui l''accompagne ({0}) est désactivée, et le serveur de sauvegarde en reçoit une à lui' @($CapabilityRule)
    }
    Invoke-Change '  installing the OpenSSH server of Windows' '  installation du serveur OpenSSH de Windows' @('') {
        Add-Receipt 'capability'
        try {
            $null = Add-WindowsCapability -Online -Name $Capability
        }
        catch {
            Complain '{0}' '{0}' @($_.Exception.Message)
        }
        if (-not (Test-Path -LiteralPath $Sshd)) {
            Remove-Receipt 'capability'
            Stop-Setup 7 'Windows did not install it (behind WSUS it often cannot). Settings, Optional features, add "OpenSSH Server"; then start the setup again.' 'Windows ne l''a pas installé (derrière WSUS, souvent il ne peut pas). Paramètres, Fonctionnalités facultatives, ajoutez « Serveur OpenSSH » ; puis relancez ce programme.'
        }
    }
}

# Once: an administrator who switches it on again means it. A server that was there before us is not ours to narrow.
function Limit-Sshd {
    if ($NoFirewall -or -not (Test-Receipt 'capability') -or (Test-Receipt 'narrowed ')) {
        return
    }
    $open = @(Get-NetFirewallRule | Where-Object { $_.Name -ceq $CapabilityRule -and $_.Enabled -eq 'True' })
    if ($open.Count -eq 0) {
        return
    }
    Invoke-Change '  switching off the rule {0} of the firewall' '  désactivation de la règle {0} du pare-feu' @($CapabilityRule) {
        Disable-NetFirewallRule -Name $CapabilityRule
        Add-Receipt "narrowed $CapabilityRule"
    }
}

function Get-SshdService {
    return (Get-CimInstance -ClassName Win32_Service -Filter "Name='sshd'")
}

# The receipt keeps how it was: an sshd that ran before us goes on after us.
function Start-Sshd {
    $service = Get-SshdService
    if ($null -ne $service -and $service.State -ceq 'Running' -and $service.StartMode -ceq 'Auto') {
        return
    }
    if (-not (Test-Receipt 'capability') -and $null -ne $service -and $service.State -cne 'Running') {
        Say '  ! from then on the accounts of this computer can be entered with their passwords from wherever the firewall lets ssh in' '  ! dès lors, les comptes de cet ordinateur s''ouvrent avec leurs mots de passe depuis tout endroit d''où le pare-feu laisse passer ssh'
    }
    Invoke-Change '  starting sshd, now and with Windows' '  démarrage de sshd, maintenant et avec Windows' @('') {
        $before = Get-SshdService
        if (-not (Test-Receipt 'sshd ')) {
            Add-Receipt "sshd $($before.StartMode) $($before.State)"
        }
        Set-Service -Name 'sshd' -StartupType Automatic
        Start-Service -Name 'sshd'
    }
}

function Get-CygwinProgram {
    param(
        [string]$Name
    )
    return (Join-Path $Cygwin "bin\$Name.exe")
}

# One that may be started as administrator: nobody else can have changed it, what it loads, or the folders above.
function Get-TrustedProgram {
    param(
        [string]$Name
    )
    $program = Get-CygwinProgram $Name
    $folder = [System.IO.Path]::GetDirectoryName($program)
    Test-Safe $Base
    Test-Safe $Cygwin
    Test-Safe $folder
    foreach ($library in @(Get-ChildItem -LiteralPath $folder -Filter '*.dll' -Force)) {
        Test-Safe $library.FullName
    }
    Test-Safe $program
    return $program
}

# Only what is on the disk, and only if its SHA256 was given: this setup downloads no programs, and a signature would
# only say that somebody signed something.
function Install-Cygwin {
    $missing = @(@('bash', 'rsync', 'editrights') | Where-Object { -not (Test-Path -LiteralPath (Get-CygwinProgram $_)) })
    if ($missing.Count -eq 0 -and (Test-Receipt 'cygwin')) {
        return
    }
    $program = Find-CygwinSetup
    Invoke-Change '  installing a small Cygwin in {0}' '  installation d''un petit Cygwin dans {0}' @($Cygwin) {
        [System.IO.File]::Delete($CygwinCopy)
        Copy-Item -LiteralPath $program -Destination $CygwinCopy
        Protect-Path $CygwinCopy
        Test-CygwinSetup $CygwinCopy
        $packages = Join-Path $State 'packages'
        Invoke-Needed $CygwinCopy @('-q', '-n', '-N', '-d', '-R', $Cygwin, '-l', $packages, '-s', $CygwinMirror, '-P', 'rsync,bash,coreutils,util-linux,editrights') 1800
        if (-not (Test-Path -LiteralPath (Get-CygwinProgram 'rsync'))) {
            throw "Cygwin's setup left no rsync in $Cygwin"
        }
        Reset-Tree $Cygwin
        Remove-Tree $packages
        Remove-Item -LiteralPath $CygwinCopy -Force
        Add-Receipt 'cygwin'
    }
}

# Everything in it becomes the administrators' and inherits the access list of the folder above. /L: a link itself and
# not what it leads to.
function Reset-Tree {
    param(
        [string]$Path
    )
    $icacls = Join-Path $System32 'icacls.exe'
    Invoke-Needed $icacls @($Path, '/setowner', "*$Administrators", '/T', '/L', '/Q') 600
    Invoke-Needed $icacls @($Path, '/reset', '/T', '/L', '/Q') 600
}

function Find-CygwinSetup {
    $program = $CygwinSetup
    if ($program -ceq '') {
        $program = Join-Path $PSScriptRoot 'setup-x86_64.exe'
    }
    if ($CygwinSha256 -ceq '' -or -not (Test-Path -LiteralPath $program -PathType Leaf)) {
        Stop-Setup 7 'Cygwin is needed. Please get https://cygwin.com/setup-x86_64.exe and its SHA256 from cygwin.com, and give -CygwinSetup FILE -CygwinSha256 HASH.' 'Cygwin est nécessaire. Téléchargez https://cygwin.com/setup-x86_64.exe, relevez son SHA256 sur cygwin.com, et donnez -CygwinSetup FICHIER -CygwinSha256 EMPREINTE.'
    }
    Test-CygwinSetup $program
    return (Resolve-Path -LiteralPath $program).ProviderPath
}

function Test-CygwinSetup {
    param(
        [string]$Program
    )
    if ($CygwinSha256 -ceq '' -or (Get-FileHash -LiteralPath $Program -Algorithm SHA256).Hash -ne $CygwinSha256) {
        Stop-Setup 1 '{0} has another SHA256 than the one given. It was not started.' '{0} n''a pas le SHA256 donné. Il n''a pas été lancé.' @($Program)
    }
}

# ---------------------------------------------------------------- step: the account

function Set-Account {
    $sid = Get-AccountSid
    $ours = Get-Receipt 'sid'
    if ($sid -cne '' -and (-not (Test-Receipt 'account') -or ($ours -cne '' -and $ours -cne $sid))) {
        Stop-Setup 1 'There is an account {0} that this setup did not make; please rename or remove it.' 'Il existe un compte {0} que ce programme n''a pas créé ; renommez-le ou supprimez-le.' @($Account)
    }
    if ($sid -ceq '') {
        Invoke-Change '  making the account {0}, no administrator' '  création du compte {0}, non administrateur' @($Account) {
            Add-Receipt 'account'
            if (Test-Path -LiteralPath $Restored) {
                Protect-Path $Restored
            }
            Set-Receipt 'sid' ''
            New-Account
            Set-Receipt 'sid' (Get-AccountSid)
        }
    }
    elseif (Test-Member $Administrators $sid) {
        Stop-Setup 1 'The account {0} is an administrator; please take it out of that group.' 'Le compte {0} est administrateur ; retirez-le de ce groupe.' @($Account)
    }
    if ($sid -cne '' -and $ours -ceq '') {
        Invoke-Change '  writing down which account it is' '  le compte est noté' @('') {
            Set-Receipt 'sid' $sid
        }
    }
    Join-SshGroup
    Set-Rights
}

# Nobody ever knows the password: the account is entered by the server's key alone.
function New-Account {
    $random = New-Object byte[] 32
    $source = [System.Security.Cryptography.RandomNumberGenerator]::Create()
    $source.GetBytes($random)
    $password = New-Object System.Security.SecureString
    foreach ($letter in ([Convert]::ToBase64String($random) + 'aA1!').ToCharArray()) {
        $password.AppendChar($letter)
    }
    $null = New-LocalUser -Name $Account -Password $password -PasswordNeverExpires -AccountNeverExpires -UserMayNotChangePassword -Description 'Backups'
}

# Asked by SID and not by -Member: that way "not a member" is no error, and an error is no "not a member". Windows
# fails here where the group holds accounts of a domain that are gone.
function Test-Member {
    param(
        [string]$Group,
        [string]$Sid
    )
    try {
        $members = @(Get-LocalGroupMember -SID $Group)
    }
    catch {
        Stop-Setup 1 'Windows does not tell who is in the group {0}: {1} Take the members out of it whose accounts are gone, and start the setup again.' 'Windows ne dit pas qui est dans le groupe {0} : {1} Retirez-en les membres dont les comptes n''existent plus, puis relancez ce programme.' @($Group, $_.Exception.Message)
    }
    return (@($members | Where-Object { $_.SID.Value -ceq $Sid }).Count -gt 0)
}

# Newer builds of Windows' sshd let in only the members of this group.
function Join-SshGroup {
    $sid = Get-AccountSid
    foreach ($group in @(Get-LocalGroup | Where-Object { $_.Name -eq 'OpenSSH Users' })) {
        if ($sid -ceq '' -or -not (Test-Member $group.SID.Value $sid)) {
            Invoke-Change '  taking the account into the group {0}' '  le compte entre dans le groupe {0}' @($group.Name) {
                Add-LocalGroupMember -Name $group.Name -Member $Account
            }
        }
    }
}

# The right to read everything and no more. The group Backup Operators has the right to write everything as well:
# its members could change the wrapper, which would then refuse to run.
function Set-Rights {
    $held = @(Get-Rights)
    foreach ($right in $Rights) {
        if ($held -cnotcontains $right) {
            Invoke-Change '  giving the account {0}' '  le compte reçoit {0}' @($right) {
                Invoke-Needed (Get-TrustedProgram 'editrights') @('-a', $right, '-u', $Account)
            }
        }
    }
}

function Get-Rights {
    if (-not (Test-Path -LiteralPath (Get-CygwinProgram 'editrights')) -or (Get-AccountSid) -ceq '') {
        return @()
    }
    $told = Invoke-Program (Get-TrustedProgram 'editrights') @('-l', '-u', $Account)
    return @($told.Output -split '\s+')
}

# '' if there is no such account; that is looked up in the whole list, so that an error is no "there is none".
function Get-AccountSid {
    foreach ($user in @(Get-LocalUser | Where-Object { $_.Name -eq $Account })) {
        return $user.SID.Value
    }
    return ''
}

# ---------------------------------------------------------------- step: what the server may do here

function Set-Wrapper {
    $sid = Get-AccountSid
    if ($sid -ceq '') {
        $sid = Get-Receipt 'sid'
    }
    if (Test-Path -LiteralPath $Base) {
        Set-Access $Base @("$sid=RX")
    }
    $config = @(Get-WrapperConfig)
    if (@(Get-Configured $config 'restore') -ccontains 'dirs') {
        Set-Folder $Restored @("$sid=M")
    }
    $folder = Join-Path $Cygwin 'usr\local\libexec\bckpciuem'
    Set-Folder $folder @("$sid=RX")
    Set-File (Join-Path $folder 'rsyncsend.sh') (Get-Part 'Wrapper' $Wrapper $BundledWrapper) @("$sid=RX")
    Set-File $WrapperConfig (($config -join "`n") + "`n") @("$sid=R")
}

# Lines that are there stay; those that were asked for take the place of their like.
function Get-WrapperConfig {
    $lines = @(Read-WrapperConfig)
    if ($lines.Count -eq 0) {
        $lines = @("# Made by setup.ps1. What each line means stands at the top of $WrapperPath.")
    }
    $shares = @($Share -split ',' | Where-Object { $_ -cne '' } | ForEach-Object { $Latin1.GetString($Utf8.GetBytes($_)) })
    $lines = @(Set-Configured $lines 'share' $shares @('/cygdrive/c/Users'))
    $lines = @(Set-Configured $lines 'restore' @($Restore | Where-Object { $_ -cne '' }) @('dirs'))
    $drive = $Base.Substring(0, 1).ToLowerInvariant()
    $lines = @(Set-Configured $lines 'restore-dir' @() @("/cygdrive/$drive/bckpciuem/restored"))
    return @(Set-Configured $lines 'rsync' @() @('/usr/bin/rsync'))
}

function Read-WrapperConfig {
    Test-Safe $WrapperConfig
    if (Test-Path -LiteralPath $WrapperConfig) {
        return @((Read-File $WrapperConfig).Replace("`r", '').TrimEnd("`n") -split "`n")
    }
    return @()
}

function Get-Configured {
    param(
        [string[]]$Lines,
        [string]$Key
    )
    return @($Lines | Where-Object { $_.StartsWith("$Key=", [StringComparison]::Ordinal) } | ForEach-Object { $_.Substring($Key.Length + 1) })
}

# Values if any were asked for, else what is there, else Usual.
function Set-Configured {
    param(
        [string[]]$Lines,
        [string]$Key,
        [string[]]$Values,
        [string[]]$Usual
    )
    $chosen = @($Values)
    if ($chosen.Count -eq 0) {
        if (@(Get-Configured $Lines $Key).Count -gt 0) {
            return $Lines
        }
        $chosen = @($Usual)
    }
    $others = @($Lines | Where-Object { -not $_.StartsWith("$Key=", [StringComparison]::Ordinal) })
    return ($others + @($chosen | ForEach-Object { "$Key=$_" }))
}

# ---------------------------------------------------------------- step: the door, sshd

# Members of Administrators have their keys elsewhere, and some domains move profiles: an absolute path is sure.
function Get-SshdBlock {
    $block = @(
        $BlockBegin,
        "Match User $Account",
        '    AuthorizedKeysFile __PROGRAMDATA__/ssh/bckpciuem_authorized_keys',
        '    PasswordAuthentication no',
        '    AllowTcpForwarding no',
        'Match all',
        $BlockEnd
    )
    return (($block -join "`r`n") + "`r`n")
}

# sshd reads its settings when it starts, so "restarted" has a line of its own.
function Set-Sshd {
    Test-Safe $SshFolder
    Test-Safe $SshdConfig
    $there = (Test-Path -LiteralPath $SshdConfig) -and (Read-File $SshdConfig).Contains((Get-SshdBlock))
    if ($there -and (Test-Receipt 'restarted')) {
        return
    }
    Invoke-Change '  adding {0} to {1}, and starting sshd again' '  ajout de {0} à {1}, puis redémarrage de sshd' @("Match User $Account", $SshdConfig) {
        Add-Receipt 'match'
        Remove-Receipt 'restarted'
        Add-SshdBlock
        Restart-Sshd
        Add-Receipt 'restarted'
    }
}

function Add-SshdBlock {
    $text = Read-File $SshdConfig
    if ($text.Contains((Get-SshdBlock))) {
        return
    }
    $text = Remove-SshdBlock $text
    if ($text -cne '' -and -not $text.EndsWith("`n", [StringComparison]::Ordinal)) {
        Add-Receipt 'line-end'
        $text += "`r`n"
    }
    Set-SshdConfig ($text + (Get-SshdBlock))
}

# The text without our lines; no other byte is touched.
function Remove-SshdBlock {
    param(
        [string]$Text
    )
    $pattern = '(?m)^' + [regex]::Escape($BlockBegin) + '\r?\n(?s:.*?)^' + [regex]::Escape($BlockEnd) + '(\r?\n|\z)'
    $rest = [regex]::Replace($Text, $pattern, '')
    if ($rest.Contains($BlockBegin) -or $rest.Contains($BlockEnd)) {
        Stop-Setup 1 '{0} holds only a part of our lines, from {1} to {2}; please take them out.' '{0} ne contient qu''une partie de nos lignes, de {1} à {2} ; retirez-les.' @($SshdConfig, $BlockBegin, $BlockEnd)
    }
    return $rest
}

# sshd reads it before it takes its place. Where Windows' sshd was taken away there is nobody to ask.
function Set-SshdConfig {
    param(
        [string]$Text
    )
    $fresh = $SshdConfig + '.setup'
    Write-Fresh $fresh $Text
    if (Test-Path -LiteralPath $Sshd) {
        $tried = Invoke-Program $Sshd @('-t', '-f', $fresh)
        if ($tried.TimedOut -or $tried.Status -ne 0) {
            [System.IO.File]::Delete($fresh)
            Stop-Setup 1 'sshd would not take its new settings; they were not changed: {0}' 'sshd refuse ses nouveaux réglages ; ils n''ont pas été modifiés : {0}' @((Get-Printable $tried.Errors))
        }
    }
    Move-Over $fresh $SshdConfig
}

function Restart-Sshd {
    $service = Get-SshdService
    if ($null -ne $service -and $service.State -ceq 'Running') {
        Restart-Service -Name 'sshd'
    }
}

# What holds for our account, in lines "keyword value". A Match line may ask for any of these.
function Get-SshdSettings {
    $asked = Invoke-Program $Sshd @('-T', '-f', $SshdConfig, '-C', "user=$Account,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22")
    if ($asked.TimedOut -or $asked.Status -ne 0) {
        Stop-Setup 1 'sshd does not tell its settings: {0}' 'sshd ne dit pas ses réglages : {0}' @((Get-Printable $asked.Errors))
    }
    return @($asked.Output -split "`r?`n")
}

# Before sshd is there, the port that it will have.
function Get-SshdPorts {
    if (-not (Test-Path -LiteralPath $Sshd) -or -not (Test-Path -LiteralPath $SshdConfig)) {
        return @('22')
    }
    return @(Get-SshdSettings | Where-Object { $_ -cmatch '\Aport [0-9]+\z' } | ForEach-Object { $_.Substring(5) } | Sort-Object -Unique)
}

# ---------------------------------------------------------------- step: the server

function Get-RegisteredServer {
    return @((Get-Receipt 'registered') -split ' ')[0]
}

function Get-RegisteredLogon {
    $name, $person = (Get-Receipt 'registered') -split ' ', 2
    if ($name -ceq $script:Server -and $person -cmatch '\A\S+\z') {
        return $person
    }
    return ''
}

function Test-Registered {
    $earlier = Get-RegisteredLogon
    if ($Force -or $earlier -ceq '' -or -not (Test-KeyInPlace)) {
        return $false
    }
    if ($script:From -cne (Get-Receipt 'from')) {
        return $false
    }
    if ($script:Logon -cne '' -and $script:Logon -cne $earlier) {
        return $false
    }
    $script:Logon = $earlier
    return $true
}

function Register-Computer {
    if (Test-Registered) {
        Say '  registered already, for {0}' '  déjà enregistré, pour {0}' @($script:Logon)
        Set-Access $AuthorizedKeys
        return
    }
    Invoke-Change '  asking {0} to register this computer, and installing its key' '  demande d''enregistrement à {0}, puis installation de sa clef' @($script:Server) {
        Set-CallFiles
        Confirm-Person
        Send-Request ('windows:' + $script:Logon) '' 90
        if (-not (Read-Reply 'register')) {
            Stop-OnReply
        }
        Install-Key
        Save-Registration
    }
}

# "registered" comes last: without it all of this is done once more.
function Save-Registration {
    Set-Receipt 'from' $script:From
    Set-Receipt 'allowed' $script:AllowedFrom
    Set-Receipt 'port' ([string]$script:Port)
    Set-Receipt 'url' $script:Url
    $name = ''
    if ($script:Words.ContainsKey('host') -and $script:Words['host'] -cmatch '\A[A-Za-z0-9._-]+\z') {
        $name = $script:Words['host']
    }
    Set-Receipt 'host' $name
    Set-Receipt 'registered' "$($script:Server) $($script:Logon)"
}

# The register-key is here only while the server is asked.
function Set-CallFiles {
    $script:CallKeyMade = $true
    Set-File $KnownHostsFile (Get-Part 'KnownHosts' $KnownHosts $BundledKnownHosts)
    Set-File $KeyFile (Get-Part 'RegisterKey' $RegisterKey $BundledRegisterKey)
    $name = $script:Server
    if ($script:Port -ne 22) {
        $name = "[$name]:$($script:Port)"
    }
    $found = Invoke-Program (Join-Path $OpenSsh 'ssh-keygen.exe') @('-F', $name, '-f', $KnownHostsFile)
    if ($found.Status -ne 0) {
        Stop-Setup 2 'The known hosts file has no line for {0}.' 'Le fichier des clefs d''hôtes n''a pas de ligne pour {0}.' @($name)
    }
}

# However we end.
function Clear-CallKey {
    if ($script:CallKeyMade) {
        [System.IO.File]::Delete($KeyFile)
    }
}

function Invoke-Ssh {
    param(
        [string[]]$Identity,
        [string]$Request,
        [string]$StandardInput,
        [int]$Patience
    )
    $words = @('-x', '-a', '-T')
    if ($script:IpVersion -cne '') {
        $words += $script:IpVersion
    }
    $words += @('-F', 'none', '-l', $ServerAccount, '-p', [string]$script:Port)
    $words += $Identity
    $words += @('-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes')
    $words += @('-o', "UserKnownHostsFile=$KnownHostsFile", '-o', "GlobalKnownHostsFile=$KnownHostsFile")
    $words += @('-o', 'ConnectTimeout=15', '-o', 'ServerAliveInterval=15', '-o', 'LogLevel=ERROR')
    $words += @($script:Server, $Request)
    return (Invoke-Program (Join-Path $OpenSsh 'ssh.exe') $words $StandardInput $Patience)
}

# Sets Reply, in which every control character is a question mark: for -ceq it would be nothing. A name is often missing
# for a laptop's IPv6 address where there is one for its IPv4 address.
function Send-Request {
    param(
        [string]$Request,
        [string]$StandardInput,
        [int]$Patience
    )
    $script:Reply = Invoke-Ssh @('-i', $KeyFile) $Request $StandardInput $Patience
    $text = [regex]::Replace($script:Reply.Output.Replace("`r", ''), '[^\n\t -~]', '?')
    $script:Reply.Output = $text
    if ($script:Reply.TimedOut) {
        Stop-Setup 5 '{0} took too long to answer. Please try again later.' '{0} a mis trop longtemps à répondre. Recommencez plus tard.' @($script:Server)
    }
    if ($script:Reply.Status -eq 255 -and $text -ceq '') {
        Stop-NotConnected
    }
    $peer = @($text -split '[ \n]')[0]
    if ($script:IpVersion -ceq '' -and (Get-ErrorCode) -ceq 'dns-name' -and $peer.Contains(':')) {
        $script:IpVersion = '-4'
        Send-Request $Request $StandardInput $Patience
    }
}

function Stop-NotConnected {
    [Console]::Error.WriteLine((Get-Printable $script:Reply.Errors))
    if ($script:Reply.Errors.Contains('Host key verification failed')) {
        Stop-Setup 6 'This is not the {0} that we know: its host key is another one. Nothing was sent. Please tell your administrator.' 'Ce n''est pas le {0} que nous connaissons : sa clef d''hôte est différente. Rien n''a été envoyé. Prévenez votre administrateur.' @($script:Server)
    }
    if ($script:Reply.Errors.Contains('Permission denied')) {
        Stop-Setup 4 '{0} does not take this setup''s key any more; please get a new copy of the setup.' '{0} n''accepte plus la clef de ce programme ; demandez-en une copie récente.' @($script:Server)
    }
    Stop-Setup 5 '{0} cannot be reached. Is this computer on the network?' '{0} est injoignable. Cet ordinateur est-il connecté au réseau ?' @($script:Server)
}

# "check" changes nothing on the server; with its answer one can see a mistyped logon.
function Confirm-Person {
    $tries = 1
    while ($true) {
        if ($script:Logon -ceq '') {
            Read-Logon
        }
        Send-Request ('check:windows:' + $script:Logon) '' 90
        if (Read-Reply 'check') {
            break
        }
        $code = Get-ErrorCode
        if ($code -ceq 'ostype-unknown') {
            return
        }
        if ($code -cne 'bad-user' -or $tries -ge 3 -or $Unattended) {
            Stop-OnReply
        }
        Show-ServerError
        $tries += 1
        $script:Logon = ''
    }
    if ($script:Words.ContainsKey('host')) {
        Say '  computer: {0}' '  ordinateur : {0}' @((Get-Readable $script:Words['host']))
    }
    $person = $script:Logon
    if ($script:Words.ContainsKey('person')) {
        $person = Get-Readable $script:Words['person']
    }
    Say '  person: {0} ({1})' '  personne : {0} ({1})' @($person, $script:Logon)
    Say 'This person will be able to read every backed-up file of this computer, whoever it belongs to.' 'Cette personne pourra lire tous les fichiers sauvegardés de cet ordinateur, quel qu''en soit le propriétaire.'
    if (-not $Unattended) {
        if (-not (Read-YesOrNo 'Is that right (yes/no)?' 'Est-ce bien cela (oui/non) ?')) {
            Stop-Setup 1 'Nothing was registered.' 'Rien n''a été enregistré.'
        }
    }
}

function Read-Logon {
    if ($Unattended) {
        Stop-Setup 2 '-Unattended needs -Logon.' '-Unattended demande -Logon.'
    }
    while (-not (Test-Logon $script:Logon)) {
        $script:Logon = Read-Host (Get-Text 'Your logon' 'Votre identifiant' @(''))
    }
}

# ---------------------------------------------------------------- the reply

# Read the reply into Words. False: an error of the server's, or no reply that we understand (Problem says so).
function Read-Reply {
    param(
        [string]$Kind
    )
    $script:Words = @{}
    $script:Problem = ''
    $lines = @($script:Reply.Output -split "`n")
    if ($script:Reply.Output -ceq '') {
        $script:Problem = 'empty'
        return $false
    }
    if ($script:Reply.Output.Length -gt $MaxReply) {
        $script:Problem = 'too long'
        return $false
    }
    if ($lines[0] -cne 'success') {
        return $false
    }
    for ($at = 1; $at -lt $lines.Count; $at++) {
        Read-ReplyLine $lines[$at]
    }
    if ($script:Reply.Status -ne 0) {
        $script:Problem = 'cut off'
    }
    elseif ($Kind -ceq 'register') {
        Test-Registration
    }
    if ($Kind -cne 'check' -and $script:Words.ContainsKey('advice')) {
        $script:Advice = Get-Readable $script:Words['advice']
    }
    return ($script:Problem -ceq '')
}

# Words that we do not know are for others.
function Read-ReplyLine {
    param(
        [string]$Line
    )
    $word, $value = $Line -split ':', 2
    if ($null -eq $value -or @('host', 'person', 'key', 'url', 'from', 'backup', 'shares', 'advice') -cnotcontains $word) {
        return
    }
    if ($script:Words.ContainsKey($word)) {
        $script:Problem = "$word twice"
    }
    $script:Words[$word] = $value.Trim(' ', "`t")
}

# What a registration must bring: one key, and addresses and an address of a page that are what they should be.
function Test-Registration {
    if ($script:Problem -cne '') {
        return
    }
    $script:AllowedFrom = $script:From
    if (-not $script:Words.ContainsKey('key') -or $script:Words['key'] -ceq '') {
        $script:Problem = 'no key'
        return
    }
    if (-not (Test-PublicKey $script:Words['key'])) {
        $script:Problem = 'key'
        return
    }
    if ($script:Words.ContainsKey('from') -and $script:Words['from'] -cne '') {
        if (-not (Test-AddressList $script:Words['from'])) {
            $script:Problem = 'from'
            return
        }
        if ($script:From -ceq '') {
            $script:AllowedFrom = $script:Words['from']
        }
    }
    if ($script:Words.ContainsKey('url') -and $script:Words['url'] -cmatch '\Ahttps?://[!-~]+\z') {
        $script:Url = $script:Words['url']
    }
}

# Whether Text is one public key and nothing more. KeyLine becomes its type, its body and a tame comment: nothing before
# the type could ever be taken for an option.
function Test-PublicKey {
    param(
        [string]$Text
    )
    $kind, $body, $comment = $Text -split ' ', 3
    if (@('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521') -cnotcontains $kind) {
        return $false
    }
    if ($body -cnotmatch '\A[A-Za-z0-9+/=]+\z') {
        return $false
    }
    Write-File $TrialKey "$kind $body`n"
    $judged = Invoke-Program (Join-Path $OpenSsh 'ssh-keygen.exe') @('-lf', $TrialKey)
    Remove-Item -LiteralPath $TrialKey
    if ($judged.Status -ne 0 -or $judged.Output -cnotmatch '\A([0-9]{1,5}) ') {
        return $false
    }
    if ($kind -ceq 'ssh-rsa' -and [int]$Matches[1] -lt 2048) {
        return $false
    }
    $tame = [regex]::Replace([string]$comment, '[^A-Za-z0-9 ._@:+-]', '')
    if ($tame.Length -gt 200) {
        $tame = $tame.Substring(0, 200)
    }
    $script:KeyLine = "$kind $body $tame".TrimEnd()
    return $true
}

# Whether Text is addresses, or networks, with commas between them and nothing else.
function Test-AddressList {
    param(
        [string]$Text
    )
    foreach ($piece in @($Text -split ',')) {
        if (-not (Test-Address $piece)) {
            return $false
        }
    }
    return $true
}

# IPAddress.TryParse takes "1" and "0x7f.1" for addresses: the form is looked at first.
function Test-Address {
    param(
        [string]$Text
    )
    if ($Text -cnotmatch '\A([0-9a-fA-F:.]+)(/([0-9]{1,3}))?\z') {
        return $false
    }
    $address = $Matches[1]
    $prefix = 0
    if ($Matches.ContainsKey(3)) {
        $prefix = [int]$Matches[3]
    }
    $parsed = $null
    if (-not [System.Net.IPAddress]::TryParse($address, [ref]$parsed)) {
        return $false
    }
    if ($address.Contains(':')) {
        return ($prefix -le 128)
    }
    return ($prefix -le 32 -and $address -cmatch '\A[0-9]{1,3}(\.[0-9]{1,3}){3}\z' -and $parsed.ToString() -ceq $address)
}

# The value of a line of an error, or ''.
function Get-ReplyLine {
    param(
        [string]$Keyword
    )
    $lines = @($script:Reply.Output -split "`n")
    for ($at = 1; $at -lt $lines.Count; $at++) {
        if ($lines[$at].StartsWith("${Keyword}:", [StringComparison]::Ordinal)) {
            return $lines[$at].Substring($Keyword.Length + 1).Trim(' ', "`t")
        }
    }
    return ''
}

# Servers from before "error:" say it in words only.
function Get-ErrorCode {
    $code = Get-ReplyLine 'error'
    $first = @($script:Reply.Output -split "`n")[0]
    if ($code -cmatch '\A[a-z-]+\z' -or $first -ceq 'success') {
        return $code
    }
    $phrases = @(
        @('no command given', 'no-command'),
        @('ostype is unknown', 'ostype-unknown'),
        @('bad user request', 'bad-user'),
        @('invalid DNS name for this IP', 'dns-name'),
        @('refusing to re-register client host', 'other-owner'),
        @('Could not register', 'could-not-register'),
        @('could not generate config file', 'no-config-file')
    )
    foreach ($pair in $phrases) {
        if ($first.Contains($pair[0])) {
            return $pair[1]
        }
    }
    return ''
}

function Stop-OnReply {
    if ($script:Problem -cne '') {
        [Console]::Error.WriteLine((Get-Printable ($script:Reply.Errors + $script:Reply.Output)))
        Stop-Setup 1 'The server''s reply is not understood ({0}). Nothing was installed from it.' 'La réponse du serveur est incompréhensible ({0}). Rien n''en a été installé.' @($script:Problem)
    }
    Show-ServerError
    exit 4
}

# The whole of it, then what to do about it.
function Show-ServerError {
    Complain 'The server answers:' 'Le serveur répond :'
    [Console]::Error.WriteLine((Get-Printable $script:Reply.Output))
    Show-Advice (Get-ErrorCode)
}

function Show-Advice {
    param(
        [string]$Code
    )
    switch -CaseSensitive ($Code) {
        'bad-user' {
            Complain 'There is no such logon in the directory. Is it spelled right?' 'Cet identifiant n''existe pas dans l''annuaire. Est-il bien orthographié ?'
        }
        'dns-name' {
            Complain 'The network does not know this computer by a name of ours. Connect it to the campus network, by cable if you can, and try again.' 'Le réseau ne connaît pas cet ordinateur sous un nom de chez nous. Connectez-le au réseau du campus, par câble si possible, et recommencez.'
        }
        'other-owner' {
            Complain 'This computer is registered for somebody else. Only the backup administrator can change that.' 'Cet ordinateur est enregistré au nom de quelqu''un d''autre. Seul l''administrateur des sauvegardes peut changer cela.'
        }
        'host-key-changed' {
            Complain 'The server knows another computer under this name. If this one was reinstalled, please tell the backup administrator.' 'Le serveur connaît un autre ordinateur sous ce nom. Si celui-ci a été réinstallé, prévenez l''administrateur des sauvegardes.'
        }
        'not-registered' {
            Complain 'The server does not know this computer. Please start the setup again.' 'Le serveur ne connaît pas cet ordinateur. Relancez ce programme.'
        }
        'not-allowed' {
            Complain 'This site does not back this computer up. The backup administrator can tell you why.' 'Ce site ne sauvegarde pas cet ordinateur. L''administrateur des sauvegardes vous dira pourquoi.'
        }
        'not-reachable' {
            Complain 'The server cannot connect to this computer. Is a firewall in the way?' 'Le serveur ne peut pas se connecter à cet ordinateur. Un pare-feu l''en empêche-t-il ?'
        }
        'too-many-requests' {
            Complain 'Please wait a minute and start the setup again.' 'Attendez une minute et relancez ce programme.'
        }
        'directory-unavailable' {
            Complain 'The server could not ask all that it needs to know. Please try again in a few minutes.' 'Le serveur n''a pas pu vérifier tout ce qu''il lui faut. Recommencez dans quelques minutes.'
        }
        'dns-unavailable' {
            Complain 'The server could not ask all that it needs to know. Please try again in a few minutes.' 'Le serveur n''a pas pu vérifier tout ce qu''il lui faut. Recommencez dans quelques minutes.'
        }
        'ostype-unknown' {
            Complain 'The server does not understand this setup. Please get a new copy of it.' 'Le serveur ne comprend pas ce programme. Demandez-en une copie récente.'
        }
        'no-command' {
            Complain 'The server does not understand this setup. Please get a new copy of it.' 'Le serveur ne comprend pas ce programme. Demandez-en une copie récente.'
        }
        'could-not-register' {
            Complain 'The server has a problem of its own. Please tell the backup administrator.' 'Le serveur a un problème. Prévenez l''administrateur des sauvegardes.'
        }
        'no-config-file' {
            Complain 'The server has a problem of its own. Please tell the backup administrator.' 'Le serveur a un problème. Prévenez l''administrateur des sauvegardes.'
        }
        'misconfigured' {
            Complain 'The server has a problem of its own. Please tell the backup administrator.' 'Le serveur a un problème. Prévenez l''administrateur des sauvegardes.'
        }
        'internal' {
            Complain 'The server has a problem of its own. Please tell the backup administrator.' 'Le serveur a un problème. Prévenez l''administrateur des sauvegardes.'
        }
        default {
            Complain 'Please show this to the backup administrator.' 'Montrez ceci à l''administrateur des sauvegardes.'
        }
    }
}

# ---------------------------------------------------------------- step: the server's key

function Test-OurKey {
    param(
        [string]$Line
    )
    return ($Line.Contains($WrapperPath + '"') -and $Line -cnotmatch '\A\s*#')
}

function Get-KeyLines {
    Test-Safe $AuthorizedKeys
    if (Test-Path -LiteralPath $AuthorizedKeys) {
        return @(Read-Lines $AuthorizedKeys)
    }
    return @()
}

# Whether the line for the server is there as we wrote it, and no other that starts our program.
function Test-KeyInPlace {
    $ours = @(Get-KeyLines | Where-Object { Test-OurKey $_ })
    return ($ours.Count -eq 1 -and (Test-Same $ours[0] (Get-Receipt 'key')))
}

# Keys of others in the file are left as they are; there should be none.
function Install-Key {
    $kept = @(Get-KeyLines | Where-Object { -not (Test-OurKey $_) })
    $bash = Get-CygwinProgram 'bash'
    $options = 'restrict'
    if ($script:AllowedFrom -cne '') {
        $options += ',from="' + $script:AllowedFrom + '"'
    }
    $options += ',command="' + $bash + ' -p ' + $WrapperPath + '"'
    $line = "$options $($script:KeyLine)"
    Set-Receipt 'key' $line
    Set-File $AuthorizedKeys (((@($kept) + @($line)) -join "`n") + "`n")
}

# ---------------------------------------------------------------- step: the way back

function Open-Ways {
    if (-not $NoFirewall) {
        Open-Firewall
    }
    Test-WayBack
}

# The server pings before every backup; Windows answers no ping by itself.
function Open-Firewall {
    $active = @(Get-NetFirewallProfile | Where-Object { $_.Enabled -eq 'True' })
    if ($active.Count -eq 0 -or (Test-Opened)) {
        return
    }
    Invoke-Change '  letting {0} through the firewall: ssh and ping' '  le pare-feu laisse passer {0} : ssh et ping' @($script:Server) {
        $addresses = @(Get-ServerAddresses)
        $ports = @(Get-SshdPorts)
        Add-Receipt 'firewall'
        Set-Receipt 'opened' ''
        Get-OurRules | Remove-NetFirewallRule
        Add-Rules $ports $addresses
        Set-Receipt 'opened' ('{0} {1}' -f ($ports -join ','), ($addresses -join ','))
    }
}

function Add-Rules {
    param(
        [string[]]$Ports,
        [string[]]$Addresses
    )
    $null = New-NetFirewallRule -Name $FirewallSsh -DisplayName 'Backup server (ssh)' -Direction Inbound -Action Allow -Protocol TCP -LocalPort $Ports -RemoteAddress $Addresses -Profile Any
    $four = @($Addresses | Where-Object { -not $_.Contains(':') })
    if ($four.Count -gt 0) {
        $null = New-NetFirewallRule -Name $FirewallPing -DisplayName 'Backup server (ping)' -Direction Inbound -Action Allow -Protocol ICMPv4 -IcmpType 8 -RemoteAddress $four -Profile Any
    }
    $six = @($Addresses | Where-Object { $_.Contains(':') })
    if ($six.Count -gt 0) {
        $null = New-NetFirewallRule -Name "$FirewallPing-6" -DisplayName 'Backup server (ping)' -Direction Inbound -Action Allow -Protocol ICMPv6 -IcmpType 128 -RemoteAddress $six -Profile Any
    }
}

# Looked for in the whole list, so that an error is no "there are none".
function Get-OurRules {
    return @(Get-NetFirewallRule | Where-Object { @($FirewallSsh, $FirewallPing, "$FirewallPing-6") -ccontains $_.Name })
}

# Whether all rules are there and on, for sshd's port of today and for the addresses that the server comes from.
function Test-Opened {
    $ports, $addresses = (Get-Receipt 'opened') -split ' ', 2
    if ($ports -ceq '' -or ($ports -cne (@(Get-SshdPorts) -join ','))) {
        return $false
    }
    if ($script:AllowedFrom -cne '' -and $addresses -cne (@(Get-ServerAddresses) -join ',')) {
        return $false
    }
    $families = @(@($addresses -split ',') | ForEach-Object { $_.Contains(':') } | Sort-Object -Unique)
    $on = @(Get-OurRules | Where-Object { $_.Enabled -eq 'True' })
    return ($on.Count -eq 1 + $families.Count)
}

function Get-ServerAddresses {
    if ($script:AllowedFrom -cne '') {
        return @($script:AllowedFrom -split ',' | Sort-Object -Unique)
    }
    return @([System.Net.Dns]::GetHostAddresses($script:Server) | ForEach-Object { $_.ToString() } | Sort-Object -Unique)
}

# After any change of this run the server looks again: it may be one that it can see.
function Test-WayBack {
    $tested = (Test-Receipt "verified $($script:Server) $($script:Logon)") -and @(Get-Unsaved).Count -eq 0
    if ($NoVerify -or (-not $Verify -and $tested -and $script:Changes -eq 0)) {
        return
    }
    Invoke-Change '  having {0} test its way back to this computer; that may take half a minute' '  essai du chemin de {0} vers cet ordinateur ; cela peut prendre une demi-minute' @($script:Server) {
        Request-WayBack
    }
}

function Request-WayBack {
    Set-CallFiles
    Send-Request ('verify:windows:' + $script:Logon) (Get-HostKeyLines) 180
    if (Read-Reply 'verify') {
        Save-Verified
        return
    }
    if ((Get-ErrorCode) -ceq 'ostype-unknown') {
        Say '  this server does not test its way back' '  ce serveur n''essaie pas son chemin de retour'
        return
    }
    $script:Verified = $false
    if ($script:Problem -cne '') {
        Complain 'The server''s reply is not understood ({0}).' 'La réponse du serveur est incompréhensible ({0}).' @($script:Problem)
        return
    }
    Show-ServerError
    Show-StepAdvice (Get-ReplyLine 'step')
    $print = Get-Printable (Get-ReplyLine 'fingerprint')
    if ($print -cne '') {
        Complain 'Its new key, for the administrator: {0}' 'Sa nouvelle clef, pour l''administrateur : {0}' @($print)
    }
}

function Save-Verified {
    Say '  it came in and could read: backups will work' '  il est entré et a pu lire : les sauvegardes marcheront'
    if ($script:Words.ContainsKey('backup')) {
        Say '  the first backup begins soon' '  la première sauvegarde va commencer'
    }
    $shares = ''
    if ($script:Words.ContainsKey('shares') -and $script:Words['shares'] -cmatch '\A[ -~]*\z') {
        $shares = $script:Words['shares']
    }
    Set-Receipt 'shares' $shares
    Add-Receipt "verified $($script:Server) $($script:Logon)"
    Show-Unsaved
}

# The folders that the server may read and does not save, by what it said last.
function Get-Unsaved {
    $saved = Get-Receipt 'shares'
    if ($saved -ceq '') {
        return @()
    }
    return @(Get-Configured @(Read-WrapperConfig) 'share' | Where-Object { -not (Test-InOneOf (Get-Escaped ($_.TrimEnd('/'))) $saved) })
}

# Whether Folder is one of Folders, which have blanks between them, or below one.
function Test-InOneOf {
    param(
        [string]$Folder,
        [string]$Folders
    )
    foreach ($whole in @($Folders -split ' ' | Where-Object { $_ -cne '' })) {
        $above = $whole.TrimEnd('/') + '/'
        if ("$Folder/".StartsWith($above, [StringComparison]::Ordinal)) {
            return $true
        }
    }
    return $false
}

# Text, a byte each character, as the server writes it: what is outside printable ASCII, the backslash, the blank and
# the equals sign are \xHH there.
function Get-Escaped {
    param(
        [string]$Text
    )
    $written = ''
    foreach ($letter in $Text.ToCharArray()) {
        $byte = [int]$letter
        if ($byte -gt 32 -and $byte -lt 127 -and $byte -ne 61 -and $byte -ne 92) {
            $written += $letter
        }
        else {
            $written += ('\x{0:x2}' -f $byte)
        }
    }
    return $written
}

function Show-Unsaved {
    foreach ($folder in @(Get-Unsaved)) {
        $script:Unsaved = $true
        Complain '  ! The server may read {0}, and does not save it. Add it on its web page for this computer (Edit Config, Xfer, RsyncShareName) or ask the backup administrator; then start the setup with -Verify.' '  ! Le serveur peut lire {0}, mais ne le sauvegarde pas. Ajoutez-le sur sa page web pour cet ordinateur (Edit Config, Xfer, RsyncShareName) ou demandez à l''administrateur des sauvegardes ; puis lancez ce programme avec -Verify.' @((Get-Readable (Get-Escaped $folder)))
    }
}

# What this computer's sshd calls itself, for the server to compare.
function Get-HostKeyLines {
    $lines = @()
    foreach ($file in @(Get-ChildItem -LiteralPath $SshFolder -Filter 'ssh_host_*_key.pub')) {
        $kind, $body, $comment = (Read-File $file.FullName).Trim() -split ' ', 3
        if ($body -cmatch '\A[A-Za-z0-9+/=]+\z') {
            $lines += "hostkey:$kind $body"
        }
    }
    $lines += '.'
    return (($lines -join "`n") + "`n")
}

# What the owner of this computer can do about a step that failed.
function Show-StepAdvice {
    param(
        [string]$Step
    )
    switch -CaseSensitive ($Step) {
        'refused' {
            Complain 'No ssh server listens here. Start the setup with -Repair.' 'Aucun serveur ssh n''écoute ici. Lancez ce programme avec -Repair.'
        }
        'firewall' {
            Complain 'A firewall, here or on the way, keeps the server from port 22. Let it in for ssh.' 'Un pare-feu, ici ou en chemin, interdit le port 22 au serveur. Autorisez-le pour ssh.'
        }
        'ping' {
            Complain 'The server pings before every backup, and got no answer. Let ping (ICMP echo) through the firewall.' 'Le serveur fait un ping avant chaque sauvegarde, sans réponse. Autorisez ping (ICMP echo) dans le pare-feu.'
        }
        'slow' {
            Complain 'The network is too slow for a backup now. Use a cable, or try again nearer to the Wi-Fi.' 'Le réseau est trop lent pour une sauvegarde. Utilisez un câble, ou rapprochez-vous du Wi-Fi.'
        }
        'name' {
            Complain 'The server finds no address for the name of this computer. The network administrator can mend that.' 'Le serveur ne trouve pas d''adresse au nom de cet ordinateur. L''administrateur du réseau peut y remédier.'
        }
        'hung-up' {
            Complain 'sshd here hangs up on the server, perhaps after too many tries. Wait some minutes.' 'sshd raccroche au nez du serveur, peut-être après trop d''essais. Attendez quelques minutes.'
        }
        'not-ssh' {
            Complain 'Something else than sshd answers on the ssh port of this computer.' 'Autre chose que sshd répond sur le port ssh de cet ordinateur.'
        }
        'negotiation' {
            Complain 'sshd here is too old, or set up so that the server cannot talk to it.' 'sshd est trop ancien ici, ou réglé de telle sorte que le serveur ne peut lui parler.'
        }
        'host-key' {
            Complain 'Another machine answers at the address of this one. Please tell the network administrator.' 'Une autre machine répond à l''adresse de celle-ci. Prévenez l''administrateur du réseau.'
        }
        'login' {
            Complain 'sshd here does not let the account bckpciuem in. Start the setup with -Doctor.' 'sshd ne laisse pas entrer le compte bckpciuem. Lancez ce programme avec -Doctor.'
        }
        'wrapper' {
            Complain 'The backup program does not start as it should. Start the setup with -Repair.' 'Le programme de sauvegarde ne démarre pas comme il faut. Lancez ce programme avec -Repair.'
        }
        'sudo' {
            Complain 'The backup program does not start as it should. Start the setup with -Repair.' 'Le programme de sauvegarde ne démarre pas comme il faut. Lancez ce programme avec -Repair.'
        }
        'rsync' {
            Complain 'rsync does not work here. Start the setup with -Repair.' 'rsync ne marche pas ici. Lancez ce programme avec -Repair.'
        }
        'share' {
            Complain 'The server is to save a folder that this computer does not give. Start the setup with -Share and all folders to be saved, this one too; or take it out on the server''s web page for this computer (Edit Config, Xfer, RsyncShareName).' 'Le serveur doit sauvegarder un dossier que cet ordinateur ne donne pas. Lancez ce programme avec -Share et tous les dossiers à sauvegarder, celui-ci compris ; ou retirez-le sur la page web du serveur pour cet ordinateur (Edit Config, Xfer, RsyncShareName).'
        }
        'unclean' {
            Complain 'Something prints at the login of the server, and breaks backups. Look at .bashrc of bckpciuem.' 'Quelque chose s''affiche à la connexion du serveur et casse les sauvegardes. Voyez le .bashrc de bckpciuem.'
        }
        'empty' {
            Complain 'A folder that is to be backed up has no file in it that the server would save.' 'Un dossier à sauvegarder ne contient aucun fichier que le serveur sauvegarderait.'
        }
        'file-system' {
            Complain 'The folders to be backed up are on another drive. Start the setup with -Share PATH.' 'Les dossiers à sauvegarder sont sur un autre lecteur. Lancez ce programme avec -Share CHEMIN.'
        }
        'silent' {
            Complain 'This computer or the network was too slow. Please try again later.' 'Cet ordinateur ou le réseau était trop lent. Recommencez plus tard.'
        }
        'disabled' {
            Complain 'The backups of this computer are switched off on the server. The backup administrator can tell you why.' 'Les sauvegardes de cet ordinateur sont arrêtées sur le serveur. L''administrateur des sauvegardes vous dira pourquoi.'
        }
        'settings' {
            Complain 'The server''s settings for this computer need the backup administrator.' 'Les réglages du serveur pour cet ordinateur demandent l''administrateur des sauvegardes.'
        }
        'elsewhere' {
            Complain 'The server''s settings for this computer need the backup administrator.' 'Les réglages du serveur pour cet ordinateur demandent l''administrateur des sauvegardes.'
        }
        'folder' {
            Complain 'A folder that is to be backed up cannot be read. Is it there?' 'Un dossier à sauvegarder est illisible. Existe-t-il ?'
        }
        '' {
            return
        }
        default {
            Complain 'Please show this to the backup administrator too.' 'Montrez aussi ceci à l''administrateur des sauvegardes.'
        }
    }
}

# ---------------------------------------------------------------- taking it back

# What is gone already is no trouble.
function Remove-Setup {
    $script:Kept = @()
    if (@(Read-Receipt).Count -eq 0) {
        Show-Rests
        return
    }
    Remove-OurKey
    if (Test-Receipt 'firewall') {
        Close-Firewall
    }
    if ($script:Kept.Count -eq 0) {
        Remove-Match
        Restore-Sshd
        Remove-Account
        Remove-Base
    }
    $name = Get-Receipt 'host'
    if ($name -ceq '') {
        $name = [Environment]::MachineName
    }
    Remove-State
    Say 'What was backed up stays on the server, which still knows this computer. To end its backups, ask the backup administrator to retire {0}.' 'Ce qui a été sauvegardé reste sur le serveur, qui connaît encore cet ordinateur. Pour mettre fin à ses sauvegardes, demandez à l''administrateur des sauvegardes de retirer {0}.' @($name)
}

# Without a receipt nothing is removed: it may be somebody else's. But it is not passed over.
function Show-Rests {
    $rests = @(@($Base, $AuthorizedKeys) | Where-Object { Test-Path -LiteralPath $_ })
    if ((Get-AccountSid) -cne '') {
        $rests += $Account
    }
    if ((Test-Path -LiteralPath $SshdConfig) -and (Read-File $SshdConfig).Contains($BlockBegin)) {
        $rests += $SshdConfig
    }
    $rests += @(Get-OurRules | ForEach-Object { $_.Name })
    if ($rests.Count -gt 0) {
        Stop-Setup 1 'There is no {0}, so nothing was removed, but this is here: {1}' 'Il n''y a pas de {0} ; rien n''a donc été supprimé, mais ceci est là : {1}' @($Receipt, ($rests -join ', '))
    }
    Say 'There is nothing of this setup here.' 'Il n''y a rien de ce programme ici.'
}

# Keys of others stay, and so does all that they need.
function Remove-OurKey {
    $others = @(Get-KeyLines | Where-Object { -not (Test-OurKey $_) })
    if (@($others | Where-Object { $_ -cnotmatch '\A\s*#' }).Count -eq 0) {
        Remove-OurFile $AuthorizedKeys
        return
    }
    Say '  {0} holds other keys too: they stay, and with them the account, its lines for sshd and {1}' '  {0} contient aussi d''autres clefs : elles restent, et avec elles le compte, ses lignes pour sshd et {1}' @($AuthorizedKeys, $Base)
    $script:Kept = @('capability', 'narrowed', 'sshd', 'base', 'cygwin', 'account', 'sid', 'match', 'restarted', 'line-end')
    Set-File $AuthorizedKeys (($others -join "`n") + "`n")
}

function Close-Firewall {
    if (@(Get-OurRules).Count -gt 0) {
        Invoke-Change '  closing the firewall again' '  fermeture du pare-feu' @('') {
            Get-OurRules | Remove-NetFirewallRule
        }
    }
}

# The receipt goes last; what has to stay is still in it.
function Remove-State {
    if ($script:Kept.Count -gt 0) {
        $staying = @(Read-Receipt | Where-Object { $script:Kept -ccontains @($_ -split ' ')[0] })
        Remove-OurFile $KnownHostsFile
        if ($staying.Count -lt @(Read-Receipt).Count) {
            Invoke-Change '  shortening {0} to what stays' '  {0} ne garde que ce qui reste' @($Receipt) {
                Write-Receipt $staying
            }
        }
        return
    }
    Invoke-Change '  removing {0}' '  suppression de {0}' @($State) {
        Unlock-Setup
        Remove-Tree $State
    }
}

function Remove-OurFile {
    param(
        [string]$Path
    )
    if (Test-Path -LiteralPath $Path) {
        Invoke-Change '  removing {0}' '  suppression de {0}' @($Path) {
            Remove-Item -LiteralPath $Path -Force
        }
    }
}

# rd does not go through junctions; Remove-Item of PowerShell 5.1 may. rd's status tells nothing.
function Remove-Tree {
    param(
        [string]$Path
    )
    if (Test-Path -LiteralPath $Path) {
        $null = Invoke-Program (Join-Path $System32 'cmd.exe') @('/d', '/c', 'rd', '/s', '/q', $Path) '' 600
    }
    if (Test-Path -LiteralPath $Path) {
        throw "$Path could not be removed: something of it may be in use"
    }
}

function Remove-Match {
    if (-not (Test-Receipt 'match') -or -not (Test-Path -LiteralPath $SshdConfig)) {
        return
    }
    Test-Safe $SshFolder
    Test-Safe $SshdConfig
    $text = Read-File $SshdConfig
    $rest = Remove-SshdBlock $text
    if (Test-Same $rest $text) {
        return
    }
    if ((Test-Receipt 'line-end') -and $text.EndsWith((Get-SshdBlock), [StringComparison]::Ordinal) -and $rest.EndsWith("`r`n", [StringComparison]::Ordinal)) {
        $rest = $rest.Substring(0, $rest.Length - 2)
    }
    Invoke-Change '  taking our lines out of {0}' '  retrait de nos lignes de {0}' @($SshdConfig) {
        Set-SshdConfig $rest
        Restart-Sshd
    }
}

function Restore-Sshd {
    $mode, $before = (Get-Receipt 'sshd') -split ' ', 2
    if (Test-Receipt 'capability') {
        if (Test-Path -LiteralPath $Sshd) {
            Invoke-Change '  removing the OpenSSH server of Windows' '  suppression du serveur OpenSSH de Windows' @('') {
                $null = Remove-WindowsCapability -Online -Name $Capability
            }
        }
        return
    }
    if (@('Auto', 'Manual', 'Disabled') -cnotcontains $mode -or $null -eq (Get-SshdService)) {
        return
    }
    if ($before -cne 'Running') {
        Invoke-Change '  stopping sshd, which did not run before' '  arrêt de sshd, qui ne tournait pas avant' @('') {
            Stop-Service -Name 'sshd'
        }
    }
    if ($mode -cne 'Auto') {
        Invoke-Change '  sshd starts as before: {0}' '  sshd démarre comme avant : {0}' @($mode) {
            Set-Service -Name 'sshd' -StartupType $mode
        }
    }
}

# An account of that name with another SID is somebody else's.
function Remove-Account {
    if (-not (Test-Receipt 'account')) {
        return
    }
    $sid = Get-Receipt 'sid'
    $there = Get-AccountSid
    if ($there -cne '' -and $sid -cne '' -and $there -cne $sid) {
        Say '  the account {0} is not the one that the setup made: it stays' '  le compte {0} n''est pas celui que ce programme a créé : il reste' @($Account)
        return
    }
    if ($there -cne '') {
        Invoke-Change '  removing the account {0}' '  suppression du compte {0}' @($Account) {
            Stop-AccountPrograms
            Remove-Rights
            Remove-LocalUser -Name $Account
        }
        $sid = $there
    }
    Remove-AccountProfile $sid
}

# A backup that is under way ends here.
function Stop-AccountPrograms {
    $name = [Environment]::MachineName + '\' + $Account
    foreach ($program in @(Get-Process -IncludeUserName | Where-Object { $_.UserName -eq $name })) {
        Stop-Program $program
    }
}

function Remove-Rights {
    if (-not (Test-Path -LiteralPath (Get-CygwinProgram 'editrights'))) {
        return
    }
    $program = Get-TrustedProgram 'editrights'
    foreach ($right in $Rights) {
        $null = Invoke-Program $program @('-r', $right, '-u', $Account)
    }
}

function Remove-AccountProfile {
    param(
        [string]$Sid
    )
    foreach ($folder in @(Get-CimInstance -ClassName Win32_UserProfile | Where-Object { $Sid -cne '' -and $_.SID -ceq $Sid })) {
        Invoke-Change '  removing the profile {0}' '  suppression du profil {0}' @($folder.LocalPath) {
            try {
                Remove-CimInstance -InputObject $folder
            }
            catch {
                Complain '  {0} Start Windows anew, and then this setup with -Uninstall.' '  {0} Redémarrez Windows, puis relancez ce programme avec -Uninstall.' @($_.Exception.Message)
                $script:Kept += @('account', 'sid')
            }
        }
    }
}

function Remove-Base {
    if (-not (Test-Receipt 'base') -or -not (Test-Path -LiteralPath $Base)) {
        return
    }
    if (Test-Path -LiteralPath $Cygwin) {
        Invoke-Change '  removing {0}' '  suppression de {0}' @($Cygwin) {
            Remove-Tree $Cygwin
        }
    }
    if ((Test-Path -LiteralPath $Restored) -and @(Get-ChildItem -LiteralPath $Restored -Force).Count -gt 0) {
        Say '  {0} holds restored files: it stays, open to the administrators alone' '  {0} contient des fichiers restaurés : il reste, ouvert aux seuls administrateurs' @($Restored)
        Close-Restored
        $script:Kept += @('base')
        return
    }
    Invoke-Change '  removing {0}' '  suppression de {0}' @($Base) {
        Remove-Tree $Base
    }
}

# What rsync made has access lists of its own, some with the account that is gone.
function Close-Restored {
    if (-not (Test-Access $Restored)) {
        Invoke-Change '  giving what is in {0} to the administrators' '  remise aux administrateurs de ce que contient {0}' @($Restored) {
            Protect-Path $Base
            Reset-Tree $Restored
            Protect-Path $Restored
        }
    }
}

# ---------------------------------------------------------------- the doctor

# The steps themselves, as a plan: what they would change is what is wrong. Then what no step looks at.
function Invoke-Doctor {
    if (-not (Test-Receipt 'base')) {
        Stop-Setup 1 'This computer was not set up; start the setup without -Doctor.' 'Cet ordinateur n''est pas configuré ; lancez ce programme sans -Doctor.'
    }
    $script:Logon = Get-RegisteredLogon
    $script:Planning = $true
    $script:Changes = 0
    Say 'What is wrong; each line but a heading is one fault:' 'Ce qui ne va pas ; chaque ligne, titres exceptés, est un défaut :'
    Invoke-LocalSteps
    if (-not $NoFirewall) {
        Open-Firewall
    }
    Show-DoorFaults
    Show-ServerFaults
    Show-RegistrationFaults
    if ($script:Changes -gt 0 -or $script:Unsaved) {
        Stop-Setup 1 'Much of that is mended by -Repair.' 'Une bonne part s''arrange par -Repair.'
    }
    Say 'Nothing is wrong, as far as can be seen from here.' 'Tout va bien, pour autant que cela se voie d''ici.'
}

function Add-Fault {
    param(
        [string]$English,
        [string]$French,
        [object[]]$Values = @('')
    )
    Complain $English $French $Values
    $script:Changes += 1
}

# Lines of an administrator that stand before ours in sshd_config win.
function Show-DoorFaults {
    if (-not (Test-Path -LiteralPath $Sshd) -or -not (Test-Path -LiteralPath $SshdConfig)) {
        return
    }
    $settings = @(Get-SshdSettings)
    if (@($settings | Where-Object { $_ -cmatch '\Aauthorizedkeysfile .*bckpciuem_authorized_keys' }).Count -eq 0) {
        Add-Fault '  ! sshd does not look for the server''s key in {0}.' '  ! sshd ne cherche pas la clef du serveur dans {0}.' @($AuthorizedKeys)
    }
    foreach ($line in @(Get-ShuttingOut $settings)) {
        Add-Fault '  ! this setting of sshd may keep the account {0} out: {1}' '  ! ce réglage de sshd interdit peut-être l''entrée au compte {0} : {1}' @($Account, (Get-Printable $line))
    }
}

# Newer builds let in the administrators and the group "OpenSSH Users" alone, and the account is in that.
function Get-ShuttingOut {
    param(
        [string[]]$Settings
    )
    $users = @($Settings | Where-Object { $_ -cmatch '\Aallowusers ' })
    if ($users -cnotcontains "allowusers $Account") {
        $users
    }
    $groups = @($Settings | Where-Object { $_ -cmatch '\Aallowgroups ' })
    if (@($groups | Where-Object { $_ -match 'openssh users' }).Count -eq 0) {
        $groups
    }
    $Settings | Where-Object { $_ -cmatch '\A(denygroups .|authenticationmethods (?!any\z))' -or @("denyusers $Account", 'pubkeyauthentication no') -ccontains $_ }
}

# As nobody, without a key: whether it is there, and whether it is the one that we know.
function Show-ServerFaults {
    if ($script:Server -ceq '' -or -not (Test-Path -LiteralPath $KnownHostsFile)) {
        return
    }
    $asked = Invoke-Ssh @('-o', 'PreferredAuthentications=none') 'true' '' 30
    if ($asked.Errors.Contains('Permission denied')) {
        return
    }
    if ($asked.Errors.Contains('Host key verification failed')) {
        Add-Fault '  ! {0} has another host key than the one that we know. Please tell your administrator.' '  ! {0} a une autre clef d''hôte que celle que nous connaissons. Prévenez votre administrateur.' @($script:Server)
        return
    }
    Add-Fault '  ! {0} cannot be reached from here: {1}' '  ! {0} est injoignable d''ici : {1}' @($script:Server, (Get-Printable $asked.Errors))
}

function Show-RegistrationFaults {
    if ($script:Logon -ceq '') {
        Add-Fault '  ! This computer is not registered.' '  ! Cet ordinateur n''est pas enregistré.'
        return
    }
    if (-not (Test-KeyInPlace)) {
        Add-Fault '  ! The server''s key in {0} is not as the setup wrote it.' '  ! La clef du serveur dans {0} n''est pas telle que ce programme l''a écrite.' @($AuthorizedKeys)
    }
    if (-not (Test-Receipt "verified $($script:Server) $($script:Logon)")) {
        Add-Fault '  ! Registered for {0}, but the server has not come back here since the last change: -Verify' '  ! Enregistré pour {0}, mais le serveur n''est pas revenu ici depuis la dernière modification : -Verify' @($script:Logon)
    }
    Show-Unsaved
}

# ---------------------------------------------------------------- the whole

# The receipt lies in State, so that folder comes first. Base may have been there before its access list was as it is
# now: only one that this setup made is used.
function Set-Places {
    Set-Folder $State
    Lock-Setup
    Remove-OurFile $KeyFile
    Remove-OurFile $TrialKey
    if ((Test-Path -LiteralPath $Base) -and -not (Test-Receipt 'base')) {
        Stop-Setup 1 'There is a folder {0} that this setup did not make; please move it away.' 'Il existe un dossier {0} que ce programme n''a pas créé ; déplacez-le, s''il vous plaît.' @($Base)
    }
    if (Test-Path -LiteralPath $Base) {
        Set-Folder $Base @("$(Get-AccountSid)=RX")
        return
    }
    Invoke-Change '  making the folder {0}' '  création du dossier {0}' @($Base) {
        Add-Receipt 'base'
        Remove-Receipt 'cygwin'
        New-Folder $Base
    }
}

# One run at a time. Windows lets go of the file when we end, however that happens.
function Lock-Setup {
    if ($script:Planning -or $null -ne $script:Lock) {
        return
    }
    try {
        $script:Lock = [System.IO.File]::Open((Join-Path $State 'lock'), [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None)
    }
    catch [System.IO.IOException] {
        Stop-Setup 1 'Another run of this setup is at work.' 'Une autre exécution de ce programme est en cours.'
    }
}

function Unlock-Setup {
    if ($null -ne $script:Lock) {
        $script:Lock.Dispose()
        $script:Lock = $null
    }
}

function Test-Parts {
    $null = Get-Part 'Wrapper' $Wrapper $BundledWrapper
    Test-CallParts
}

function Test-CallParts {
    $null = Get-Part 'KnownHosts' $KnownHosts $BundledKnownHosts
    $null = Get-Part 'RegisterKey' $RegisterKey $BundledRegisterKey
}

function Invoke-Steps {
    Invoke-LocalSteps
    Say 'Registration with {0}' 'Enregistrement auprès de {0}' @($script:Server)
    Register-Computer
    Say 'The way back' 'Le chemin du retour'
    Open-Ways
}

function Invoke-LocalSteps {
    Say 'The programs that it takes' 'Les programmes nécessaires'
    Set-Places
    Install-Programs
    Say 'The account {0}' 'Le compte {0}' @($Account)
    Set-Account
    Say 'What the backup server may do here' 'Ce que le serveur de sauvegarde peut faire ici'
    Set-Wrapper
    Say 'The door that it comes through: sshd' 'La porte par laquelle il entre : sshd'
    Set-Sshd
}

# What would be done is said first; then the person decides. True: do it.
function Confirm-Plan {
    param(
        [scriptblock]$Plan
    )
    Say 'What is to be done:' 'Ce qui est à faire :'
    $script:Planning = $true
    & $Plan | Out-Null
    $script:Planning = $false
    if ($DryRun) {
        Say 'Nothing was changed (-DryRun).' 'Rien n''a été modifié (-DryRun).'
        return $false
    }
    if ($script:Changes -eq 0) {
        Say 'Everything was in place already; nothing was changed.' 'Tout était déjà en place ; rien n''a été modifié.'
        return $false
    }
    if (-not $Unattended) {
        if (-not (Read-YesOrNo 'Shall this be done (yes/no)?' 'Faut-il le faire (oui/non) ?')) {
            Stop-Setup 1 'Nothing was changed.' 'Rien n''a été modifié.'
        }
    }
    Say 'It is being done:' 'C''est en train de se faire :'
    return $true
}

function Write-Farewell {
    if (-not $Verify) {
        Say 'Done. This computer is registered with {0}.' 'C''est fait. Cet ordinateur est enregistré auprès de {0}.' @($script:Server)
    }
    if ($script:Url -ceq '') {
        $script:Url = Get-Receipt 'url'
    }
    if ($script:Url -cne '') {
        Say 'Your backups, and what they contain: {0}' 'Vos sauvegardes, et ce qu''elles contiennent : {0}' @($script:Url)
    }
    if ($script:Advice -cne '') {
        Say 'The server adds: {0}' 'Le serveur ajoute : {0}' @($script:Advice)
    }
    if (-not $script:Verified) {
        Stop-Setup 8 'This computer is registered, but the server could not come back to it yet. Do what is said above, and then start the setup with -Verify.' 'Cet ordinateur est enregistré, mais le serveur n''a pas encore pu y revenir. Suivez ce qui est dit ci-dessus, puis lancez ce programme avec -Verify.'
    }
    if ($script:Unsaved) {
        Stop-Setup 7 'Backups work, but what is marked with ! above is not in them.' 'Les sauvegardes marchent, mais ce qui est marqué d''un ! ci-dessus n''y est pas.'
    }
}

function Show-Help {
    foreach ($line in [System.IO.File]::ReadAllLines($PSCommandPath)) {
        if (-not $line.StartsWith('#', [StringComparison]::Ordinal)) {
            return
        }
        Write-Host ($line -replace '\A# ?', '')
    }
}

function Invoke-Setup {
    Select-Language
    Say 'EXPERIMENTAL: this setup has never been run on Windows. Try a restore before you rely on it.' 'EXPÉRIMENTAL : ce programme n''a jamais été lancé sous Windows. Essayez une restauration avant de vous y fier.'
    Test-System
    Test-Options
    if ($Uninstall) {
        if (Confirm-Plan { Remove-Setup }) {
            Lock-Setup
            Remove-Setup
        }
        return
    }
    if ($Doctor) {
        Invoke-Doctor
        return
    }
    if ($Verify) {
        Invoke-Verify
        return
    }
    if ($Repair) {
        $script:Logon = Get-RegisteredLogon
        $script:Force = $true
    }
    Test-Parts
    if (Confirm-Plan { Invoke-Steps }) {
        Invoke-Steps
        Clear-CallKey
        Write-Farewell
        if ($Repair) {
            Invoke-Doctor
        }
    }
}

function Invoke-Verify {
    $script:Logon = Get-RegisteredLogon
    Test-CallParts
    $script:Planning = [bool]$DryRun
    Set-Folder $State
    Lock-Setup
    Test-WayBack
    Write-Farewell
}

if ($Help) {
    Show-Help
    exit 0
}
if ($args.Count -gt 0) {
    [Console]::Error.WriteLine("unknown option, option inconnue : $($args[0])")
    exit 2
}
try {
    Invoke-Setup
}
catch {
    Complain 'It did not work: {0}' 'Cela n''a pas marché : {0}' @($_.Exception.Message)
    exit 1
}
finally {
    Clear-CallKey
}
exit 0
