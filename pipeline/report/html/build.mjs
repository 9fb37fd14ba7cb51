// Bundles the report's page into a C++ source file: node build.mjs OUTPUT.cc
// Packages are found by NODE_PATH, so that nothing is installed beside the sources.
import {readFile, writeFile} from "node:fs/promises";
import {createRequire} from "node:module";
import {join} from "node:path";
import {fileURLToPath} from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(join(process.env.NODE_PATH, "/"));
const esbuild = require("esbuild");

async function bundle(entry, options) {
  const result = await esbuild.build({
    entryPoints: [join(here, "src", entry)], nodePaths: [process.env.NODE_PATH], bundle: true, minify: true, write: false, charset: "utf8",
    target: ["chrome100", "firefox100", "safari15"], legalComments: "none", logLevel: "warning", ...options,
  });
  return result.outputFiles[0].text.trim();
}

const script = await bundle("main.js", {format: "iife"});
const style = await bundle("style.css", {});
const notice = await readFile(join(here, "src", "notice.txt"), "utf8");
const page = (await readFile(join(here, "src", "page.html"), "utf8"))
  .replace("@NOTICE@", () => notice.trim()).replace("@STYLE@", () => style).replace("@SCRIPT@", () => script);
const [head, tail] = page.split("@DATA@");

const literal = (text) => {
  if (text.includes(')evenkeel"')) throw new Error("the page holds the end of the string that is to hold it");
  return `R"evenkeel(${text})evenkeel"`;
};
await writeFile(process.argv[2], `#include "pipeline/report/html_page.h"

namespace evenkeel {

std::string_view html_page_head() { return ${literal(head)}; }

std::string_view html_page_tail() { return ${literal(tail)}; }

}  // namespace evenkeel
`);
