// A replay: policies over windows, changes of placement marked.
import {dot, lineY, plot, ruleX} from "@observablehq/plot";
import {figure, legend, lineSwatch} from "./dom.js";
import {number} from "./format.js";

const PLAIN = {colour: "var(--series-0)", dashes: "none", thickness: 2};
const KNOWN = {never: PLAIN, evenkeel: {colour: "var(--series-3)", dashes: "none", thickness: 3},
  oracle: {colour: "var(--series-4)", dashes: "9 3 2 3", thickness: 2}};
const COLOURS = [1, 2, 5].map((index) => `var(--series-${index})`);
const DASHES = ["6 3", "2 3", "12 4", "none"];

/** Each policy's look: known ones have their own everywhere, others differ in colour, then in dashes. */
function looksOf(policies) {
  let others = 0;
  return policies.map(({policy}) => {
    if (KNOWN[policy]) return KNOWN[policy];
    const index = others++;
    return {colour: COLOURS[index % COLOURS.length], dashes: DASHES[Math.floor(index / COLOURS.length) % DASHES.length], thickness: 2};
  });
}

// Of more changes than these the marks are small, without a line each.
const CHANGES_FEW = 60;

function timelineFigure(timeline, {id, title, note, unit, key, value, zero}) {
  const looks = looksOf(timeline.policies);
  const lines = timeline.policies.map((policy, index) => ({name: policy.policy, changes: policy.changes, epochs: policy.epochs, ...looks[index],
    points: policy[key].map((raw, point) => ({x: point * timeline.windows_per_point, y: value(raw)}))}));
  const epochs = lines.flatMap((one) => one.epochs.map((epoch) => ({...epoch, policy: one.name, colour: one.colour,
    y: one.points[Math.floor(epoch.window / timeline.windows_per_point)]?.y})));
  const areFew = epochs.length <= CHANGES_FEW;
  const isThinned = lines.some((one) => one.changes > one.epochs.length);
  return figure({
    id, title, isWide: true, note: `${note} Triangles: a new placement is in force${isThinned ? " (of many, some)" : ""}.` +
      (timeline.windows_per_point > 1 ? ` A point is the mean of ${timeline.windows_per_point} windows.` : ""),
    label: `line chart over ${timeline.windows} windows: ${lines.map((one) => `${one.name}, ${one.changes} changes`).join("; ")}`,
    key: legend(lines.map((one) => [lineSwatch(one.colour, one.dashes), one.name])),
    draw: (width) => plot({
      width, height: 280, marginLeft: 52, marginBottom: 38, marginTop: 24, marginRight: 16,
      x: {label: "Window", domain: [0, Math.max(1, timeline.windows - 1)], ticks: Math.max(3, Math.floor(width / 90)), tickFormat: "d"},
      y: {label: `↑ ${unit}`, grid: true, nice: true, zero, ticks: 5},
      marks: [
        areFew ? ruleX(epochs, {x: "window", stroke: "colour", strokeOpacity: 0.3}) : null,
        lines.map((one) => lineY(one.points, {x: "x", y: "y", stroke: one.colour, strokeWidth: one.thickness, strokeDasharray: one.dashes})),
        dot(epochs.filter((epoch) => epoch.y !== undefined), {x: "window", y: "y", r: areFew ? 5 : 3, symbol: "triangle", fill: "colour",
          stroke: "var(--card)", tip: true, title: (epoch) => `${epoch.policy}, window ${epoch.window}\n${number(epoch.moves)} slots change\n${epoch.reason}`}),
      ],
      color: {type: "identity"},
    }),
    tables: () => [
      {caption: "Changes of placement", head: ["Policy", "Window", "Slots that change", "Stall (s)", "Reason"], textColumns: [0, 4],
        rows: epochs.map((epoch) => [epoch.policy, String(epoch.window), number(epoch.moves), number(epoch.stall_seconds, 3), epoch.reason])},
      {caption: `${unit}, by window`, head: ["Window", ...lines.map((one) => one.name)],
        rows: (lines[0]?.points ?? []).map((point, index) => [String(point.x), ...lines.map((one) => number(one.points[index]?.y, 3))])},
    ],
  });
}

export function timelines(timeline) {
  return [
    timelineFigure(timeline, {id: "step-time-timeline", title: "Step time over the day", unit: "Modelled step (ms)",
      note: "Modelled time of one step, window by window.", key: "step_time_seconds", value: (seconds) => 1e3 * seconds, zero: false}),
    timelineFigure(timeline, {id: "imbalance-timeline", title: "Imbalance over the day", unit: "Above the mean (%)",
      note: "How far a layer's busiest GPU lies above the mean, mean over layers.", key: "imbalance", value: (ratio) => 100 * (ratio - 1), zero: true}),
  ];
}
