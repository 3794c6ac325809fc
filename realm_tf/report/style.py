"""The look of a report: one column, small charts in a grid, light and dark."""

STYLE = """
:root{--page:#fbfbfa;--card:#fff;--text:#1f2328;--soft:#656d76;--grid:#e4e6e8;
--series-0:#0b6e99;--series-1:#c2620a;--series-2:#6940a5;--series-3:#4d6461;
--mark:#fff1c2;--right:#1a7f37;--wrong:#b3261e}
@media (prefers-color-scheme:dark){:root{--page:#15181c;--card:#1d2126;--text:#e4e6e8;
--soft:#98a1aa;--grid:#30363d;--series-0:#58b6dd;--series-1:#f0a35c;--series-2:#b794f0;
--series-3:#9db8b4;--mark:#5a4a12;--right:#57c27a;--wrong:#f2857c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:28px;margin:0 0 12px;letter-spacing:-.01em}
h2{font-size:20px;margin:44px 0 8px;padding-top:12px;border-top:1px solid var(--grid)}
h3{font-size:16px;margin:28px 0 4px}
h4{font-size:12px;margin:14px 0 6px;color:var(--soft);font-weight:600;
text-transform:uppercase;letter-spacing:.05em}
.note,.answer{color:var(--soft);margin:0 0 10px}
dl.facts{display:flex;flex-wrap:wrap;gap:8px 28px;margin:0}
dl.facts dt{font-size:12px;color:var(--soft)}dl.facts dd{margin:0}
.scroll{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:6px 14px 6px 0;text-align:right;border-bottom:1px solid var(--grid);
white-space:nowrap;vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:13px}
tbody th,th:first-child{text-align:left;font-weight:500}
td.text{text-align:left;color:var(--soft);white-space:normal;min-width:180px}
td.none,td small{color:var(--soft)}td small{display:block;font-size:11px}
.settings td.text{color:var(--text);word-break:break-word}.settings th{font-weight:400}
.bar{display:block;height:3px;background:var(--grid);border-radius:2px;margin-top:2px}
td .bar{width:72px;margin-left:auto}
.bar i{display:block;height:3px;border-radius:2px}
.b0{background:var(--series-0)}.b1{background:var(--series-1)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));
gap:12px}
figure{margin:0;background:var(--card);border:1px solid var(--grid);border-radius:8px;
padding:10px 12px 6px}
figcaption{display:grid;grid-template-columns:1fr auto;gap:0 8px;align-items:baseline;
margin-bottom:6px}
figcaption span{color:var(--soft);font-size:12px;grid-column:1/3}
figcaption output{font-weight:600;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .grid{stroke:var(--grid);stroke-width:1}
svg .limit{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
svg .mark{stroke:var(--series-1);stroke-width:2;fill:none}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}
svg .raw{stroke-width:.8;opacity:.35}
svg .line.s0{stroke:var(--series-0)}svg .line.s1{stroke:var(--series-1)}
svg .line.s2{stroke:var(--series-2)}svg .line.s3{stroke:var(--series-3)}
svg circle.s0,svg text.s0{fill:var(--series-0)}svg circle.s1,svg text.s1{fill:var(--series-1)}
svg circle.s2,svg text.s2{fill:var(--series-2)}svg circle.s3,svg text.s3{fill:var(--series-3)}
article{background:var(--card);border:1px solid var(--grid);border-radius:8px;
padding:14px 16px;margin:12px 0}
article p{margin:0 0 4px}
.sentence{font-size:16px}
.mask{background:var(--mark);border-radius:4px;padding:0 8px;font-weight:600}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:0 2px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));
gap:4px 28px}
ol.candidates{list-style:none;margin:0;padding:0}
.candidates li{display:grid;grid-template-columns:108px 1fr;gap:12px;padding:7px 0;
border-top:1px solid var(--grid)}
.candidates li.head{border-top:0;padding:0;color:var(--soft)}
.candidates .p{display:grid;grid-template-columns:1fr 1fr;gap:10px;font-size:13px;
font-variant-numeric:tabular-nums}
.text{color:var(--soft);font-size:13px}
p.text{white-space:pre-line}
.candidates .text{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;
overflow:hidden}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));
gap:12px}
.answers article{margin:0}
.right{color:var(--right)}.wrong{color:var(--wrong)}
summary{cursor:pointer;color:var(--soft)}
ul.commands{list-style:none;padding:0}
.commands li{padding:4px 0}code{font-size:13px;word-break:break-all}
time{font-variant-numeric:tabular-nums;margin-right:8px}
"""
