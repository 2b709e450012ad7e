// A way for libraries that make `<style>` elements to live under a Content-Security-Policy that forbids them.

/**
 * Runs `make`, during which every `<style>` element asked for is a stand-in that hands its text to a constructed style
 * sheet. The policy allows those: only script that already runs can make them.
 */
export function withConstructedSheets(make) {
  const create = Document.prototype.createElement;
  document.createElement = function (name, options) {
    return name === "style" ? sheetHolder() : create.call(document, name, options);
  };
  try {
    return make();
  } finally {
    delete document.createElement;
  }
}

function sheetHolder() {
  const holder = document.createElementNS("http://www.w3.org/1999/xhtml", "span");
  const sheet = new CSSStyleSheet();
  holder.hidden = true;
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(holder, "textContent", { set: (css) => { sheet.replaceSync(css); } });
  holder.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    Element.prototype.remove.call(holder);
  };
  return holder;
}
