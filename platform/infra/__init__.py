"""The parts of the stack, one component for each concern; `__main__.py` puts them together.

`settings` is what a stack may choose; `network`, `storage` and `queues` are what the services stand
on; `identity` and `permissions` say who may do what; `services` runs the code.
"""
