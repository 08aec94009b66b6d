document.documentElement.lang = "en";

// Times are said in the reader's zone: <time datetime="..."> is filled here, whenever one appears or changes.
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

// Light or dark: as the system has it, until the reader chooses; the choice is kept in a cookie.
function switchTheme() {
  const dark = !document.body.classList.contains("body--dark");
  document.cookie = `searchsvc_theme=${dark ? "dark" : "light"}; path=/ui; max-age=31536000; samesite=lax`;
  setDark(dark);
}

// Whoever signs out in one tab is signed out in all: the others need not wait until they are refused.
const signIn = "/ui/sign-in";
const tabs = new BroadcastChannel("searchsvc sign-out");
if (location.pathname === signIn && new URLSearchParams(location.search).get("why") === "out") tabs.postMessage("out");
tabs.onmessage = () => {
  if (location.pathname !== signIn) location.href = `${signIn}?why=out`;
};

// How numbers of cells read.
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

// Rows of tables: fetched whole when a table appears, then kept up to date by what is said to have changed.
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

// Texts of charts: a trial's point says which trial it is; names are text, whatever they hold.
function echartsText(words) {
  const holder = document.createElement("span");
  holder.textContent = words;
  return holder.innerHTML;
}
function pointWords(params) {
  const [x, y, trial] = params.value;
  const which = trial === undefined ? echartsText(params.seriesName) : `trial #${trial}`;
  return `${which}<br>${shortNumber(y)} at ${shortNumber(x)}`;
}

// What a field of a form holds, unless its reader is writing there.
function setField(id, value) {
  const field = getHtmlElement(id);
  if (field && (field.tagName === "SELECT" || field !== document.activeElement)) field.value = value;
}

// Fetches the file behind a link; what to say where there is none.
async function takeAway(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) return (await answer.json()).detail;
    const saved = document.createElement("a");
    saved.href = URL.createObjectURL(await answer.blob());
    saved.download = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition"))?.[1] ?? "export";
    saved.click();
    setTimeout(() => URL.revokeObjectURL(saved.href), 60000);
    link.closest("details").open = false;
    return "";
  } catch {
    return "The service does not answer.";
  } finally {
    link.removeAttribute("aria-busy");
  }
}

// The trials that are chosen in a table: two to six can be compared.
function rowsChosen(grid) {
  const count = grid.getSelectedRows().length;
  for (const button of document.querySelectorAll(".compares")) button.disabled = count < 2 || count > 6;
}
function compareChosen(id, job) {
  const names = getElement(id).api.getSelectedRows().map((row) => `${job}/${row.id}`);
  location.href = `/ui/compare?trials=${names.join(",")}`;
}
