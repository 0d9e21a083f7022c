"""Opens a message with an RSA backup key and AWS's Encryption SDK for Python, without kms-poc.

    pip install aws-encryption-sdk
    python3 open_with_rsa.py USER PRIVATE.pem PASSPHRASE-FILE < message.b64 > message
"""

import base64
import hashlib
import sys

from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

user, key_file, passphrase_file = sys.argv[1:]
pem, passphrase = open(key_file, "rb").read(), open(passphrase_file, "rb").readline().rstrip()
public_key = load_pem_private_key(pem, passphrase).public_key()
der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class BackupKey(RawMasterKeyProvider):
    provider_id = "kms-poc-rsa"

    def _get_raw_key(self, key_id):
        padding = WrappingAlgorithm.RSA_OAEP_SHA256_MGF1
        return WrappingKey(padding, pem, EncryptionKeyType.PRIVATE, passphrase)


provider = BackupKey()
provider.add_master_key(hashlib.sha256(der).hexdigest()[:32])
client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
message, header = client.decrypt(source=base64.b64decode(sys.stdin.read()), key_provider=provider)
if header.encryption_context != {"user": user}:
    sys.exit(f"This message is not for {user}.")
sys.stdout.buffer.write(message)
