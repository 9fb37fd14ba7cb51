// The page: reads the data that stands in it and shows each part that is there.
import {certificate} from "./certificate.js";
import {el} from "./dom.js";
import {busiestGpus, expertSkew, heatMaps} from "./loads.js";
import {modelOf} from "./model.js";
import {header, keyFigures, policies, policyFigures, scores} from "./summary.js";
import {timelines} from "./timeline.js";
import {bytesByTier, consistency, front, sharesByTier} from "./traffic.js";

const data = JSON.parse(document.getElementById("data").textContent);
const model = modelOf(data);
const has = (list) => Array.isArray(list) && list.length > 0;

const sections = [
  ...(data.timeline ? timelines(data.timeline) : []),
  model.before?.gpu_load || model.after?.gpu_load ? heatMaps(model) : null,
  model.after || model.shown(model.before) ? busiestGpus(model) : null,
  model.rows.some((row) => row.communication != null) ? front(model) : null,
  model.rows.some((row) => row.tiers) ? bytesByTier(model) : null,
  model.rows.some((row) => model.shown(row)?.same_gpu_share != null) ? sharesByTier(model) : null,
  has(data.expert_load) ? expertSkew(model) : null,
  has(data.consistency) ? consistency(model) : null,
  model.after?.certificate?.load_bound.length ? certificate(model) : null,
].filter((section) => section !== null);
// Cards stand in pairs but for the wide ones; a last one without a partner is wide too.
const paired = sections.filter((section) => !section.classList.contains("wide"));
if (paired.length % 2 === 1) paired.at(-1).classList.add("wide");

document.title = `evenkeel ${data.command}: ${data.verdict.sentence}`;
document.getElementById("report").replaceWith(
  header(model),
  el("main", {}, data.timeline ? policyFigures(model) : keyFigures(model) ?? "", el("div", {class: "grid"}, sections),
    data.timeline ? policies(model) : "", has(model.rows) ? scores(model) : ""),
  el("footer", {}, "Modelled figures: the step-time model and every word here are explained in docs/reference/report.md. " +
    "This file fetches nothing; its data is the JSON it holds (evenkeel.report/1)."));
