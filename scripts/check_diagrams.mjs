// Checks that the diagrams of a site can be drawn: a reader would see an error in the place of one that cannot, and
// building the site draws none. usage: node check_diagrams.mjs DIRECTORY, as stage_docs.py and mdbook-mermaid leave it

import fs from "node:fs";
import path from "node:path";
import vm from "node:vm";

const [site] = process.argv.slice(2);
vm.runInThisContext(fs.readFileSync(path.join(site, "mermaid.min.js"), "utf8"));
// Without a browser the cleaner of texts in it, a function itself, lacks these. What is not shown need not be clean.
Function.prototype.addHook = () => {};
Function.prototype.sanitize = (text) => text;
const source = path.join(site, "src");
const pages = fs.readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".md"));
let diagrams = 0;
for (const page of pages) {
  const text = fs.readFileSync(path.join(source, page), "utf8");
  for (const fence of text.matchAll(/^```mermaid\n(.*?)^```$/gms)) {
    diagrams += 1;
    try {
      await globalThis.mermaid.parse(fence[1]);
    } catch (error) {
      console.error(`${page}:${text.slice(0, fence.index).split("\n").length}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}
if (diagrams === 0) {
  console.error(`${source}: no diagrams at all`);
  process.exitCode = 1;
}
