# shellcheck shell=bash
# Sourced by the installer: versions, the question before a migration, its backup, and what a broken one leaves.
# shellcheck disable=SC2154

stamp() { date +%Y%m%d-%H%M%S; }

# new_folder PREFIX: makes a folder of the data directory named by the second, and tells its name.
new_folder() {
    local name
    until name=$1$(stamp) && mkdir "$data_dir/$name" 2>/dev/null; do
        [ -w "$data_dir" ] || die "cannot write to $data_dir"
        sleep 0.2
    done
    echo "$name"
}

# The marker of an upgrade that died: what was saved is moved back. First the present state is moved aside; whoever
# removed the backup finds out afterwards, without a configuration.
roll_back_broken_migration() {
    local marker=$data_dir/DSS-MIGRATION-IN-PROGRESS.json aside initial backup
    [ -e "$marker" ] || return 0
    complain "A previous upgrade did not end; rolling back"
    aside=$data_dir/$(new_folder _broken_migration_backup_)
    # Entries in their order, `initial` and `backup` by turns, below the data directory or absolute.
    tr '\n' ' ' <"$marker" | grep -oE '"(initial|backup)" *: *"[^"]*"' | sed 's/.*"\([^"]*\)"$/\1/' |
        while read -r initial && read -r backup; do
            initial=${initial#"$data_dir/"} backup=${backup#"$data_dir/"}
            [ ! -e "$data_dir/$initial" ] || mv "$data_dir/$initial" "$aside/${initial//\//__}"
            mv "$data_dir/$backup" "$data_dir/$initial" || exit 1
        done || die "the backup named in $marker is not there; cannot roll back"
    rm "$marker"
}

# Older: asks. Same: nothing to do. Newer: not looked at, as measured.
migrate() {
    local from to answer
    from=$(json_get "$data_dir/dss-version.json" conf_version) to=$(cat "$kit/conf-version")
    if [ "$from" -gt "$to" ]; then
        [ "$(fake REFUSE_DOWNGRADE)" != 1 ] || die "$data_dir is of a newer version ($from) than this kit ($to)"
        return 0
    fi
    [ "$from" -lt "$to" ] || return 0
    complain "The data directory must be migrated from version $from to version $to. This cannot be undone."
    if [ -z "$yes" ]; then
        complain "Continue? (Y/[N])"
        if ! read -r answer; then
            new_folder _broken_migration_backup_ >/dev/null
            die "MIGRATION FAILED"
        fi
        case $answer in
            y | Y) ;;
            *) die "Aborting!" ;;
        esac
    fi
    [ -n "${DKU_MIGRATE_NOBACKUP-}" ] || save_before_migration
    fault after-backup
    edit_config "$from" "$to"
}

# Copies through links and without the modes of files; a link in config/ that leads nowhere makes it fail.
save_before_migration() {
    local name target entries='' saved
    saved=$(new_folder _pre_migration_backup_)
    for name in config databases dss-version.json install.ini bin/env-default.sh bin/env-spark.sh; do
        [ -e "$data_dir/$name" ] || continue
        target=$saved/${name//\//__}
        cp -RL "$data_dir/$name" "$data_dir/$target" || die "MIGRATION FAILED: $name could not be saved"
        entries+=${entries:+, }"{\"initial\": \"$name\", \"backup\": \"$target\"}"
    done
    printf '{"timestamp": "%s", "entries": [%s]}' "$(stamp)" "$entries" >"$data_dir/DSS-MIGRATION-IN-PROGRESS.json"
}

# Leaves traces inside and outside of what was saved.
edit_config() {
    printf '{"from": "%s", "to": "%s"}\n' "$1" "$2" >"$data_dir/config/migrated.json"
    [ ! -d "$data_dir/saved_models" ] || echo "$2" >"$data_dir/saved_models/.migrated"
    [ ! -d "$data_dir/caches" ] || find "$data_dir/caches" -mindepth 1 -delete
}
