// The best match of every layer, and the one after it.

/**
 * @param {number} sign 1 where larger numbers are more similar, else -1
 * @param {Float64Array} numbers of rows × columns, row by row
 * @param {object[]} rows layers whose match is sought
 * @param {object[]} columns layers among which it is
 * @returns {{row: object, best: object|null, second: object|null}[]} in the order of the rows
 */
export function nearest(sign, numbers, rows, columns) {
  return rows.map((row, r) => {
    let [best, second, first, next] = [null, null, -Infinity, -Infinity];
    for (let c = 0, k = r * columns.length; c < columns.length; c++, k++) {
      const closeness = sign * numbers[k];
      if (!(closeness > next) || columns[c].place === row.place) continue; // a layer is no match of itself
      if (closeness > first) [second, next, best, first] = [best, first, columns[c], closeness];
      else [second, next] = [columns[c], closeness];
    }
    return { row, best, second };
  });
}
