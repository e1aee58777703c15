// Huffman decoding of HPACK strings, four bits a step through a table of states built at load from the code lengths.
//
// The code is canonical: symbols of one length have consecutive codes in the order of their value, so the lengths are the whole code.
// The shortest code has 5 bits, so a step of 4 bits completes at most one symbol. Source: RFC 7541 section 5.2 and appendix B.

/** Code length in bits of each byte value and, last, of EOS; one base-36 digit each. */
const CODE_LENGTHS: string =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq" +
  "u";

const EOS = 256;
const FAILED = -1;
/** A step's result: next state << 9, whether a symbol is complete << 8, the symbol. */
const EMIT = 0x100;
const STATE_SHIFT = 9;
/** Padding is at most 7 bits, all ones. */
const PADDING_BITS_MAX = 7;

interface Node {
  readonly children: [Node | number | undefined, Node | number | undefined];
  readonly state: number;
}

function buildTree(): Node[] {
  const nodes: Node[] = [];
  const newNode = (): Node => {
    const node: Node = { children: [undefined, undefined], state: nodes.length };
    nodes.push(node);
    return node;
  };
  const root = newNode();
  let code = 0;
  let previousBits = 0;
  for (let bits = 1; bits <= 30; bits++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (Number.parseInt(CODE_LENGTHS.charAt(symbol), 36) !== bits) continue;
      code <<= bits - previousBits;
      previousBits = bits;
      let node = root;
      for (let bit = bits - 1; bit > 0; bit--) {
        const side = (code >>> bit) & 1;
        let next = node.children[side];
        if (next === undefined) {
          next = newNode();
          node.children[side] = next;
        }
        node = next as Node;
      }
      node.children[code & 1] = symbol;
      code++;
    }
  }
  return nodes;
}

function buildSteps(nodes: readonly Node[]): Int32Array {
  const steps = new Int32Array(nodes.length * 16);
  for (const start of nodes) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let result = 0;
      for (let bit = 3; bit >= 0 && result !== FAILED; bit--) {
        const next = node.children[((nibble >>> bit) & 1) as 0 | 1];
        if (next === EOS || next === undefined) {
          result = FAILED;
        } else if (typeof next === "number") {
          result = EMIT | next;
          node = nodes[0] as Node;
        } else {
          node = next;
        }
      }
      steps[start.state * 16 + nibble] =
        result === FAILED ? FAILED : (node.state << STATE_SHIFT) | result;
    }
  }
  return steps;
}

function buildAccepting(nodes: readonly Node[]): Uint8Array {
  const accepting = new Uint8Array(nodes.length);
  let node = nodes[0] as Node;
  for (let ones = 0; ones <= PADDING_BITS_MAX; ones++) {
    accepting[node.state] = 1;
    node = node.children[1] as Node;
  }
  return accepting;
}

const nodes = buildTree();
const steps = buildSteps(nodes);
/** Whether a string may end in a state: only padding has been read since the last symbol. */
const accepting = buildAccepting(nodes);

let scratch: Buffer = Buffer.allocUnsafeSlow(4_096);

/**
 * Decodes buf[start, end) to a latin1 string; undefined if it holds EOS or is padded wrongly. The result is at most 8/5 of the input.
 */
export function decodeHuffman(buf: Uint8Array, start: number, end: number): string | undefined {
  const room = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < room) scratch = Buffer.allocUnsafeSlow(room * 2);
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = buf[i] as number;
    let step = steps[state * 16 + (byte >>> 4)] as number;
    if (step === FAILED) return undefined;
    if ((step & EMIT) !== 0) out[length++] = step & 0xff;
    step = steps[(step >>> STATE_SHIFT) * 16 + (byte & 15)] as number;
    if (step === FAILED) return undefined;
    if ((step & EMIT) !== 0) out[length++] = step & 0xff;
    state = step >>> STATE_SHIFT;
  }
  return accepting[state] === 1 ? out.toString("latin1", 0, length) : undefined;
}
