# setup.ps1 - makes this computer known to the backup server, so that it is backed up from now on.
#
# EXPERIMENTAL: this file has never been run on Windows. It is checked by a parser and by rules, no more. Do not
# rely on backups made through it before you have restored one.
#
# In a PowerShell that was started as administrator:
#
#     powershell -ExecutionPolicy Bypass -File setup.ps1 [OPTION]...
#
#   -Server NAME          the backup server
#   -Logon LOGON          whose computer this is (asked for otherwise)
#   -Verify               only have the server test its way back to this computer
#   -Uninstall            undo what the setup has done
#   -Unattended           ask nothing: needs a logon, takes the reply for right
#   -DryRun               show what would be changed, and change nothing
#   -Lang fr|en           language of the messages (otherwise: that of Windows)
#   -Share PATH,...       folders to back up, as Cygwin calls them (otherwise: /cygdrive/c/Users)
#   -Restore off|dirs     where the server may restore files: nowhere; in a folder of their own (otherwise: dirs)
#   -RegisterKey FILE     the key that registers (otherwise: the one inside this file)
#   -KnownHosts FILE      the backup server's ssh host keys (otherwise: those inside this file)
#   -Wrapper FILE         rsyncsend.sh (otherwise: the one inside this file)
#   -CygwinSetup FILE     Cygwin's setup-x86_64.exe (otherwise: the one beside this file)
#   -CygwinSha256 HASH    its SHA256 as cygwin.com tells it (not needed if it has a valid signature)
#   -CygwinMirror URL     where it gets its packages, whose signatures it checks
#   -From LIST            addresses that the server may come from (otherwise: those that it names)
#   -Port PORT            ssh port of the backup server (otherwise: 22)
#   -NoFirewall           leave the firewall as it is
#   -NoVerify             do not have the server test its way back
#   -Force                register again even if this computer is registered
#   -Help
#
# Exit status: 0 done, or nothing to do; 1 it did not work; 2 wrong options; 4 the server refuses; 5 the server
# cannot be reached; 6 it is not the server that we know; 7 something is left for the administrator to do;
# 8 registered, but the server could not come back here yet; 77 this system is not known.
#
# What was made on this computer stands in C:\ProgramData\bckpciuem\receipt.

# "backuppc-register-admin bundle" sets Server here and fills the three texts below.
param(
    [string]$Server = '',
    [string]$Logon = '',
    [switch]$Verify,
    [switch]$Uninstall,
    [switch]$Unattended,
    [switch]$DryRun,
    [string]$Lang = '',
    [string]$Share = '/cygdrive/c/Users',
    [string]$Restore = 'dirs',
    [string]$RegisterKey = '',
    [string]$KnownHosts = '',
    [string]$Wrapper = '',
    [string]$CygwinSetup = '',
    [string]$CygwinSha256 = '',
    [string]$CygwinMirror = 'https://mirrors.kernel.org/sourceware/cygwin/',
    [string]$From = '',
    [int]$Port = 22,
    [switch]$NoFirewall,
    [switch]$NoVerify,
    [switch]$Force,
    [switch]$Help
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

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
$Base = Join-Path $env:SystemDrive 'bckpciuem'
$Cygwin = Join-Path $Base 'cygwin'
$Restored = Join-Path $Base 'restored'
$State = Join-Path $env:ProgramData 'bckpciuem'
$Receipt = Join-Path $State 'receipt'
$KeyFile = Join-Path $State 'register-key'
$KnownHostsFile = Join-Path $State 'known_hosts'
$SshFolder = Join-Path $env:ProgramData 'ssh'
$SshdConfig = Join-Path $SshFolder 'sshd_config'
$AuthorizedKeys = Join-Path $SshFolder 'bckpciuem_authorized_keys'
$OpenSsh = Join-Path $env:SystemRoot 'System32\OpenSSH'
$Capability = 'OpenSSH.Server~~~~0.0.1.0'
$WrapperPath = '/usr/local/libexec/bckpciuem/rsyncsend.sh'
$BlockBegin = '# BEGIN bckpciuem'
$BlockEnd = '# END bckpciuem'
$FirewallSsh = 'bckpciuem-ssh'
$FirewallPing = 'bckpciuem-ping'
$Rights = @('SeBackupPrivilege', 'SeDenyInteractiveLogonRight', 'SeDenyRemoteInteractiveLogonRight')

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
$script:AllowedFrom = $From

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

# Every change to this computer passes here, and only here.
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
        & $Action | Out-Null
    }
}

function Write-Plain {
    param(
        [string]$Path,
        [string]$Text
    )
    [System.IO.File]::WriteAllText($Path, $Text, (New-Object System.Text.UTF8Encoding($false)))
}

function Read-Receipt {
    if (Test-Path -LiteralPath $Receipt) {
        return @([System.IO.File]::ReadAllLines($Receipt))
    }
    return @()
}

# A line is written before the deed: killed in between, we have noted too much and not too little.
function Add-Receipt {
    param(
        [string]$Line
    )
    if (@(Read-Receipt) -cnotcontains $Line) {
        [System.IO.File]::AppendAllText($Receipt, $Line + "`n")
    }
}

function Remove-Receipt {
    param(
        [string]$Beginning
    )
    $kept = @(Read-Receipt | Where-Object { -not $_.StartsWith($Beginning, [StringComparison]::Ordinal) })
    Write-Plain $Receipt ((@($kept) + @('')) -join "`n")
}

function Test-Receipt {
    param(
        [string]$Beginning
    )
    return (@(Read-Receipt | Where-Object { $_.StartsWith($Beginning, [StringComparison]::Ordinal) }).Count -gt 0)
}

function Join-Words {
    param(
        [string[]]$Words
    )
    $quoted = @()
    foreach ($word in $Words) {
        if ($word.Contains('"') -or $word.EndsWith('\')) {
            throw "not a plain argument: $word"
        }
        if ($word -match '\s' -or $word -eq '') {
            $word = '"' + $word + '"'
        }
        $quoted += $word
    }
    return ($quoted -join ' ')
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
    $start.WorkingDirectory = $env:SystemRoot
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $bytes = New-Object System.IO.MemoryStream
    $output = $process.StandardOutput.BaseStream.CopyToAsync($bytes)
    $errors = $process.StandardError.ReadToEndAsync()
    try {
        $given = [System.Text.Encoding]::ASCII.GetBytes($StandardInput)
        $process.StandardInput.BaseStream.Write($given, 0, $given.Length)
        $process.StandardInput.BaseStream.Flush()
        $process.StandardInput.Close()
    }
    catch [System.IO.IOException] {
        # It ended without reading: its status tells.
    }
    if (-not $process.WaitForExit(1000 * $Patience)) {
        $process.Kill()
        $process.WaitForExit()
    }
    $null = $output.Wait(5000)
    $null = $errors.Wait(5000)
    return New-Object PSObject -Property @{
        Status = $process.ExitCode
        Output = [System.Text.Encoding]::ASCII.GetString($bytes.ToArray())
        Errors = $errors.Result
    }
}

function Invoke-Needed {
    param(
        [string]$Path,
        [string[]]$Arguments,
        [int]$Patience = 120
    )
    $done = Invoke-Program $Path $Arguments '' $Patience
    if ($done.Status -ne 0) {
        throw ("{0}: {1} {2}" -f $Path, $done.Status, (Get-Printable ($done.Output + $done.Errors)))
    }
}

# SYSTEM and the administrators, and whoever else is named; nothing inherited.
function Protect-Path {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    $flags = ''
    if (Test-Path -LiteralPath $Path -PathType Container) {
        $flags = '(OI)(CI)'
    }
    $icacls = Join-Path $env:SystemRoot 'System32\icacls.exe'
    $grants = @("*${System}:${flags}F", "*${Administrators}:${flags}F")
    foreach ($other in $Others) {
        $name, $right = $other.Split('=')
        $grants += "*${name}:${flags}${right}"
    }
    Invoke-Needed $icacls @($Path, '/setowner', "*$Administrators")
    Invoke-Needed $icacls (@($Path, '/inheritance:r', '/grant:r') + $grants)
}

# Anyone may make folders in C:\ and in ProgramData: what is there already must be the administrators', and no link.
function Test-Safe {
    param(
        [string]$Path
    )
    if (-not (Test-Path -LiteralPath $Path)) {
        return
    }
    $item = Get-Item -LiteralPath $Path -Force
    $owner = (Get-Acl -LiteralPath $Path).GetOwner([System.Security.Principal.SecurityIdentifier]).Value
    $isLink = ($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0
    if ($isLink -or (@($System, $Administrators) -cnotcontains $owner)) {
        Stop-Setup 1 '{0} is not the administrators'' own; please move it away.' '{0} n''appartient pas aux administrateurs ; déplacez-le, s''il vous plaît.' @($Path)
    }
}

# Before its access list was set, somebody may have put something into it.
function New-Folder {
    param(
        [string]$Path,
        [string[]]$Others = @()
    )
    $null = New-Item -ItemType Directory -Path $Path
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
    Test-Safe $Path
    if (Test-Path -LiteralPath $Path) {
        return
    }
    Invoke-Change '  making the folder {0}' '  création du dossier {0}' @($Path) {
        New-Folder $Path $Others
    }
}

function Set-File {
    param(
        [string]$Path,
        [string]$Text,
        [string[]]$Others = @()
    )
    Test-Safe $Path
    if (Test-Path -LiteralPath $Path) {
        if ([System.IO.File]::ReadAllText($Path) -ceq $Text) {
            return
        }
    }
    Invoke-Change '  writing {0}' '  écriture de {0}' @($Path) {
        Write-Plain $Path $Text
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
    if ($script:Server -ceq '') {
        $script:Server = Get-RegisteredServer
    }
    if ($script:Server -ceq '' -and -not $Uninstall) {
        Stop-Setup 2 'Which server? Please give -Server NAME.' 'Quel serveur ? Donnez -Server NOM.'
    }
    if ($script:Server -cnotmatch '\A([A-Za-z0-9][A-Za-z0-9.:-]*)?\z') {
        Stop-Setup 2 '{0} is no name of a server.' '{0} n''est pas un nom de serveur.' @($script:Server)
    }
    if ($script:Logon -cne '' -and -not (Test-Logon $script:Logon)) {
        Stop-Setup 2 '{0} cannot be a logon.' '{0} ne peut pas être un identifiant.' @($script:Logon)
    }
    if (@('off', 'dirs') -cnotcontains $Restore) {
        Stop-Setup 2 '-Restore is off or dirs.' '-Restore vaut off ou dirs.'
    }
    if ($Port -lt 1 -or $Port -gt 65535) {
        Stop-Setup 2 '{0} is no port.' '{0} n''est pas un port.' @($Port)
    }
    if ($From -cne '' -and -not (Test-AddressList $From)) {
        Stop-Setup 2 '-From is a list of addresses: {0}' '-From est une liste d''adresses : {0}' @($From)
    }
    if ($CygwinMirror -cnotmatch '\Ahttps://[A-Za-z0-9./_~-]+\z') {
        Stop-Setup 2 '-CygwinMirror is an https address.' '-CygwinMirror est une adresse https.'
    }
    foreach ($folder in ($Share -split ',')) {
        if ($folder -cnotmatch '\A/cygdrive/[a-z](/[^/\x00-\x1f]+)*\z' -or $folder -match '/\.\.?(/|\z)') {
            Stop-Setup 2 '{0} is not a folder as Cygwin calls it, as in /cygdrive/c/Users.' '{0} n''est pas un dossier au nom de Cygwin, comme /cygdrive/c/Users.' @($folder)
        }
    }
    if ($Verify -and (Get-RegisteredLogon) -ceq '') {
        Stop-Setup 2 'This computer is not registered with {0}.' 'Cet ordinateur n''est pas enregistré auprès de {0}.' @($script:Server)
    }
    $known = ($script:Logon -cne '') -or $DryRun -or $Uninstall -or ((Get-RegisteredLogon) -cne '')
    if ($Unattended -and -not $known) {
        Stop-Setup 2 '-Unattended needs -Logon.' '-Unattended demande -Logon.'
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
        $text = [System.IO.File]::ReadAllText((Resolve-Path -LiteralPath $File).ProviderPath)
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
    Start-Sshd
    Install-Cygwin
}

function Install-Sshd {
    if (Test-Path -LiteralPath (Join-Path $OpenSsh 'sshd.exe')) {
        return
    }
    Invoke-Change '  installing the OpenSSH server of Windows' '  installation du serveur OpenSSH de Windows' @('') {
        Add-Receipt 'capability'
        try {
            $null = Add-WindowsCapability -Online -Name $Capability
        }
        catch {
            Complain '{0}' '{0}' @($_.Exception.Message)
        }
        if (-not (Test-Path -LiteralPath (Join-Path $OpenSsh 'sshd.exe'))) {
            Stop-Setup 7 'Windows did not install it (behind WSUS it often cannot). Settings, Optional features, add "OpenSSH Server"; then start the setup again.' 'Windows ne l''a pas installé (derrière WSUS, souvent il ne peut pas). Paramètres, Fonctionnalités facultatives, ajoutez « Serveur OpenSSH » ; puis relancez ce programme.'
        }
    }
}

function Start-Sshd {
    $service = Get-Service -Name 'sshd' -ErrorAction SilentlyContinue
    if ($null -ne $service -and $service.Status -eq 'Running') {
        return
    }
    Invoke-Change '  starting sshd, now and with Windows' '  démarrage de sshd, maintenant et avec Windows' @('') {
        $before = (Get-CimInstance -ClassName Win32_Service -Filter "Name='sshd'").StartMode
        if (-not (Test-Receipt 'sshd ')) {
            Add-Receipt "sshd $before"
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

# Only what is on the disk, and only if somebody vouches for it: this setup downloads no programs.
function Install-Cygwin {
    $missing = @(@('bash', 'rsync', 'editrights') | Where-Object { -not (Test-Path -LiteralPath (Get-CygwinProgram $_)) })
    if ($missing.Count -eq 0) {
        return
    }
    $program = Find-CygwinSetup
    Invoke-Change '  installing a small Cygwin in {0}' '  installation d''un petit Cygwin dans {0}' @($Cygwin) {
        $copy = Join-Path $State 'setup-x86_64.exe'
        Copy-Item -LiteralPath $program -Destination $copy -Force
        Protect-Path $copy
        Test-CygwinSetup $copy
        $packages = Join-Path $State 'packages'
        Invoke-Needed $copy @('-q', '-n', '-N', '-d', '-R', $Cygwin, '-l', $packages, '-s', $CygwinMirror, '-P', 'rsync,bash,coreutils,util-linux,editrights') 1800
        if (-not (Test-Path -LiteralPath (Get-CygwinProgram 'rsync'))) {
            throw "Cygwin's setup left no rsync in $Cygwin"
        }
    }
}

function Find-CygwinSetup {
    $program = $CygwinSetup
    if ($program -ceq '') {
        $program = Join-Path $PSScriptRoot 'setup-x86_64.exe'
    }
    if (-not (Test-Path -LiteralPath $program -PathType Leaf)) {
        Stop-Setup 7 'Cygwin is needed. Please get https://cygwin.com/setup-x86_64.exe and its SHA256 from cygwin.com, and give -CygwinSetup FILE -CygwinSha256 HASH.' 'Cygwin est nécessaire. Téléchargez https://cygwin.com/setup-x86_64.exe, relevez son SHA256 sur cygwin.com, et donnez -CygwinSetup FICHIER -CygwinSha256 EMPREINTE.'
    }
    Test-CygwinSetup $program
    return (Resolve-Path -LiteralPath $program).ProviderPath
}

function Test-CygwinSetup {
    param(
        [string]$Program
    )
    if ($CygwinSha256 -cne '') {
        if ((Get-FileHash -LiteralPath $Program -Algorithm SHA256).Hash -eq $CygwinSha256) {
            return
        }
        Stop-Setup 1 '{0} has another SHA256 than the one given. It was not started.' '{0} n''a pas le SHA256 donné. Il n''a pas été lancé.' @($Program)
    }
    if ((Get-AuthenticodeSignature -LiteralPath $Program).Status -ne 'Valid') {
        Stop-Setup 7 '{0} has no valid signature: please give -CygwinSha256 HASH, as cygwin.com tells it.' '{0} n''a pas de signature valable : donnez -CygwinSha256 EMPREINTE, telle que cygwin.com l''indique.' @($Program)
    }
}

# ---------------------------------------------------------------- step: the account

function Set-Account {
    $user = Get-LocalUser -Name $Account -ErrorAction SilentlyContinue
    if ($null -ne $user -and -not (Test-Receipt 'account')) {
        Stop-Setup 1 'There is an account {0} that this setup did not make; please rename or remove it.' 'Il existe un compte {0} que ce programme n''a pas créé ; renommez-le ou supprimez-le.' @($Account)
    }
    if ($null -eq $user) {
        Invoke-Change '  making the account {0}, no administrator' '  création du compte {0}, non administrateur' @($Account) {
            Add-Receipt 'account'
            New-Account
        }
    }
    else {
        if ($null -ne (Get-LocalGroupMember -SID $Administrators -Member $Account -ErrorAction SilentlyContinue)) {
            Stop-Setup 1 'The account {0} is an administrator; please take it out of that group.' 'Le compte {0} est administrateur ; retirez-le de ce groupe.' @($Account)
        }
    }
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
    if ($null -ne (Get-LocalGroup -Name 'OpenSSH Users' -ErrorAction SilentlyContinue)) {
        Add-LocalGroupMember -Name 'OpenSSH Users' -Member $Account
    }
}

# The right to read everything and no more. The group Backup Operators has the right to write everything as well:
# its members could change the wrapper, which would then refuse to run.
function Set-Rights {
    $program = Get-CygwinProgram 'editrights'
    $held = ''
    if ((Test-Path -LiteralPath $program) -and ($null -ne (Get-LocalUser -Name $Account -ErrorAction SilentlyContinue))) {
        $held = (Invoke-Program $program @('-l', '-u', $Account)).Output
    }
    foreach ($right in $Rights) {
        if (@($held -split '\s+') -cnotcontains $right) {
            Invoke-Change '  giving the account {0}' '  le compte reçoit {0}' @($right) {
                Invoke-Needed $program @('-a', $right, '-u', $Account)
            }
        }
    }
}

function Get-AccountSid {
    $user = Get-LocalUser -Name $Account -ErrorAction SilentlyContinue
    if ($null -eq $user) {
        return ''
    }
    return $user.SID.Value
}

# ---------------------------------------------------------------- step: what the server may do here

function Set-Wrapper {
    $sid = Get-AccountSid
    Open-Cygwin $sid
    if ($Restore -ceq 'dirs') {
        Set-Folder $Restored @("$sid=M")
    }
    $folder = Join-Path $Cygwin 'usr\local\libexec\bckpciuem'
    if (-not (Test-Path -LiteralPath $folder)) {
        Invoke-Change '  making the folder {0}' '  création du dossier {0}' @($folder) {
            $null = New-Item -ItemType Directory -Path $folder -Force
            Protect-Path $folder @("$sid=RX")
        }
    }
    Set-File (Join-Path $folder 'rsyncsend.sh') (Get-Part 'Wrapper' $Wrapper $BundledWrapper) @("$sid=RX")
    Set-File (Join-Path $Cygwin 'etc\bckpciuem.conf') (Get-WrapperConfig) @("$sid=R")
}

# The account did not exist when the folder was made.
function Open-Cygwin {
    param(
        [string]$Sid
    )
    if (Test-Receipt "opened $Sid ") {
        return
    }
    Invoke-Change '  letting the account read {0}' '  le compte peut lire {0}' @($Base) {
        Protect-Path $Base @("$Sid=RX")
        Add-Receipt "opened $Sid "
    }
}

function Get-WrapperConfig {
    $lines = @("# Made by setup.ps1. What each line means stands at the top of $WrapperPath.")
    foreach ($folder in ($Share -split ',')) {
        $lines += "share=$folder"
    }
    $lines += "restore=$Restore"
    $drive = $env:SystemDrive.Substring(0, 1).ToLowerInvariant()
    $lines += "restore-dir=/cygdrive/$drive/bckpciuem/restored"
    $lines += 'rsync=/usr/bin/rsync'
    return (($lines -join "`n") + "`n")
}

# ---------------------------------------------------------------- step: the door, sshd

# Members of Administrators have their keys elsewhere, and some domains move profiles: an absolute path is sure.
function Set-Sshd {
    $text = ''
    if (Test-Path -LiteralPath $SshdConfig) {
        $text = [System.IO.File]::ReadAllText($SshdConfig)
    }
    if ($text.Contains($BlockBegin)) {
        return
    }
    Invoke-Change '  adding {0} to {1}, and starting sshd again' '  ajout de {0} à {1}, puis redémarrage de sshd' @("Match User $Account", $SshdConfig) {
        $block = @(
            $BlockBegin,
            "Match User $Account",
            '    AuthorizedKeysFile __PROGRAMDATA__/ssh/bckpciuem_authorized_keys',
            '    PasswordAuthentication no',
            '    AllowTcpForwarding no',
            'Match all',
            $BlockEnd
        )
        $before = [System.IO.File]::ReadAllText($SshdConfig)
        Add-Receipt 'match'
        Set-SshdConfig ($before.TrimEnd() + "`r`n" + ($block -join "`r`n") + "`r`n")
    }
}

# File.Replace keeps the access list of what it replaces.
function Set-SshdConfig {
    param(
        [string]$Text
    )
    $fresh = $SshdConfig + '.setup'
    Write-Plain $fresh $Text
    Protect-Path $fresh
    $tried = Invoke-Program (Join-Path $OpenSsh 'sshd.exe') @('-t', '-f', $fresh)
    if ($tried.Status -ne 0) {
        Remove-Item -LiteralPath $fresh
        Stop-Setup 1 'sshd would not take its new settings; they were not changed: {0}' 'sshd refuse ses nouveaux réglages ; ils n''ont pas été modifiés : {0}' @((Get-Printable $tried.Errors))
    }
    [System.IO.File]::Replace($fresh, $SshdConfig, [NullString]::Value)
    Restart-Service -Name 'sshd'
}

# ---------------------------------------------------------------- step: the server

function Get-RegisteredServer {
    foreach ($line in @(Read-Receipt)) {
        if ($line -cmatch '\Aregistered (\S+) (\S+)\z') {
            return $Matches[1]
        }
    }
    return ''
}

function Get-RegisteredLogon {
    foreach ($line in @(Read-Receipt)) {
        if ($line -cmatch '\Aregistered (\S+) (\S+)\z' -and $Matches[1] -ceq $script:Server) {
            return $Matches[2]
        }
    }
    return ''
}

function Test-Registered {
    $earlier = Get-RegisteredLogon
    if ($Force -or $earlier -ceq '' -or -not (Test-Path -LiteralPath $AuthorizedKeys)) {
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
        return
    }
    Invoke-Change '  asking {0} to register this computer, and installing its key' '  demande d''enregistrement à {0}, puis installation de sa clef' @($script:Server) {
        Set-CallFiles
        Confirm-Person
        Send-Request ('windows:' + $script:Logon) ''
        if (-not (Read-Reply 'register')) {
            Stop-OnReply
        }
        Install-Key
        Remove-Receipt "registered $($script:Server) "
        Remove-Receipt "verified $($script:Server) "
        Add-Receipt "registered $($script:Server) $($script:Logon)"
    }
}

function Set-CallFiles {
    Set-File $KnownHostsFile (Get-Part 'KnownHosts' $KnownHosts $BundledKnownHosts)
    Set-File $KeyFile (Get-Part 'RegisterKey' $RegisterKey $BundledRegisterKey)
    $name = $script:Server
    if ($Port -ne 22) {
        $name = "[$name]:$Port"
    }
    $found = Invoke-Program (Join-Path $OpenSsh 'ssh-keygen.exe') @('-F', $name, '-f', $KnownHostsFile)
    if ($found.Status -ne 0) {
        Stop-Setup 2 'The known hosts file has no line for {0}.' 'Le fichier des clefs d''hôtes n''a pas de ligne pour {0}.' @($name)
    }
}

# Sets Reply. A name is often missing for a laptop's IPv6 address where there is one for its IPv4 address.
function Send-Request {
    param(
        [string]$Request,
        [string]$StandardInput
    )
    $words = @('-x', '-a', '-T')
    if ($script:IpVersion -cne '') {
        $words += $script:IpVersion
    }
    $words += @('-F', 'none', '-i', $KeyFile, '-l', $ServerAccount, '-p', [string]$Port)
    $words += @('-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes')
    $words += @('-o', "UserKnownHostsFile=$KnownHostsFile", '-o', "GlobalKnownHostsFile=$KnownHostsFile")
    $words += @('-o', 'ConnectTimeout=15', '-o', 'ServerAliveInterval=15', '-o', 'LogLevel=ERROR')
    $words += @($script:Server, $Request)
    $script:Reply = Invoke-Program (Join-Path $OpenSsh 'ssh.exe') $words $StandardInput 180
    $text = $script:Reply.Output.Replace("`r", '')
    if ($text.Length -gt 65536) {
        $text = $text.Substring(0, 65536)
    }
    $script:Reply.Output = $text
    if ($script:Reply.Status -eq 255 -and $text -ceq '') {
        Stop-NotConnected
    }
    $peer = @($text -split '[ \n]')[0]
    if ($script:IpVersion -ceq '' -and (Get-ErrorCode) -ceq 'dns-name' -and $peer.Contains(':')) {
        $script:IpVersion = '-4'
        Send-Request $Request $StandardInput
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
        Send-Request ('check:windows:' + $script:Logon) ''
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
    return ($script:Problem -ceq '')
}

# Words that we do not know are for others.
function Read-ReplyLine {
    param(
        [string]$Line
    )
    $word, $value = $Line -split ':', 2
    if ($null -eq $value -or @('host', 'person', 'key', 'url', 'from', 'backup', 'advice') -cnotcontains $word) {
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
        if ($From -ceq '') {
            $script:AllowedFrom = $script:Words['from']
        }
    }
    if ($script:Words.ContainsKey('url') -and $script:Words['url'] -cmatch '\Ahttps?://[!-~]+\z') {
        $script:Url = $script:Words['url']
    }
    if ($script:Words.ContainsKey('advice')) {
        $script:Advice = Get-Readable $script:Words['advice']
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
    $file = Join-Path $State 'key'
    Write-Plain $file "$kind $body`n"
    $judged = Invoke-Program (Join-Path $OpenSsh 'ssh-keygen.exe') @('-lf', $file)
    Remove-Item -LiteralPath $file
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

# Keys of others in the file are left as they are; there should be none.
function Install-Key {
    $kept = @()
    if (Test-Path -LiteralPath $AuthorizedKeys) {
        Test-Safe $AuthorizedKeys
        $kept = @([System.IO.File]::ReadAllLines($AuthorizedKeys) | Where-Object { $_ -cne '' -and -not $_.Contains('rsyncsend.sh"') })
    }
    $bash = Get-CygwinProgram 'bash'
    $options = 'restrict'
    if ($script:AllowedFrom -cne '') {
        $options += ',from="' + $script:AllowedFrom + '"'
    }
    $options += ',command="' + $bash + ' -p ' + $WrapperPath + '"'
    $lines = $kept + @("$options $($script:KeyLine)")
    Add-Receipt 'key'
    Set-File $AuthorizedKeys (($lines -join "`n") + "`n")
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
    if ($active.Count -eq 0 -or (Test-Receipt 'firewall')) {
        return
    }
    Invoke-Change '  letting {0} through the firewall: ssh and ping' '  le pare-feu laisse passer {0} : ssh et ping' @($script:Server) {
        $addresses = @(Get-ServerAddresses)
        Add-Receipt 'firewall'
        $null = New-NetFirewallRule -Name $FirewallSsh -DisplayName 'Backup server (ssh)' -Direction Inbound -Action Allow -Protocol TCP -LocalPort 22 -RemoteAddress $addresses -Profile Any
        $four = @($addresses | Where-Object { -not $_.Contains(':') })
        if ($four.Count -gt 0) {
            $null = New-NetFirewallRule -Name $FirewallPing -DisplayName 'Backup server (ping)' -Direction Inbound -Action Allow -Protocol ICMPv4 -IcmpType 8 -RemoteAddress $four -Profile Any
        }
        $six = @($addresses | Where-Object { $_.Contains(':') })
        if ($six.Count -gt 0) {
            $null = New-NetFirewallRule -Name "$FirewallPing-6" -DisplayName 'Backup server (ping)' -Direction Inbound -Action Allow -Protocol ICMPv6 -IcmpType 128 -RemoteAddress $six -Profile Any
        }
    }
}

function Get-ServerAddresses {
    if ($script:AllowedFrom -cne '') {
        return @($script:AllowedFrom -split ',')
    }
    return @([System.Net.Dns]::GetHostAddresses($script:Server) | ForEach-Object { $_.ToString() })
}

function Test-WayBack {
    if ($NoVerify -or (-not $Verify -and (Test-Receipt "verified $($script:Server) $($script:Logon)"))) {
        return
    }
    Invoke-Change '  having {0} test its way back to this computer; that may take half a minute' '  essai du chemin de {0} vers cet ordinateur ; cela peut prendre une demi-minute' @($script:Server) {
        Request-WayBack
    }
}

function Request-WayBack {
    if (-not (Test-Path -LiteralPath $KeyFile)) {
        Set-CallFiles
    }
    Send-Request ('verify:windows:' + $script:Logon) (Get-HostKeyLines)
    if (Read-Reply 'verify') {
        Add-Receipt "verified $($script:Server) $($script:Logon)"
        Say '  it came in and could read: backups will work' '  il est entré et a pu lire : les sauvegardes marcheront'
        if ($script:Words.ContainsKey('backup')) {
            Say '  the first backup begins soon' '  la première sauvegarde va commencer'
        }
        return
    }
    if ((Get-ErrorCode) -ceq 'ostype-unknown') {
        Say '  this server does not test its way back' '  ce serveur n''essaie pas son chemin de retour'
        return
    }
    Remove-Receipt "verified $($script:Server) "
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

# What this computer's sshd calls itself, for the server to compare.
function Get-HostKeyLines {
    $lines = @()
    foreach ($file in @(Get-ChildItem -LiteralPath $SshFolder -Filter 'ssh_host_*_key.pub')) {
        $kind, $body, $comment = [System.IO.File]::ReadAllText($file.FullName).Trim() -split ' ', 3
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
            Complain 'No ssh server listens here. Start the setup again.' 'Aucun serveur ssh n''écoute ici. Relancez ce programme.'
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
            Complain 'sshd here does not let the account bckpciuem in. Are the lines of bckpciuem still in sshd_config?' 'sshd ne laisse pas entrer le compte bckpciuem. Les lignes de bckpciuem sont-elles encore dans sshd_config ?'
        }
        'wrapper' {
            Complain 'The backup program does not start as it should. Start the setup again.' 'Le programme de sauvegarde ne démarre pas comme il faut. Relancez ce programme.'
        }
        'sudo' {
            Complain 'The backup program does not start as it should. Start the setup again.' 'Le programme de sauvegarde ne démarre pas comme il faut. Relancez ce programme.'
        }
        'rsync' {
            Complain 'rsync does not work here. Start the setup again.' 'rsync ne marche pas ici. Relancez ce programme.'
        }
        'share' {
            Complain 'The server wants a folder that this computer does not give. Start the setup with -Force -Share PATH.' 'Le serveur demande un dossier que cet ordinateur ne donne pas. Lancez ce programme avec -Force -Share CHEMIN.'
        }
        'unclean' {
            Complain 'Something prints at the login of the server, and breaks backups. Look at .bashrc of bckpciuem.' 'Quelque chose s''affiche à la connexion du serveur et casse les sauvegardes. Voyez le .bashrc de bckpciuem.'
        }
        'empty' {
            Complain 'A folder that is to be backed up has no file in it that the server would save.' 'Un dossier à sauvegarder ne contient aucun fichier que le serveur sauvegarderait.'
        }
        'file-system' {
            Complain 'The folders to be backed up are on another drive. Start the setup with -Force -Share PATH.' 'Les dossiers à sauvegarder sont sur un autre lecteur. Lancez ce programme avec -Force -Share CHEMIN.'
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

function Remove-Setup {
    if (@(Read-Receipt).Count -eq 0) {
        Say 'There is nothing of this setup here.' 'Il n''y a rien de ce programme ici.'
        return
    }
    if (Test-Receipt 'key') {
        Remove-OurFile $AuthorizedKeys
    }
    if (Test-Receipt 'match') {
        Remove-Match
    }
    if (Test-Receipt 'firewall') {
        Invoke-Change '  closing the firewall again' '  fermeture du pare-feu' @('') {
            Get-NetFirewallRule -Name "$FirewallSsh", "$FirewallPing*" -ErrorAction SilentlyContinue | Remove-NetFirewallRule
        }
    }
    Restore-Sshd
    Remove-Account
    Remove-Base
    Invoke-Change '  removing {0}' '  suppression de {0}' @($State) {
        Remove-Tree $State
    }
    Say 'What was backed up stays on the server. To end the backups of this computer, ask the backup administrator.' 'Ce qui a été sauvegardé reste sur le serveur. Pour mettre fin aux sauvegardes de cet ordinateur, adressez-vous à l''administrateur des sauvegardes.'
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

# rd does not go through junctions; Remove-Item of PowerShell 5.1 may.
function Remove-Tree {
    param(
        [string]$Path
    )
    if (Test-Path -LiteralPath $Path) {
        Invoke-Needed (Join-Path $env:SystemRoot 'System32\cmd.exe') @('/d', '/c', 'rd', '/s', '/q', $Path) 600
    }
}

function Remove-Match {
    $text = [System.IO.File]::ReadAllText($SshdConfig)
    $pattern = '(?m)^' + [regex]::Escape($BlockBegin) + '\r?\n(?s:.*?)^' + [regex]::Escape($BlockEnd) + '(\r?\n|\z)'
    if ([regex]::IsMatch($text, $pattern)) {
        Invoke-Change '  taking our lines out of {0}' '  retrait de nos lignes de {0}' @($SshdConfig) {
            Set-SshdConfig ([regex]::Replace($text, $pattern, ''))
        }
    }
}

function Restore-Sshd {
    foreach ($line in @(Read-Receipt)) {
        if ($line -cmatch '\Asshd (Manual|Disabled)\z') {
            $mode = $Matches[1]
            Invoke-Change '  stopping sshd, which did not run before' '  arrêt de sshd, qui ne tournait pas avant' @('') {
                Stop-Service -Name 'sshd'
                Set-Service -Name 'sshd' -StartupType $mode
            }
        }
    }
    if (Test-Receipt 'capability') {
        Invoke-Change '  removing the OpenSSH server of Windows' '  suppression du serveur OpenSSH de Windows' @('') {
            Remove-WindowsCapability -Online -Name $Capability
        }
    }
}

function Remove-Account {
    if ((Test-Receipt 'account') -and ((Get-AccountSid) -cne '')) {
        Invoke-Change '  removing the account {0}' '  suppression du compte {0}' @($Account) {
            $program = Get-CygwinProgram 'editrights'
            foreach ($right in $Rights) {
                if (Test-Path -LiteralPath $program) {
                    $null = Invoke-Program $program @('-r', $right, '-u', $Account)
                }
            }
            Remove-LocalUser -Name $Account
        }
    }
}

function Remove-Base {
    if (-not (Test-Receipt 'base') -or -not (Test-Path -LiteralPath $Base)) {
        return
    }
    Invoke-Change '  removing {0}' '  suppression de {0}' @($Cygwin) {
        Remove-Tree $Cygwin
    }
    if ((Test-Path -LiteralPath $Restored) -and @(Get-ChildItem -LiteralPath $Restored -Force).Count -gt 0) {
        Say '  {0} holds restored files; it was left as it is' '  {0} contient des fichiers restaurés ; il est resté tel quel' @($Restored)
        return
    }
    Invoke-Change '  removing {0}' '  suppression de {0}' @($Base) {
        Remove-Tree $Base
    }
}

# ---------------------------------------------------------------- the whole

# The receipt lies in State, so that folder comes first.
function Set-Places {
    Set-Folder $State
    if (-not (Test-Path -LiteralPath $Base)) {
        Invoke-Change '  making the folder {0}' '  création du dossier {0}' @($Base) {
            Add-Receipt 'base'
            New-Folder $Base
        }
    }
}

function Test-Parts {
    $null = Get-Part 'Wrapper' $Wrapper $BundledWrapper
    $null = Get-Part 'KnownHosts' $KnownHosts $BundledKnownHosts
    $null = Get-Part 'RegisterKey' $RegisterKey $BundledRegisterKey
}

function Invoke-Steps {
    Say 'The programs that it takes' 'Les programmes nécessaires'
    Set-Places
    Install-Programs
    Say 'The account {0}' 'Le compte {0}' @($Account)
    Set-Account
    Say 'What the backup server may do here' 'Ce que le serveur de sauvegarde peut faire ici'
    Set-Wrapper
    Say 'The door that it comes through: sshd' 'La porte par laquelle il entre : sshd'
    Set-Sshd
    Say 'Registration with {0}' 'Enregistrement auprès de {0}' @($script:Server)
    Register-Computer
    Say 'The way back' 'Le chemin du retour'
    Open-Ways
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
    if ($script:Url -cne '') {
        Say 'Your backups, and what they contain: {0}' 'Vos sauvegardes, et ce qu''elles contiennent : {0}' @($script:Url)
    }
    if ($script:Advice -cne '') {
        Say 'The server adds: {0}' 'Le serveur ajoute : {0}' @($script:Advice)
    }
    if (-not $script:Verified) {
        Stop-Setup 8 'This computer is registered, but the server could not come back to it yet. Do what is said above, and then start the setup with -Verify.' 'Cet ordinateur est enregistré, mais le serveur n''a pas encore pu y revenir. Suivez ce qui est dit ci-dessus, puis lancez ce programme avec -Verify.'
    }
}

function Show-Help {
    foreach ($line in [System.IO.File]::ReadAllLines($PSCommandPath)) {
        if (-not $line.StartsWith('#')) {
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
            Remove-Setup
        }
        return
    }
    if ($Verify) {
        $script:Logon = Get-RegisteredLogon
        $script:Planning = [bool]$DryRun
        Test-WayBack
        Write-Farewell
        return
    }
    Test-Parts
    if (Confirm-Plan { Invoke-Steps }) {
        Invoke-Steps
        Write-Farewell
    }
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
exit 0
