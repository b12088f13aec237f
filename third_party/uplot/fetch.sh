#!/usr/bin/env bash
# fetch.sh FOLDER   Puts uPlot there, which draws the curves of the live page: what a browser loads, and its licence. From npm,
# pinned by package-lock.json.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work/"
npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund
cp "$work"/node_modules/uplot/{LICENSE,dist/uPlot.iife.min.js,dist/uPlot.min.css} "$1/"
