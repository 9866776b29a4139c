/**
 * The page's style. Colours of series are Okabe and Ito's palette (Color Universal Design, 2008), made darker on light
 * and lighter on dark ground where contrast asks for it; dashes and dots differ too.
 */
const light = `
  --ground: #fbfbfa; --card: #fff; --ink: #1c1d1f; --soft: #5b6066; --line: #dcdee1; --grid: #eceef0;
  --best: #e3f4ec; --alarm: #fff1e6; --alarm-line: #d55e00;
  --c0: #0072b2; --c1: #d55e00; --c2: #00855f; --c3: #b3528f; --c4: #b07a00; --c5: #2f8fc4; --c6: #6b6e00; --c7: #4d4d4d;`

const dark = `
  --ground: #131416; --card: #1b1d20; --ink: #e8e9eb; --soft: #a2a8af; --line: #34383d; --grid: #292c30;
  --best: #143a2c; --alarm: #3a2413; --alarm-line: #ff8a3c;
  --c0: #56b4e9; --c1: #ff8a3c; --c2: #2fc596; --c3: #e08fc0; --c4: #f0b429; --c5: #9fd3f5; --c6: #f0e442; --c7: #c0c4c9;`

const slots = [0, 1, 2, 3, 4, 5, 6, 7]
const dashes = ['none', '9 3', '2.5 2.5', '9 3 2 3', 'none', '9 3', '2.5 2.5', '9 3 2 3']

/** Boxes at the top switch targets off without a script. */
const switches = slots
  .map(
    (slot) =>
      `body:has(#show${slot}:not(:checked)) :is(svg.plot, .legend) .s${slot} { display: none }\n` +
      `.s${slot} { --c: var(--c${slot}); --dash: ${dashes[slot]} }`,
  )
  .join('\n')

export const style = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.45;
  font: 15px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif }
main, header.page { max-width: 1400px; margin: 0 auto; padding: 0 clamp(14px, 2.5vw, 32px) }
header.page { padding-top: 28px }
h1 { font-size: 1.6rem; margin: 0 0 4px; line-height: 1.2; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 0 0 10px; line-height: 1.25 }
h3 { font-size: 1rem; margin: 18px 0 6px; overflow-wrap: anywhere }
section { padding: 24px 0 8px; scroll-margin-top: 40px }
small, .about, .none, .sub { color: var(--soft) }
small { font-size: .8rem; font-weight: 400 }
.about, .none { font-size: .85rem; margin: 6px 0 10px; max-width: 75ch; overflow-wrap: anywhere }
.sub { margin: 0; overflow-wrap: anywhere }
.alarm { background: var(--alarm); border: 1px solid var(--alarm-line); border-left-width: 6px; border-radius: 6px;
  padding: 10px 14px; margin: 14px 0 0; overflow-wrap: anywhere }
.alarm ul { margin: 4px 0 0; padding-left: 20px }
nav.targets { position: sticky; top: 0; z-index: 2; background: var(--ground); border-bottom: 1px solid var(--line);
  margin-top: 14px }
nav.targets div { max-width: 1400px; margin: 0 auto; padding: 7px clamp(14px, 2.5vw, 32px); display: flex; gap: 4px 18px;
  overflow-x: auto; white-space: nowrap }
nav.targets label { cursor: pointer; display: inline-flex; align-items: center; gap: 6px }
nav.targets input { accent-color: var(--c); margin: 0 }
.swatch { width: 24px; height: 10px; flex: none; vertical-align: middle; margin-right: 4px }
.scroll { width: fit-content; max-width: 100%; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--card) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; min-width: 100% }
th, td { padding: 5px 12px; text-align: right; border-top: 1px solid var(--grid); white-space: nowrap; font-weight: 400 }
thead th { border-top: 0; font-weight: 600; vertical-align: bottom }
thead th small { display: block }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--card) }
tr.group th { font-weight: 600; padding-top: 12px; border-top: 1px solid var(--line) }
tr.group th small { white-space: normal }
td.best { background: var(--best); font-weight: 600 }
td .dot { color: var(--c2) }
table.headline { min-width: min(100%, 620px) }
@media (max-width: 600px) {
  th, td { padding: 5px 8px } table.headline { font-size: .85rem; min-width: 0 }
  table.headline :is(thead, tr.group) small { display: block; width: 0; min-width: 100% }
  table.headline th, table.headline small { white-space: normal }
  table.headline thead .swatch { display: block; margin: 0 0 2px auto }
}
.counts th:first-child { white-space: normal; overflow-wrap: anywhere; max-width: 70ch; position: static }
table.tenants .of { border-left: 1px solid var(--line) }
table.tenants th[colspan] { text-align: left; color: var(--c) }
.plots { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)) }
.wide { max-width: 800px }
@media (min-width: 700px) { .wide svg text { font-size: 8px } }
.plots.four { grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)) }
.four svg text { font-size: 14.5px }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px 4px;
  min-width: 0 }
figcaption { font-size: .92rem; display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: baseline;
  overflow-wrap: anywhere }
figure .about { margin: 2px 0 6px }
.legend { display: inline-flex; flex-wrap: wrap; gap: 0 12px; font-size: .8rem; color: var(--soft) }
svg.plot { display: block; width: 100%; height: auto; touch-action: pan-y }
svg path { fill: none; vector-effect: non-scaling-stroke }
svg text { font-size: 12px; fill: var(--soft) }
.end { text-anchor: end } .middle { text-anchor: middle } .start { text-anchor: start }
.grid { stroke: var(--grid) } .base { stroke: var(--line) }
.line, .steps { stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round;
  stroke-dasharray: var(--dash) }
.steps { stroke-dasharray: none }
.faint { stroke: var(--c); stroke-width: 1.1; opacity: .65; stroke-linejoin: round }
.dots { stroke: var(--c); stroke-width: 1.2; opacity: .6 }
.dots.s0, .dots.s4 { stroke-width: 4; stroke-linecap: round; opacity: .45 }
.bars { stroke: var(--c); stroke-width: 12 }
.name, .rule text { paint-order: stroke; stroke: var(--card); stroke-width: 3px; stroke-linejoin: round }
.swatch .dots { opacity: 1; stroke-width: 1.6 } .swatch .dots:is(.s0, .s4) { opacity: 1; stroke-width: 6 }
.rule path { stroke: var(--c, var(--soft)); stroke-dasharray: 2 3 }
.rule text { fill: var(--c, var(--soft)) }
dl { margin: 0 }
dl.facts { display: grid; gap: 8px 20px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 150px), 1fr));
  margin-bottom: 16px }
dt { color: var(--soft); font-size: .8rem } dd { margin: 0; overflow-wrap: anywhere }
dl.bars div, dl.origin div { display: grid; grid-template-columns: minmax(110px, 180px) 1fr; gap: 12px; padding: 3px 0 }
dl.bars dt, dl.origin dt { font-size: .9rem; overflow-wrap: anywhere }
meter { width: min(50%, 320px); height: 12px; vertical-align: middle; margin-right: 8px }
dl.origin { font-size: .9rem } dl.origin div { border-top: 1px solid var(--grid) }
.steps { margin: 0; padding-left: 22px; font-size: .9rem } .parameter { margin-right: 10px; color: var(--soft) }
code { color: var(--ink); font-size: .95em; overflow-wrap: anywhere }
details { margin: 10px 0 } summary { cursor: pointer; color: var(--soft); font-size: .85rem }
details.values { margin: 0 0 6px } details.values .scroll { margin-top: 6px; max-height: 320px; overflow: auto }
details.values table { font-size: .8rem } details.values th, details.values td { padding: 2px 8px }
.tip { position: absolute; z-index: 3; pointer-events: none; white-space: pre; background: var(--ink); color: var(--ground);
  font-size: 12px; padding: 4px 8px; border-radius: 4px; max-width: 300px; overflow: hidden }
footer { color: var(--soft); font-size: .85rem; padding: 20px 0 40px }
${switches}
@media print {
  :root { ${light} --ground: #fff }
  nav.targets { position: static } nav.targets input { display: none }
  figure, tr, .alarm { break-inside: avoid } h2, h3 { break-after: avoid }
  .scroll { overflow: visible; border: 0 } details:not([open]) { display: none }
  th:first-child { position: static } .plots { grid-template-columns: 1fr 1fr }
}
`
