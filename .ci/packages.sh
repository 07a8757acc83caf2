# Debian's packages that the suite needs, and where the interpreters are. Sourced by .ci/run.

install_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    command -v mariadb_config >/dev/null || command -v mysql_config >/dev/null || missing+=(libmariadb-dev)
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
    command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
    if [ ${#missing[@]} -eq 0 ]; then
        echo "all there"
        return
    fi
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Put the directories of these versions of Python on PATH; pyenv keeps them out of it.
find_interpreters() {
    local version found candidate
    for version in "$@"; do
        found=
        for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python"$version" \
            "$(command -v "python$version" || true)"; do
            if [ -x "$candidate" ] && "$candidate" -c 'import venv, sqlite3, ssl' 2>/dev/null; then
                found=$candidate
                break
            fi
        done
        if [ -z "$found" ]; then
            echo "Python $version is not here; the matrix needs it." >&2
            return 1
        fi
        mkdir -p "$work/bin"
        ln -sf "$found" "$work/bin/python$version"
        echo "$version: $("$found" -V)"
    done
    export PATH="$work/bin:$PATH"
}
