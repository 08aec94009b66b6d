document.documentElement.lang = "en";

// Show times in the reader's zone: fill every <time datetime="..."> when it appears or changes.
(() => {
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const fill = (element) => {
    const at = new Date(element.getAttribute("datetime"));
    if (isNaN(at)) return;
    element.textContent = full.format(at);
    element.title = Intl.DateTimeFormat().resolvedOptions().timeZone;
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") fill(change.target);
      for (const node of change.addedNodes) {
        if (node.nodeType !== 1) continue;
        if (node.tagName === "TIME") fill(node);
        node.querySelectorAll("time").forEach(fill);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["datetime"] });
})();

// Report whether the page is visible: the service does not update pages in background tabs.
function reportVisibility() {
  document.onvisibilitychange = () => emitEvent("visible", !document.hidden);
  if (document.hidden) document.onvisibilitychange();
}

// Format of numbers in cells.
function shortNumber(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (size >= unit * 0.9995) return `${+(value / unit).toPrecision(3)} ${letter}`;
  return size !== 0 && size < 0.001 ? value.toExponential(2) : String(+value.toPrecision(4));
}
function stateCell(params) {
  const cell = document.createElement("span");
  const [tone, sign, word] = params.context.states[params.value] ?? ["grey", "", params.value ?? ""];
  cell.className = `state tone-${tone}`;
  cell.dataset.sign = sign;
  cell.textContent = word;
  return cell;
}
function stateWord(context, state) {
  return context.states[state]?.[2] ?? state;
}
function pageOf(params) {
  return params.context.opens + params.data.id;
}
function linkCell(params) {
  const link = document.createElement("a");
  link.href = pageOf(params);
  link.textContent = params.valueFormatted ?? params.value;
  return link;
}
function barCell(params) {
  const cell = document.createElement("div");
  cell.className = "cell-bar";
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.style.flex = "1";
  const filled = document.createElement("div");
  filled.style.width = `${Math.min(100, 100 * params.data.share)}%`;
  bar.append(filled);
  const words = document.createElement("span");
  words.textContent = params.data.progress;
  cell.append(bar, words);
  return cell;
}

// Rows of tables: all are fetched when a table appears, then changes are applied.
const tables = new Map();
async function fillGrid(path, api) {
  const table = { api, version: -1, waiting: [] };
  tables.set(path, table);
  try {
    const answer = await fetch(path);
    if (answer.status >= 500) throw new Error(answer.statusText);
    if (api.isDestroyed()) return;
    if (!answer.ok) return api.setGridOption("loading", false);
    const { version, rows } = await answer.json();
    api.setGridOption("rowData", rows);
    api.setGridOption("loading", false);
    table.version = version;
    table.waiting.splice(0).forEach((change) => changeGrid(path, change));
  } catch {
    if (!api.isDestroyed()) setTimeout(() => fillGrid(path, api), 2000);
  }
}
function changeGrid(path, { version, add, update, remove }) {
  const table = tables.get(path);
  if (!table) return;
  if (table.version < 0) table.waiting.push({ version, add, update, remove });
  else if (version === table.version + 1 && add) {
    table.api.applyTransaction({ add, addIndex: 0, update, remove });
    table.version = version;
  } else if (version > table.version) fillGrid(path, table.api);
}

// Events of a job, the newest first, inserted as text only.
function prependEvents(id, lines, most) {
  const list = getHtmlElement(id);
  if (!list) return setTimeout(() => prependEvents(id, lines, most), 50);
  for (const [at, words] of lines) {
    const row = document.createElement("div"), when = document.createElement("div");
    const time = document.createElement("time"), said = document.createElement("span");
    row.className = "row";
    when.className = "muted";
    said.className = "wrap";
    time.setAttribute("datetime", at);
    said.textContent = words;
    when.append(time);
    row.append(when, said);
    list.prepend(row);
  }
  while (list.children.length > most) list.lastElementChild.remove();
}

// Tooltips of charts: names are inserted as text only.
function echartsText(words) {
  const holder = document.createElement("span");
  holder.textContent = words;
  return holder.innerHTML;
}
function pointTooltip(params) {
  const [x, y, trial] = params.value;
  const which = trial === undefined ? echartsText(params.seriesName) : `trial #${trial}`;
  return `${which}<br>${shortNumber(y)} at ${shortNumber(x)}`;
}

// Set the value of a form field unless the reader is editing it.
function setField(id, value) {
  const field = getHtmlElement(id);
  if (field && (field.tagName === "SELECT" || field !== document.activeElement)) field.value = value;
}

// Download a file for a link or a button. Returns an error message, or an empty text.
async function downloadFile(link, path = link.href) {
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(path);
    if (!answer.ok) return (await answer.json()).detail;
    const saved = document.createElement("a");
    saved.href = URL.createObjectURL(await answer.blob());
    saved.download = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition"))?.[1] ?? "export";
    saved.click();
    setTimeout(() => URL.revokeObjectURL(saved.href), 60000);
    link.closest("details")?.removeAttribute("open");
    return "";
  } catch {
    return "The service does not answer.";
  } finally {
    link.removeAttribute("aria-busy");
  }
}

// Download all rows that match the filters of a table, including rows that the table does not have.
function downloadMatching(button, id, path) {
  const grid = getElement(id).api;
  const where = JSON.stringify(grid.getFilterModel());
  return downloadFile(button, `${path}?${new URLSearchParams({ matching: grid.getGridOption("quickFilterText") ?? "", where })}`);
}

// Two to six trials selected in a table can be compared.
function enableCompare(grid) {
  const count = grid.getSelectedRows().length;
  for (const button of document.querySelectorAll(".compare-button")) button.disabled = count < 2 || count > 6;
}
function compareSelected(id, job) {
  const names = getElement(id).api.getSelectedRows().map((row) => `${job}/${row.id}`);
  location.href = `/ui/compare?trials=${names.join(",")}`;
}

// Notify panels when they enter or leave the view.
const visibility = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) entry.target.dispatchEvent(new CustomEvent(entry.isIntersecting ? "seen" : "unseen"));
  },
  { rootMargin: "150px" }
);
function observeVisibility(id) {
  const element = getHtmlElement(id);
  if (element) visibility.observe(element);
  else setTimeout(() => observeVisibility(id), 50);
}

// A candidate: each number with its name.
function candidateTooltip(params) {
  const values = params.value, names = params.dimensionNames;
  const words = values.slice(0, -1).map((value, place) => {
    if (names[place] === "rank") return `better than ${Math.round(100 * (1 - value))} % of the results`;
    return `${echartsText(names[place])} ${typeof value === "number" ? shortNumber(value) : echartsText(value)}`;
  });
  return [`trial #${values[values.length - 1]}`, ...words].join("<br>");
}
function heatmapTooltip(params, rows) {
  const [, row, probability] = params.value;
  return `step ${params.name}<br>${echartsText(rows[row])}: ${(100 * probability).toFixed(1)} %`;
}

// A bar of the timeline: an attempt of a trial.
function attemptBar(params, api) {
  const start = api.coord([api.value(1), api.value(0)]), end = api.coord([api.value(2), api.value(0)]);
  const height = Math.max(3, Math.min(14, api.size([0, 1])[1] * 0.7)), area = params.coordSys;
  const left = Math.max(start[0], area.x), right = Math.min(Math.max(end[0], start[0] + 2), area.x + area.width);
  if (right <= left) return null;
  const shape = { x: left, y: start[1] - height / 2, width: right - left, height, r: 2 };
  return { type: "rect", shape, style: { fill: api.visual("color") }, emphasis: { style: { opacity: 0.7 } } };
}
function attemptTooltip(params) {
  const [, start, end, trial, attempt, failure] = params.value;
  const at = new Date(start).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const why = failure ? `, ${echartsText(failure)}` : "";
  return `trial #${trial}, attempt ${attempt}<br>${echartsText(params.seriesName)}${why}<br>${at}, ${shortSeconds((end - start) / 1000)}`;
}
function shortSeconds(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// Learning curves: the curve nearest to the pointer, within CURVE_REACH pixels, is drawn over the others; a click pins it.
const CURVE_REACH = 30;
function distanceToSegment([x, y], [fromX, fromY], [toX, toY]) {
  const alongX = toX - fromX, alongY = toY - fromY, square = alongX ** 2 + alongY ** 2;
  const share = square && Math.min(1, Math.max(0, ((x - fromX) * alongX + (y - fromY) * alongY) / square));
  return Math.hypot(fromX + share * alongX - x, fromY + share * alongY - y);
}
function highlightCurves(id, words) {
  const chart = getElement(id)?.chart;
  if (!chart) return setTimeout(() => highlightCurves(id, words), 50);
  if (chart.readCurves) return chart.readCurves();
  let curves = new Map(), highlightIndex = 0, pinned = null, shown = null;
  const draw = (trial) => {
    shown = trial;
    const data = curves.get(trial) ?? [], last = data[data.length - 1];
    chart.setOption({ series: [{ id: "highlight", data }] });
    const link = getHtmlElement(words);
    if (!link) return;
    link.textContent = last ? `trial #${trial}: ${shortNumber(last[1])} after epoch ${last[0]}` : "";
    link.href = last ? `${location.pathname.replace(/\/$/, "")}/trials/${trial}` : "";
  };
  // Called after the chart is redrawn, or if a reader hides a group of curves in the legend.
  chart.readCurves = () => {
    const { series, legend } = chart.getOption();
    curves = new Map();
    highlightIndex = series.findIndex((group) => group.id === "highlight");
    for (const { id, name, data } of series) {
      if (id === "highlight" || legend[0].selected?.[name] === false) continue;
      for (const point of data) {
        if (!point || point[0] === null || point[1] === null) continue;
        if (!curves.has(point[2])) curves.set(point[2], []);
        curves.get(point[2]).push(point);
      }
    }
    draw(shown);
  };
  // Both axes are linear: the values at two corners of the chart give the pixel of every point.
  const toPixel = () => {
    const width = chart.getWidth(), height = chart.getHeight();
    const [left, top] = chart.convertFromPixel({ gridIndex: 0 }, [0, 0]);
    const [right, bottom] = chart.convertFromPixel({ gridIndex: 0 }, [width, height]);
    return ([epoch, value]) => [((epoch - left) / (right - left)) * width, ((value - top) / (bottom - top)) * height];
  };
  const nearest = (pointer) => {
    let best = null, reach = CURVE_REACH;
    const pixel = toPixel();
    for (const [trial, points] of curves) {
      let before = pixel(points[0]);
      for (const point of points) {
        const here = pixel(point), distance = distanceToSegment(pointer, before, here);
        if (distance < reach) [best, reach] = [trial, distance];
        before = here;
      }
    }
    return best;
  };
  const tell = (trial, pointer) => {
    if (trial === null) return chart.dispatchAction({ type: "hideTip" });
    const gaps = curves.get(trial).map(toPixel()).map(([x]) => Math.abs(x - pointer[0]));
    const dataIndex = gaps.indexOf(Math.min(...gaps));
    chart.dispatchAction({ type: "showTip", seriesIndex: highlightIndex, dataIndex });
  };
  let isDue = false, place = null;
  chart.getZr().on("mousemove", (event) => {
    place = [event.offsetX, event.offsetY];
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      const trial = place && nearest(place);
      if ((trial ?? pinned) !== shown) draw(trial ?? pinned);
      tell(trial, place);
    });
  });
  chart.getZr().on("globalout", () => {
    place = null;
    tell(null);
    if (pinned !== shown) draw(pinned);
  });
  // Use the click of the element: ECharts drops a click if another line is under the pointer at its end.
  chart.getDom().addEventListener("click", (event) => {
    const box = chart.getDom().getBoundingClientRect();
    pinned = nearest([event.clientX - box.left, event.clientY - box.top]);
    draw(pinned);
  });
  chart.on("legendselectchanged", chart.readCurves);
  chart.readCurves();
}
