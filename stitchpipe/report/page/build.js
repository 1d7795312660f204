// The page's script and style in one file each, with the licences of what is bundled: node build.js [folder]

import { readFileSync } from "node:fs";
import { build } from "esbuild";

const LIBRARIES = ["d3-scale", "d3-array", "d3-interpolate", "d3-color", "d3-format", "d3-time", "d3-time-format", "internmap"];

const licence = (name) => {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf-8"));
  return `${name} ${version}\n${readFileSync(`node_modules/${name}/LICENSE`, "utf-8").trim()}`;
};

const folder = process.argv[2] || "built";
const common = { bundle: true, minify: true, charset: "utf8", legalComments: "none", logLevel: "warning" };

const { metafile } = await build({
  ...common,
  entryPoints: ["src/main.js"],
  outfile: `${folder}/page.js`,
  format: "iife",
  target: "es2022",
  metafile: true,
  banner: { js: `/*! This script holds parts of these libraries.\n\n${LIBRARIES.map(licence).join("\n\n")}\n*/` },
});
await build({ ...common, entryPoints: ["src/page.css"], outfile: `${folder}/page.css` });

// A library that is bundled and not named above would come without its licence.
const inside = Object.keys(metafile.inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] || []);
const forgotten = [...new Set(inside)].filter((name) => !LIBRARIES.includes(name));
if (forgotten.length) throw new Error(`No licence is written for ${forgotten.join(", ")}: name it in LIBRARIES.`);
