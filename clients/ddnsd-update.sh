#!/bin/sh
# Tells ddnsd the addresses of this machine. Needs POSIX sh (dash, busybox) and curl 7.18 or later.
# The token never stands in a variable, an argument, a URL or a message: neither `ps` nor `sh -x` shows it.
# shellcheck disable=SC2317 # some functions are run by a name in a variable
set -uf
LC_ALL=C
export LC_ALL
umask 077

program=ddnsd-update.sh
version=0.1.0

usage() {
    cat <<'END'
usage: ddnsd-update.sh [OPTION]... --server URL --token-file FILE DOMAIN...
   or: ddnsd-update.sh --config FILE [OPTION]... [DOMAIN]...

Tells ddnsd the addresses of this machine: asks ddnsd which they are, over IPv4 and over IPv6, and sends
both in one call for each DOMAIN. An address that cannot be found out is left out, and its record stays.

  -c, --config FILE      read options from FILE, a line each, such as "server = https://ddns.example.com":
                         names as below without dashes, "domain" for the names; # begins a comment.
                         What stands after it on the command line wins
  -s, --server URL       where ddnsd is, such as https://ddns.example.com
  -t, --token-file FILE  holds the token, alone on one line; only its owner may read it (chmod 600)
  -f, --family FAMILY    4 or 6: only this one. both: a missing one is a failure (3), the other is sent.
                         auto, the default: what there is
      --ip ADDRESS       send this IPv4 address instead of asking; @eth0: the one of that interface
      --ipv6 ADDRESS     the same for IPv6; of an interface the lasting one, no temporary one (RFC 8981)
      --cacert FILE      trust the certificates in FILE (PEM) instead of the system's
      --timeout SECONDS  for one call; 30
      --max-time SECONDS for all calls and pauses together; 240
      --retry-delay SECONDS  the first pause is at most about this long, each next one twice as long; 2
      --delay SECONDS    first wait at random, at most this long, for cron: not all call at once; 0
  -v, --verbose          say on standard error what is done
  -h, --help             this text
  -V, --version          the version

Prints a line for each name whose address has changed, and nothing if none has. A temporary failure (no
answer, 5xx, 429) is tried again until --max-time is over. Uses no proxy and follows no redirect.

Exit status; of several names the gravest, 1 before 2 before 3:
  0  every name has the address, changed or unchanged
  1  the options are wrong, or the configuration
  2  refused for good: the same again will not help
  3  a temporary failure: run it again later
END
}

say() { printf '%s: %s\n' "$program" "$1" >&2; }
note() { [ -z "$verbose" ] || say "$1"; }
fail() {
    say "$1"
    exit 1
}

now() { date +%s; }

# trimmed TEXT: print it without the blanks around it
trimmed() { printf '%s\n' "$1" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//'; }

# shown TEXT: print its beginning, without control characters
shown() { printf '%s' "$1" | tr -d '[:cntrl:]' | cut -c 1-300; }

# random MOST: print a whole number from 0 to MOST, at most 65535
random() {
    if [ -r /proc/sys/kernel/random/uuid ]; then
        read -r uuid </proc/sys/kernel/random/uuid
        uuid=${uuid#*-}
        number=$((0x${uuid%%-*}))
    else
        number=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
    fi
    echo $((number % ($1 + 1)))
}

# --- options ---------------------------------------------------------------------------------------------

server='' token_file='' domains='' family=auto given4='' given6='' cacert='' verbose=''
timeout=30 max_time=240 retry_delay=2 delay=0

# set_option NAME VALUE WHERE
set_option() {
    case $1 in
        server) server=$2 ;;
        token-file) token_file=$2 ;;
        family) family=$2 ;;
        ip) given4=$2 ;;
        ipv6) given6=$2 ;;
        cacert) cacert=$2 ;;
        timeout) timeout=$2 ;;
        max-time) max_time=$2 ;;
        retry-delay) retry_delay=$2 ;;
        delay) delay=$2 ;;
        token) fail "$3: no token here, where others can read it: put it alone into a file, 'chmod 600' that, and name it with token-file" ;;
        *) fail "$3: there is no option '$(shown "$1")'; see --help" ;;
    esac
}

# read_config FILE
read_config() {
    { [ -f "$1" ] && [ -r "$1" ]; } || fail "--config: cannot read '$1'"
    number=0
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=$(trimmed "$line")
        case $line in
            '' | '#'*) continue ;;
            *=*) ;;
            *) fail "$1, line $number: there is no '=' in it; write 'name = value'" ;;
        esac
        name=$(trimmed "${line%%=*}")
        value=$(trimmed "${line#*=}")
        case $name in
            domain) domains="$domains $value" ;;
            *) set_option "$name" "$value" "$1, line $number" ;;
        esac
    done <"$1"
}

read_arguments() {
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
            --?*=*)
                set -- "${option#*=}" "$@"
                option=${option%%=*}
                ;;
            -[cstf]?*)
                set -- "${option#??}" "$@"
                option=${option%"${option#??}"}
                ;;
        esac
        case $option in
            -h | --help)
                usage
                exit 0
                ;;
            -V | --version)
                printf '%s %s\n' "$program" "$version"
                exit 0
                ;;
            -v | --verbose)
                verbose=yes
                continue
                ;;
            -c) option=--config ;;
            -s) option=--server ;;
            -t) option=--token-file ;;
            -f) option=--family ;;
        esac
        case $option in
            --config | --server | --token-file | --token | --family | --ip | --ipv6 | --cacert) ;;
            --timeout | --max-time | --retry-delay | --delay) ;;
            -*) fail "there is no option '$(shown "$option")'; see --help" ;;
            *)
                domains="$domains $option"
                continue
                ;;
        esac
        [ $# -gt 0 ] || fail "$option: its value is missing; see --help"
        case $option in
            --config) read_config "$1" ;;
            *) set_option "${option#--}" "$1" "$option" ;;
        esac
        shift
    done
}

# check_seconds NAME VALUE LEAST
check_seconds() {
    case $2 in
        '' | *[!0-9]* | 0?* | ??????*) ;;
        *) [ "$2" -lt "$3" ] || [ "$2" -gt 65535 ] || return 0 ;;
    esac
    fail "$1: '$(shown "$2")' is no whole number of seconds from $3 to 65535"
}

# check_address OPTION VALUE FAMILY
check_address() {
    [ -n "$2" ] || return 0
    case $family:$3 in
        4:6 | 6:4) fail "$1: the family is $family, so no IPv$3 address is sent; leave out one of the two options" ;;
    esac
    case $2 in
        @?*) ;;
        *) is_of "$3" "$2" || fail "$1: '$(shown "$2")' is no IPv$3 address" ;;
    esac
}

check_options() {
    case $server in
        '') fail "--server is missing: say where ddnsd is, such as https://ddns.example.com" ;;
        *[!!-~]* | *[\"\\?#@]*) fail "--server: write a plain URL, without user, query and fragment" ;;
        http://?* | https://?*) server=${server%/} ;;
        *) fail "--server: '$server' does not begin with https:// or http://" ;;
    esac
    [ -n "$(trimmed "$domains")" ] || fail "no DOMAIN: say which names shall have the address, such as home.example.com"
    case $domains in
        *[\"\\]* | */*) fail "a DOMAIN is a name, such as home.example.com; one of these is none:$(shown "$domains")" ;;
    esac
    case $family in
        4 | 6 | both | auto) ;;
        *) fail "--family: '$(shown "$family")' is none of 4, 6, both, auto" ;;
    esac
    check_address --ip "$given4" 4
    check_address --ipv6 "$given6" 6
    check_seconds --timeout "$timeout" 1
    check_seconds --max-time "$max_time" 1
    check_seconds --retry-delay "$retry_delay" 1
    check_seconds --delay "$delay" 0
    [ -z "$cacert" ] || [ -r "$cacert" ] || fail "--cacert: cannot read '$cacert'"
    command -v curl >/dev/null || fail "curl is missing; install it"
}

# --- the token -------------------------------------------------------------------------------------------

check_token_file() {
    [ -n "$token_file" ] || fail "--token-file is missing: name the file that holds the token"
    [ -f "$token_file" ] || fail "--token-file: there is no file '$token_file'"
    case $token_file in
        "${CREDENTIALS_DIRECTORY:-/dev/null}"/*) ;; # systemd's copy for this service, by an ACL or as owner
        *)
            case $(ls -ldnL -- "$token_file") in
                ????------*) ;;
                *) fail "--token-file: others may read or write '$token_file': run 'chmod 600 $token_file'; if they have read it, have a new token made" ;;
            esac
            ;;
    esac
    [ -r "$token_file" ] || fail "--token-file: cannot read '$token_file'"
    tr -d '\r' <"$token_file" | awk '
        NR == 1 && /^[!-~]+$/ { good = 1 }
        NR > 1 && NF { good = 0 }
        END { exit !good }' ||
        fail "--token-file: '$token_file' is to hold the token alone, on one line, without blanks"
}

# authorization: print the header for curl's configuration
authorization() {
    tr -d '\r' <"$token_file" |
        sed -n '1 { s/[\\"]/\\&/g; s/^/header = "Authorization: Bearer /; s/$/"/; p; }'
    echo # the file may end without one
}

# --- one run at a time -----------------------------------------------------------------------------------

# take_turn: lock the token file, so that those who share a token take turns. The kernel's lock ends with the
# process; where there is no flock(1) (macOS), it is a link that says whose it is.
take_turn() {
    if command -v flock >/dev/null; then
        exec 9<"$token_file"
        until flock -n 9; do await_turn; done
        return
    fi
    link=$token_file.lock
    [ -w "$(dirname "$link")" ] || return 0
    until ln -s $$ "$link" 2>/dev/null; do
        kill -0 "$(readlink "$link")" 2>/dev/null || rm -f "$link"
        await_turn
    done
    trap 'rm -f "$link"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

await_turn() {
    if [ "$(now)" -ge "$deadline" ]; then
        say "another run with '$token_file' is still at work; this one gives up"
        exit 3
    fi
    note "another run with '$token_file' is at work"
    sleep 1 9<&-
}

# --- one call --------------------------------------------------------------------------------------------

# request WHAT [ARGUMENT]...: have curl do what the function WHAT prints as its configuration. Sets status
# (000: no answer), answer (head and body, or why there is none) and retry_after (seconds, or 0).
request() {
    what=$1
    shift
    left=$((deadline - $(now)))
    [ "$left" -ge 1 ] || left=1
    [ "$left" -le "$timeout" ] || left=$timeout
    [ -z "$cacert" ] || set -- "$@" --cacert "$cacert"
    # -q: without ~/.curlrc, which may say verbose, or location
    answer=$(
        exec 9<&- # the lock is not curl's, which may outlive us
        "$what" | curl -q --config - --silent --show-error --include --noproxy '*' --globoff \
            --connect-timeout 10 --max-time "$left" --max-filesize 1000000 \
            --user-agent "$program/$version" --write-out '\n%{http_code}' "$@" 2>&1
    )
    ended=$?
    retry_after=0
    case $ended in
        0) ;;
        3 | 77) fail "curl: $(shown "$answer")" ;; # a URL or a --cacert that it cannot read
        *)
            status=000
            answer=$(shown "$(printf '%s\n' "$answer" | sed -n 's/^curl: //p')")
            return
            ;;
    esac
    status=$(printf '%s\n' "$answer" | sed -n '$p')
    answer=$(printf '%s\n' "$answer" | tr -d '\r' | sed '$d')
    for seconds in $(printf '%s\n' "$answer" |
        sed -n 's/^[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]:[[:space:]]*\([1-9][0-9]\{0,5\}\)[[:space:]]*$/\1/p'); do
        retry_after=$seconds
    done
}

# field NAME: print a text of the JSON in the answer
field() { printf '%s\n' "$answer" | sed -n 's/^{.*"'"$1"'":"\([^"]*\)".*/\1/p'; }

# judge: return 0 (done), 2 (refused for good) or 3 (to be tried again), for which it sets reason
judge() {
    reason="$(shown "$(field error)") (HTTP $status: $(meaning))"
    case $status in
        000) reason="no answer: $answer" ;;
        200)
            printf '%s\n' "$answer" | grep -q '^{"success":true' && return 0
            return 3
            ;;
    esac
    case $status in
        000 | 2?? | 408 | 425 | 429 | 5??) return 3 ;;
        *) return 2 ;;
    esac
}

# meaning: say what the status means, for whoever does not read Chinese
meaning() {
    case $status in
        3??) echo 'a redirect, which is not followed; write its target as server' ;;
        400) echo 'the name, or its address, cannot be updated so' ;;
        401) echo 'the token is unknown, expired or disabled' ;;
        403) echo 'the account, the name or its zone is suspended or disabled' ;;
        404) echo 'no such name, or not one of this token; or ddnsd is at another URL' ;;
        429) echo 'too many requests' ;;
        5??) echo 'the server cannot do it now' ;;
        *) echo 'not what ddnsd answers; is something else in its place, or between?' ;;
    esac
}

# persist COMMAND...: run it until it does not fail for now (3), or the time is over. Pauses grow, and are
# random from nothing on (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), but
# never shorter than the server asks for.
persist() {
    most=$retry_delay
    while :; do
        "$@"
        result=$?
        [ $result -eq 3 ] || return $result
        pause=$((retry_after + $(random "$most")))
        [ $(($(now) + pause)) -lt "$deadline" ] || return 3
        note "$reason; again in $pause s"
        sleep "$pause" 9<&-
        most=$((most * 2))
        [ $most -le 60 ] || most=60
    done
}

# --- the addresses ---------------------------------------------------------------------------------------

# is_of 4|6 TEXT: say whether it is an address of this family; of IPv6 the last four octets may be as in IPv4
is_of() {
    printf '%s\n' "$2" | awk -v family="$1" '
        function octet(text) { return text ~ /^(0|[1-9][0-9]?[0-9]?)$/ && text + 0 <= 255 }
        function is4(text, parts) {
            if (split(text, parts, ".") != 4) return 0
            return octet(parts[1]) && octet(parts[2]) && octet(parts[3]) && octet(parts[4])
        }
        function is6(text, halves, parts, sides, groups, half, part) {
            if (match(text, /:[0-9.]*\.[0-9.]*$/) && is4(substr(text, RSTART + 1)))
                text = substr(text, 1, RSTART) "0:0"
            sides = split(text, halves, "::")
            for (half = 1; half <= sides; half++)
                for (part = split(halves[half], parts, ":"); part; part--) {
                    if (parts[part] !~ /^[0-9A-Fa-f]+$/ || length(parts[part]) > 4) return 0
                    groups++
                }
            return sides == 1 ? groups == 8 : sides == 2 && groups < 8
        }
        { good = NR == 1 && (family == 4 ? is4($0) : is6($0)) }
        END { exit !good }'
}

# interface_address 4|6 NAME: print its lasting global address, rather a public one than a ULA (RFC 4193);
# "secondary" is busybox's word for what iproute2 calls "temporary"
interface_address() {
    ip "-$1" -o addr show dev "$2" scope global 2>/dev/null | awk -v family="$1" '
        family == 6 && / (temporary|secondary|deprecated|tentative|dadfailed)/ { next }
        $4 ~ /^(127|169\.254)\./ { next } # may stand there with any scope
        { split($4, parts, "/"); rank = parts[1] ~ /^f[cd]/ ? 2 : 1 }
        !best || rank < best { best = rank; address = parts[1] }
        END { if (best) print address }'
}

# lack NAME: say why an interface gives no address
lack() {
    if ! command -v ip >/dev/null; then
        echo "the address of '$(shown "$1")' is read with the program ip, which is missing"
    elif ! ip link show dev "$1" >/dev/null 2>&1; then
        echo "there is no interface '$(shown "$1")'"
    else
        echo "the interface '$(shown "$1")' has no lasting global one"
    fi
}

detection() { printf 'url = "%s/api/ddns/ip"\n' "$server"; }

# detect 4|6: set found to the address that ddnsd sees, or fail as `judge` does
detect() {
    request detection "-$1"
    judge || return
    found=$(field ip)
    is_of "$1" "$found" && return
    reason="ddnsd sees '$(shown "$found")', which is no IPv$1 address; is a proxy between?"
    return 3
}

# look_up 4|6 GIVEN: set found, or fail as `judge` does
look_up() {
    retry_after=0
    case $2 in
        '') detect "$1" ;;
        @*)
            found=$(interface_address "$1" "${2#@}")
            [ -n "$found" ] && return
            reason=$(lack "${2#@}")
            return 3
            ;;
        *) found=$2 ;;
    esac
}

# take 4|6 GIVEN: set ipv4 or ipv6; if there is none, keep the reason, and whether it is for good
take() {
    look_up "$1" "$2"
    outcome=$?
    if [ "$outcome" -eq 0 ]; then
        eval "ipv$1=\$found"
        note "IPv$1 address: $found"
        return
    fi
    note "no IPv$1 address: $reason"
    lacking="${lacking:+$lacking; }no IPv$1 address: $reason"
    [ "$outcome" -eq 3 ] || gravest=2
    [ "$retry_after" -le "$longest" ] || longest=$retry_after
}

# find_addresses: set ipv4 and ipv6, one of them at least; lacking is why one of them is empty
find_addresses() {
    ipv4='' ipv6='' lacking='' gravest=3 longest=0
    [ "$family" = 6 ] || take 4 "$given4"
    [ "$family" = 4 ] || take 6 "$given6"
    [ -z "$ipv4$ipv6" ] || return 0
    reason=$lacking retry_after=$longest
    return "$gravest"
}

# --- the names -------------------------------------------------------------------------------------------

change() {
    authorization
    printf 'url = "%s/api/ddns/update"\ndata-urlencode = "domain=%s"\n' "$server" "$domain"
    [ -z "$ipv4" ] || printf 'data-urlencode = "ip=%s"\n' "$ipv4"
    [ -z "$ipv6" ] || printf 'data-urlencode = "ipv6=%s"\n' "$ipv6"
}

# report: print a line if something has changed; each object of the JSON that says so is a record
report() {
    printf '%s\n' "$answer" | sed -n '/^{/p' | tr -d '[:cntrl:]' | tr '{' '\n' |
        awk -v domain="$domain" '
        function text(name) {
            if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
            return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
        }
        /"updated":true/ {
            record = text("record_type") " " text("ip") (text("old_ip") ? " (was " text("old_ip") ")" : " (new)")
            if (!seen[record]++) line = line (line ? ", " : "") record
        }
        END { if (line) print domain ": " line }'
}

# update: send the addresses of domain; keep what is to be tried again, and why
update() {
    request change
    judge
    case $? in
        0)
            report
            note "$domain: done"
            ;;
        2)
            say "$domain: $reason"
            refused=yes
            ;;
        3) put_off ;;
    esac
}

# put_off: try domain again later
put_off() {
    again="$again $domain"
    failures="$failures$domain: $reason
"
    [ "$retry_after" -le "$longest" ] || longest=$retry_after
}

# update_pending: update each of the pending names; those that fail for now are pending still
update_pending() {
    again='' failures='' longest=0 status=''
    for domain in $pending; do
        case $status in
            401) break ;;   # the token is the same for all
            429) put_off ;; # and so is its limit
            *) update ;;
        esac
    done
    pending=$again retry_after=$longest
    [ "$status" != 401 ] || pending=''
    [ -z "$pending" ] || return 3
}

# update_all: return the gravest outcome
update_all() {
    pending=$domains refused=''
    if ! persist update_pending; then
        printf '%s' "$failures" | while IFS= read -r line; do say "$line"; done
    fi
    [ -z "$refused" ] || return 2
    [ -z "$pending" ] || return 3
}

main() {
    read_arguments "$@"
    check_options
    check_token_file
    if [ "$delay" -gt 0 ]; then
        pause=$(random "$delay")
        note "waiting $pause s first"
        sleep "$pause"
    fi
    deadline=$(($(now) + max_time))
    take_turn
    persist find_addresses
    outcome=$?
    if [ "$outcome" -ne 0 ]; then
        say "$reason"
        exit "$outcome"
    fi
    update_all
    outcome=$?
    if [ "$family" = both ] && [ -n "$lacking" ]; then
        say "$lacking"
        [ "$outcome" -ne 0 ] || outcome=3
    fi
    exit "$outcome"
}

main "$@"
