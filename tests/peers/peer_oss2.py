"""`oss2`, the official Python client (V1 generation), with signatures V1 and V4."""

import unittest

import oss2
import requests

from harness import BUCKET, PART_SIZE, Scenarios


def headers(callback, variables):
    return {"x-oss-callback": callback, "x-oss-callback-var": variables}


class Oss2(Scenarios):
    # oss2.resumable_upload sends the callback with Initiate, where OSS ignores it, and not with Complete.
    managed_callbacks = 0
    # Other clients' HTTP libraries resolve dot segments before they send the path.
    more_awkward_keys = ("x/../y/./z",)

    def make(self, emulator, secret):
        auth = {"v1": oss2.Auth, "v4": oss2.AuthV4}[self.version](emulator.key_id, secret)
        self.bucket = oss2.Bucket(auth, emulator.endpoint, BUCKET, region=emulator.region)

    def put(self, key, data, callback, variables):
        result = self.bucket.put_object(key, data, headers(callback, variables))
        return result.status, result.resp.read()

    def presigned_put(self, key, data, callback, variables):
        query = {"callback": callback, "callback-var": variables}
        url = self.bucket.sign_url("PUT", key, 60, params=query, slash_safe=True)
        answer = requests.put(url, data=data, timeout=30)
        return answer.status_code, answer.content

    def get(self, key):
        try:
            return self.bucket.get_object(key).read()
        except oss2.exceptions.NoSuchKey:
            return None

    def multipart(self, key, parts, callback, variables):
        upload_id = self.bucket.init_multipart_upload(key).upload_id
        done = []
        for number, part in enumerate(parts, 1):
            etag = self.bucket.upload_part(key, upload_id, number, part).etag
            done.append(oss2.models.PartInfo(number, etag))
        result = self.bucket.complete_multipart_upload(key, upload_id, done, headers(callback, variables))
        return result.resp.read()

    def managed(self, key, file, callback, variables):
        oss2.resumable_upload(
            self.bucket,
            key,
            file,
            multipart_threshold=PART_SIZE,
            part_size=PART_SIZE,
            num_threads=2,
            headers=headers(callback, variables),
        )

    def refusal(self, error):
        return error.status, error.code, error.details.get("EC")


class V1(Oss2, unittest.TestCase):
    version = "v1"


class V4(Oss2, unittest.TestCase):
    version = "v4"


if __name__ == "__main__":
    unittest.main()
