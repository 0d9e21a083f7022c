#!/bin/sh
# Stands in for the AWS CLI: a stack that exists and is up to date, in no time. For tests of what
# deploy.sh does on this machine; what it does with AWS is tested with the real AWS CLI.
case "$*" in
  *get-caller-identity*) printf '111122223333\tarn:aws:iam::111122223333:user/admin\n' ;;
  *describe-stacks*)
    printf 'CREATE_COMPLETE\tarn:aws:cloudformation:stack-id\n'
    printf 'p\tAllowedUsers\t%s\n' "${STUB_USERS:-alice,bob}"
    printf 'p\tMultiRegion\tfalse\np\tContextKeys\tuser\n'
    printf 'o\ttheKeyArn\tarn:aws:kms:eu-central-1:111122223333:key/1234abcd\n'
    printf 'o\ttheKeyAlias\talias/kms-poc\n'
    printf 'o\tEncryptorUserAccessKey\tAKIAENCRYPTOR\no\tDecryptorUserAccessKey\tAKIADECRYPTOR\n'
    printf 'o\tEncryptorUserSecretAccessKey\tarn:aws:secretsmanager:encryptor\n'
    printf 'o\tDecryptorUserSecretAccessKey\tarn:aws:secretsmanager:decryptor\n'
    ;;
  *describe-change-set*) printf "FAILED\tThe submitted information didn't contain changes.\tNone\n" ;;
  *get-secret-value*:encryptor*) echo 'encryptor+secret/1' ;;
  *get-secret-value*:decryptor*)
    [ -z "${STUB_NO_SECRET:-}" ] || exit 254
    echo 'decryptor+secret/2'
    ;;
  *configure*) exit 1 ;;
esac
