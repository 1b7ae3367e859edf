#!/bin/bash
# Stands for the script that installs system packages (as root). Does nothing, and says so.
echo "install-deps.sh $*: the stand-in needs no packages"
