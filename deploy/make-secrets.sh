#!/bin/sh
# Writes a random password for everyone into secrets/, once: `sh deploy/make-secrets.sh [FOLDER]`.
#
# Compose hands files over with the owner and mode that they have here, and each container has a user of its own: so the
# files may be read by all, and the folder by you alone.
set -eu
folder=${1:-secrets}
root=$(dirname "$0")/..

umask 077
mkdir -p "$folder"

secret() {
  file=$folder/$1
  if [ ! -e "$file" ]; then
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$file"
  fi
  chmod 444 "$file"
}

hash() {
  sha256sum < "$folder/redis_$1_password" | cut -c 1-64
}

for name in postgres_password postgres_owner_password postgres_producer_password postgres_worker_password \
  postgres_reader_password redis_admin_password redis_producer_password redis_worker_password \
  redis_flower_password notify_secret flower_password; do
  secret "$name"
done
# Redis knows passwords by their hashes.
sed -e '/^#/d' -e "s/ADMIN_SHA256/$(hash admin)/" -e "s/PRODUCER_SHA256/$(hash producer)/" \
  -e "s/WORKER_SHA256/$(hash worker)/" -e "s/FLOWER_SHA256/$(hash flower)/" \
  "$root/broker/acl/users.acl" "$root/deploy/flower/users.acl" > "$folder/redis_users.acl.new"
chmod 444 "$folder/redis_users.acl.new"
mv -f "$folder/redis_users.acl.new" "$folder/redis_users.acl"
echo "Secrets are in $folder"
