// Figures as people read them.

const digits = (value, places) =>
  value.toLocaleString("en-US", {minimumFractionDigits: places, maximumFractionDigits: places}).replace("-", "−");

export const number = (value, places = 0) => (value === null || value === undefined ? "–" : digits(value, places));
export const percent = (share, places = 1) => (share === null || share === undefined ? "–" : `${digits(100 * share, places)} %`);
/** With its sign, for what changed. */
export const change = (share, places = 1) => `${share > 0 ? "+" : ""}${digits(100 * share, places)} %`;
/** How far a ratio to the mean lies above it. */
export const aboveMean = (ratio, places = 1) => (ratio === null || ratio === undefined ? "–" : change(ratio - 1, places));
export const milliseconds = (seconds) => (seconds === null || seconds === undefined ? "–" : `${digits(seconds * 1e3, 2)} ms`);

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (count >= 1000 && step < units.length - 1) {
    count /= 1000;
    ++step;
  }
  return `${digits(count, count < 10 && step > 0 ? 2 : count < 100 && step > 0 ? 1 : 0)} ${units[step]}`;
}

/** At most `count` evenly spaced positions of `length`, the first among them. */
export function someOf(length, count) {
  const steps = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000];
  const step = steps.find((candidate) => length / candidate <= count) ?? Math.ceil(length / count);
  return Array.from({length: Math.ceil(length / step)}, (_, index) => index * step);
}
