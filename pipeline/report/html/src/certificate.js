// What is proven of the placement: bound and gap, and each layer's best load beside its bound.
import {dot, plot, ruleX, ruleY} from "@observablehq/plot";
import {figure, legend} from "./dom.js";
import {aboveMean, number, percent} from "./format.js";
import {layerAxis} from "./model.js";

/** One sentence on value, bound and gap. */
export function certificateSentence(certificate, name) {
  if (certificate.bound === null) {
    return `${name}: no bound is known for this objective, so that how much better a placement could be is open; the loads below have one.`;
  }
  const gap = certificate.gap === null ? "" : `, a gap of ${percent(certificate.gap)}`;
  return `${name}: the objective is ${number(certificate.value, 4)}; no placement whatever is below ${number(certificate.bound, 4)}${gap}.`;
}

export function certificate(model) {
  const proof = model.after.certificate;
  const points = proof.z_star.map((best, layer) => ({x: layer + 0.5, best: 100 * (best - 1), bound: 100 * (proof.load_bound[layer] - 1)}));
  return figure({
    id: "certificate", title: "Certificate",
    note: `${certificateSentence(proof, model.after.strategy)} Below, on the fitted traffic: the best load found of each layer's busiest ` +
      "GPU, and what no placement can be below." +
      (model.data.fitted_windows > 1 ? ` Best found is over the ${model.data.fitted_windows} windows fitted, one by one; the bound is of their sum.` : ""),
    label: "chart of the best load found and its lower bound, by layer",
    key: legend([["dot after", "best found"], ["tick bound", "proven lower bound"]]),
    draw: (width) => plot({
      width, height: 280, marginLeft: 46, marginBottom: 38, marginTop: 24,
      x: layerAxis(model.layers, width), y: {label: "↑ Above the mean (%)", grid: true, nice: true, zero: true, ticks: 5},
      marks: [
        ruleY([0], {stroke: "var(--axis)"}),
        ruleX(points, {x: "x", y1: "bound", y2: "best", stroke: "var(--after)", strokeOpacity: 0.5}),
        dot(points, {x: "x", y: "bound", symbol: "times", r: 4, stroke: "var(--bound)", strokeWidth: 2}),
        dot(points, {x: "x", y: "best", r: 3.5, fill: "var(--after)", tip: "x",
          title: (point) => `Layer ${model.layers[Math.floor(point.x)]}\nbest found +${number(point.best, 3)} %\nbound +${number(point.bound, 3)} %`}),
      ],
    }),
    tables: () => [{
      caption: "Largest GPU load over its layer's mean", head: ["Layer", "Best found", "Lower bound"],
      rows: model.layers.map((layer, row) => [String(layer), aboveMean(proof.z_star[row], 3), aboveMean(proof.load_bound[row], 3)]),
    }],
  });
}
