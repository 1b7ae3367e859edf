# shellcheck shell=bash
# Sourced by the installer and dssadmin: what stands in a data directory. Works on $data_dir; $kit and $install_dir
# are those of the kit that runs.
# shellcheck disable=SC2154

# Absolute links of bin/, by node type.
links_of() {
    case $1 in
        api) echo "dss dssadmin apinode-admin" ;;
        govern) echo "dss dssadmin govern-admin dkugovern" ;;
        fm) echo "fm fmadmin internal-fmcli" ;;
        *) echo "dss dku jek fek cak hproxy dssadmin dsscli" ;;
    esac
}

# The empty folders of a fresh node.
folders_of() {
    case $1 in
        api) echo "config/services services lib/java" ;;
        govern) echo "lib/java resources" ;;
        fm) echo "resources" ;;
        *)
            echo "jobs exports uploads config/projects config/ipython_notebooks lib/jdbc lib/java lib/python run/nginx"
            echo "jupyter-run databases timelines plugins managed_datasets managed_folders saved_models analysis-data"
            echo "scenarios local caches"
            if [ "$1" = design ]; then echo "code-envs"; else echo "acode-envs"; fi
            ;;
    esac
}

# What install.ini calls the type that was asked for.
stored_type() {
    case ${1:-design} in
        deployer | apideployer) echo automation ;;
        *) echo "${1:-design}" ;;
    esac
}

make_folders() {
    local name
    for name in bin config install-support run tmp $(folders_of "$(stored_type "$type")"); do
        mkdir -p "$data_dir/$name"
    done
}

make_install_ini() {
    local ini=$data_dir/install.ini
    {
        echo "[general]"
        echo "nodetype = $(stored_type "$type")"
        echo "installid = $(random_word 24)"
        echo
        echo "[server]"
        echo "port = $port"
        case $(stored_type "$type") in
            design | automation)
                printf '\n[git]\nmode = project\n\n[javaopts]\nbackend.xmx = %s\n' "$(heap_of "$size")"
                ;;
        esac
        case $type in
            deployer | apideployer) printf '\n[modules]\nprojects = false\n' ;;
        esac
    } >"$ini"
}

heap_of() {
    case $1 in
        small) echo 2g ;;
        medium) echo 4g ;;
        big) echo 12g ;;
        *) echo 3g ;;
    esac
}

make_config() {
    local config=$data_dir/config
    printf '# Set by the installer; add your own properties below.\n' >"$config/dip.properties"
    case $(stored_type "$type") in
        api)
            echo '{"keys": []}' >"$config/adminkeys.json"
            echo '{"remappedConnections": {}}' >"$config/server.json"
            echo '{}' >"$data_dir/loaded-data-mapping.json"
            ;;
        govern) ;;
        fm)
            echo '{"databaseSettings": {"dbURL": "jdbc:postgresql://localhost:5432/fm?user=fm&password=fm"}}' \
                >"$config/settings.json"
            echo '{}' >"$config/user-data.json"
            ;;
        *)
            echo '{"keys": []}' >"$config/public-apikeys.json"
            echo '{"internalDatabase": {"maxPooledBuiltinConnectionsPerDatabase": 50}}' >"$config/general-settings.json"
            printf '{"key": "%s"}' "$(random_word 43)" >"$config/configkey.json"
            ;;
    esac
    [ -z "$license" ] || cp "$license" "$config/license.json"
    [ -e "$data_dir/bin/env-site.sh" ] || echo "# Yours to edit: sourced after env-default.sh." >"$data_dir/bin/env-site.sh"
}

# A virtual environment in outline: a link to the base Python, and tools whose first line names this very place.
make_pyenv() {
    local name base=${python:-${DKUPYTHONBIN-}} pyenv=$data_dir/pyenv version
    if [ -z "$base" ]; then
        # The last resort is the first choice: where none is found, its absence is what the user hears of.
        local defaults
        read -ra defaults <"$kit/default-python"
        base=${defaults[0]}
        for name in "${defaults[@]}"; do
            if "$name" -c pass 2>/dev/null; then base=$name && break; fi
        done
    fi
    version=$("$base" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    base=$("$base" -c 'import sys; print(sys.executable)')
    mkdir -p "$pyenv/bin" "$pyenv/lib/$version/site-packages"
    ln -s lib "$pyenv/lib64"
    ln -s "$base" "$pyenv/bin/python"
    ln -s python "$pyenv/bin/python3"
    for name in activate activate.csh; do
        echo "VIRTUAL_ENV=$pyenv" >"$pyenv/bin/$name"
    done
    for name in pip pip3; do
        { echo "#!$pyenv/bin/python"; cat "$kit/pip.py"; } >"$pyenv/bin/$name"
        chmod +x "$pyenv/bin/$name"
    done
    for name in pip-23.0 setuptools-65.5 numpy-1.23.5; do
        mkdir "$pyenv/lib/$version/site-packages/$name.dist-info"
    done
    relink_pyenv
}

# An existing environment is kept as it is, whatever -P says; if its Python is gone, so is this run (127).
relink_pyenv() {
    "$data_dir/pyenv/bin/python" -c pass
    # The names in bin/ are wrappers that know where they stand.
    printf '#!/bin/bash\nexport DIP_HOME="%s"\nexec "%s/pyenv/bin/python" "$@"\n' \
        "$data_dir" "$data_dir" >"$data_dir/bin/python"
    printf '#!/bin/bash\nexport DIP_HOME="%s"\nexec "%s/pyenv/bin/python" "%s/pyenv/bin/pip" "$@"\n' \
        "$data_dir" "$data_dir" "$data_dir" >"$data_dir/bin/pip"
    chmod +x "$data_dir/bin/python" "$data_dir/bin/pip"
}

# The last steps of install and upgrade alike: everything that ties this place to this kit.
attach() {
    local node base name
    node=$(ini_get "$data_dir/install.ini" general nodetype design)
    base=$(ini_get "$data_dir/install.ini" server port)
    for name in $(links_of "$node"); do
        ln -sfn "$install_dir/scripts/linked/$name" "$data_dir/bin/$name"
    done
    [ "$node" != api ] || cp "$kit/log4j.properties" "$data_dir/bin/log4j.properties"
    {
        echo "# Written by the installer; put changes into env-site.sh."
        echo "export DKUINSTALLDIR=\"$install_dir\""
        echo "export DKU_NODE_TYPE=\"$node\""
        echo "export DKU_BASE_PORT=\"$base\""
        echo "export DKU_BACKEND_PORT=\"$((base + 1))\""
        echo "export DKU_IPYTHON_PORT=\"$((base + 2))\""
        echo "export DKUJAVABIN=\"$java\""
    } >"$data_dir/bin/env-default.sh"
    (umask 077 && random_word 32 >"$data_dir/install-support/supervisord.key")
    chmod 600 "$data_dir/install-support/supervisord.key"
    write_kernels
    regenerate_config
    echo "$data_dir" >"$data_dir/install-support/expected-dip-home.txt"
}

# Jupyter kernels name the place they stand in; every one is rewritten.
write_kernels() {
    local before kernels=$data_dir/jupyter-run/jupyter/kernels file
    [ -d "$data_dir/jupyter-run" ] || return 0
    mkdir -p "$kernels/python3"
    printf '{"argv": ["%s/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]}\n' "$data_dir" \
        >"$kernels/python3/kernel.json"
    before=$(cat "$data_dir/install-support/expected-dip-home.txt" 2>/dev/null) || return 0
    for file in "$kernels"/*/kernel.json; do
        sed -i "s|$before/|$data_dir/|g" "$file"
    done
}

# program NAME COMMAND...: one process for the supervisor; words of the command are parted by tabs.
program() {
    local IFS=$'\t'
    printf '\n[program:%s]\n' "$1"
    shift
    printf 'command = %s\nstopasgroup = true\nstopwaitsecs = 10\n' "$*"
}

# Keeps the key. Holds the key, hence its mode.
regenerate_config() {
    local ini=$data_dir/install.ini support=$data_dir/install-support node base main
    node=$(ini_get "$ini" general nodetype design)
    base=$(ini_get "$ini" server port)
    case $node in
        api) main=apimain ;;
        govern | gh) main=governserver ;;
        fm) main=fmmain ;;
        *) main=backend ;;
    esac
    rm -f "$support/supervisord.conf"
    (umask 077 && {
        printf '[unix_http_server]\nfile = %s/run/svd.sock\nchmod = 0700\n' "$data_dir"
        printf 'username = dss\npassword = %s\n\n' "$(cat "$support/supervisord.key")"
        printf '[supervisord]\npidfile = %s/run/supervisord.pid\n' "$data_dir"
        program "$main" "$kit/backend.py" "$main" "$data_dir"
        [ "$main" != backend ] || program ipython "$kit/side.py" ipython "$((base + 2))"
        program nginx "$kit/nginx.py" -c "$support/nginx.conf"
        echo "hides_home = 1"
        [ "$(ini_get "$ini" collectd enabled)" != true ] || program collectd "$kit/side.py" collectd
        [ "$(ini_get "$ini" eventserver enabled)" != true ] || program eventserver "$kit/side.py" eventserver "$((base + 4))"
    } >"$support/supervisord.conf")
    {
        echo "# Written by regenerate-config."
        echo "pid $data_dir/run/nginx.pid;"
        echo "temp_path $data_dir/run/nginx;"
        echo "listen $base;"
        echo "proxy_pass http://127.0.0.1:$((base + 1));"
        if [ "$(ini_get "$ini" server ssl)" = true ]; then
            echo "ssl_certificate $(ini_get "$ini" server ssl_certificate);"
            echo "ssl_certificate_key $(ini_get "$ini" server ssl_certificate_key);"
        fi
    } >"$support/nginx.conf"
}

# Three strings and no newline at the end. The configuration version is the kit's.
write_version() {
    printf '{"conf_version": "%s", "product_version": "%s", "product_commitid": "%s"}' "$(cat "$kit/conf-version")" \
        "$(json_get "$install_dir/dss-version.json" product_version)" \
        "$(json_get "$install_dir/dss-version.json" product_commitid)" >"$data_dir/dss-version.json"
}
