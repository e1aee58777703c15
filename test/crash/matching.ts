// Which of several operations explains which revision: a maximum matching of a small bipartite graph (Kuhn's algorithm).

/** Gives each left side at most one of its right sides, none twice, for as many left sides as possible. */
export function match<L, R>(edges: ReadonlyMap<L, readonly R[]>): Map<L, R> {
  const owner = new Map<R, L>();
  const take = (left: L, tried: Set<R>): boolean => {
    for (const right of edges.get(left) ?? []) {
      if (tried.has(right)) continue;
      tried.add(right);
      const current = owner.get(right);
      if (current === undefined || take(current, tried)) {
        owner.set(right, left);
        return true;
      }
    }
    return false;
  };
  for (const left of edges.keys()) take(left, new Set());
  return new Map([...owner].map(([right, left]) => [left, right]));
}
