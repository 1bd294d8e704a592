#!/bin/bash
# The official image's entrypoint for an empty data directory: it creates the system
# tables, starts a server without network, sets the passwords, and executes mysqld.
set -euo pipefail

data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock

initialise() {
  : "${MYSQL_ROOT_PASSWORD:?database is uninitialized and MYSQL_ROOT_PASSWORD is not set}"
  echo 'Initializing database'
  mysql_install_db --user=mysql --datadir=$data --skip-test-db --auth-root-authentication-method=normal --force
  echo 'Database initialized'

  gosu mysqld --skip-networking --socket=$socket &
  local server=$!
  until mysqladmin --socket=$socket ping >/dev/null 2>&1; do
    kill -0 $server 2>/dev/null || { echo 'MySQL init process failed.' >&2; exit 1; }
    sleep 0.1
  done
  statements | mysql --socket=$socket -uroot
  kill $server
  wait $server
  echo 'MySQL init process done. Ready for start up.'
}

statements() {
  echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';"
  echo "CREATE USER 'root'@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';"
  echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
  [ -z "${MYSQL_DATABASE-}" ] || echo "CREATE DATABASE \`$MYSQL_DATABASE\`;"
  if [ -n "${MYSQL_USER-}" ]; then
    echo "CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '${MYSQL_PASSWORD-}';"
    [ -z "${MYSQL_DATABASE-}" ] || echo "GRANT ALL ON \`$MYSQL_DATABASE\`.* TO '$MYSQL_USER'@'%';"
  fi
}

gosu() {
  exec setpriv --reuid=mysql --regid=mysql --init-groups "$@"
}

[ "${1-}" = mysqld ] || exec "$@"
mkdir -p $data
chown mysql:mysql $data
[ -d $data/mysql ] || initialise
gosu "$@" --socket=$socket
