# Helpers of the checks in a virtual machine; `. /report.sh` reads them. Each check says one line on the console, which
# the test on the outside waits for.

count=0

# With the seconds since the boot before it, for people.
say() {
    read -r seconds _ </proc/uptime
    echo "[$seconds] @@ $1"
}

# ok NAME / failed NAME REASON
ok() {
    count=$((count + 1))
    say "ok $1"
}
failed() {
    count=$((count + 1))
    say "FAILED $1 :: $(echo "$2" | tr '\n' '|')"
}

# is NAME EXPECTED ACTUAL
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else failed "$1" "expected '$2', got '$3'"; fi
}

# has NAME PART WHOLE
has() {
    case "$3" in
    *"$2"*) ok "$1" ;;
    *) failed "$1" "no '$2' in '$3'" ;;
    esac
}

# ends NAME CODE COMMAND…: the exit code is CODE; what it says is in $said
ends() {
    name=$1 expected=$2
    shift 2
    said=$("$@" 2>&1)
    code=$?
    if [ $code = "$expected" ]; then ok "$name"; else failed "$name" "exit code $code instead of $expected: $said"; fi
}

# prints NAME EXPECTED COMMAND…: it succeeds and prints just that
prints() {
    name=$1 expected=$2
    shift 2
    said=$("$@" 2>&1)
    code=$?
    if [ $code = 0 ]; then is "$name" "$expected" "$said"; else failed "$name" "exit code $code: $said"; fi
}

# waits NAME PART COMMAND…: sooner or later it prints PART
waits() {
    name=$1 expected=$2 tries=100
    shift 2
    while tries=$((tries - 1)) && [ $tries -gt 0 ]; do
        said=$("$@" 2>&1)
        case "$said" in
        *"$expected"*) break ;;
        esac
        sleep 0.1
    done
    has "$name" "$expected" "$said"
}

# The last line of a script.
end() {
    echo "@@ end $count"
}
