#!/bin/bash
# Stand-in for the installer of DSS:
#   installer.sh -d DATA_DIR -p PORT [-t TYPE] [-s SIZE] [-l LICENSE] [-n] [-y] [-P PYTHON]
#   installer.sh -u -d DATA_DIR [-n] [-y] [-P PYTHON]
set -e
umask 022

# shellcheck source=scripts/kit/common.sh
. "$(cd "$(dirname "$0")" && pwd -P)/scripts/kit/common.sh"
# shellcheck source=scripts/kit/layout.sh
. "$kit/layout.sh"
# shellcheck source=scripts/kit/migrate.sh
. "$kit/migrate.sh"

words=("$0" "$@")
data_dir='' port='' type='' size='' license='' python='' upgrade='' yes=${DKU_MIGRATE_YES:+1} no_deps='' conda=''

usage() {
    complain "usage: installer.sh -d DATA_DIR -p PORT [-t TYPE] [-s SIZE] [-l LICENSE] [-n] [-y] [-P PYTHON]"
    complain "       installer.sh -u -d DATA_DIR [-n] [-y] [-P PYTHON]"
    exit 1
}

parse() {
    local option
    OPTIND=1
    while getopts ":d:p:t:s:l:P:Cnuyh" option; do
        case $option in
            d) data_dir=$OPTARG ;;
            p) port=$OPTARG ;;
            t) type=$OPTARG ;;
            s) size=$OPTARG ;;
            l) license=$OPTARG ;;
            P) python=$OPTARG ;;
            C) conda=1 ;;
            n) no_deps=1 ;;
            u) upgrade=1 ;;
            y) yes=1 ;;
            *) usage ;;
        esac
    done
    [ "$OPTIND" -gt $# ] || usage
    [ -n "$data_dir" ] || usage
    [ -z "$conda" ] || [ -z "$python" ] || die "-C and -P exclude each other"
    case ${type:-design} in
        design | automation | deployer | apideployer | api | govern | fm) ;;
        *) die "unknown node type: $type" ;;
    esac
    if [ -n "$upgrade" ]; then
        [ -z "$port" ] || die "-p cannot be given with -u: change [server] port in install.ini"
        [ -z "$license" ] || die "-l cannot be given with -u"
    else
        [[ $port =~ ^[0-9]+$ ]] || usage
        { [ "$port" -ge 1024 ] && [ "$port" -le 65526 ]; } || die "the port must be between 1024 and 65526"
        [ -z "$license" ] || [ -r "$license" ] || die "cannot read the license $license"
    fi
}

# confirm TEXT: waits for Enter. No -y and nobody who could press it: the end.
confirm() {
    complain "$1"
    [ -z "$yes" ] || return 0
    complain "Press Enter to continue, or interrupt to stop"
    read -r _ || exit 1
}

check_environment() {
    case $data_dir/ in
        "$install_dir"/*) confirm "WARNING: the data directory lies inside the installation directory" ;;
    esac
    [ -n "$no_deps" ] || [ "$(fake MISSING_DEPS)" != 1 ] || die "system packages are missing: run install-deps.sh, or use -n"
}

find_java() {
    java=${DKUJAVABIN:-${JAVA_HOME:+$JAVA_HOME/bin/java}}
    if [ -n "$java" ]; then
        [ -x "$java" ] || die "no usable Java: $java"
    else
        [ "$(fake NO_JAVA)" != 1 ] || die "no usable Java found: set JAVA_HOME"
        java=$(command -v java || echo /usr/bin/java)
    fi
}

# Where a switch asks this run to fail:  fault PLACE
fault() {
    [ "$(fake FAIL_AT)" != "$1" ] || die "failing at $1, as the switch FAKE_FAIL_AT asks"
}

# A directory of an install that never ended is put aside whole; anything else in it is refused.
clear_the_place() {
    [ ! -e "$data_dir/config/dip.properties" ] || die "DSS is installed in $data_dir already; use -u to upgrade it"
    if [ -e "$data_dir/DSS-INITIAL-INSTALL-IN-PROGRESS.txt" ]; then
        local aside
        aside=$data_dir.dss_failed_install.$(date +%Y%m%d-%H%M%S)
        complain "A previous installation failed here; it is moved to $aside"
        mv "$data_dir" "$aside"
        mkdir "$data_dir"
    elif [ -n "$(ls -A "$data_dir")" ]; then
        die "$data_dir is not empty"
    fi
}

install_new() {
    check_environment
    find_java
    make_folders
    make_pyenv
    make_install_ini
    fault new
    make_config
    write_version
    attach
    rm "$data_dir/DSS-INITIAL-INSTALL-IN-PROGRESS.txt"
    echo "Installation finished. Start DSS with $data_dir/bin/$control"
}

# Believes `status` when it says "running", and takes every other answer for "stopped".
check_running() {
    if "$data_dir/bin/$control" status >/dev/null 2>&1; then
        confirm "WARNING: DSS seems to be running in $data_dir; stop it first"
    fi
}

upgrade_old() {
    type=$(ini_get "$data_dir/install.ini" general nodetype design)
    [ "$type" != fm ] || control=fm
    check_running
    check_environment
    find_java
    roll_back_broken_migration
    if [ -e "$data_dir/pyenv" ] || [ -L "$data_dir/pyenv" ]; then
        relink_pyenv
    else
        make_pyenv
    fi
    migrate
    write_version
    fault after-version
    attach
    rm -f "$data_dir/DSS-MIGRATION-IN-PROGRESS.json"
    echo "Upgrade finished. Start DSS with $data_dir/bin/$control"
}

main() {
    control=dss
    [ "$type" != fm ] || control=fm
    if [ -n "$upgrade" ]; then
        upgrade_old
    else
        install_new
    fi
}

refuse_root
parse "$@"
data_dir=${data_dir%/}
if [ -n "$upgrade" ]; then
    [ -f "$data_dir/dss-version.json" ] || die "$data_dir is not a data directory of DSS: it holds no dss-version.json"
else
    mkdir -p "$data_dir" || exit 1
fi
data_dir=$(cd "$data_dir" && pwd -P)
export DIP_HOME=$data_dir
if [ -z "$upgrade" ]; then
    clear_the_place
    date >"$data_dir/DSS-INITIAL-INSTALL-IN-PROGRESS.txt"
fi
mkdir -p "$data_dir/run" || exit 1
[ -w "$data_dir/run" ] || die "cannot write to $data_dir/run"
banner "$data_dir" "${words[*]}"

# All output goes to the log as well; the status is that of the work, not of `tee`.
set +e
(set -e; main) 2>&1 | tee -a "$data_dir/run/install.log"
exit "${PIPESTATUS[0]}"
