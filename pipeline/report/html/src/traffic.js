// Traffic: by tier, against imbalance (the Pareto front), and how consistent routing is.
import {barX, dot, line, lineY, plot, pointer, text, tip} from "@observablehq/plot";
import {figure, legend} from "./dom.js";
import {aboveMean, bytes, number, percent} from "./format.js";
import {roleOf} from "./model.js";

const BAR = 30;

/** Stacked bars, a row a placement; parts are [class, name, value of a placement]. */
function stackedBars(model, rows, parts, {width, label, format, total}) {
  const pieces = rows.flatMap((row) => {
    let x = 0;
    return parts.map(([tier, name, value]) => ({row: row.strategy, tier, name, x1: x, x2: (x += value(row)), value: value(row)}));
  });
  const names = Math.min(150, 16 + 7 * Math.max(...rows.map((row) => row.strategy.length)));
  return plot({
    width, height: BAR * rows.length + 60, marginLeft: names, marginBottom: 38, marginTop: 6, marginRight: total ? 12 + 6.5 * Math.max(...rows.map((row) => total(row).length)) : 16,
    y: {domain: rows.map((row) => row.strategy), label: null, tickSize: 0, padding: 0.25},
    x: {label, grid: true, ticks: Math.max(3, Math.floor(width / 110)), nice: true},
    marks: [
      barX(pieces, {x1: "x1", x2: "x2", y: "row", fill: (piece) => `var(--${piece.tier})`, insetRight: 1, tip: {pointer: "y"},
        title: (piece) => `${piece.row}\n${piece.name}: ${format(piece.value)}`}),
      total ? text(rows, {y: "strategy", x: (row) => parts.reduce((sum, part) => sum + part[2](row), 0), textAnchor: "start", dx: 6,
        text: (row) => total(row), fill: "currentColor"}) : null,
    ],
    color: {type: "identity"},
  });
}

export function bytesByTier(model) {
  const rows = model.rows.filter((row) => row.tiers);
  const unit = Math.max(...rows.map((row) => row.tiers.intra_node_bytes + row.tiers.inter_node_bytes)) >= 2e9 ? [1e9, "GB"] : [1e6, "MB"];
  const all = [["tier-intra", "inside the node", (row) => row.tiers.intra_node_bytes / unit[0]],
    ["tier-inter", "between nodes", (row) => row.tiers.inter_node_bytes / unit[0]]];
  const parts = model.nodes > 1 ? all : all.slice(0, 1);
  const tokens = model.data.options.batch_tokens;
  return figure({
    id: "bytes", title: model.nodes > 1 ? "Traffic of the busiest GPU, by tier" : "Traffic of the busiest GPU",
    note: `In a step of ${number(tokens)} tokens, in or out, the larger; summed over layers${model.nodes > 1 ? "; each tier's own busiest GPU" : ""}. Communication is ${model.data.comm}` +
      (model.data.comm === "resident" ? ": a token stays where its expert ran. Engines dispatch (comm dispatch)." : "."),
    label: `bar chart of traffic by tier: ${rows.map((row) => `${row.strategy} ${parts.map(([, name, value]) => `${number(value(row), 1)} ${unit[1]} ${name}`).join(" and ")}`).join(", ")}`,
    key: legend(parts.map(([tier, name]) => [tier, name])),
    draw: (width) => stackedBars(model, rows, parts, {width, label: `Traffic (${unit[1]} a step) →`,
      format: (value) => `${number(value, 2)} ${unit[1]}`,
      total: (row) => `${parts.map((part) => number(part[2](row), unit[0] === 1e9 ? 2 : 0)).join(" + ")} ${unit[1]}`}),
    tables: () => [{
      caption: "Bytes in or out of the busiest GPU a step",
      head: ["Placement", "Inside the node", "Between nodes"],
      rows: rows.map((row) => [row.strategy, bytes(row.tiers.intra_node_bytes), bytes(row.tiers.inter_node_bytes)]),
    }],
  });
}

export function sharesByTier(model) {
  const rows = model.rows.filter((row) => model.shown(row)?.same_gpu_share != null);
  const share = (row, key) => model.shown(row)[key];
  const parts = [["tier-gpu", "same GPU", (row) => 100 * share(row, "same_gpu_share")],
    ["tier-intra", model.nodes > 1 ? "other GPU of the node" : "other GPU", (row) => 100 * (share(row, "same_node_share") - share(row, "same_gpu_share"))],
    ["tier-inter", "other node", (row) => 100 * (1 - share(row, "same_node_share"))]].slice(0, model.nodes > 1 ? 3 : 2);
  return figure({
    id: "shares", title: "Where a token's next expert is",
    note: `Transitions from a layer to the next on ${model.trafficWords}: what stays on the GPU need not travel where tokens are resident.`,
    label: `bar chart of transitions by tier: ${rows.map((row) => `${row.strategy} ${percent(share(row, "same_gpu_share"))} on the same GPU`).join(", ")}`,
    key: legend(parts.map(([tier, name]) => [tier, name])),
    draw: (width) => stackedBars(model, rows, parts, {width, label: "Transitions (%) →", format: (value) => `${number(value, 1)} %`}),
    tables: () => [{
      caption: "Share of transitions, and what a token touches in a layer",
      head: ["Placement", ...parts.map(([, name]) => name[0].toUpperCase() + name.slice(1)), "GPUs touched", "Nodes touched"],
      rows: rows.map((row) => [row.strategy, ...parts.map(([, , value]) => `${number(value(row), 2)} %`),
        number(share(row, "gpus_touched"), 3), number(share(row, "nodes_touched"), 3)]),
    }],
  });
}

/** Points that no other is at least as good as in both figures, by communication. */
function paretoFront(points) {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  let best = Infinity;
  return sorted.filter((point) => (point.y < best ? ((best = point.y), true) : false));
}

function communicationName(model) {
  const q = number(model.data.tier_cost_ratio, 2);
  if (model.data.comm === "dispatch") {
    return model.nodes > 1 ? [`Nodes touched + ${q} × GPUs touched, a token and layer`, 1, 3] : ["GPUs touched, a token and layer", 1, 3];
  }
  return model.nodes > 1 ? [`Transitions to another node + ${q} × to another GPU (%)`, 100, 2] : ["Transitions to another GPU (%)", 100, 2];
}

/** Labels of the points, those of points in one place joined, each where it covers no other, no point and no axis title. */
function placeLabels(points, scale, width) {
  const placed = [];
  for (const point of [...points].sort((a, b) => b.y - a.y)) {
    const x = scale.x.apply(point.x);
    const y = scale.y.apply(point.y);
    const same = placed.find((other) => Math.abs(other.x - x) < 2 && Math.abs(other.pointY - y) < 2);
    if (same) {
      same.name += `, ${point.name}`;
    } else {
      placed.push({point, name: point.name, x, pointY: y});
    }
  }
  const dots = placed.map(({x, pointY}) => ({left: x - 7, right: x + 7, top: pointY - 7, bottom: pointY + 7}));
  const taken = [...dots];
  for (const label of placed) {
    const size = 6.8 * label.name.length;
    const boxes = [-10, 12, -25, 27].flatMap((dy) => ["start", "end"].map((anchor) => {
      const left = anchor === "start" ? label.x + 9 : label.x - 9 - size;
      return {anchor, left, right: left + size, top: label.pointY + dy - 7, bottom: label.pointY + dy + 7};
    }));
    const isFree = (box) => box.left > 0 && box.right < width && box.top > 20 &&
      taken.every((other) => box.right < other.left || other.right < box.left || box.bottom < other.top || other.bottom < box.top);
    const box = boxes.find(isFree) ?? boxes[0];
    taken.push(box);
    Object.assign(label, {anchor: box.anchor, y: box.top + 7});
  }
  return placed;
}

export function front(model) {
  const [name, factor, places] = communicationName(model);
  const candidates = model.rows.some((row) => row === model.before) ? [model.before, ...model.front] : model.front;
  const slackOf = (one) => one.slack ?? (model.front.some((other) => other.slack !== undefined) && one.strategy === "evenkeel" ? model.data.options.slack : null);
  const points = candidates.filter((one) => one.communication != null && model.shown(one)).map((one) => ({
    name: slackOf(one) === null ? one.strategy : slackOf(one) === "auto" ? `${one.strategy}, slack auto` : `${one.strategy}, slack ${percent(slackOf(one), 0)}`,
    role: one.slack === undefined ? roleOf(model, one) : "front-point", x: factor * one.communication, y: 100 * (model.shown(one).imbalance_mean - 1)}));
  const best = paretoFront(points);
  const options = (width) => ({
    width, height: 280, marginLeft: 46, marginBottom: 38, marginTop: 24, marginRight: 24,
    x: {label: width < 480 ? "Communication →" : `${name} →`, grid: true, nice: true, inset: 12, ticks: Math.max(3, Math.floor(width / 100))},
    y: {label: "↑ Imbalance: above the mean (%)", grid: true, nice: true, zero: true, ticks: 5},
    color: {type: "identity"},
  });
  const base = [
    line(best, {x: "x", y: "y", stroke: "var(--axis)", strokeWidth: 1.5, strokeDasharray: "4 3", curve: "step-after"}),
    ...Object.entries({before: "square", after: "circle", other: "diamond", "front-point": "triangle"}).map(([role, symbol]) =>
      dot(points.filter((point) => point.role === role), {x: "x", y: "y", r: 6, fill: `var(--${role})`, stroke: "var(--card)", symbol})),
    tip(points, pointer({x: "x", y: "y",
      title: (point) => `${point.name}\nimbalance +${number(point.y, 2)} %\ncommunication ${number(point.x, places)}`})),
  ];
  const draw = (width) => {
    const bare = plot({...options(width), marks: base});
    const scale = {x: bare.scale("x"), y: bare.scale("y")};
    const labels = placeLabels(points, scale, width);
    const mark = (anchor) => text(labels.filter((label) => label.anchor === anchor), {x: (label) => label.point.x,
      y: (label) => scale.y.invert(label.y), dx: anchor === "start" ? 10 : -10, textAnchor: anchor, text: "name",
      stroke: "var(--card)", fill: "currentColor", strokeWidth: 4, paintOrder: "stroke"});
    return plot({...options(width), x: {...options(width).x, domain: scale.x.domain}, y: {...options(width).y, domain: scale.y.domain},
      marks: [...base, mark("start"), mark("end")]});
  };
  return figure({
    id: "front", title: "Balance against communication",
    note: `Left and low is better, on ${model.trafficWords}. The dashed line joins placements that none beats on both counts. Communication: ${name}.`,
    label: `scatter chart of imbalance against communication; on the Pareto front: ${best.map((point) => point.name).join(", ")}`,
    draw,
    tables: () => [{
      caption: "Imbalance and communication of each placement",
      head: ["Placement", name, "Above the mean", "On the front"],
      rows: points.map((point) => [point.name, number(point.x, places), `${number(point.y, 2)} %`, best.includes(point) ? "yes" : "no"]),
    }],
  });
}

export function consistency(model) {
  const points = model.data.consistency;
  return figure({
    id: "consistency", title: "Local routing consistency",
    note: "SRP: how well one on-or-off choice of experts for a whole segment can follow its tokens (F1 score), beside what skewed " +
      "loads alone would give. High over long segments means that windows of traffic can be planned for.",
    label: `line chart of segment routing best performance: ${points.map((one) => `${number(one.srp, 2)} at ${one.segment_tokens} tokens`).join(", ")}`,
    key: legend([["line after", "measured"], ["line chance", "by loads alone"]]),
    draw: (width) => plot({
      width, height: 280, marginLeft: 46, marginBottom: 38, marginTop: 24, marginRight: 20,
      x: {type: "log", base: 2, inset: 20, label: "Segment (tokens, log scale)", ticks: points.map((one) => one.segment_tokens), tickFormat: String},
      y: {label: "↑ SRP", grid: true, domain: [0, 1], ticks: 5},
      marks: [
        lineY(points, {x: "segment_tokens", y: "srp_chance", stroke: "var(--chance)", strokeWidth: 2, strokeDasharray: "6 3"}),
        lineY(points, {x: "segment_tokens", y: "srp", stroke: "var(--after)", strokeWidth: 2}),
        dot(points, {x: "segment_tokens", y: "srp_chance", fill: "var(--chance)", symbol: "square", r: 4}),
        dot(points, {x: "segment_tokens", y: "srp", fill: "var(--after)", r: 4}),
        text(points, {x: "segment_tokens", y: "srp", text: (one) => number(one.srp, 2), dy: -12, fill: "currentColor"}),
      ],
    }),
    tables: () => [{
      caption: "Segment routing best performance",
      head: ["Segment, tokens", "Measured", "By loads alone"],
      rows: points.map((one) => [String(one.segment_tokens), number(one.srp, 3), number(one.srp_chance, 3)]),
    }],
  });
}
