# PostgreSQL, MariaDB and Redis on loopback. Sourced by .ci/run.
#
# A server that answers where the suite looks for it (TEST_POSTGRES_URL, TEST_MYSQL_URL, TEST_REDIS_URL or the usual
# ports) is used as it is. Otherwise one of our own starts on a free port, with its data under $work, and ends with
# the run: nothing of the machine's own configuration is touched.

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Run "$@" until it succeeds, for at most 60 s.
eventually() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            echo "gave up waiting for: $*" >&2
            return 1
        fi
        sleep 0.2
    done
}

postgres_bin() { compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1; }

postgres_answers() { psql -X -w -q -d "$1/postgres" -c 'CREATE TEMPORARY TABLE probe (id int)' >/dev/null 2>&1; }

ensure_postgres() {
    local url=${TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432} bin port
    if ! postgres_answers "$url"; then
        bin=$(postgres_bin)
        port=$(free_port)
        url="postgres://postgres@127.0.0.1:$port"
        install -d -o postgres -m 700 "$work/postgres"
        runuser -u postgres -- "$bin/initdb" -D "$work/postgres" -U postgres --auth=trust -E UTF8 --locale=C >/dev/null
        runuser -u postgres -- "$bin/postgres" -D "$work/postgres" -p "$port" -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories= -c fsync=off >"$work/postgres.log" 2>&1 &
        started+=($!)
        eventually postgres_answers "$url" || { tail -n 20 "$work/postgres.log" >&2; return 1; }
    fi
    export TEST_POSTGRES_URL=$url
    echo "PostgreSQL: $url"
}

mariadb_answers() {
    local rest=${1#mysql://} user host port
    user=${rest%@*} host=${rest#*@} port=${rest##*:} host=${host%:*}
    mariadb --no-defaults --protocol=tcp --connect-timeout=2 -h "$host" -P "$port" -u "${user%%:*}" -e 'SELECT 1' \
        >/dev/null 2>&1
}

ensure_mariadb() {
    local url=${TEST_MYSQL_URL:-mysql://root@127.0.0.1:3306} port server
    if ! mariadb_answers "$url"; then
        port=$(free_port)
        url="mysql://root@127.0.0.1:$port"
        server=$(command -v mariadbd || echo /usr/sbin/mariadbd)
        install -d -o mysql -m 700 "$work/mariadb"
        mariadb-install-db --no-defaults --user=mysql --datadir="$work/mariadb" --skip-test-db \
            --auth-root-authentication-method=normal >"$work/mariadb-install.log" 2>&1
        "$server" --no-defaults --user=mysql --datadir="$work/mariadb" --port="$port" --bind-address=127.0.0.1 \
            --socket="$work/mariadb/socket" --pid-file="$work/mariadb/pid" --innodb-flush-log-at-trx-commit=0 \
            >"$work/mariadb.log" 2>&1 &
        started+=($!)
        eventually mariadb_answers "$url" || { tail -n 20 "$work/mariadb.log" >&2; return 1; }
    fi
    export TEST_MYSQL_URL=$url
    echo "MariaDB: $url"
}

redis_answers() { [ "$(redis-cli -u "$1" ping 2>/dev/null)" = PONG ]; }

ensure_redis() {
    local url=${TEST_REDIS_URL:-redis://127.0.0.1:6379} port
    if ! redis_answers "$url"; then
        port=$(free_port)
        url="redis://127.0.0.1:$port"
        redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
        started+=($!)
        eventually redis_answers "$url" || { tail -n 20 "$work/redis.log" >&2; return 1; }
    fi
    export TEST_REDIS_URL=$url
    echo "Redis: $url"
}
