#!/bin/sh
# Collects what the image holds into a folder: rootfs.sh BINARY OUT
# The binary, the libraries that it is linked to, the certificates of this system, a user, and the licences.
set -eu
binary=$1 out=$2
here=$(dirname "$0")

mkdir -p "$out/etc/ssl/certs" "$out/licenses"
cp "$binary" "$out/tollgate"
chmod 755 "$out/tollgate"

linked=$(ldd "$binary")
case $linked in *"not found"*) echo "$linked"; exit 1 ;; esac
# `ldd` prints `name => /path (address)`, for the loader `/path (address)`, and for the kernel's own no path.
echo "$linked" | sed -n 's|.*=> \(/[^ ]*\) .*|\1|p; s|^[[:space:]]*\(/[^ ]*\) .*|\1|p' | while read -r library; do
  mkdir -p "$out${library%/*}"
  cp -L "$library" "$out$library"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-certificates.crt"

echo 'tollgate:x:65532:65532::/data:/sbin/nologin' > "$out/etc/passwd"
echo 'tollgate:x:65532:' > "$out/etc/group"
# Without it the resolver leaves out /etc/hosts, where --link and --add-host write names.
echo 'hosts: files dns' > "$out/etc/nsswitch.conf"

cp "$here/../LICENSE" "$here/../THIRD_PARTY.md" "$out/licenses/"
for package in libc6 libgcc-s1 ca-certificates; do
  if [ -f "/usr/share/doc/$package/copyright" ]; then
    cp -L "/usr/share/doc/$package/copyright" "$out/licenses/$package"
  fi
done
