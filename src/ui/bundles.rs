//! The two script bundles, the editor and the terminal, as far as the page calls them. They are read after the first
//! paint; until then, and where they cannot be read, plain fields stand in their place.

use js_sys::futures::JsFuture;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/ui/bundle/load.js")]
extern "C" {
    /// Reads `bundle/NAME.js`.
    #[wasm_bindgen(js_name = loadBundle)]
    fn load_bundle(name: &str) -> js_sys::Promise;
}

#[wasm_bindgen]
extern "C" {
    /// A running editor.
    #[derive(Clone)]
    pub(super) type Editor;
    #[wasm_bindgen(method, js_name = setText)]
    pub(super) fn set_text(this: &Editor, text: &str);
    #[wasm_bindgen(method, js_name = setDiagnostics)]
    pub(super) fn set_diagnostics(this: &Editor, list: &JsValue);
    #[wasm_bindgen(method)]
    pub(super) fn highlight(this: &Editor, ranges: &JsValue);
    #[wasm_bindgen(method)]
    pub(super) fn reveal(this: &Editor, offset: u32);
    #[wasm_bindgen(method, js_name = setTheme)]
    pub(super) fn set_theme(this: &Editor, theme: &JsValue);
    #[wasm_bindgen(method, js_name = setLang)]
    pub(super) fn set_lang(this: &Editor, code: &str);
    #[wasm_bindgen(method)]
    pub(super) fn focus(this: &Editor);

    /// A running terminal.
    #[derive(Clone)]
    pub(super) type Terminal;
    #[wasm_bindgen(method)]
    pub(super) fn write(this: &Terminal, text: &str);
    #[wasm_bindgen(method)]
    pub(super) fn clear(this: &Terminal);
    #[wasm_bindgen(method, js_name = setTheme)]
    pub(super) fn set_theme(this: &Terminal, theme: &JsValue);
    #[wasm_bindgen(method)]
    pub(super) fn fit(this: &Terminal);
    #[wasm_bindgen(method)]
    pub(super) fn focus(this: &Terminal);
    #[wasm_bindgen(method)]
    pub(super) fn cols(this: &Terminal) -> u32;
}

/// Calls `maker`, a function that the bundle `name` exports, with one object, and waits if that takes time.
pub(super) async fn make(name: &str, maker: &str, options: &JsValue) -> Result<JsValue, JsValue> {
    let module = JsFuture::from(load_bundle(name)).await?;
    let function: js_sys::Function = js_sys::Reflect::get(&module, &maker.into())?.dyn_into()?;
    let made = function.call1(&JsValue::NULL, options)?;
    JsFuture::from(js_sys::Promise::resolve(&made)).await
}

/// A plain object of these fields.
pub(super) fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = js_sys::Object::new();
    for (name, value) in fields {
        // Setting a field of a plain object cannot fail.
        let _ = js_sys::Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object.into()
}
