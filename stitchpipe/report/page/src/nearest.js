// The best match of every layer, and the one after it.

/**
 * @param {object} measure of `store.measures`, its values at hand
 * @param {object[]} rows layers whose match is sought
 * @param {object[]} columns layers among which it is
 * @returns {{row: object, best: object|null, second: object|null}[]} in the order of the rows
 */
export function nearest(measure, rows, columns) {
  const { sign, value } = measure;
  return rows.map((row) => {
    let [best, second, first, next] = [null, null, -Infinity, -Infinity];
    for (const column of columns) {
      if (column.place === row.place) continue; // a layer is no match of itself
      const closeness = sign * value.value(row.place, column.place);
      if (closeness > first) [second, next, best, first] = [best, first, column, closeness];
      else if (closeness > next) [second, next] = [column, closeness];
    }
    return { row, best, second };
  });
}
