# shellcheck shell=bash
# Sourced by every script of the stand-in kit: messages, switches, install.ini, banners.
#
# A switch is looked up where it is needed, so a file changed while DSS runs counts from then on: first the
# environment, then DATA_DIR/fake.env, then INSTALL_DIR/fake.env (lines NAME=VALUE).

kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
install_dir=$(cd "$kit/../.." && pwd -P)

complain() { printf '%s\n' "$*" >&2; }

die() {
    complain "$@"
    exit 1
}

# fake NAME [DEFAULT]: the value of the switch FAKE_NAME.
fake() {
    local name=FAKE_$1 file line
    if [ -n "${!name+set}" ]; then
        printf '%s\n' "${!name}"
        return
    fi
    for file in "${DIP_HOME:-/nonexistent}/fake.env" "$install_dir/fake.env"; do
        if [ -r "$file" ] && line=$(grep "^$name=" "$file"); then
            printf '%s\n' "${line#*=}"
            return
        fi
    done
    printf '%s\n' "${2-}"
}

refuse_root() {
    [ "$(id -u)" != 0 ] || [ "$(fake ALLOW_ROOT)" = 1 ] ||
        die "this must not be run by the administrator (root); use the account that owns the data directory"
}

# ini_get FILE SECTION KEY [DEFAULT]
ini_get() {
    local found
    found=$(awk -v section="[$2]" -v key="$3" '
        /^[[:space:]]*[#;]/ { next }
        /^\[/ { inside = ($0 ~ /\]/ && substr($0, 1, index($0, "]")) == section); next }
        inside && match($0, /[=:]/) {
            name = tolower(substr($0, 1, RSTART - 1)); gsub(/[[:space:]]/, "", name)
            value = substr($0, RSTART + 1); sub(/^[[:space:]]+/, "", value); sub(/[[:space:]]+$/, "", value)
            if (name == key) print value
        }' "$1" 2>/dev/null | tail -n 1)
    printf '%s\n' "${found:-${4-}}"
}

# ini_set FILE SECTION KEY VALUE: replaces the key, or adds it at the end of its section, or adds the section.
ini_set() {
    local next=$1.next.$$
    awk -v section="[$2]" -v key="$3" -v value="$4" '
        function put() { if (!done) { print key " = " value; done = 1 } }
        /^\[/ { if (inside) put(); inside = ($0 == section) }
        inside && match($0, /[=:]/) {
            name = tolower(substr($0, 1, RSTART - 1)); gsub(/[[:space:]]/, "", name)
            if (name == key) { put(); next }
        }
        { print }
        END { if (!done) { if (!inside) print section; put() } }' "$1" >"$next"
    cat "$next" >"$1"
    rm -f "$next"
}

# json_get FILE KEY: a string of a flat JSON object.
json_get() { sed -n "s/.*\"$2\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p" "$1" 2>/dev/null | head -n 1; }

# banner DATA_DIR WORD...: what was called, at the head of each block of run/install.log.
banner() {
    local home=$1
    shift
    mkdir -p "$home/run" 2>/dev/null || true
    {
        echo "------------------------------------------------------------"
        echo "Date: $(date '+%Y-%m-%d %H:%M:%S')"
        echo "Account: $(id -un)"
        echo "Data directory: $home"
        echo "Command line: $*"
        echo "------------------------------------------------------------"
    } >>"$home/run/install.log" || die "cannot write to $home/run"
}

# alive PID: exists and is no zombie.
alive() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    [ "${stat%% *}" != Z ]
}

random_word() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom 2>/dev/null | head -c "$1"; }
