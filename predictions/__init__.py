"""The domain that the web app and the worker share: a prediction, its life, its files, its message.

`record` is the prediction itself and `store` its life in DynamoDB, one conditional write a step;
`files` are its objects in S3, `message` what travels through SQS and `work_queue` how; `sweeper`
finds what got stuck; `first_version` takes over what was there before all this. It knows nothing of
Flask, of the model or of Pulumi.
"""
