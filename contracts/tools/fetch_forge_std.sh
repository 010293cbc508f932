#!/bin/sh
# Puts forge-std into the git-ignored lib/. npm's own `forge-std` is from 2022, so the copy vendored in
# @chainlink/contracts is taken: only that folder (MIT or Apache-2.0), from a tarball with a pinned hash.
set -eu

VERSION=1.4.0
# As npm prints it: base64 of the sha512.
SHA512="SpNCJ0TPOI6pa2l702Wk4WIP8ccw5ARcRP1E/ZTqaFffXNoZeF03WhsVL8f3l3OTRFA9Z40O5KcZzmJmZQkoFA=="
VENDORED=package/src/v0.8/vendor/forge-std

cd "$(dirname "$0")/.."
target=lib/forge-std
stamp="$target/.fetched"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$SHA512" ]; then
    exit 0
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
(cd "$temporary" && npm pack --silent "@chainlink/contracts@$VERSION" >/dev/null)
tarball="$temporary/chainlink-contracts-$VERSION.tgz"

actual=$(node -e 'const h = require("crypto").createHash("sha512");
h.update(require("fs").readFileSync(process.argv[1])); console.log(h.digest("base64"))' "$tarball")
if [ "$actual" != "$SHA512" ]; then
    echo "forge-std: expected sha512 $SHA512 of @chainlink/contracts@$VERSION, got $actual" >&2
    exit 1
fi

mkdir "$temporary/unpacked"
tar -xzf "$tarball" -C "$temporary/unpacked" "$VENDORED"
rm -rf "$target"
mkdir -p lib
mv "$temporary/unpacked/$VENDORED" "$target"
printf '%s\n' "$SHA512" >"$stamp"
echo "forge-std: unpacked into contracts/$target"
