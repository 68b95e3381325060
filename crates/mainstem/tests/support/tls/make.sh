#!/bin/sh
# Makes the certificates of the tests anew: an authority that nobody trusts, and a server of it. They hold for 100 years.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
key "$folder/authority.key"
openssl req -x509 -new -key "$folder/authority.key" -subj "/CN=mainstem's tests" -days 36500 \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out authority.pem
key server.key
openssl req -new -key server.key -subj "/CN=localhost" -out "$folder/server.csr"
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$folder/server.ext"
openssl x509 -req -in "$folder/server.csr" -CA authority.pem -CAkey "$folder/authority.key" -days 36500 \
    -extfile "$folder/server.ext" -out server.pem 2>/dev/null
