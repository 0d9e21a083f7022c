"""Encrypts and decrypts with AWS's Encryption SDK for Python under a raw AES key.

Standard input is one JSON object: key (base64), namespace, name, jobs and, if it is not the default,
commitmentPolicy. A job to encrypt has plaintext, context, suite and frameLength (0: without frames)
and becomes its ciphertext; a job to decrypt has ciphertext and becomes its plaintext and context. All
bytes are base64.
"""

import base64
import json
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import (
    Algorithm,
    CommitmentPolicy,
    EncryptionKeyType,
    WrappingAlgorithm,
)
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

request = json.load(sys.stdin)


class RawKey(RawMasterKeyProvider):
    provider_id = request["namespace"]

    def _get_raw_key(self, key_id):
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=base64.b64decode(request["key"]),
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


provider = RawKey()
provider.add_master_key(request["name"])
client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy[
        request.get("commitmentPolicy", "REQUIRE_ENCRYPT_REQUIRE_DECRYPT")
    ]
)


def answer(job):
    if "ciphertext" in job:
        plaintext, header = client.decrypt(
            source=base64.b64decode(job["ciphertext"]), key_provider=provider
        )
        return {
            "plaintext": base64.b64encode(plaintext).decode(),
            "context": header.encryption_context,
        }
    ciphertext, _ = client.encrypt(
        source=base64.b64decode(job["plaintext"]),
        key_provider=provider,
        encryption_context=job["context"],
        algorithm=Algorithm[job["suite"]],
        frame_length=job["frameLength"],
    )
    return {"ciphertext": base64.b64encode(ciphertext).decode()}


json.dump([answer(job) for job in request["jobs"]], sys.stdout)
