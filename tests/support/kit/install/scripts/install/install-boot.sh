#!/bin/bash
# Stand-in for the boot integration, run by root:  install-boot.sh [-n NAME] DATA_DIR ACCOUNT
#
# Writes below /etc, or below the folder in the switch FAKE_ETC. Starts nothing and tells systemd nothing.
set -e

# shellcheck source=../kit/common.sh
. "$(dirname "$(readlink -f "$0")")/../kit/common.sh"

name=
if [ "${1-}" = -n ]; then
    name=.$2
    shift 2
fi
[ $# -eq 2 ] || die "usage: install-boot.sh [-n NAME] DATA_DIR ACCOUNT"
[ "$(id -u)" = 0 ] || [ "$(fake ALLOW_ROOT)" = 1 ] || die "install-boot.sh must be run by root"
data_dir=$(cd "$1" && pwd -P)
export DIP_HOME=$data_dir
etc=$(fake ETC /etc)
id=$(ini_get "$data_dir/install.ini" general installid notattributed)
mkdir -p "$etc/dataiku/$id" "$etc/systemd/system"
printf 'DSS_DATADIR="%s"\nDSS_USER="%s"\n' "$data_dir" "$2" >"$etc/dataiku/$id/dataiku-boot.conf"
cat >"$etc/systemd/system/dataiku$name.service" <<UNIT
[Unit]
Description=Dataiku DSS in $data_dir
After=network.target

[Service]
Type=forking
User=$2
ExecStart=$data_dir/bin/dss start
ExecStop=$data_dir/bin/dss stop
TimeoutStartSec=300
KillMode=process

[Install]
WantedBy=multi-user.target
UNIT
echo "Wrote $etc/systemd/system/dataiku$name.service"
