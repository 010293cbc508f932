#!/usr/bin/env node
// One solc for many compilations: a standard-JSON input a line on stdin, its output a line on stdout. npm's emscripten solc
// takes seconds to start and to warm up. Imports that the input does not hold are read from the contracts' folder.
const { readFileSync } = require("fs");
const { join } = require("path");
const { createInterface } = require("readline");
const solc = require("solc");

const root = join(__dirname, "..");

function read(name) {
  const place = name.startsWith("@") ? join("node_modules", name) : name.replace(/^forge-std\//, "lib/forge-std/src/");
  try {
    return { contents: readFileSync(join(root, place), "utf8") };
  } catch (error) {
    return { error: error.message };
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(solc.compile(line, { import: read }) + "\n");
});
