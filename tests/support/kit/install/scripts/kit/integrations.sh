# shellcheck shell=bash
# Sourced by dssadmin: what each integration leaves in a data directory, and outside of it.
# shellcheck disable=SC2154

# option NAME DEFAULT WORD...: the word after NAME.
option() {
    local name=$1 default=$2
    shift 2
    while [ $# -gt 0 ]; do
        if [ "$1" = "$name" ]; then
            echo "${2-}"
            return
        fi
        shift
    done
    echo "$default"
}

# given NAME WORD...
given() {
    local name=$1 word
    shift
    for word in "$@"; do
        if [ "$word" = "$name" ]; then return 0; fi
    done
    return 1
}

# setting KEY VALUE: a top-level value of general-settings.json.
setting() {
    "$data_dir/bin/python" - "$data_dir/config/general-settings.json" "$1" "$2" <<'PY'
import json, os, sys
path, key, value = sys.argv[1:]
content = {}
if os.path.exists(path):
    with open(path) as lines:
        content = json.load(lines)
content[key] = json.loads(value)
with open(path + ".tmp", "w") as out:
    json.dump(content, out, indent=2)
os.rename(path + ".tmp", path)
PY
}

install_R_integration() {
    local r kernel=$data_dir/jupyter-run/jupyter/kernels/ir
    r=$(command -v R || echo /usr/bin/R)
    mkdir -p "$data_dir/R.lib/IRkernel" "$kernel"
    given -noDeps "$@" || echo "Version: 1.3" >"$data_dir/R.lib/IRkernel/DESCRIPTION"
    printf '#!/bin/bash\nexport R_LIBS="%s/R.lib"\nexec "%s" "$@"\n' "$data_dir" "$r" >"$data_dir/bin/R"
    chmod +x "$data_dir/bin/R"
    printf '{"argv": ["%s", "--slave", "-e", "IRkernel::main()"], "env": {"R_LIBS": "%s/R.lib"}}\n' "$r" "$data_dir" \
        >"$kernel/kernel.json"
}

install_hadoop_integration() {
    local keytab libs=/usr/lib/hadoop
    ! given -standaloneArchive "$@" || libs=$install_dir/hadoop-standalone-libs
    printf 'export DKU_HADOOP_ENABLED=true\nexport DKU_HADOOP_LIB="%s"\n' "$libs" >"$data_dir/bin/env-hadoop.sh"
    keytab=$(option -keytab "" "$@")
    [ -z "$keytab" ] ||
        setting hadoopSettings "{\"kerberosLoginEnabled\": true, \"dssPrincipal\": \"$(option -principal "" "$@")\",
            \"dssKeytabPath\": \"$keytab\"}"
}

install_spark_integration() {
    local spark python
    spark=$(option -sparkHome /usr/lib/spark "$@")
    ! given -standaloneArchive "$@" || spark=$install_dir/spark-standalone-home
    python=$(option -pysparkPython "$data_dir/bin/python" "$@")
    printf 'export DKU_SPARK_HOME="%s"\nexport DKU_SPARK_VERSION="3.5.0"\nexport PYSPARK_PYTHON="%s"\n' \
        "$spark" "$python" >"$data_dir/bin/env-spark.sh"
}

install_h2o_integration() {
    mkdir -p "$data_dir/lib/sparkling-water"
    ln -sfn "$(option -sparklingWaterDir /opt/sparkling-water "$@")/sparkling.jar" \
        "$data_dir/lib/sparkling-water/sparkling.jar"
}

# The modules go into the installation directory, where its owner lets them.
install_graphics_export() {
    mkdir -p "$install_dir/graphics-modules" 2>/dev/null || true
    setting graphicsExportsEnabled true
}

install_monitoring_integration() {
    ini_set "$data_dir/install.ini" collectd enabled true
    ini_set "$data_dir/install.ini" collectd graphite_server "$(option -graphiteServer localhost:2003 "$@")"
    ini_set "$data_dir/install.ini" collectd prefix "$(option -prefix dss.node "$@")"
    regenerate_config
}

install_event_server() {
    ini_set "$data_dir/install.ini" eventserver enabled true
    regenerate_config
}

# By root. An existing security configuration is kept as it is, also when the data directory has moved since.
install_impersonation() {
    local account="" id etc dir top config
    [ $# -eq 0 ] || account=${!#}
    id "$account" >/dev/null 2>&1 || die "usage: dssadmin install-impersonation [-pythonBin P] [-securityDir D] ACCOUNT"
    [ "$(stat -c %U "$data_dir")" = "$account" ] || die "$data_dir does not belong to $account"
    id=$(ini_get "$data_dir/install.ini" general installid notattributed)
    etc=$(fake ETC /etc)
    dir=$(option -securityDir "$etc/dataiku-security/$id" "$@")
    mkdir -p "$dir" "$etc/sudoers.d"
    config=$dir/security-config.ini
    [ -e "$config" ] || printf '[users]\nallowed_user_groups = users\n\n[dirs]\ndss_datadir = %s\n' "$data_dir" >"$config"
    chmod 600 "$config"
    echo "$account ALL=(root) NOPASSWD: $dir/execwrapper.sh" >"$etc/sudoers.d/dataiku-dss-$account-$id"
    ini_set "$data_dir/install.ini" mus exec_wrapper_location "$dir/execwrapper.sh"
    mkdir -p "$data_dir/R.lib"
    # Everybody may pass through the root; further down only through what user code needs.
    chmod 711 "$data_dir"
    for top in "$data_dir"/*/; do
        top=${top%/}
        [ ! -L "$top" ] || continue
        case ${top##*/} in
            R.lib) chmod 755 "$top" ;;
            analysis-data | bin | acode-envs | code-envs | jobs | exports | jupyter-run | managed_folders | \
                model_evaluation_stores | lib | plugins | saved_models | scenarios | tmp | pyenv) chmod 711 "$top" ;;
            *) chmod 700 "$top" ;;
        esac
    done
    chown "$account:" "$data_dir/R.lib"
}
