/** The bytes of many data keys in one place: an array for each would take ten times their length. */
import {
  type KeyringTrace,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
  unwrapDataKey,
} from '@aws-crypto/material-management-node';

type Materials = NodeEncryptionMaterial | NodeDecryptionMaterial;

/** Of all suites with key commitment. */
const keyBytes = 32;

export class DataKeyBytes {
  #bytes = new Uint8Array(64 * keyBytes);
  #slots = 0;
  readonly #free: number[] = [];

  /**
   * Takes over the data key of materials, and overwrites it in them.
   *
   * @returns its slot
   */
  take(materials: Materials): number {
    const slot = this.#free.pop() ?? this.#slots++;
    if (this.#slots * keyBytes > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes.fill(0);
      this.#bytes = larger;
    }
    const dataKey = unwrapDataKey(materials.getUnencryptedDataKey());
    this.#bytes.set(dataKey, slot * keyBytes);
    dataKey.fill(0); // it is a copy
    materials.zeroUnencryptedDataKey();
    return slot;
  }

  /** Gives materials that have no data key a copy of the one in a slot. */
  give(slot: number, materials: Materials, trace: KeyringTrace): void {
    const dataKey = this.#bytes.slice(slot * keyBytes, (slot + 1) * keyBytes);
    materials.setUnencryptedDataKey(dataKey, trace); // copies it
    dataKey.fill(0);
  }

  forget(slot: number): void {
    this.#bytes.fill(0, slot * keyBytes, (slot + 1) * keyBytes);
    this.#free.push(slot);
  }
}
