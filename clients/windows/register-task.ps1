#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
    Has Windows run ddnsd-update.ps1 every few minutes, or no longer.

.DESCRIPTION
    Copies the script to a folder that only administrators can write to, asks for the token, keeps that in a
    file of its own that only SYSTEM, Administrators and LOCAL SERVICE can read, and registers a task that runs
    as LOCAL SERVICE: at the start of Windows, and every few minutes. For Windows 10 and Server 2016 or later.
    Run it again to change something: a token that is there already is kept, unless -NewToken is given.

.PARAMETER Server
    Where ddnsd is, such as https://ddns.example.com.

.PARAMETER Domain
    The names that shall have the addresses, with commas between them.

.PARAMETER Family
    4, 6, both or auto, as of ddnsd-update.ps1.

.PARAMETER Minutes
    How often.

.PARAMETER Folder
    Where it all is; by default C:\ProgramData\ddnsd.

.PARAMETER NewToken
    Ask for the token anew.

.PARAMETER Unregister
    Remove the task. The folder stays.

.EXAMPLE
    .\register-task.ps1 -Server https://ddns.example.com -Domain home.example.com
#>
[CmdletBinding(DefaultParameterSetName = 'Register')]
param(
    [Parameter(Mandatory = $true, ParameterSetName = 'Register')] [string] $Server,
    [Parameter(Mandatory = $true, ParameterSetName = 'Register')] [string[]] $Domain,
    [Parameter(ParameterSetName = 'Register')] [string] $Family = 'auto',
    [Parameter(ParameterSetName = 'Register')] [int] $Minutes = 5,
    [Parameter(ParameterSetName = 'Register')] [string] $Folder = '',
    [Parameter(ParameterSetName = 'Register')] [switch] $NewToken,
    [Parameter(Mandatory = $true, ParameterSetName = 'Unregister')] [switch] $Unregister
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$task = 'ddnsd-update'

# By number, as the names are translated on other Windows.
$system = '*S-1-5-18'
$administrators = '*S-1-5-32-544'
$localService = '*S-1-5-19'

# Lets nobody have rights but those, each such as "*S-1-5-18:F".
function Set-Rights([string] $Path, [string[]] $Rights) {
    & icacls.exe $Path /inheritance:r /grant:r $Rights | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls cannot set the rights of '$Path'" }
}

function New-Folder([string] $Path, [string] $OfService) {
    if (-not (Test-Path -LiteralPath $Path)) { New-Item -ItemType Directory -Path $Path | Out-Null }
    $inherited = '(OI)(CI)'
    $rights = @("${system}:${inherited}F", "${administrators}:${inherited}F")
    $rights += "${localService}:${inherited}$OfService"
    Set-Rights $Path $rights
}

# The rights first, then the token: at no moment can others read it.
function Save-Token([string] $Path) {
    $secret = Read-Host -Prompt 'Token' -AsSecureString
    $text = (New-Object System.Net.NetworkCredential -ArgumentList @('', $secret)).Password.Trim()
    if ($text -notmatch '\A[!-~]+\z') { throw 'a token has no blanks, and is not empty' }
    if (-not (Test-Path -LiteralPath $Path)) { New-Item -ItemType File -Path $Path | Out-Null }
    Set-Rights $Path @("${system}:F", "${administrators}:F", "${localService}:R")
    [System.IO.File]::WriteAllText($Path, $text)
}

function Save-Config([string] $Path) {
    $lines = @(
        "server = $Server",
        "domain = $($Domain -join ' ')",
        "family = $Family",
        "token-file = $(Join-Path $Folder 'token')",
        "log-file = $(Join-Path $Folder 'log\ddnsd-update.log')",
        'delay = 30'
    )
    [System.IO.File]::WriteAllLines($Path, [string[]] $lines)
}

function Register-Task([string] $Script, [string] $Config) {
    $powershell = Join-Path $env:SystemRoot 'System32\WindowsPowerShell\v1.0\powershell.exe'
    $arguments = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "{0}" -Config "{1}"' -f $Script, $Config
    $action = New-ScheduledTaskAction -Execute $powershell -Argument $arguments
    $often = New-TimeSpan -Minutes $Minutes
    $triggers = @(
        (New-ScheduledTaskTrigger -AtStartup),
        (New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval $often)
    )
    $principal = New-ScheduledTaskPrincipal -UserId 'LOCALSERVICE' -LogonType ServiceAccount
    $settings = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -StartWhenAvailable `
        -RunOnlyIfNetworkAvailable -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
        -ExecutionTimeLimit (New-TimeSpan -Minutes 10)
    Register-ScheduledTask -TaskName $task -Action $action -Trigger $triggers -Principal $principal `
        -Settings $settings -Force | Out-Null
    Start-ScheduledTask -TaskName $task
}

if ($Unregister) {
    Unregister-ScheduledTask -TaskName $task -Confirm:$false
    exit 0
}
if ($Folder -eq '') { $Folder = Join-Path $env:ProgramData 'ddnsd' }
New-Folder $Folder 'RX'
New-Folder (Join-Path $Folder 'log') 'M'
$token = Join-Path $Folder 'token'
if ($NewToken -or -not (Test-Path -LiteralPath $token)) { Save-Token $token }
$client = Join-Path $Folder 'ddnsd-update.ps1'
Copy-Item -LiteralPath (Join-Path (Split-Path -Parent $PSScriptRoot) 'ddnsd-update.ps1') -Destination $client -Force
$config = Join-Path $Folder 'ddnsd-update.conf'
Save-Config $config
Register-Task $client $config
Write-Output "The task '$task' runs every $Minutes minutes; what it has to say is in $(Join-Path $Folder 'log')."
