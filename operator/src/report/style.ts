/** Style sheet of the report: light or dark by the reader's setting, one column on a phone. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1d2330; --soft: #5b6474; --line: #dfe3ea; --card: #fff; --page: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e8ee; --soft: #9aa4b5; --line: #2c3340; --card: #171b23; --page: #0f1218; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 32px 16px 64px; }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 40px 0 12px; font-size: 1.2rem; }
p, figcaption { margin: 8px 0; color: var(--soft); font-size: .92rem; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th, td { padding: 8px 12px; text-align: left; }
.figures th, .figures td { white-space: nowrap; }
.figures td, .figures th[scope=col]:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
.words td { min-width: 7em; }
.words td:nth-child(4) { min-width: 14em; }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody tr { border-top: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 12px; padding: 0; list-style: none; font-size: .92rem; }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 3px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px; }
figure { display: flex; flex-direction: column; justify-content: space-between; margin: 0; padding: 8px 14px 10px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
figcaption b { color: var(--ink); font-weight: 600; margin-right: 4px; }
figure svg { display: block; width: 100%; height: auto; color: var(--ink); }
.modules { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 240px), 1fr)); gap: 16px; }
.modules figure { justify-content: flex-start; gap: 8px; }
figure img { display: block; width: 100%; max-width: 356px; height: auto; image-rendering: pixelated; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 12px 24px; margin: 0 0 16px; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: 16px; }
summary { cursor: pointer; }
pre { overflow-x: auto; padding: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; font-size: .85rem; }
`;
