"""The running product's cloud, joined through its environment file, as a script of one's own."""

from __future__ import annotations

import boto3

from memory_cloud import TRACEPARENT
from predictions.files import Files
from predictions.record import FileFacts, InputFile, Prediction, new_id
from predictions.store import Store
from predictions.sweeper import claim_of
from predictions.work_queue import WorkQueue
from product import TELCO, Product

_FACTS = FileFacts(rows=7043, columns=21, encoding="UTF-8", delimiter=",")  # of the Telco file


class Joined:
    """What the services have: the table, the buckets, the queue."""

    def __init__(self, product: Product) -> None:
        self.env = product.environment()
        session = boto3.Session(
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.env.get("AWS_SESSION_TOKEN"),
            region_name=self.env["AWS_REGION"],
        )
        endpoint = self.env["AWS_ENDPOINT_URL"]
        self.s3 = session.client("s3", endpoint_url=endpoint)
        self.sqs = session.client("sqs", endpoint_url=endpoint)
        self.table = session.resource("dynamodb", endpoint_url=endpoint).Table(
            self.env["PREDICTIONS_TABLE"]
        )
        self.store = Store(self.table, resend_after_s=1)
        self.files = Files(
            self.s3,
            uploads_bucket=self.env["UPLOADS_BUCKET"],
            results_bucket=self.env["RESULTS_BUCKET"],
        )

    def queued_without_a_message(self) -> Prediction:
        """Leave a record QUEUED, as the first version left them: nobody sent what we understand."""
        prediction_id = new_id()
        uploaded = self._put_telco(prediction_id, "telco.csv")
        return self.store.submit("demo", prediction_id, uploaded, traceparent=TRACEPARENT)

    def submit_without_its_file(self, name: str) -> Prediction:
        """Upload a file, lose it, and ask for its prediction."""
        prediction_id = new_id()
        uploaded = self._put_telco(prediction_id, name)
        prediction = self.store.submit("demo", prediction_id, uploaded, traceparent=TRACEPARENT)
        self.files.erase("demo", prediction_id)
        WorkQueue(self.sqs, self.env["PREDICTIONS_QUEUE_URL"]).send(prediction)
        return prediction

    def put_file_back(self, prediction: Prediction) -> None:
        """Repair what was lost, as an operator would: the file, and its version on the record."""
        restored = self._put_telco(prediction.id, prediction.input.name)
        self.table.update_item(
            Key={"account": prediction.account, "id": prediction.id},
            UpdateExpression="SET #input = :restored",
            ExpressionAttributeNames={"#input": "input"},
            ExpressionAttributeValues={":restored": restored.model_dump_json()},
        )

    def processing(self, name: str) -> Prediction:
        """Leave a prediction half done, as if another worker had it: for a lease, nothing moves."""
        prediction_id = new_id()
        uploaded = self._put_telco(prediction_id, name)
        store = Store(self.table, resend_after_s=3600)
        queued = store.submit("demo", prediction_id, uploaded, traceparent=TRACEPARENT)
        claimed = store.claim("demo", prediction_id, queued.attempt, owner="another-worker")
        store.renew(claim_of(claimed), rows_done=4096, fraction_done=0.58)
        return claimed

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.env["PREDICTIONS_QUEUE_URL"], MessageBody=body)

    def _put_telco(self, prediction_id: str, name: str) -> InputFile:
        with TELCO.open("rb") as file:
            uploaded = self.files.put_upload("demo", prediction_id, file, name=name)
        return uploaded.model_copy(update={"facts": _FACTS})
