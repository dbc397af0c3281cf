"""The emulated AWS of one machine, and the product's Pulumi program applied to it.

`server` is the emulator's process and runs in a virtualenv of its own; `cloud` starts it. `program`
runs `platform/__main__.py` and `apply` makes the cloud what it declares. `tasks` runs the services
as ECS would, with credentials from `credentials`; `keeper` ends them if nobody else can.
"""
