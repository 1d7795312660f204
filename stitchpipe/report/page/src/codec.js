// From the bytes of a block to codes: the inverse of stitchpipe/report/planes.py.

/** Inflate bytes. They are written to the stream as they are: a blob of them would go through another process first. */
export async function inflated(bytes) {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const [buffer] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(buffer);
}

/** Undo the differences, and where codes have two bytes the parting of low bytes from high ones. */
export function codesOf(plain, bytesEach) {
  const n = plain.length / bytesEach;
  const codes = bytesEach === 2 ? new Uint16Array(n) : new Uint8Array(n);
  let last = 0;
  for (let k = 0; k < n; k++) {
    last += bytesEach === 2 ? plain[k] | (plain[n + k] << 8) : plain[k];
    codes[k] = last; // typed arrays wrap around as the differences did
  }
  return codes;
}

/** The whole square of codes, given those on and above its diagonal, row by row. */
export function squared(half, side) {
  const whole = new half.constructor(side * side);
  let k = 0;
  for (let row = 0; row < side; row++) {
    for (let column = row; column < side; column++) {
      whole[row * side + column] = whole[column * side + row] = half[k++];
    }
  }
  return whole;
}

/** Bytes of base64 text. */
export function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
  return bytes;
}
