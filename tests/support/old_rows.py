"""The first version's table as it was exported, and the files that it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customer_files import text

if TYPE_CHECKING:
    from memory_cloud import Cloud

CUSTOMERS = text().encode()
OLD_RESULT = b"customerID,churn_probability\nC1,0.75\nC2,0.5\nC3,\n"
EXPORT = """\
id,owner,status,upload_key,output_key,created_at
#7,demo,COMPLETED,incoming/7.csv,out/7.csv,2024-02-26T08:00:00Z
8,demo,COMPLETED,incoming/8.csv,,2024-02-27T08:00:00Z
9,demo,COMPLETED,incoming/9.csv,,2024-02-28T08:00:00Z
10,demo,QUEUED,incoming/10.csv,,2024-03-01T08:00:00Z
11,demo,processing,incoming/11.csv,,2024-03-01T09:00:00Z
12,demo,QUEUED,incoming/gone.csv,,2024-03-02 08:00:00
13,demo,FAILED,incoming/13.csv,,2024-03-03T09:00:00+01:00
14,demo,COMPLETED,,out/gone.csv,2024-03-04T08:00:00Z
15,Ana@example.com,QUEUED,incoming/15.csv,,2024-03-05T08:00:00Z
"""
"""One row of each kind: 7 and 8 have results, 9's was never stored, 12 and 14 have no file left."""


def put_old_files(cloud: Cloud) -> None:
    """Put the first version's files where its rows say, and the result of 8 where they do not."""
    for number in (7, 8, 9, 10, 11, 13, 15):
        cloud.s3.put_object(
            Bucket=cloud.uploads_bucket, Key=f"incoming/{number}.csv", Body=CUSTOMERS
        )
    cloud.s3.put_object(Bucket=cloud.results_bucket, Key="out/7.csv", Body=OLD_RESULT)
    cloud.s3.put_object(
        Bucket=cloud.uploads_bucket, Key="predictions/8/output.csv", Body=OLD_RESULT
    )
