// The YAML editor: CodeMirror 6 behind a small interface, loaded after the page's first paint.
//
// Every offset in this interface counts UTF-16 code units from the start of the text, as JavaScript strings and
// CodeMirror do; the Rust side converts from bytes.
import { Annotation, EditorState, Compartment, StateEffect, StateField } from "@codemirror/state";
import {
  EditorView, Decoration, keymap, lineNumbers, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars,
  drawSelection, rectangularSelection, crosshairCursor, hoverTooltip,
} from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from "@codemirror/commands";
import {
  bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, setDiagnostics, lintKeymap } from "@codemirror/lint";
import { searchKeymap, highlightSelectionMatches, search } from "@codemirror/search";
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { yaml } from "@codemirror/lang-yaml";
import { tags } from "@lezer/highlight";
import { withConstructedSheets } from "./sheets.js";
import { wrapping } from "./wrap.js";

/** CodeMirror's own sentences in Korean; English is its default. */
const korean = {
  "Find": "찾기", "Replace": "바꾸기", "next": "다음", "previous": "이전", "all": "모두", "match case": "대소문자 구분",
  "by word": "단어 단위", "replace": "바꾸기", "replace all": "모두 바꾸기", "close": "닫기", "regexp": "정규식",
  "current match": "현재 일치 항목", "replaced $ matches": "$개를 바꾸었습니다", "replaced match on line $": "$번째 줄을 바꾸었습니다",
  "on line": "줄", "Go to line": "줄로 이동", "go": "이동", "Folded lines": "접힌 줄", "Unfolded lines": "펼친 줄",
  "to": "~", "folded code": "접힌 내용", "unfold": "펼치기", "Fold line": "줄 접기", "Unfold line": "줄 펼치기",
  "Control character": "제어 문자", "Diagnostics": "진단", "No diagnostics": "진단 없음", "Selection deleted": "선택한 글을 지웠습니다",
};

const labels = {
  ko: "클러스터 YAML 편집기. Tab은 들여쓰기입니다. Esc를 누른 다음 Tab을 누르면 편집기를 벗어납니다.",
  en: "Cluster YAML editor. Tab indents. Press Escape, then Tab, to leave the editor.",
};

// Keys that belong to the browser or the page: location bar, search bar, print.
const leftToBrowser = new Set(["Ctrl-l", "Ctrl-k", "Ctrl-p", "Mod-l", "Mod-k", "Mod-p", "Alt-l"]);
const ours = (bindings) => bindings.filter((binding) => !leftToBrowser.has(binding.key));

// Colours are the page's own custom properties, so one sheet serves every theme; the fallbacks keep the editor
// readable without them.
const highlighting = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--editor-key, #0b62c4)" },
  { tag: [tags.string, tags.special(tags.string), tags.content], color: "var(--editor-string, inherit)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--editor-literal, #00735a)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--editor-comment, #4d5a69)", fontStyle: "italic" },
  { tag: [tags.labelName, tags.typeName], color: "var(--editor-anchor, #a8327c)" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace, tags.meta], color: "var(--editor-mark, #4d5a69)" },
]);

const look = (dark, projector) => EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--panel)", fontSize: projector ? "20px" : "14px" },
  ".cm-scroller": { fontFamily: "var(--font-mono, 'JetBrains Mono Variable', monospace)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--ink)", borderLeftWidth: projector ? "3px" : "2px" },
  ".cm-gutters": { color: "var(--ink-2)", backgroundColor: "var(--panel)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: dark ? "#ffffff0d" : "#0000000a" },
  ".cm-lit": { backgroundColor: "var(--highlight, #fff3c4)" },
  ".cm-explained": { maxWidth: "44ch", padding: "6px 10px", fontFamily: "var(--font-ui, sans-serif)" },
  ".cm-panels, .cm-tooltip": { color: "var(--ink)", backgroundColor: "var(--panel)", borderColor: "var(--line)" },
}, { dark });

/** Marks a change that came from the page, not from the user. */
const fromOutside = Annotation.define();

const setLit = StateEffect.define();
const lit = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(setLit)) next = effect.value;
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});
const litMark = Decoration.mark({ class: "cm-lit" });

/** Cuts `{from, to}` to the document. */
function within(range, length) {
  const from = Math.max(0, Math.min(range.from, length));
  const to = Math.max(from, Math.min(range.to, length));
  return { from, to };
}

/**
 * Creates an editor in `parent`.
 *
 * `onChange(text)` is called after each change by the user or by undo, never for `setText`. While an input method
 * composes (Korean syllables), nothing is reported; one report follows when the composition has ended.
 * `onCursor(offset)` is called when the main cursor moved.
 * `onComplete(text, offset)` answers with `{from, to, options: [{label, detail, info, required}]}`, what may stand there.
 * `onHover(text, offset)` answers with `{from, to, title, text}`, what stands there, or with nothing.
 */
export function createEditor({
  parent, text = "", dark = false, projector = false, lang = "en", onChange, onCursor, onComplete, onHover, readOnly = false,
}) {
  const theme = new Compartment();
  const language = new Compartment();
  let composing = false;
  let heldBack = false;
  let pendingDiagnostics = null;

  const inLanguage = (code) => [
    EditorState.phrases.of(code === "ko" ? korean : {}),
    EditorView.contentAttributes.of({ "aria-label": labels[code] ?? labels.en, "data-testid": "editor-text" }),
  ];

  const report = (view) => {
    heldBack = false;
    onChange?.(view.state.doc.toString());
  };
  const ended = (view) => {
    // CodeMirror flushes the last syllable after this event; wait until it has.
    setTimeout(() => {
      composing = view.composing;
      if (composing) return;
      if (heldBack) report(view);
      if (pendingDiagnostics) showDiagnostics(pendingDiagnostics);
    }, 60);
  };

  const listener = EditorView.updateListener.of((update) => {
    if (update.docChanged && !update.transactions.some((transaction) => transaction.annotation(fromOutside))) {
      if (composing || update.view.composing) heldBack = true;
      else report(update.view);
    }
    if (update.selectionSet && !update.view.composing) onCursor?.(update.state.selection.main.head);
  });

  const complete = (context) => {
    const found = onComplete?.(context.state.doc.toString(), context.pos);
    if (!found || found.options.length === 0 || (!context.explicit && found.from === context.pos)) return null;
    const options = found.options.map(({ label, detail, info, required }) => ({
      label, detail, info: info || undefined, boost: required ? 50 : 0, type: detail ? "property" : "constant",
      apply: detail && found.colon ? `${label}: ` : label,
    }));
    return { from: found.from, to: found.to, options, validFor: /^[\w-]*$/ };
  };
  const explained = hoverTooltip((view, pos) => {
    const found = onHover?.(view.state.doc.toString(), pos);
    if (!found) return null;
    return {
      pos: found.from, end: found.to, above: true,
      create() {
        const dom = document.createElement("div");
        dom.className = "cm-explained";
        dom.dataset.testid = "editor-help";
        const title = dom.appendChild(document.createElement("strong"));
        title.textContent = found.title;
        if (found.text) dom.appendChild(document.createElement("div")).textContent = found.text;
        return { dom };
      },
    };
  });

  let dressed = { dark, projector };
  let spoken = lang;
  const extensions = () => [
    lineNumbers(), foldGutter(), lintGutter(), highlightSpecialChars(), history(), drawSelection(), rectangularSelection(),
    crosshairCursor(), EditorState.allowMultipleSelections.of(true), indentOnInput(), indentUnit.of("  "),
    bracketMatching(), closeBrackets(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
    search({ top: true }), autocompletion({ override: [complete] }), explained, yaml(), syntaxHighlighting(highlighting), lit, wrapping,
    // Escape, then Tab, leaves the editor: CodeMirror's view turns Tab back into the browser's own for one press.
    keymap.of(ours([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab])),
    EditorView.domEventHandlers({
      compositionstart: () => { composing = true; },
      compositionend: (_event, view) => ended(view),
      blur: (_event, view) => ended(view),
    }),
    listener, theme.of(look(dressed.dark, dressed.projector)), language.of(inLanguage(spoken)),
    EditorState.readOnly.of(readOnly),
  ];
  // CodeMirror keeps one sheet for the document and makes it with the first editor.
  const view = withConstructedSheets(() => new EditorView({ parent, state: EditorState.create({ doc: text, extensions: extensions() }) }));

  function showDiagnostics(list) {
    if (composing) { pendingDiagnostics = list; return; }
    pendingDiagnostics = null;
    const length = view.state.doc.length;
    const items = list.map(({ from, to, severity, message, fix }) => ({
      ...within({ from, to }, length), severity, message,
      // The edit is one of the user's own: it is reported and can be undone.
      actions: fix ? [{ name: fix.title, apply: (editor) => editor.dispatch({ changes: { ...within(fix, editor.state.doc.length), insert: fix.text } }) }] : [],
    }));
    view.dispatch(setDiagnostics(view.state, items));
  }

  return {
    /** Replaces the whole text. With `keepHistory` it is one step that undo takes back; else the history starts anew. */
    setText(next, keepHistory = true) {
      if (!keepHistory) {
        view.setState(EditorState.create({ doc: next, extensions: extensions() }));
        return;
      }
      const current = view.state.doc.toString();
      if (current === next) return;
      view.dispatch({ changes: smallestChange(current, next), annotations: [fromOutside.of(true), isolateHistory.of("full")] });
    },
    /** The text as it stands. */
    text: () => view.state.doc.toString(),
    /**
     * Marks the places in `[{from, to, severity, message, fix}]`, `severity` being `error`, `warning`, `info` or `hint`;
     * `fix` is `{title, from, to, text}`, an edit that mends it, or nothing.
     */
    setDiagnostics: showDiagnostics,
    /** Lights the ranges `[{from, to}]` in the page's highlight colour, and no others. */
    highlight(ranges) {
      const length = view.state.doc.length;
      const marks = ranges.map((range) => within(range, length)).filter(({ from, to }) => from < to)
        .map(({ from, to }) => litMark.range(from, to));
      view.dispatch({ effects: setLit.of(Decoration.set(marks, true)) });
    },
    /** Puts the cursor at `offset` and scrolls there. */
    reveal(offset) {
      const { from } = within({ from: offset, to: offset }, view.state.doc.length);
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    },
    setTheme({ dark, projector = false }) {
      dressed = { dark, projector };
      view.dispatch({ effects: theme.reconfigure(look(dark, projector)) });
    },
    setLang(code) {
      spoken = code;
      view.dispatch({ effects: language.reconfigure(inLanguage(code)) });
    },
    focus() { view.focus(); },
    destroy() { view.destroy(); },
  };
}

/** The one replacement that turns `before` into `after`, so that the cursor and the fold marks stay where they can. */
function smallestChange(before, after) {
  let from = 0;
  const most = Math.min(before.length, after.length);
  while (from < most && before.charCodeAt(from) === after.charCodeAt(from)) from += 1;
  let tail = 0;
  while (tail < most - from && before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)) tail += 1;
  return { from, to: before.length - tail, insert: after.slice(from, after.length - tail) };
}
