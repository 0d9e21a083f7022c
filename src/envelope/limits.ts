/**
 * Upper limits on what is read. A header is parsed before anything in it is authenticated, so each
 * number in it that determines memory use has a limit, which is checked before the memory is used.
 */

/** Bytes of a mebibyte. */
export const mebibyte = 1024 * 1024;

/**
 * Bytes of plaintext in each frame of the messages that this program writes. Large frames need few
 * calls: with the library's default of 4 KiB, a stream is several times slower.
 */
export const defaultFrameLength = mebibyte;

/**
 * Bytes that are held in memory before they are verified: the longest frame, the longest message
 * without frames, and the longest signed message for an output that can't take back what was
 * written. Other tools choose their own frame lengths (the AWS libraries write 4 KiB unless told
 * otherwise); this is far more than any common one.
 */
export const maxUnverifiedBytes = 64 * mebibyte;

/**
 * Bytes of a header. The format allows several gigabytes (65,535 data keys of three fields with
 * 65,535 bytes each); 16 KMS keys with their ARNs take 5 KiB, 16 RSA keys of 4,096 bits 9 KiB.
 */
export const maxHeaderBytes = 64 * 1024;

/** Encrypted data keys in a header: each one may cost a call to a key service. */
export const maxEncryptedDataKeys = 16;
