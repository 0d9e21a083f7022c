"""Opens a message of a symmetric transit key with AWS's Encryption SDK for Python, without kms-poc.

    pip install aws-encryption-sdk
    BAO_ADDR=https://… BAO_TOKEN=… python3 open_with_vault.py USER MOUNT/NAME < message.b64 > message
"""

import base64
import json
import os
import sys
import urllib.request

import attr
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.internal.formatting.encryption_context import serialize_encryption_context
from aws_encryption_sdk.key_providers.base import MasterKey, MasterKeyConfig
from aws_encryption_sdk.structures import DataKey

user, key_name = sys.argv[1:]


@attr.s
class VaultKeyConfig(MasterKeyConfig):
    provider_id = "kms-poc-vault"


class VaultKey(MasterKey):
    provider_id = "kms-poc-vault"
    _config_class = VaultKeyConfig

    def _decrypt_data_key(self, encrypted_data_key, algorithm, encryption_context):
        mount, name = key_name.rsplit("/", 1)
        body = {
            "ciphertext": encrypted_data_key.encrypted_data_key.decode(),
            "associated_data": base64.b64encode(serialize_encryption_context(encryption_context)).decode(),
        }
        url = f"{os.environ['BAO_ADDR'].rstrip('/')}/v1/{mount}/decrypt/{name}"
        headers = {"X-Vault-Token": os.environ["BAO_TOKEN"]}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        answer = json.load(urllib.request.urlopen(request, timeout=20))
        data_key = base64.b64decode(answer["data"]["plaintext"])
        return DataKey(encrypted_data_key.key_provider, data_key, encrypted_data_key.encrypted_data_key)

    def _generate_data_key(self, algorithm, encryption_context):
        raise NotImplementedError("This only opens messages.")

    def _encrypt_data_key(self, data_key, algorithm, encryption_context):
        raise NotImplementedError("This only opens messages.")


client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
source = base64.b64decode(sys.stdin.read())
message, header = client.decrypt(source=source, key_provider=VaultKey(key_id=key_name))
if header.encryption_context != {"user": user}:
    sys.exit(f"This message is not for {user}.")
sys.stdout.buffer.write(message)
