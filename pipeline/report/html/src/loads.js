// Loads: GPU x layer heat maps, each layer's busiest GPU, and how unevenly experts are used.
import {areaY, dot, lineY, plot, rect, ruleY} from "@observablehq/plot";
import {el, figure, legend} from "./dom.js";
import {aboveMean, number, someOf} from "./format.js";
import {layerAxis} from "./model.js";

// Deviations from the mean, in percent, at which the next shade begins: the same in every report, so that reports compare.
const STEPS = [2, 5, 10, 20, 50];

/** The shade (in style.css) of a load in thousandths of the mean. */
function shadeOf(load) {
  if (load === null) return "var(--card)";
  const level = STEPS.filter((step) => Math.abs(load / 10 - 100) >= step).length;
  return `var(--shade-${load < 1000 ? "cold" : "hot"}-${level})`;
}

function heatMap(model, grid, width) {
  const cells = grid.flatMap((row, layer) => row.map((load, gpu) => ({layer, gpu, load})));
  const height = Math.max(150, Math.min(380, model.gpus * 12)) + 50;
  const gap = width / model.layers.length > 8 && model.gpus <= 40 ? 0.5 : 0;
  const nodes = Array.from({length: model.nodes - 1}, (_, node) => ((node + 1) * model.gpus) / model.nodes);
  const gpus = someOf(model.gpus, 9);
  return plot({
    width, height, marginLeft: 40, marginBottom: 38, marginTop: 18, marginRight: 4,
    x: layerAxis(model.layers, width),
    y: {domain: [model.gpus, 0], ticks: gpus.map((gpu) => gpu + 0.5), tickFormat: (place) => String(Math.floor(place)),
      label: "GPU", tickSize: 4},
    marks: [
      rect(cells, {x1: "layer", x2: (cell) => cell.layer + 1, y1: "gpu", y2: (cell) => cell.gpu + 1, inset: gap,
        fill: {value: (cell) => shadeOf(cell.load), scale: null}, tip: {pointer: "xy"},
        title: (cell) => `Layer ${model.layers[cell.layer]}, GPU ${cell.gpu}\n` +
          (cell.load === null ? "no slots" : `${aboveMean(cell.load / 1000)} against the layer's mean`)}),
      ruleY(nodes, {stroke: "var(--ink)", strokeWidth: model.gpus <= 64 ? 1 : 0.4}),
    ],
  });
}

function heatLegend() {
  const shade = (side, level) => el("span", {class: "shade", style: `background: var(--shade-${side}-${level})`});
  const edge = (text) => el("span", {class: "edge"}, text);
  const cold = STEPS.map((step, index) => [shade("cold", index + 1), edge(`−${step}`)]).reverse();
  const hot = STEPS.map((step, index) => [edge(`+${step}`), shade("hot", index + 1)]);
  return el("div", {class: "ramp"}, el("span", {class: "shades"}, cold, shade("hot", 0), hot), el("span", {}, "% against the layer's mean"));
}

export function heatMaps(model) {
  const shown = [["Before", model.before], ["After", model.after]].filter(([, placement]) => placement?.gpu_load);
  const tableOf = ([when, placement]) => ({
    caption: `${when}: ${placement.strategy}; load of each GPU against its layer's mean`,
    head: ["Layer", ...placement.gpu_load[0].map((_, gpu) => `GPU ${gpu}`)],
    rows: placement.gpu_load.map((row, layer) =>
      [String(model.layers[layer]), ...row.map((load) => (load === null ? "–" : aboveMean(load / 1000)))]),
  });
  return figure({
    id: "heat", title: "Load of each GPU, layer by layer",
    note: `Tokens computed on ${model.trafficWords}. A layer is done when its busiest GPU is: an even colour is what to look for.` +
      (model.nodes > 1 ? " Lines part the nodes." : "") +
      (shown.some(([, placement]) => placement.gpu_load.flat().includes(null)) ? " Blank: a GPU without slots." : ""),
    label: "heat map of GPU load by layer",
    panels: shown.map(([when, placement]) =>
      [`${when}: ${placement.strategy}`, (width) => heatMap(model, placement.gpu_load, width)]),
    key: heatLegend(), isWide: true, tables: () => shown.map(tableOf), tableName: "load of each GPU",
  });
}

export function busiestGpus(model) {
  const shown = [["before", model.before], ["after", model.after]].filter(([, placement]) => placement && model.shown(placement));
  const peaks = ([, placement]) => model.shown(placement).imbalance_by_layer;
  const points = shown.flatMap((one) => peaks(one).map((ratio, layer) => ({role: one[0], x: layer + 0.5, y: 100 * (ratio - 1)})));
  return figure({
    id: "busiest", title: "Busiest GPU of each layer",
    note: `How far it lies above the layer's mean on ${model.trafficWords}: the layer's compute takes that much longer than if it were even.`,
    label: `line chart of the busiest GPU's load above the mean, by layer: ${shown.map(([, one]) => one.strategy).join(" and ")}`,
    key: legend(shown.map(([role, one]) => [`line ${role}`, one.strategy])),
    draw: (width) => plot({
      width, height: 280, marginLeft: 46, marginBottom: 38, marginTop: 24,
      x: layerAxis(model.layers, width), y: {label: "↑ Above the mean (%)", grid: true, nice: true, zero: true, ticks: 5},
      marks: [
        ruleY([0], {stroke: "var(--axis)"}),
        shown.map(([role]) => lineY(points.filter((point) => point.role === role), {x: "x", y: "y", stroke: `var(--${role})`, strokeWidth: 2})),
        shown.map(([role]) => dot(points.filter((point) => point.role === role), {x: "x", y: "y", r: 3,
          fill: `var(--${role})`, symbol: role === "before" ? "square" : "circle", tip: "x",
          title: (point) => `Layer ${model.layers[Math.floor(point.x)]}\n+${number(point.y, 1)} %`})),
      ],
    }),
    tables: () => [{
      caption: "Busiest GPU's load against the layer's mean",
      head: ["Layer", ...shown.map(([, one]) => one.strategy)],
      rows: model.layers.map((layer, row) => [String(layer), ...shown.map((one) => aboveMean(peaks(one)[row]))]),
    }],
  });
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)];
  return low + (place % 1) * ((sorted[Math.floor(place) + 1] ?? low) - low);
}

export function expertSkew(model) {
  const loads = model.data.expert_load;
  const hottest = loads.reduce((best, row, layer) => (row[0] > loads[best][0] ? layer : best), 0);
  const ranks = loads[0].map((_, rank) => {
    const column = loads.map((row) => row[rank] / 1000).sort((a, b) => a - b);
    return {rank: rank + 1, low: quantile(column, 0.1), median: quantile(column, 0.5), high: quantile(column, 0.9), hottest: loads[hottest][rank] / 1000};
  });
  const hottestName = `layer ${model.layers[hottest]}, with the hottest expert`;
  return figure({
    id: "skew", title: "How unevenly experts are used",
    note: `Each layer's experts, the hottest first, on ${model.trafficWords}; 1 is the mean of the layer.`,
    label: `line chart of expert load by rank; the hottest expert has ${number(ranks[0].hottest, 1)} times the mean, ` +
      `in the median layer ${number(ranks[0].median, 1)} times`,
    key: legend([["line median", "median of the layers"], ["band", "10th to 90th percentile"], ["line hottest", hottestName]]),
    draw: (width) => plot({
      width, height: 280, marginLeft: 46, marginBottom: 38, marginTop: 24,
      x: {label: "Expert, by rank of its load", domain: [1, ranks.length]},
      y: {label: "↑ Load / mean", grid: true, nice: true, zero: true, ticks: 5},
      marks: [
        areaY(ranks, {x: "rank", y1: "low", y2: "high", fill: "var(--band)"}),
        ruleY([1], {stroke: "var(--axis)", strokeDasharray: "3 3"}),
        lineY(ranks, {x: "rank", y: "hottest", stroke: "var(--hottest)", strokeWidth: 2, strokeDasharray: "6 3"}),
        lineY(ranks, {x: "rank", y: "median", stroke: "var(--median)", strokeWidth: 2, tip: "x",
          title: (one) => `Rank ${one.rank}\nmedian ${number(one.median, 2)}\n10th to 90th ${number(one.low, 2)} to ${number(one.high, 2)}`}),
      ],
    }),
    tables: () => [{
      caption: "Load over the layer's mean, by rank",
      head: ["Rank", "Median", "10th percentile", "90th percentile", `Layer ${model.layers[hottest]}`],
      rows: ranks.map((one) => [String(one.rank), ...[one.median, one.low, one.high, one.hottest].map((load) => number(load, 3))]),
    }],
  });
}
