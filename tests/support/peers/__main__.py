"""Sends or works; see the package."""

import importlib
import sys

if __name__ == "__main__":
    module, what, *arguments = sys.argv[1:]
    peer = importlib.import_module(f"peers.{module}")
    if what == "send":
        peer.send(int(arguments[0]))
    else:
        peer.work(*arguments)
