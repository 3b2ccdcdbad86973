"""`alibabacloud-oss-v2`, the official Python client (V2 generation), with signatures V1 and V4."""

import datetime
import unittest

import alibabacloud_oss_v2 as oss
import requests

from harness import BUCKET, PART_SIZE, Scenarios


class OssV2(Scenarios):
    def make(self, emulator, secret):
        config = oss.config.load_default()
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(emulator.key_id, secret)
        config.region = emulator.region
        config.endpoint = emulator.endpoint
        config.signature_version = self.version
        self.client = oss.Client(config)

    def put(self, key, data, callback, variables):
        request = oss.PutObjectRequest(
            bucket=BUCKET, key=key, body=data, callback=callback, callback_var=variables
        )
        result = self.client.put_object(request)
        return result.status_code, result.callback_result.encode()

    def presigned_put(self, key, data, callback, variables):
        query = {"callback": callback, "callback-var": variables}
        request = oss.PutObjectRequest(bucket=BUCKET, key=key, parameters=query)
        signed = self.client.presign(request, expires=datetime.timedelta(seconds=60))
        answer = requests.put(signed.url, data=data, headers=signed.signed_headers, timeout=30)
        return answer.status_code, answer.content

    def get(self, key):
        try:
            with self.client.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key)).body as body:
                return body.read()
        except oss.exceptions.OperationError as error:
            if error.unwrap().code == "NoSuchKey":
                return None
            raise

    def multipart(self, key, parts, callback, variables):
        begun = self.client.initiate_multipart_upload(
            oss.InitiateMultipartUploadRequest(bucket=BUCKET, key=key)
        )
        target = {"bucket": BUCKET, "key": key, "upload_id": begun.upload_id}
        done = []
        for number, part in enumerate(parts, 1):
            result = self.client.upload_part(oss.UploadPartRequest(part_number=number, body=part, **target))
            done.append(oss.UploadPart(part_number=number, etag=result.etag))
        result = self.client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                complete_multipart_upload=oss.CompleteMultipartUpload(parts=done),
                callback=callback,
                callback_var=variables,
                **target,
            )
        )
        return result.callback_result.encode()

    def managed(self, key, file, callback, variables):
        uploader = self.client.uploader(part_size=PART_SIZE, parallel_num=2)
        request = oss.PutObjectRequest(bucket=BUCKET, key=key, callback=callback, callback_var=variables)
        uploader.upload_file(request, file)

    def refusal(self, error):
        cause = error.unwrap()
        return cause.status_code, cause.code, cause.ec

    def test_a_presigned_put_fires_the_callback_in_its_signed_headers(self):
        request = oss.PutObjectRequest(
            bucket=BUCKET, key=self.key, callback=self.callback(), callback_var=self.variables()
        )
        signed = self.client.presign(request, expires=datetime.timedelta(seconds=60))
        answer = requests.put(signed.url, data=b"x", headers=signed.signed_headers, timeout=30)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assert_called_once(self.key, b"x", answer.content)


class V1(OssV2, unittest.TestCase):
    version = "v1"


class V4(OssV2, unittest.TestCase):
    version = "v4"


if __name__ == "__main__":
    unittest.main()
