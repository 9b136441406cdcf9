// What a script that runs once is asked to do: one line of JSON on standard input.
import { createInterface } from "node:readline";

/**
 * Reads the request. With `--tied`, standard input is also a lifeline: whoever asked keeps it open, and when it closes
 * (because they are gone, too) the script ends.
 * @returns {Promise<any>}
 */
export function request() {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: process.stdin });
    lines.once("line", (line) => {
      resolve(JSON.parse(line));
      if (process.argv.includes("--tied")) process.stdin.unref();
    });
    lines.once("close", () => {
      if (process.argv.includes("--tied")) process.exit(2);
      reject(new Error("standard input holds no request"));
    });
  });
}
