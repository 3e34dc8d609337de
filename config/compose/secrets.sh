#!/bin/sh
# Makes the secrets of docker-compose.yml once, and writes the two client secrets into the realm that Keycloak imports.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
fresh() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
for name in one.key two.key one.client-secret two.client-secret admin; do
  [ -s "secrets/$name" ] || fresh > "secrets/$name"
done
# The gateway runs as a user of its own and reads them through the mount.
chmod 644 secrets/*
sed -e "s/ONE_CLIENT_SECRET/$(cat secrets/one.client-secret)/" -e "s/TWO_CLIENT_SECRET/$(cat secrets/two.client-secret)/" \
  realm.template.json > realm.json
echo "config/compose/secrets and config/compose/realm.json are ready; now: docker compose up --build"
