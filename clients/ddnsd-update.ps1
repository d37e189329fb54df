#Requires -Version 5.1
<#
.SYNOPSIS
    Tells ddnsd the addresses of this machine.

.DESCRIPTION
    Asks ddnsd which addresses this machine has, over IPv4 and over IPv6, and sends both in one call for each
    domain. An address that cannot be found out is left out, and its record stays. For Windows PowerShell 5.1
    and PowerShell 7; it needs nothing else.

    Prints a line for each name whose address has changed, and nothing if none has. A temporary failure (no
    answer, 5xx, 429) is tried again until -MaxTime is over. Uses no proxy and follows no redirect.

    Exit status; of several names the gravest, 1 before 2 before 3:
      0  every name has the address, changed or unchanged
      1  the options are wrong, or the configuration
      2  refused for good: the same again will not help
      3  a temporary failure: run it again later

.PARAMETER Domain
    The names that shall have the addresses, with commas between them.

.PARAMETER Config
    A file of options, a line each, such as "server = https://ddns.example.com": server, token-file, domain,
    family, ip, ipv6, timeout, max-time, retry-delay, delay, log-file; # begins a comment. What stands on the
    command line wins.

.PARAMETER Server
    Where ddnsd is, such as https://ddns.example.com.

.PARAMETER TokenFile
    The file that holds the token, alone on one line. Only its owner, SYSTEM, Administrators and whoever runs
    this may have rights on it.

.PARAMETER Family
    4 or 6: only this one. both: a missing one is a failure (3), the other is sent. auto: what there is.

.PARAMETER IP
    The IPv4 address to send, instead of asking; "@Ethernet": the one of that interface.

.PARAMETER IPv6
    The same for IPv6; of an interface the lasting one, no temporary one (RFC 8981).

.PARAMETER Timeout
    Seconds for one call; 30.

.PARAMETER MaxTime
    Seconds for all calls and pauses together; 240.

.PARAMETER RetryDelay
    Seconds that the first pause takes at most; each next one may be twice as long; 2.

.PARAMETER Delay
    Seconds, at most, to wait at random before anything else, so that not all machines call at once; 0.

.PARAMETER LogFile
    Write what is printed to this file too, with the time; it is begun anew at 1 MB, the last one is kept.

.PARAMETER Version
    Print the version.

.EXAMPLE
    .\ddnsd-update.ps1 -Server https://ddns.example.com -TokenFile C:\ProgramData\ddnsd\token home.example.com
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [Parameter(Position = 0)] [string[]] $Domain = @(),
    [string] $Config = '',
    [string] $Server = '',
    [string] $TokenFile = '',
    [string] $Family = '',
    [string] $IP = '',
    [string] $IPv6 = '',
    [string] $Timeout = '',
    [string] $MaxTime = '',
    [string] $RetryDelay = '',
    [string] $Delay = '',
    [string] $LogFile = '',
    [switch] $Version,
    # Without it `-Token` would be taken for the beginning of `-TokenFile`, and shown in its error text.
    [Parameter(DontShow = $true)] [string] $Token = ''
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$program = 'ddnsd-update.ps1'
$release = '0.1.0'

$done = 0
$mistake = 1
$refused = 2
$later = 3

$connectSeconds = 10
$longestPause = 60.0
$largestAnswer = 1000000

# Of statuses, for whoever does not read Chinese.
$meanings = @{
    400 = 'the name, or its address, cannot be updated so'
    401 = 'the token is unknown, expired or disabled'
    403 = 'the account, the name or its zone is suspended or disabled'
    404 = 'no such name, or not one of this token; or ddnsd is at another URL'
    429 = 'too many requests'
}

# --- telling -------------------------------------------------------------------------------------------------

function Write-Log([string] $Text) {
    if ($script:settings['log-file'] -eq '') { return }
    $path = $script:settings['log-file']
    if ((Test-Path -LiteralPath $path) -and (Get-Item -LiteralPath $path).Length -gt 1000000) {
        Move-Item -LiteralPath $path -Destination ($path + '.old') -Force
    }
    $line = '{0:yyyy-MM-dd HH:mm:ss}  {1}{2}' -f (Get-Date), $Text, [Environment]::NewLine
    [System.IO.File]::AppendAllText($path, $line, (New-Object System.Text.UTF8Encoding $false))
}

function Write-Change([string] $Text) {
    [Console]::Out.WriteLine($Text)
    Write-Log $Text
}

function Write-Trouble([string] $Text) {
    [Console]::Error.WriteLine('{0}: {1}', $program, $Text)
    Write-Log $Text
}

# The beginning of a text from elsewhere, without control characters.
function Get-Shown([string] $Text) {
    $clean = $Text -replace '\p{C}', ''
    return $clean.Substring(0, [Math]::Min(300, $clean.Length))
}

# Ends the run: the options are wrong, or the configuration. Main tells it, and exits.
function Stop-Mistaken([string] $Text) {
    $script:mistakeText = $Text
    throw 'mistake'
}

# A number from 0 to 1. Get-Random would begin alike on machines that start at the same moment.
function Get-Chance {
    $bytes = New-Object byte[] 4
    $source = [System.Security.Cryptography.RandomNumberGenerator]::Create()
    $source.GetBytes($bytes)
    $source.Dispose()
    return [BitConverter]::ToUInt32($bytes, 0) / 4294967296.0
}

# Seconds until the run has to be over.
function Get-Left {
    return $script:settings['max-time'] - $script:watch.Elapsed.TotalSeconds
}

# --- options -------------------------------------------------------------------------------------------------

$settings = @{
    'server' = ''
    'token-file' = ''
    'family' = 'auto'
    'ip' = ''
    'ipv6' = ''
    'timeout' = '30'
    'max-time' = '240'
    'retry-delay' = '2'
    'delay' = '0'
    'log-file' = ''
}
$domains = @()
$noToken = 'no token here, where others can read it: put it alone into a file that only you can read, and name' +
    ' that with token-file'

function Read-ConfigLine([string] $Line, [string] $Where) {
    $at = $Line.IndexOf('=')
    if ($at -lt 0) { Stop-Mistaken "${Where}: there is no '=' in it; write 'name = value'" }
    $name = $Line.Substring(0, $at).Trim()
    $value = $Line.Substring($at + 1).Trim()
    if ($name -ceq 'domain') {
        $script:domains += @(Split-Names $value)
        return
    }
    if ($name -ceq 'token') { Stop-Mistaken "${Where}: $noToken" }
    if (@($script:settings.Keys) -cnotcontains $name) {
        Stop-Mistaken ("{0}: there is no option '{1}'; see Get-Help" -f $Where, (Get-Shown $name))
    }
    $script:settings[$name] = $value
}

function Read-Config([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { Stop-Mistaken "-Config: cannot read '$Path'" }
    $number = 0
    foreach ($line in @(Get-Content -LiteralPath $Path -Encoding UTF8)) {
        $number += 1
        $trimmed = ([string] $line).Trim()
        if ($trimmed -eq '' -or $trimmed.StartsWith('#')) { continue }
        Read-ConfigLine $trimmed "$Path, line $number"
    }
}

# Names that stand in one text: `powershell -File` hands over "a,b" as it is.
function Split-Names([string] $Text) {
    return @($Text -split '[,\s]+' | Where-Object { $_ -ne '' })
}

function Read-Options($Given) {
    if ($Given.ContainsKey('Token')) { Stop-Mistaken "-Token: $noToken" }
    if ($Config -ne '') { Read-Config $Config }
    $names = @{
        'Server' = 'server'
        'TokenFile' = 'token-file'
        'Family' = 'family'
        'IP' = 'ip'
        'IPv6' = 'ipv6'
        'Timeout' = 'timeout'
        'MaxTime' = 'max-time'
        'RetryDelay' = 'retry-delay'
        'Delay' = 'delay'
        'LogFile' = 'log-file'
    }
    foreach ($name in @($names.Keys)) {
        if ($Given.ContainsKey($name)) { $script:settings[$names[$name]] = ([string] $Given[$name]).Trim() }
    }
    foreach ($text in $Domain) { $script:domains += @(Split-Names $text) }
    foreach ($name in @('token-file', 'log-file')) {
        # .NET has another idea of the current folder than PowerShell.
        if ($script:settings[$name] -ne '') {
            $script:settings[$name] = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath(
                $script:settings[$name])
        }
    }
}

function Test-Server {
    $text = $script:settings['server']
    if ($text -eq '') { Stop-Mistaken '-Server is missing: say where ddnsd is, such as https://ddns.example.com' }
    if ($text -cnotmatch '^https?://') {
        Stop-Mistaken ("-Server: '{0}' does not begin with https:// or http://" -f (Get-Shown $text))
    }
    $uri = $null
    $good = [Uri]::TryCreate($text, [UriKind]::Absolute, [ref] $uri)
    if (-not $good -or $text -cnotmatch '^[!-~]+$' -or $text -match '["\\?#@]') {
        Stop-Mistaken '-Server: write a plain URL, without user, query and fragment'
    }
    $script:uri = $uri
}

function Test-Seconds([string] $Name, [int] $Least) {
    $text = [string] $script:settings[$Name]
    if ($text -cnotmatch '^[0-9]{1,5}$' -or [int] $text -lt $Least -or [int] $text -gt 65535) {
        $shown = Get-Shown $text
        Stop-Mistaken "${Name}: '$shown' is no whole number of seconds from $Least to 65535"
    }
    $script:settings[$Name] = [int] $text
}

# Says whether the text is an address of this IP version.
function Test-Address([int] $IPVersion, [string] $Text) {
    $address = $null
    if (-not [System.Net.IPAddress]::TryParse($Text, [ref] $address)) { return $false }
    if ($IPVersion -eq 4) { return $Text -match '^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$' }
    return ($Text -match ':') -and ($Text -notmatch '[%\[\]]')
}

function Test-Given([string] $Name, [int] $IPVersion) {
    $text = $script:settings[$Name]
    if ($text -eq '') { return }
    $family = $script:settings['family']
    if (@("$IPVersion", 'both', 'auto') -cnotcontains $family) {
        Stop-Mistaken "${Name}: the family is ${family}; leave out one of the two options"
    }
    if ($text -notmatch '^@.' -and -not (Test-Address $IPVersion $text)) {
        Stop-Mistaken ("{0}: '{1}' is no IPv{2} address" -f $Name, (Get-Shown $text), $IPVersion)
    }
}

function Test-Options {
    Test-Server
    if ($script:domains.Count -eq 0) {
        Stop-Mistaken 'no domain: say which names shall have the address, such as home.example.com'
    }
    foreach ($name in $script:domains) {
        if ($name -match '["\\/]') {
            $shown = Get-Shown $name
            Stop-Mistaken "a domain is a name, such as home.example.com; this is none: $shown"
        }
    }
    if (@('4', '6', 'both', 'auto') -cnotcontains $script:settings['family']) {
        Stop-Mistaken ("-Family: '{0}' is none of 4, 6, both, auto" -f (Get-Shown $script:settings['family']))
    }
    Test-Given 'ip' 4
    Test-Given 'ipv6' 6
    Test-Seconds 'timeout' 1
    Test-Seconds 'max-time' 1
    Test-Seconds 'retry-delay' 1
    Test-Seconds 'delay' 0
}

# --- the token, and one run at a time ------------------------------------------------------------------------

# Who else may use the file, "" if nobody.
function Get-Stranger([string] $Path) {
    if ([Environment]::OSVersion.Platform -ne [PlatformID]::Win32NT) {
        $mode = [string] (& ls -ldnL -- $Path)
        if ($mode.Substring(4, 6) -ne '------') { return 'others' }
        return ''
    }
    $kind = [System.Security.Principal.SecurityIdentifier]
    $acl = Get-Acl -LiteralPath $Path
    # SYSTEM, Administrators, "owner rights", the owner, and whoever runs this.
    $ours = @('S-1-5-18', 'S-1-5-32-544', 'S-1-3-4', $acl.GetOwner($kind).Value)
    $ours += [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    foreach ($rule in $acl.GetAccessRules($true, $true, $kind)) {
        $allows = $rule.AccessControlType -eq [System.Security.AccessControl.AccessControlType]::Allow
        if ($allows -and $ours -notcontains $rule.IdentityReference.Value) { return $rule.IdentityReference.Value }
    }
    return ''
}

function Test-TokenFile([string] $Path) {
    if ($Path -eq '') { Stop-Mistaken '-TokenFile is missing: name the file that holds the token' }
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { Stop-Mistaken "-TokenFile: there is no file '$Path'" }
    $stranger = Get-Stranger $Path
    if ($stranger -ne '') {
        $remedy = 'icacls "{0}" /inheritance:r /grant:r "{1}:R"' -f $Path, [Environment]::UserName
        if ($stranger -eq 'others') { $remedy = "chmod 600 '$Path'" }
        $advice = "run: $remedy; if they have read it, have a new token made"
        Stop-Mistaken "-TokenFile: $stranger may read or write '$Path': $advice"
    }
}

# The token file, opened so that nobody else can: those who share a token take turns. $null: the time is over.
function Open-Token([string] $Path) {
    while ($true) {
        try {
            return [System.IO.File]::Open($Path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read,
                [System.IO.FileShare]::None)
        }
        catch {
            $failure = $_.Exception.GetBaseException()
            if ($failure -isnot [System.IO.IOException]) {
                Stop-Mistaken ("-TokenFile: cannot read '{0}': {1}" -f $Path, $failure.Message)
            }
        }
        if ((Get-Left) -le 0) { return $null }
        Write-Verbose "another run with '$Path' is at work"
        Start-Sleep -Seconds 1
    }
}

function Read-Token($File, [string] $Path) {
    $bytes = New-Object byte[] 10000
    $count = $File.Read($bytes, 0, $bytes.Length)
    $text = [System.Text.Encoding]::UTF8.GetString($bytes, 0, $count).TrimStart([char] 0xFEFF).TrimEnd("`r", "`n")
    if ($text -cnotmatch '^[!-~]+\z') {
        Stop-Mistaken "-TokenFile: '$Path' is to hold the token alone, on one line, without blanks"
    }
    return $text
}

# --- one call ------------------------------------------------------------------------------------------------

# Connects to the first of the server's addresses of the IP version, or of any (0), that takes it.
function Connect-Server([int] $IPVersion, $Watch, [double] $Seconds) {
    $families = @{
        4 = [System.Net.Sockets.AddressFamily]::InterNetwork
        6 = [System.Net.Sockets.AddressFamily]::InterNetworkV6
    }
    $reason = 'the server has no such address'
    foreach ($address in [System.Net.Dns]::GetHostAddresses($script:uri.DnsSafeHost)) {
        if ($IPVersion -ne 0 -and $address.AddressFamily -ne $families[$IPVersion]) { continue }
        $client = New-Object System.Net.Sockets.TcpClient -ArgumentList $address.AddressFamily
        try {
            $wait = [Math]::Min($connectSeconds, $Seconds - $Watch.Elapsed.TotalSeconds)
            $connecting = $client.BeginConnect($address, $script:uri.Port, $null, $null)
            if ($connecting.AsyncWaitHandle.WaitOne([int] [Math]::Max(1, 1000 * $wait))) {
                $client.EndConnect($connecting)
                return $client
            }
            $reason = "no connection to $address"
        }
        catch {
            $reason = $_.Exception.GetBaseException().Message
        }
        $client.Close()
    }
    throw $reason
}

function Protect-Stream($Client) {
    if ($script:uri.Scheme -ne 'https') { return $Client.GetStream() }
    # Windows PowerShell would begin with TLS 1.0; None leaves it to the system, which later ones do well.
    $protocols = [System.Security.Authentication.SslProtocols]::Tls12
    if ($PSVersionTable.PSVersion.Major -gt 5) {
        $protocols = [System.Security.Authentication.SslProtocols]::None
    }
    $stream = New-Object System.Net.Security.SslStream -ArgumentList @($Client.GetStream(), $false)
    $stream.AuthenticateAsClient($script:uri.DnsSafeHost, $null, $protocols, $false)
    return $stream
}

# Sends the text and returns all that comes until the server closes; an octet is a character.
function Invoke-Exchange([int] $IPVersion, [string] $Text, [double] $Seconds) {
    $latin1 = [System.Text.Encoding]::GetEncoding(28591)
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $client = Connect-Server $IPVersion $watch $Seconds
    try {
        $client.SendTimeout = [int] (1000 * $Seconds)
        $client.ReceiveTimeout = [int] (1000 * $Seconds)
        $stream = Protect-Stream $client
        $bytes = $latin1.GetBytes($Text)
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush()
        $answer = New-Object System.Text.StringBuilder
        $buffer = New-Object byte[] 16384
        while ($answer.Length -lt $largestAnswer) {
            $left = $Seconds - $watch.Elapsed.TotalSeconds
            if ($left -le 0) { throw "none within $Seconds s" }
            $client.ReceiveTimeout = [int] [Math]::Max(1, 1000 * $left)
            $count = $stream.Read($buffer, 0, $buffer.Length)
            if ($count -eq 0) { break }
            [void] $answer.Append($latin1.GetString($buffer, 0, $count))
        }
        return $answer.ToString()
    }
    finally {
        $client.Close()
    }
}

# Joins the chunks of a body (RFC 9112, 7.1).
function Join-Chunks([string] $Body) {
    $joined = ''
    while ($Body -match '\A([0-9A-Fa-f]{1,6})[^\r\n]*\r\n') {
        $size = [Convert]::ToInt32($Matches[1], 16)
        $start = $Matches[0].Length
        if ($size -eq 0 -or $Body.Length -lt $start + $size + 2) { break }
        $joined += $Body.Substring($start, $size)
        $Body = $Body.Substring($start + $size + 2)
    }
    return $joined
}

# Reads an answer: status, seconds that the server asks to wait, text of the body.
function Read-Answer([string] $Text) {
    do {
        $parts = @($Text -split "`r`n`r`n", 2)
        if ($parts.Count -lt 2 -or $parts[0] -notmatch '\AHTTP/1\.[01] ([0-9]{3})') { throw 'it is not whole' }
        $status = [int] $Matches[1]
        $Text = $parts[1]
    } while ($status -lt 200)
    $body = $parts[1]
    if ($parts[0] -match '(?im)^Transfer-Encoding:[ \t]*chunked') { $body = Join-Chunks $body }
    $wait = 0
    if ($parts[0] -match '(?im)^Retry-After:[ \t]*([0-9]{1,6})[ \t]*\r?$') { $wait = [int] $Matches[1] }
    $octets = [System.Text.Encoding]::GetEncoding(28591).GetBytes($body)
    return @{ Status = $status; RetryAfter = $wait; Text = [System.Text.Encoding]::UTF8.GetString($octets) }
}

# A field of what ConvertFrom-Json makes; $null where there is none.
function Get-Field($Object, [string] $Name) {
    if ($null -eq $Object) { return $null }
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property) { return $null }
    return $property.Value
}

function Get-Meaning([int] $Status) {
    if ($Status -ge 300 -and $Status -lt 400) {
        return 'a redirect, which is not followed; write its target as server'
    }
    if ($meanings.ContainsKey($Status)) { return $meanings[$Status] }
    if ($Status -ge 500) { return 'the server cannot do it now' }
    return 'not what ddnsd answers; is something else in its place, or between?'
}

function New-Outcome([int] $Code, [string] $Reason, [int] $Status, [int] $RetryAfter, $Data) {
    return @{ Code = $Code; Reason = $Reason; Status = $Status; RetryAfter = $RetryAfter; Data = $Data }
}

# What an answer is worth: an outcome whose code is one of the exit statuses.
function Get-Judgement($Answer) {
    $reply = $null
    try { $reply = ConvertFrom-Json -InputObject $Answer.Text } catch { $reply = $null }
    $status = $Answer.Status
    $data = Get-Field $reply 'data'
    if ($status -eq 200 -and (Get-Field $reply 'success') -eq $true -and $null -ne $data) {
        return New-Outcome $done '' $status 0 $data
    }
    $said = Get-Shown ([string] (Get-Field $reply 'error'))
    $reason = ('{0} (HTTP {1}: {2})' -f $said, $status, (Get-Meaning $status)).Trim()
    $code = $refused
    $strange = $status -ge 200 -and $status -lt 300
    if ($strange -or @(408, 425, 429) -contains $status -or $status -ge 500) { $code = $later }
    return New-Outcome $code $reason $status $Answer.RetryAfter $null
}

function Invoke-Call([string] $Method, [string] $Path, [int] $IPVersion, [string[]] $Headers, [string] $Body) {
    $target = $script:uri.AbsolutePath.TrimEnd('/') + $Path
    $lines = @("$Method $target HTTP/1.1", "Host: $($script:uri.Authority)", 'Connection: close')
    $lines += "User-Agent: $program/$release"
    $lines += $Headers
    $text = ($lines -join "`r`n") + "`r`n`r`n" + $Body
    $seconds = [Math]::Min([double] $script:settings['timeout'], [Math]::Max(1.0, (Get-Left)))
    try {
        $answer = Read-Answer (Invoke-Exchange $IPVersion $text $seconds)
    }
    catch {
        $why = Get-Shown ($_.Exception.GetBaseException().Message)
        return New-Outcome $later "no answer: $why" 0 0 $null
    }
    return Get-Judgement $answer
}

# Runs it until it does not fail for now, or the time is over; returns the last outcome. Pauses grow, and are
# random from nothing on (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), but never
# shorter than the server asks for.
function Invoke-Patiently([scriptblock] $Action) {
    $most = [double] $script:settings['retry-delay']
    while ($true) {
        $outcome = & $Action
        if ($outcome.Code -ne $later) { return $outcome }
        $pause = $outcome.RetryAfter + $most * (Get-Chance)
        if ($pause -ge (Get-Left)) { return $outcome }
        Write-Verbose ('{0}; again in {1:0.0} s' -f $outcome.Reason, $pause)
        Start-Sleep -Milliseconds ([int] (1000 * $pause))
        $most = [Math]::Min(2 * $most, $longestPause)
    }
}

# --- the addresses -------------------------------------------------------------------------------------------

# The lasting global address of an interface, rather a public one than a ULA (RFC 4193); "" if there is none.
function Get-InterfaceAddress([int] $IPVersion, [string] $Name) {
    $all = @(Get-NetIPAddress -InterfaceAlias $Name -AddressFamily "IPv$IPVersion" -ErrorAction SilentlyContinue)
    $good = @($all | Where-Object {
            # "Random" is the suffix of temporary addresses alone
            "$($_.AddressState)" -eq 'Preferred' -and ($IPVersion -eq 4 -or "$($_.SuffixOrigin)" -ne 'Random') -and
            $_.IPAddress -notmatch '^(fe[89ab]|169\.254\.|127\.|::1$)'
        } | ForEach-Object { [string] $_.IPAddress } | Sort-Object -Property { $_ -match '^f[cd]' })
    if ($good.Count -eq 0) { return '' }
    return $good[0]
}

function Find-Address([int] $IPVersion, [string] $Given) {
    if ($Given -match '^@.') {
        $name = $Given.Substring(1)
        $address = Get-InterfaceAddress $IPVersion $name
        if ($address -eq '') {
            $shown = Get-Shown $name
            $interfaces = @(Get-NetIPInterface -InterfaceAlias $name -ErrorAction SilentlyContinue)
            if ($interfaces.Count -eq 0) {
                return New-Outcome $later "there is no interface '$shown'" 0 0 $null
            }
            return New-Outcome $later "the interface '$shown' has no lasting global one" 0 0 $null
        }
        return New-Outcome $done '' 0 0 $address
    }
    if ($Given -ne '') { return New-Outcome $done '' 0 0 $Given }
    $outcome = Invoke-Call 'GET' '/api/ddns/ip' $IPVersion @() ''
    if ($outcome.Code -ne $done) { return $outcome }
    $seen = Get-Shown ([string] (Get-Field $outcome.Data 'ip'))
    if (Test-Address $IPVersion $seen) { return New-Outcome $done '' 200 0 $seen }
    $reason = "ddnsd sees '$seen', which is no IPv$IPVersion address; is a proxy between?"
    return New-Outcome $later $reason 200 0 $null
}

# Finds out at least one address, into $addresses; $lacking is why one of them is missing.
function Find-Addresses {
    $script:lacking = @()
    $code = $later
    $wait = 0
    foreach ($each in @(@{ IPVersion = 4; Field = 'ip' }, @{ IPVersion = 6; Field = 'ipv6' })) {
        $number = $each.IPVersion
        if (@("$number", 'both', 'auto') -cnotcontains $script:settings['family']) { continue }
        $outcome = Find-Address $number $script:settings[$each.Field]
        if ($outcome.Code -eq $done) {
            $script:addresses[$each.Field] = $outcome.Data
            Write-Verbose "IPv$number address: $($outcome.Data)"
            continue
        }
        $script:lacking += "no IPv$number address: $($outcome.Reason)"
        Write-Verbose $script:lacking[-1]
        if ($outcome.Code -eq $refused) { $code = $refused }
        $wait = [Math]::Max($wait, $outcome.RetryAfter)
    }
    if ($script:addresses.Count -gt 0) { return New-Outcome $done '' 0 0 $null }
    return New-Outcome $code ($script:lacking -join '; ') 0 $wait $null
}

# --- the names -----------------------------------------------------------------------------------------------

function Send-Addresses([string] $Name) {
    $fields = @('domain=' + [Uri]::EscapeDataString($Name))
    foreach ($field in @('ip', 'ipv6')) {
        if ($script:addresses.ContainsKey($field)) {
            $fields += $field + '=' + [Uri]::EscapeDataString($script:addresses[$field])
        }
    }
    $body = $fields -join '&'
    $headers = @(
        "Authorization: Bearer $script:secret",
        'Content-Type: application/x-www-form-urlencoded',
        "Content-Length: $($body.Length)"
    )
    return Invoke-Call 'POST' '/api/ddns/update' 0 $headers $body
}

# The records that have changed: of one address the data itself is one, of two they are in `records`.
function Get-Changes($Data) {
    $records = @(Get-Field $Data 'records' | Where-Object { $null -ne $_ })
    if ($records.Count -eq 0) { $records = @($Data) }
    foreach ($record in $records) {
        if ((Get-Field $record 'updated') -ne $true) { continue }
        $old = [string] (Get-Field $record 'old_ip')
        $was = 'new'
        if ($old -ne '') { $was = "was $old" }
        Get-Shown ('{0} {1} ({2})' -f (Get-Field $record 'record_type'), (Get-Field $record 'ip'), $was)
    }
}

# Updates each of the pending names; those that fail for now are pending still, and $failures say why.
function Update-Pending {
    $again = @()
    $script:failures = @()
    $wait = 0
    $outcome = New-Outcome $done '' 0 0 $null
    foreach ($name in $script:pending) {
        if ($outcome.Status -eq 401) { break } # the token is the same for all
        if ($outcome.Status -ne 429) { $outcome = Send-Addresses $name } # and so is its limit
        if ($outcome.Code -eq $later) {
            $again += $name
            $script:failures += "${name}: $($outcome.Reason)"
            $wait = [Math]::Max($wait, $outcome.RetryAfter)
        }
        elseif ($outcome.Code -eq $refused) {
            Write-Trouble "${name}: $($outcome.Reason)"
            $script:anyRefused = $true
        }
        else {
            $changes = @(Get-Changes $outcome.Data)
            if ($changes.Count -gt 0) { Write-Change ('{0}: {1}' -f $name, ($changes -join ', ')) }
            Write-Verbose "${name}: done"
        }
    }
    if ($outcome.Status -eq 401) { $again = @() }
    $script:pending = $again
    if ($again.Count -eq 0) { return New-Outcome $done '' 0 0 $null }
    return New-Outcome $later ($script:failures -join '; ') 0 $wait $null
}

$uri = $null
$watch = $null
$secret = ''
$mistakeText = ''
$addresses = @{}
$lacking = @()
$pending = @()
$failures = @()
$anyRefused = $false

# Does it; returns the exit status.
function Invoke-Update {
    $found = Invoke-Patiently { Find-Addresses }
    if ($found.Code -ne $done) {
        Write-Trouble $found.Reason
        return $found.Code
    }
    $script:pending = $script:domains
    $updated = Invoke-Patiently { Update-Pending }
    if ($updated.Code -ne $done) {
        foreach ($line in $script:failures) { Write-Trouble $line }
    }
    $lacks = $script:settings['family'] -eq 'both' -and $script:lacking.Count -gt 0
    if ($lacks) {
        foreach ($line in $script:lacking) { Write-Trouble $line }
    }
    if ($script:anyRefused) { return $refused }
    if ($updated.Code -ne $done -or $lacks) { return $later }
    return $done
}

function Invoke-Main($Given) {
    Read-Options $Given
    Test-Options
    $path = $script:settings['token-file']
    Test-TokenFile $path
    if ($script:settings['delay'] -gt 0) {
        $pause = $script:settings['delay'] * (Get-Chance)
        Write-Verbose ('waiting {0:0.0} s first' -f $pause)
        Start-Sleep -Milliseconds ([int] (1000 * $pause))
    }
    $script:watch = [System.Diagnostics.Stopwatch]::StartNew()
    $file = Open-Token $path
    if ($null -eq $file) {
        Write-Trouble "another run with '$path' is still at work; this one gives up"
        return $later
    }
    try {
        $script:secret = Read-Token $file $path
        return Invoke-Update
    }
    finally {
        $file.Dispose()
    }
}

if ($Version) {
    [Console]::Out.WriteLine('{0} {1}', $program, $release)
    exit $done
}
$status = $mistake
try {
    $status = [int] @(Invoke-Main $PSBoundParameters)[-1]
}
catch {
    if ($mistakeText -eq '') { $mistakeText = $_.Exception.GetBaseException().Message }
    Write-Trouble $mistakeText
}
exit $status
