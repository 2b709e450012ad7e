// Long lines go on below, as far in as their own text begins, so that the tree stays a tree in a narrow panel.
import { RangeSetBuilder } from "@codemirror/state";
import { Decoration, EditorView, ViewPlugin } from "@codemirror/view";

const most = 20;
const marks = Array.from({ length: most + 1 }, (_, indent) => Decoration.line({ class: `cm-hang-${indent}` }));

/** How far in a line's own text begins, with the dashes of list entries, and two more for what goes on below. */
const indentOf = (text) => Math.min(text.match(/^ *(?:- +)*/)[0].length + 2, most);

function hanging({ state, visibleRanges }) {
  const found = new RangeSetBuilder();
  for (const { from, to } of visibleRanges) {
    for (let at = from; at <= to;) {
      const line = state.doc.lineAt(at);
      found.add(line.from, line.from, marks[indentOf(line.text)]);
      at = line.to + 1;
    }
  }
  return found.finish();
}

const follow = ViewPlugin.fromClass(class {
  constructor(view) { this.decorations = hanging(view); }
  update({ docChanged, viewportChanged, view }) { if (docChanged || viewportChanged) this.decorations = hanging(view); }
}, { decorations: (plugin) => plugin.decorations });

const steps = Object.fromEntries(marks.map((_, indent) => [
  `.cm-line.cm-hang-${indent}`, { paddingLeft: `calc(${indent}ch + 6px)`, textIndent: `-${indent}ch` },
]));

export const wrapping = [EditorView.lineWrapping, follow, EditorView.theme(steps)];
