export { AssertionFailure, assert, must, unreachable } from "./assert.ts";
export { Prng } from "./prng.ts";
