#!/bin/sh
# Installs what `cargo bench` compares with, at fixed versions, under target/peers; what is there already is left alone.
# Needs Python 3.11 or later. Sprocket is built from source, which takes a quarter of an hour; the Python ones, a minute.
# ./benches/peers.sh [snakemake|miniwdl|sprocket]…
set -eu
cd "$(dirname "$0")/.."
peers=$PWD/target/peers
mkdir -p "$peers"

python() {
    [ -x "$peers/$1/bin/$1" ] && return
    python3 -m venv "$peers/$1"
    "$peers/$1/bin/pip" install --quiet "$1==$2"
}

[ $# -gt 0 ] || set -- snakemake miniwdl sprocket
for peer; do
    case $peer in
    snakemake) python snakemake 9.27.1 ;;
    miniwdl) python miniwdl 1.16.0 ;;
    sprocket)
        [ -x "$peers/sprocket/bin/sprocket" ] ||
            cargo install sprocket --version 0.33.0 --locked --root "$peers/sprocket" --target-dir "$peers/build"
        ;;
    *)
        echo "there is no peer '$peer'" >&2
        exit 2
        ;;
    esac
done
