"""Encrypts and decrypts with boto3, as the article's readers may do without this program.

    python boto3_kms.py encrypt KEY USER < plaintext > ciphertext in base64
    python boto3_kms.py decrypt USER < ciphertext in base64 > plaintext
"""
import base64
import sys

import boto3

kms = boto3.client("kms")
operation, *arguments = sys.argv[1:]
given = sys.stdin.buffer.read()
if operation == "encrypt":
    key_id, user = arguments
    answer = kms.encrypt(KeyId=key_id, Plaintext=given, EncryptionContext={"user": user})
    sys.stdout.buffer.write(base64.b64encode(answer["CiphertextBlob"]))
else:
    (user,) = arguments
    blob = base64.b64decode(given, validate=False)
    answer = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"user": user})
    sys.stdout.buffer.write(answer["Plaintext"])
