#!/bin/sh
# Installs what `cargo bench` compares with, at fixed versions, under target/peers; what is there already is left alone.
# Needs Python 3.11 or later. Sprocket is built from source, which takes a quarter of an hour; the Python ones, a minute.
# ./benches/peers.sh [snakemake|miniwdl|metaflow|prefect|dask|torch|sprocket]…
set -eu
cd "$(dirname "$0")/.."
peers=$PWD/target/peers
mkdir -p "$peers"

python() {
    [ -e "$peers/$1/.done" ] && return
    python3 -m venv "$peers/$1"
    name=$1
    shift
    "$peers/$name/bin/pip" install --quiet "$@"
    touch "$peers/$name/.done"
}

[ $# -gt 0 ] || set -- snakemake miniwdl metaflow prefect dask torch sprocket
for peer; do
    case $peer in
    snakemake) python snakemake snakemake==9.27.1 ;;
    miniwdl) python miniwdl miniwdl==1.16.0 ;;
    metaflow) python metaflow metaflow==2.19.39 ;;
    # With the FastAPI that pip would pick, Prefect 3.8.8 can't be imported.
    prefect) python prefect prefect==3.8.8 fastapi==0.139.0 ;;
    dask) python dask 'dask[distributed]==2026.8.0' ;;
    torch) python torch torch==2.15.0 ;;
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
