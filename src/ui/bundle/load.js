// What Rust imports (`#[wasm_bindgen(module = "/src/ui/bundle/load.js")]`) to get at the script bundles, which are
// read only when asked for.

/** The module `bundle/NAME.js` beside the page, as a promise. */
export function loadBundle(name) {
  return import(new URL(`bundle/${name}.js`, document.baseURI).href);
}
