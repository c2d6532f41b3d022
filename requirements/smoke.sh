#!/bin/sh
# Install an archive of the package into an empty environment and try it, away from the checkout.
# usage: smoke.sh ENVIRONMENT ARCHIVE; dependencies are those of ENVIRONMENT, so that nothing large is installed twice.
set -eu
python="$(cd "$1" && pwd)/bin/python"
archive="$(cd "$(dirname "$2")" && pwd)/$(basename "$2")"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset PYTHONPATH
case "$archive" in *.whl) ;; *) # what builds the wheel is in ENVIRONMENT too
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w . "$archive"
    archive="$(ls "$folder"/*.whl)" ;;
esac
"${PYTHON:-python3}" -m venv env
site="$(env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$archive"
# After the installation, for pip takes what it finds there for installed; and behind the environment's own packages.
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/zz_dependencies.pth"
env/bin/python -c 'import skdim, sys; print(skdim.__version__); assert skdim.__file__.startswith(sys.prefix), skdim.__file__'
env/bin/skdim --help > help.txt
env/bin/python -m skdim embed default bundled:piezoelectric --out vectors.csv --quiet
env/bin/skdim info default > info.txt
env/bin/python -c '
import pandas as pd
frame = pd.read_csv("vectors.csv")
assert len(frame) > 900 and frame.notna().all().all(), frame.shape
print("smoke test passed:", *frame.shape)'
