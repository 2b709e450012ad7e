// The terminal: xterm.js behind a small interface, loaded after the page's first paint. Its sheet is terminal.css,
// built beside it.
import { Terminal } from "@xterm/xterm";
import { FitAddon } from "@xterm/addon-fit";
import "@xterm/xterm/css/xterm.css";
import { withConstructedSheets } from "./sheets.js";

const themes = {
  light: {
    background: "#ffffff", foreground: "#131a22", cursor: "#131a22", cursorAccent: "#ffffff", selectionBackground: "#fff3c4",
    black: "#131a22", red: "#c01733", green: "#00735a", yellow: "#b26a00", blue: "#0b62c4", magenta: "#a8327c", cyan: "#00697a", white: "#4d5a69",
    brightBlack: "#4d5a69", brightRed: "#c01733", brightGreen: "#00735a", brightYellow: "#8a5200", brightBlue: "#0b62c4",
    brightMagenta: "#a8327c", brightCyan: "#00697a", brightWhite: "#131a22",
  },
  dark: {
    background: "#151b23", foreground: "#e8eef5", cursor: "#e8eef5", cursorAccent: "#151b23", selectionBackground: "#5a5020",
    black: "#2c3947", red: "#ff6b81", green: "#4fd1ac", yellow: "#f0b04c", blue: "#6cb2ff", magenta: "#f094cc", cyan: "#63d4e6", white: "#e8eef5",
    brightBlack: "#9fb0c2", brightRed: "#ff8a9b", brightGreen: "#7fe0c4", brightYellow: "#f5c67d", brightBlue: "#93c7ff",
    brightMagenta: "#f5b2da", brightCyan: "#8fe2ef", brightWhite: "#ffffff",
  },
};

const named = (dark) => (dark ? themes.dark : themes.light);

/** Links terminal.css once. Resolves when it has been read, or could not be. */
function linkSheet() {
  const href = new URL("./terminal.css", import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

/**
 * Creates a terminal in `parent`; resolves to its handle. `onData(data)` gets what the user types, as the bytes a
 * real terminal would send ("\r" for Enter, "\x03" for Ctrl-C); nothing is echoed by the terminal itself.
 */
export async function createTerminal({ parent, onData, dark = false, fontSize = 14 }) {
  const family = "'JetBrains Mono Variable', 'Pretendard Variable', ui-monospace, monospace";
  // The cell is measured once at opening, so the faces have to be there.
  await Promise.all([linkSheet(), document.fonts.load(`${fontSize}px 'JetBrains Mono Variable'`).catch(() => [])]);
  const terminal = new Terminal({
    fontFamily: family, fontSize, theme: named(dark), screenReaderMode: true, convertEol: true, cursorBlink: false,
    scrollback: 5000, minimumContrastRatio: 4.5,
  });
  const fitter = new FitAddon();
  terminal.loadAddon(fitter);
  withConstructedSheets(() => terminal.open(parent));
  // Keys of the browser and the page stay theirs; Ctrl-Shift-C and Ctrl-Shift-V copy and paste by the browser.
  terminal.attachCustomKeyEventHandler((event) => !(event.ctrlKey && !event.altKey && ["k", "p"].includes(event.key.toLowerCase())) && event.key !== "F6");
  terminal.onData((data) => onData?.(data));
  const fit = () => { if (parent.clientWidth > 0 && parent.clientHeight > 0) fitter.fit(); };
  const observer = new ResizeObserver(() => requestAnimationFrame(fit));
  observer.observe(parent);
  fit();

  return {
    /** Prints text, ANSI escapes included. */
    write(text) { terminal.write(text); },
    /** Empties the screen and the lines scrolled away. */
    clear() { terminal.reset(); },
    setTheme({ dark: toDark, fontSize: size }) {
      terminal.options.theme = named(toDark);
      if (size) { terminal.options.fontSize = size; fit(); }
    },
    /** Makes rows and columns fill the parent; also done by itself when the parent's size changes. */
    fit,
    focus() { terminal.focus(); },
    /** Columns of the screen. */
    cols: () => terminal.cols,
    /** What stands on the screen and was scrolled away, as plain text. */
    text() {
      const buffer = terminal.buffer.active;
      return Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row)?.translateToString(true) ?? "").join("\n").trimEnd();
    },
    destroy() { observer.disconnect(); terminal.dispose(); },
  };
}
