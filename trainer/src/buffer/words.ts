/**
 * Parts of messages begin anywhere, and what looks at them word by word has to bring them to words first: piece by piece,
 * through memory that stays in the processor's cache.
 */

const PIECE = 1 << 16;
/** The largest word that anything here asks for. */
const WORD = 8;
const scratch = new Uint8Array(PIECE + WORD);

/** Calls `use` with the bytes in pieces, whose memory begins `phase` bytes behind a multiple of 8. */
export function eachPiece(
  bytes: Uint8Array,
  phase: number,
  use: (piece: Uint8Array, at: number) => void,
): void {
  if (bytes.byteOffset % WORD === phase) {
    use(bytes, 0);
    return;
  }
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    scratch.set(piece, phase);
    use(scratch.subarray(phase, phase + piece.length), at);
  }
}

/**
 * `target.set(bytes, at)` for a target that threads share. V8 copies to such memory by words of 8 bytes, but a byte at a time where the
 * two do not begin alike.
 */
export function copyInWords(bytes: Uint8Array, target: Uint8Array, at: number): void {
  eachPiece(bytes, (target.byteOffset + at) % WORD, (piece, i) => target.set(piece, at + i));
}
