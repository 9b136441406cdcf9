// Two lists of lines, aligned so that as much as can be is the same.

export interface Pair {
  left: string | undefined;
  right: string | undefined;
  same: boolean;
}

/** Cells of the table that the alignment fills, at most: beyond, the middle is shown as replaced. */
const MOST = 4_000_000;

/** The longest common subsequence, after what both begin and end with. */
export function align(left: string[], right: string[]): Pair[] {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  const same = (line: string | undefined): Pair => ({ left: line, right: line, same: true });
  const middle = align2(left.slice(start, left.length - end), right.slice(start, right.length - end));
  return [...left.slice(0, start).map(same), ...middle, ...left.slice(left.length - end).map(same)];
}

function align2(left: string[], right: string[]): Pair[] {
  const [rows, columns] = [left.length, right.length];
  if (rows * columns > MOST) return replaced(left, right);
  const wide = columns + 1;
  const lengths = new Uint32Array((rows + 1) * wide);
  const at = (row: number, column: number) => lengths[row * wide + column] ?? 0;
  for (let row = rows - 1; row >= 0; row -= 1) {
    for (let column = columns - 1; column >= 0; column -= 1) {
      lengths[row * wide + column] = left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const pairs: Pair[] = [];
  let [row, column] = [0, 0];
  let [gone, come]: [string[], string[]] = [[], []];
  const flush = () => {
    pairs.push(...replaced(gone, come));
    [gone, come] = [[], []];
  };
  while (row < rows || column < columns) {
    const [one, other] = [left[row], right[column]];
    if (row < rows && column < columns && one === other) {
      flush();
      pairs.push({ left: one, right: other, same: true });
      row += 1;
      column += 1;
    } else if (column >= columns || (row < rows && at(row + 1, column) >= at(row, column + 1))) {
      gone.push(one ?? "");
      row += 1;
    } else {
      come.push(other ?? "");
      column += 1;
    }
  }
  flush();
  return pairs;
}

function replaced(left: string[], right: string[]): Pair[] {
  const length = Math.max(left.length, right.length);
  return Array.from({ length }, (_, index) => ({ left: left[index], right: right[index], same: false }));
}
