// The top of the page: verdict and key figures; and its end: all scores and how they were made.
import {el, fold, scrollable, table} from "./dom.js";
import {aboveMean, bytes, change, milliseconds, number, percent} from "./format.js";
import {roleOf} from "./model.js";

const WORDS = {better: "Better", keep: "Keep", rebalance: "Rebalance", figures: "Figures"};

export function header(model) {
  const {data} = model;
  const facts = [
    data.model ? `${number(model.layers.length)} layers × ${number(data.model.experts)} experts${data.model.top_k ? `, top ${data.model.top_k}` : ""}` : null,
    `${number(model.gpus)} GPUs on ${number(model.nodes)} node${model.nodes === 1 ? "" : "s"}`,
    `${data.comm} communication`,
    data.timeline ? `${number(data.timeline.windows)} windows` : data.traffic === "held-out" ? "scored on held-out traffic" : "scored on the traffic it was fitted to",
  ].filter((fact) => fact !== null);
  const names = (data.options.traces ?? []).map((path) => path.split("/").at(-1));
  const traces = names.length > 3 ? `${names.slice(0, 2).join(", ")} and ${names.length - 2} more` : names.join(", ");
  return el("header", {},
    el("p", {class: "brand"}, el("strong", {}, "evenkeel"), ` ${data.command} report`, traces ? ` · ${traces}` : ""),
    el("p", {class: `verdict-word ${data.verdict.word}`}, WORDS[data.verdict.word] ?? data.verdict.word),
    el("h1", {}, data.verdict.sentence),
    el("ul", {class: "facts"}, facts.map((fact) => el("li", {}, fact))));
}

/**
 * A key figure, and what it was: of most, less is better. A change of a share is not given as one more share.
 */
function tile(name, now, format, was, extra, isMoreBetter = false) {
  const share = was ? now / was - 1 : null;
  const trend = share === null ? null : Math.abs(share) < 0.0005 ? "same" : (share > 0) === isMoreBetter ? "good" : "bad";
  const arrow = trend === "same" ? "=" : share < 0 ? "▼" : "▲";
  return el("div", {class: "tile"}, el("dt", {}, name),
    el("dd", {class: "value"}, format(now)),
    trend ? el("dd", {class: "versus"}, el("span", {class: `trend ${trend}`}, format === percent ? arrow : `${arrow} ${change(share)}`), " ", el("span", {class: "was"}, `from ${format(was)}`)) : null,
    extra ? el("dd", {class: "versus"}, extra) : null);
}

export function keyFigures(model) {
  const after = model.shown(model.after);
  const before = model.before === model.after ? null : model.shown(model.before);
  if (!after) return null;
  const proof = model.after.certificate;
  const excess = (key) => (metrics) => (metrics ? metrics[key] - 1 : null);
  const tiles = [
    tile(model.hasPaths ? "Modelled step" : "Modelled compute of a step", after.step_time_seconds, milliseconds, before?.step_time_seconds),
    tile("Busiest GPU above mean", excess("imbalance_mean")(after), percent, excess("imbalance_mean")(before), `worst layer ${aboveMean(after.imbalance_worst)}`),
    after.busiest_gpu_bytes == null ? null : tile("Busiest GPU's traffic a step", after.busiest_gpu_bytes, bytes, before?.busiest_gpu_bytes),
    after.gpus_touched == null ? null : model.data.comm === "dispatch"
      ? tile("GPUs a token touches", after.gpus_touched, (value) => number(value, 2), before?.gpus_touched)
      : tile("Transitions to another GPU", 1 - after.same_gpu_share, percent, before ? 1 - before.same_gpu_share : null),
    model.after.replan ? tile("Slots that change", model.after.replan.moves, number, null, after.moved_bytes != null ? `${bytes(after.moved_bytes)} moved` : null)
      : proof && proof.bound !== null && proof.gap !== null ? tile("Above the proven bound", proof.gap, percent, null, "at most this much is left to gain")
        : proof?.load_bound.length ? tile("Load above its bound", meanExcess(proof), percent, null, "at most, mean of the layers") : null,
  ];
  return el("section", {"aria-label": "Key figures"}, el("dl", {class: "tiles"}, tiles.filter((one) => one !== null)));
}

const throughput = (tokens) => number(tokens / 1e3, tokens < 1e5 ? 1 : 0);

/** Key figures of a replay: the policy that the verdict speaks of against never moving. */
export function policyFigures(model) {
  const {policies} = model.data.timeline;
  const never = policies.find((one) => one.policy === "never")?.totals;
  const chosen = policies.find((one) => one.policy === model.data.after) ?? policies[0];
  const {totals} = chosen;
  const tiles = [
    tile("Throughput (k tokens/s)", totals.throughput, throughput, never?.throughput, null, true),
    tile("Modelled step", totals.step_time_seconds, milliseconds, never?.step_time_seconds),
    tile("Busiest GPU above mean", totals.imbalance_mean - 1, percent, never ? never.imbalance_mean - 1 : null),
    tile("Changes of placement", chosen.changes, number, null, `${number(totals.moves)} slots, ${bytes(totals.moved_bytes)}`),
    tile("Stall", totals.stall_seconds, (seconds) => `${number(seconds, 2)} s`, null, "over all windows"),
  ];
  return el("section", {"aria-label": "Key figures"}, el("p", {class: "note"}, `Policy ${chosen.policy}${never && chosen.policy !== "never" ? ", against never moving" : ""}`),
    el("dl", {class: "tiles"}, tiles));
}

/** All policies of a replay. */
export function policies(model) {
  const rows = model.data.timeline.policies.map(({policy, totals, changes}) => [policy, throughput(totals.throughput), milliseconds(totals.step_time_seconds),
    aboveMean(totals.imbalance_mean, 2), number(changes), number(totals.moves), bytes(totals.moved_bytes), `${number(totals.stall_seconds, 3)} s`]);
  return el("section", {class: "card", "aria-labelledby": "policies-title"}, el("h2", {id: "policies-title"}, "All policies"),
    scrollable("Table: all policies", table({caption: "Over all windows", rows,
      head: ["Policy", "k tokens/s", "Step", "Above the mean", "Changes", "Slots", "Moved", "Stall"]})),
    fold("How these figures were made", () => options(model)));
}

/** How far the best loads found lie above their bounds, mean over loaded layers. */
function meanExcess(proof) {
  const excess = proof.z_star.map((best, layer) => [best, proof.load_bound[layer]]).filter(([, bound]) => bound > 0)
    .map(([best, bound]) => best / bound - 1);
  return excess.reduce((sum, one) => sum + one, 0) / Math.max(1, excess.length);
}

const COLUMNS = [
  ["Above the mean", (m) => aboveMean(m.imbalance_mean, 2)], ["Worst layer", (m) => aboveMean(m.imbalance_worst)],
  ["Same GPU", (m) => percent(m.same_gpu_share)], ["Same node", (m) => percent(m.same_node_share)],
  ["GPUs a token", (m) => number(m.gpus_touched, 2)], ["Busiest GPU", (m) => bytes(m.busiest_gpu_bytes)],
  ["Step", (m) => milliseconds(m.step_time_seconds)],
];

function scoreTable(model, caption, key) {
  const cells = (metrics) => COLUMNS.map(([, value]) => (metrics ? value(metrics) : "–"));
  return table({caption, head: ["Placement", "Status", "Solved in", ...COLUMNS.map(([name]) => name)], textColumns: [0, 1],
    rows: model.rows.map((row) => [row.strategy + (roleOf(model, row) === "other" ? "" : ` (${roleOf(model, row)})`), row.status.replace("_", " "),
      row.solve_seconds == null ? "–" : `${number(row.solve_seconds, 2)} s`, ...cells(row[key])])});
}

export function scores(model) {
  const tables = [["On held-out traffic", "held_out"], ["On the fitted traffic", "in_sample"]]
    .filter(([, key]) => model.rows.some((row) => row[key])).map(([caption, key]) => scoreTable(model, caption, key));
  return el("section", {class: "card", "aria-labelledby": "scores-title"}, el("h2", {id: "scores-title"}, "All figures"),
    scrollable("Table: all figures", tables), model.data.timeline ? null : fold("How these figures were made", () => options(model)));
}

function options(model) {
  const text = (value) => (Array.isArray(value) ? value.join(", ") : typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "–"));
  return scrollable("Options", table({caption: "Options of the run", head: ["Option", "Value"], textColumns: [0, 1],
    rows: Object.entries(model.data.options).map(([key, value]) => [key, text(value)])}));
}
