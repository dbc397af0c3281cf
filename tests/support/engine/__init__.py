"""What the real Pulumi CLI runs against in the tests: a host for the program, a provider for AWS.

`program_host` runs Python programs as Pulumi's language host does; `stand_in` is a provider that
does to an emulated AWS what the AWS provider does to the real one, by the descriptions of
`localcloud.kinds`. `workspace` is a project of its own with both attached to its CLI.
"""
