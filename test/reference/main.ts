// Builds the reference, if it is not there, and prints where its programs lie. Exit code 1 when there is none.

import { findReference, needsReference } from "./reference.ts";

const reference = await findReference();
if (reference === undefined) {
  console.error(needsReference);
  process.exitCode = 1;
} else {
  for (const path of Object.values(reference)) console.log(path);
}
