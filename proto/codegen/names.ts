// proto field names (range_end, ID, peerURLs, remaining_TTL) as TypeScript field names (rangeEnd, id, peerUrls, remainingTtl).

// An acronym may carry a plural s ("URLs"); an acronym before a word ends one letter earlier ("TTLNow" is TTL, Now).
const WORD = /[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+/g;

/** lowerCamel form of a proto field name; acronyms count as words. */
export function fieldName(protoName: string): string {
  const words = protoName.match(WORD);
  if (words === null) throw new Error(`no word in field name ${protoName}`);
  return words
    .map((word, i) => {
      const lower = word.toLowerCase();
      return i === 0 ? lower : lower.charAt(0).toUpperCase() + lower.slice(1);
    })
    .join("");
}
