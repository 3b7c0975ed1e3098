#pragma once

// How the report looks, and what its script does: shows the text of the shape under the pointer,
// which a touch reaches, too. The page's security policy allows this script alone, by its hash:
//   openssl dgst -sha256 -binary | base64
// of the text between the tags.
namespace attune::cli {

inline constexpr const char* kStyle = R"(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f4f6f8; --ink: #1b2330; --soft: #5a6675; --line: #d9dfe6;
  --frozen: #c3cad3; --bias: #eba937; --part: #bcd3f7; --whole: #2b67cf;
  --input: #8a94a1; --activation: #74b3a5; --saved: #2f7f6f; --gradient: #e08a4f; --weight: #b3446c;
  --bound: #7a3fb3; --peak: #d1242f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161c; --card: #1b212a; --ink: #e3e8ee; --soft: #97a3b2; --line: #303945;
    --frozen: #4a5462; --bias: #d99a2b; --part: #2b4470; --whole: #5b95f7;
    --input: #77828f; --activation: #3f7f73; --saved: #62c0ab; --gradient: #d9824a; --weight: #d9678f;
    --bound: #b88af0; --peak: #ff6b6b;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 20px clamp(12px, 3vw, 32px); background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.2rem; margin: 36px 0 8px; border-top: 1px solid var(--line); padding-top: 20px; }
h3 { font-size: 1rem; margin: 8px 0; }
p { margin: 6px 0; }
.note, small, figcaption, footer { color: var(--soft); font-size: .85rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 16px 0; }
.figure { background: var(--card); border-radius: 8px; padding: 10px 14px; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; line-height: 1.3; }
dd small { display: block; font-size: .8rem; }
.bar { display: flex; height: 22px; border-radius: 6px; overflow: hidden; background: var(--line); }
.bar i { min-width: 2px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: .85rem; margin: 8px 0; }
.key i { display: inline-block; width: .85em; height: .85em; border-radius: 2px; margin-right: 6px; vertical-align: -1px; }
.key i.line { width: 1.4em; height: 0; border-top: 2px dashed; background: none; vertical-align: 4px; border-radius: 0; }
.key i.dot, .key i.chosen { border-radius: 50%; }
.plot { padding: 8px 0 24px 66px; }
.area { position: relative; }
.area svg { display: block; width: 100%; height: 100%; background: var(--card); overflow: hidden; }
.area span { position: absolute; font-size: 11px; line-height: 1; color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
.area .y { right: calc(100% + 6px); transform: translateY(50%); }
.area .x { top: calc(100% + 7px); transform: translateX(-50%); }
.area path { vector-effect: non-scaling-stroke; }
.grid { stroke: var(--line); fill: none; }
.frozen { fill: var(--frozen); background: var(--frozen); } .bias { fill: var(--bias); background: var(--bias); }
.part { fill: var(--part); background: linear-gradient(0deg, var(--whole) 50%, var(--part) 50%); }
.whole { fill: var(--whole); background: var(--whole); }
.forward { fill: var(--activation); background: var(--activation); }
.backward { fill: var(--gradient); background: var(--gradient); }
.update { fill: var(--weight); background: var(--weight); }
.state { background: var(--whole); } .arena { background: var(--saved); }
.workspace { background: var(--gradient); } .session { background: var(--input); }
.k0 { fill: var(--input); background: var(--input); } .k1 { fill: var(--activation); background: var(--activation); }
.k2 { fill: var(--saved); background: var(--saved); } .k3 { fill: var(--gradient); background: var(--gradient); }
.k4 { fill: var(--weight); background: var(--weight); }
.life path { stroke: var(--card); stroke-width: .5px; }
.life .thin { stroke: none; }
.area g:hover > path, .life path:hover { fill: var(--ink); }
.alive { fill: var(--activation); }
.bound { stroke: var(--bound); border-color: var(--bound) !important; stroke-width: 1.5px; stroke-dasharray: 6 4; fill: none; }
.peak { stroke: var(--peak); border-color: var(--peak) !important; stroke-width: 1.5px; stroke-dasharray: 3 3; fill: none; }
.phase { stroke: var(--soft); border-color: var(--soft) !important; stroke-dasharray: 1 3; fill: none; }
.peak, .bound, .phase, .grid { pointer-events: none; }
.fronts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 8px 24px; }
.fronts figure { margin: 8px 0; min-width: 0; }
.front { fill: none; stroke: var(--whole); stroke-width: 1.5px; }
.dot, .chosen { fill: none; stroke: var(--whole); stroke-width: 8px; stroke-linecap: round; background: var(--whole); }
.chosen { stroke: var(--peak); stroke-width: 14px; background: var(--peak); }
.matrix text { fill: var(--ink); font-size: 12px; } .matrix .full { fill: var(--paper); }
.right { fill: var(--saved); } .wrong { fill: var(--peak); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; margin: 10px 0; }

th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 3px 12px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
summary { cursor: pointer; margin: 8px 0; font-weight: 600; }
footer { margin-top: 36px; }
#hover { position: fixed; right: 12px; bottom: 12px; max-width: min(480px, calc(100% - 24px)); padding: 8px 12px; white-space: pre-line;
  background: var(--ink); color: var(--paper); border-radius: 6px; font-size: .85rem; pointer-events: none; }
#hover:empty { display: none; }
@media (max-width: 600px) { .plot { padding-left: 54px; } h1 { font-size: 1.3rem; } }
@media print { #hover { display: none; } }
)";

inline constexpr const char* kScript = R"js(
for (const kind of ["pointerover", "click"])
  document.addEventListener(kind, (event) => {
    const shape = event.target.closest("svg :is(g, path)");
    const title = shape && (shape.querySelector(":scope > title") || shape.parentNode.querySelector(":scope > title"));
    const hover = document.getElementById("hover");
    hover.textContent = title ? title.textContent : "";
    hover.hidden = !title;
  });
)js";

inline constexpr const char* kScriptHash = "sha256-2AUOvRiFqgHGdOSJSj/5DHwfwCaT07/37PdnrxzeFFY=";

}  // namespace attune::cli
