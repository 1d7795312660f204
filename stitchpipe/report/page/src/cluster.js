// Order without a network: average linkage, and classical scaling into the plane.

/** Euclidean distances of the rows of a matrix; cells without a number in either row say nothing. */
export function distances(rows) {
  const n = rows.length;
  const away = new Float64Array(n * n);
  for (let a = 0; a < n; a++) {
    for (let b = a + 1; b < n; b++) {
      let [sum, known] = [0, 0];
      for (let k = 0; k < rows[a].length; k++) {
        const difference = rows[a][k] - rows[b][k];
        if (difference === difference) {
          sum += difference * difference;
          known++;
        }
      }
      away[a * n + b] = away[b * n + a] = known ? Math.sqrt(sum / known) : 0;
    }
  }
  return away;
}

/**
 * Average linkage by chains of nearest neighbours, O(n²).
 * @returns {{left: any, right: any, height: number, leaves: number[]}} the tree; a leaf has `leaves` alone
 */
export function linked(away, n) {
  const d = Float64Array.from(away);
  const clusters = Array.from({ length: n }, (_, k) => ({ leaves: [k], height: 0 }));
  const alive = new Set(clusters.keys());
  let chain = [];
  while (alive.size > 1) {
    if (!chain.length) chain = [alive.values().next().value];
    const last = chain[chain.length - 1];
    const before = chain[chain.length - 2];
    let best = before === undefined ? -1 : before;
    for (const k of alive) if (k !== last && (best < 0 || d[last * n + k] < d[last * n + best])) best = k;
    if (best !== before) {
      chain.push(best);
      continue;
    }
    chain.length -= 2;
    const [a, b] = [Math.min(last, best), Math.max(last, best)];
    const [x, y] = [clusters[a].leaves.length, clusters[b].leaves.length];
    const height = d[a * n + b];
    for (const k of alive) if (k !== a && k !== b) d[a * n + k] = d[k * n + a] = (x * d[a * n + k] + y * d[b * n + k]) / (x + y);
    const [left, right] = clusters[a].leaves[0] < clusters[b].leaves[0] ? [clusters[a], clusters[b]] : [clusters[b], clusters[a]];
    clusters[a] = { left, right, height, leaves: [...left.leaves, ...right.leaves] };
    alive.delete(b);
  }
  return clusters[alive.values().next().value] || { leaves: [], height: 0 };
}

/** Points in the plane whose distances are as near to those given as the two leading directions allow: [[x, y], …]. */
export function placed(away, n) {
  const squares = Float64Array.from(away, (each) => each * each);
  const means = Array.from({ length: n }, (_, a) => squares.subarray(a * n, a * n + n).reduce((sum, each) => sum + each, 0) / n);
  const mean = means.reduce((sum, each) => sum + each, 0) / n;
  const gram = squares.map((square, k) => -0.5 * (square - means[Math.floor(k / n)] - means[k % n] + mean));
  const axes = [0, 1].map((number) => leading(gram, n, number));
  return Array.from({ length: n }, (_, k) => axes.map((axis) => axis[k]));
}

/** The leading direction of a symmetric matrix by power iteration, scaled by its root; it is taken out of the matrix. */
function leading(gram, n, number) {
  // A start of its own for each direction, the same in every browser.
  let vector = Float64Array.from({ length: n }, (_, k) => Math.cos((k + 1) * (number + 1)));
  let size = 0;
  for (let round = 0; round < 300; round++) {
    const next = new Float64Array(n);
    for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) next[a] += gram[a * n + b] * vector[b];
    size = Math.hypot(...next);
    if (size < 1e-12) return new Float64Array(n);
    vector = next.map((each) => each / size);
  }
  const signed = vector.reduce((sum, each, k) => sum + each * (k + 1), 0) < 0 ? vector.map((each) => -each) : vector;
  for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) gram[a * n + b] -= size * signed[a] * signed[b];
  return signed.map((each) => each * Math.sqrt(size));
}
