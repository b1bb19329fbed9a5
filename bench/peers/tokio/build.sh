#!/bin/sh
# build.sh <target folder> <program>: builds with cargo and puts the program there.
set -e
if [ "$#" -ne 2 ]; then
  echo "usage: $0 <target folder> <program>"
  [ "$1" = --help ] && exit 0
  exit 2
fi
mkdir -p "$1/source"
# In a copy, for cargo writes Cargo.lock beside Cargo.toml.
cp -r Cargo.toml src .cargo "$1/source"
cd "$1/source"
cargo build --release --offline --quiet --target-dir "$1"
cp "$1/release/tokio_interval" "$2"
