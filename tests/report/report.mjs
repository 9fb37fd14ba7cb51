// Opens reports from disk in headless Chromium and holds them to what a reader needs: node report.mjs PAGE.html:CHARTS:VIEWS ...
// CHARTS are the ids of the figures that must be there, VIEWS such as light-1280, with commas. A picture of each page goes to EVENKEEL_SHOTS, if set.
// Packages are found in EVENKEEL_NPM. Ends with 0, or prints what is wrong and ends with 1.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {basename, join, resolve} from "node:path";
import {pathToFileURL} from "node:url";

const require = createRequire(resolve(process.env.EVENKEEL_NPM, "package.json"));
const {chromium} = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const faults = [];
const check = (holds, what) => holds || faults.push(what);

/** Every figure has pictures, in them something drawn, a name, and a fold with a table. */
function chartsOf() {
  return [...document.querySelectorAll("figure")].map((figure) => ({
    id: figure.id,
    pictures: [...figure.querySelectorAll(".chart")].map((chart) => {
      const box = chart.querySelector("svg")?.getBoundingClientRect();
      return {name: chart.getAttribute("aria-label"), marks: chart.querySelectorAll("svg :is(rect, path, circle, line)").length,
        width: box?.width ?? 0, height: box?.height ?? 0, broken: /NaN|undefined|Infinity/.test(chart.innerHTML)};
    }),
  }));
}

async function checkCharts(page, where, wanted) {
  const charts = await page.evaluate(chartsOf);
  check(charts.map((chart) => chart.id).sort().join() === [...wanted].sort().join(),
    `${where}: charts are ${charts.map((chart) => chart.id)}, not ${wanted}`);
  for (const {id, pictures} of charts) {
    check(pictures.length > 0, `${where}: ${id} has no picture`);
    for (const {name, marks, width, height, broken} of pictures) {
      check(marks > 8 && width > 200 && height > 50 && name && !broken, `${where}: ${id} is empty: ${marks} marks, ${width} x ${height}, "${name}"`);
    }
  }
}

/** Tab reaches the fold of every figure, Enter opens it, and a table with rows is there. */
async function checkKeyboard(page, where, wanted) {
  const reached = new Set();
  for (let step = 0; step < 4 * wanted.length + 8; ++step) {
    await page.keyboard.press("Tab");
    const id = await page.evaluate(() => {
      const element = document.activeElement;
      return element?.tagName === "SUMMARY" ? element.closest("figure")?.id : null;
    });
    if (!id || reached.has(id)) continue;
    reached.add(id);
    await page.keyboard.press("Enter");
    await page.waitForSelector(`#${id} details[open] tbody tr td`, {timeout: 30000}).catch(() => faults.push(`${where}: ${id} has no table`));
  }
  for (const id of wanted) check(reached.has(id), `${where}: Tab does not reach the table of ${id}`);
}

async function checkAxe(page, where) {
  await page.evaluate(axe);
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
  for (const {id, help, nodes} of violations) faults.push(`${where}: axe ${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
}

async function checkPage(browser, file, wanted, scheme, width) {
  const where = `${basename(file)}, ${scheme}, ${width}`;
  const page = await browser.newPage({viewport: {width, height: 900}, colorScheme: scheme, bypassCSP: true});
  page.on("console", (message) => faults.push(`${where}: console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`${where}: ${error.message}`));
  await page.route("**", (route) => {
    if (route.request().url().startsWith("file:") && route.request().isNavigationRequest()) return route.continue();
    faults.push(`${where}: fetches ${route.request().url()}`);
    return route.abort();
  });
  await page.goto(pathToFileURL(file).href);
  await page.waitForFunction(() => [...document.querySelectorAll(".chart")].every((chart) => chart.firstElementChild));
  await checkCharts(page, where, wanted);
  check(await page.evaluate(() => document.querySelectorAll("h1").length === 1 && document.querySelector("h1").textContent.endsWith(".")),
    `${where}: no verdict in one sentence`);
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where}: the page is wider than the window`);
  if (process.env.EVENKEEL_SHOTS) {
    await page.screenshot({path: join(process.env.EVENKEEL_SHOTS, `${basename(file, ".html")}-${scheme}-${width}.png`), fullPage: true});
  }
  if (width > 500) {
    if (scheme === "light") await checkKeyboard(page, where, wanted);
    await checkAxe(page, where);
  }
  await page.close();
}

const browser = await chromium.launch({executablePath: process.env.EVENKEEL_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"]});
for (const argument of process.argv.slice(2)) {
  const [file, charts, views] = argument.split(":").map((part, index) => (index === 0 ? part : part.split(",")));
  for (const view of views) {
    const [scheme, width] = view.split("-");
    await checkPage(browser, file, charts, scheme, Number(width));
  }
}
await browser.close();
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
