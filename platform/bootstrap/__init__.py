"""What an account must have before the service can be deployed to it: a Pulumi project of its own.

`__main__.py` tells what there is; these modules say how each part is made. Whoever runs it
administers the account. It starts with its state in a file and then moves it into the bucket that
it has made.
"""
