#!/bin/sh
# Makes the users of db/grants/roles.sql and gives each its password: run by the image of PostgreSQL when the database is
# made, and by hand after a password was changed. Passwords go from file to server, past every command line.
set -eu
secrets=${SECRETS:-/run/secrets}

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --file "${GRANTS:-/etc/reviewmill}/roles.sql"
for user in owner producer worker reader; do
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" << SQL
\\set password \`cat "$secrets/postgres_${user}_password"\`
ALTER ROLE reviewmill_$user PASSWORD :'password';
SQL
done
