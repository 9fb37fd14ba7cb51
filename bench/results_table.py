"""Records as Markdown."""

from results_run import read_record

ABSENT = "-"


def plain(value):
    return ABSENT if value is None else f"{value:.4f}"


def percent(value):
    return ABSENT if value is None else f"{100 * value:.2f} %"


def percent_of_option(value):
    return f"{100 * value:g} %"


def metric(part, key):
    """A column that shows `key` of the in-sample or the held-out scores."""
    return lambda row: plain((row[part] or {}).get(key))


def certificate(key, form=plain):
    return lambda row: form((row["certificate"] or {}).get(key))


def columns(table, trace):
    """Headings, and what each shows of a row of scores."""
    parts = [("in_sample", "")]
    metrics = [("imbalance", "imbalance_mean")]
    if trace.has_paths:
        metrics.append(("GPUs/token", "gpus_touched") if table.comm == "dispatch" else ("same-GPU", "same_gpu_share"))
        if table.holdout:
            parts = [("in_sample", ", in"), ("held_out", ", out")]
    shown = [("status", lambda row: row["status"]),
             ("solve s", lambda row: ABSENT if row["solve_seconds"] is None else f"{row['solve_seconds']:.3f}")]
    shown += [(heading + suffix, metric(part, key)) for heading, key in metrics for part, suffix in parts]
    return shown + [("value", certificate("value")), ("bound", certificate("bound")), ("gap", certificate("gap", percent))]


def cells(record, shown):
    if record is None:
        return ["not run"] + [ABSENT] * (len(shown) - 1)
    if record["row"] is None:
        reason = "stopped" if record["exit_code"] is None else f"failed, exit {record['exit_code']}"
        return [f"{reason}: {record['message']}".replace("|", "\\|")] + [ABSENT] * (len(shown) - 1)
    return [show(record["row"]) for _, show in shown]


def line(values):
    return "| " + " | ".join(values) + " |"


def count(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def heading(table, trace):
    options = [count(table.gpus, "GPU"), count(table.nodes, "node")]
    if table.redundant:
        options.append(f"{table.redundant} redundant slots")
    if trace.has_paths:
        options.append(table.objective or table.comm)
    return f"{trace.model}: {', '.join(options)}"


def conditions(table, trace):
    text = f"At most {count(table.seconds, 'second')} a strategy"
    if trace.has_paths:
        held_out = f"{percent_of_option(table.holdout)} of the sequences held out"
        text += f", {held_out if table.holdout else 'fitted to and scored on the whole trace'}"
        if not table.objective:
            text += f", load at most {percent_of_option(table.slack)} above the best found"
    else:
        text += ", loads alone"
    return text + "." + (f" Beside it: {table.beside}." if table.beside else "")


def render_table(table, trace, folder):
    """Empty where no run of the table has a record."""
    records = [(run, read_record(folder / run.file_name(trace))) for run in table.runs()]
    if not any(record for _, record in records):
        return ""
    shown = columns(table, trace)
    rows = [line(["strategy", *(name for name, _ in shown)]), line(["---", "---"] + ["---:"] * (len(shown) - 1))]
    rows += [line([run.label(), *cells(record, shown)]) for run, record in records]
    taken = sorted({f"evenkeel {record['version']} on {record['machine']}" for _, record in records if record})
    return "\n".join([f"### {heading(table, trace)}", "", conditions(table, trace) + f" Measured with {'; '.join(taken)}.", "", *rows, ""])


def splice(document, markdown, section="results"):
    """The document with everything between the markers of a section replaced."""
    first, last = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the document has no {first} before an {last}")
    return f"{before}{first}\n\n{markdown}\n{last}{after}"
