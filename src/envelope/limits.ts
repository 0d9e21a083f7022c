/**
 * What is read at most. A header is believed before anything in it is authenticated, so each
 * number in it that leads to memory has a bound, checked before the memory is used.
 */

/** Bytes of a mebibyte. */
export const mebibyte = 1024 * 1024;

/**
 * Bytes of plaintext in each frame of the messages that this program writes. A large frame costs
 * few calls: with the library's default of 4 KiB a stream is several times slower.
 */
export const defaultFrameLength = mebibyte;

/**
 * Bytes that are held in memory before they are known to be genuine: the longest frame, the
 * longest message without frames, and the longest signed message for an output that can't take
 * back what was written. Other tools choose frame lengths of their own (the AWS libraries write
 * 4 KiB unless told otherwise); this is far above all that is common.
 */
export const maxUnverifiedBytes = 64 * mebibyte;

/**
 * Bytes of a header. The format allows several gigabytes (65,535 data keys of three fields with
 * 65,535 bytes each); 16 KMS keys with their ARNs take 5 KiB, 16 RSA keys of 4,096 bits 9 KiB.
 */
export const maxHeaderBytes = 64 * 1024;

/** Encrypted data keys in a header: each may cost one call of a key service. */
export const maxEncryptedDataKeys = 16;
