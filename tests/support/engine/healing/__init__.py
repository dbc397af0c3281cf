"""Deploys that are killed, raced, stalled and woken, and what the next one makes of that.

`ten` is the program that they bring, `deploy` is one of them as a process of its own, `trials` lets
things go wrong and looks at what is left; `many` plays many and writes down what it saw.
"""
