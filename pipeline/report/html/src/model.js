// The report's data as the charts want it.

export function modelOf(data) {
  const placements = data.placements.filter((one) => one.slack === undefined);
  const after = placements.find((one) => one.strategy === data.after) ?? null;
  const shown = (placement) => placement?.held_out ?? placement?.in_sample ?? null;
  // The placement before is a row of its own but where it was compared too.
  const rows = data.before && !placements.some((one) => one.strategy === data.before.strategy)
    ? [data.before, ...placements] : placements;
  return {data, rows, front: data.placements, before: data.before, after, shown,
    layers: data.model?.layer_ids ?? [],
    nodes: data.cluster.nodes, gpus: data.cluster.gpus,
    hasPaths: shown(after ?? data.before)?.gpus_touched != null,
    trafficWords: data.traffic === "held-out" ? "held-out traffic" : "the fitted traffic"};
}

/** "before" and "after" for the two placements that the report is about, else "other". */
export function roleOf(model, placement) {
  if (placement.strategy === model.before?.strategy) return "before";
  return placement === model.after ? "after" : "other";
}

/** The layers' x axis: positions i .. i + 1, ticks at the middle of some of them, named by the layer's number. */
export function layerAxis(layers, width) {
  const places = someLayers(layers, Math.max(4, Math.floor(width / 40)));
  return {domain: [0, layers.length], ticks: places.map((place) => place + 0.5),
    tickFormat: (position) => String(layers[Math.floor(position)]), label: "Layer", tickSize: 4};
}

function someLayers(layers, count) {
  const step = [1, 2, 5, 10, 20, 50].find((candidate) => layers.length / candidate <= count) ?? layers.length;
  return layers.map((_, place) => place).filter((place) => layers[place] % step === 0 || layers.length <= count);
}
