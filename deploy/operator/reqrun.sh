#!/bin/sh
# `reqrun` in the image of the toolbox, from whatever folder.
PYTHONPATH=/app exec python -P -m deploy.operator "$@"
