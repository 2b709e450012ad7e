//! Files made of what the page shows: the capture, the picture, the manifest and the log.

use super::state::Page;
use crate::lab::share;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlAnchorElement, HtmlCanvasElement, HtmlImageElement};

/// Properties of the style sheets that a picture takes along, since nobody else has our style sheets.
const STYLES: [&str; 22] = [
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-opacity",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-linejoin",
    "opacity",
    "visibility",
    "display",
    "font-family",
    "font-size",
    "font-weight",
    "font-style",
    "letter-spacing",
    "text-anchor",
    "dominant-baseline",
    "paint-order",
    "marker-end",
    "transform",
    "transform-origin",
];

/// The namespace of SVG elements.
const SVG: &str = "http://www.w3.org/2000/svg";

/// How many pixels of the PNG make one of the page.
const SCALE: f64 = 2.0;

/// The capture of every tapped interface, for Wireshark.
pub(super) fn pcapng(page: Page) {
    let bytes = page.ui.lab.with_value(|lab| crate::trace::pcapng(lab.trace(), 0..lab.trace().len()));
    let array = js_sys::Uint8Array::from(bytes.as_slice());
    save(page, &array.into(), "vethscope.pcapng", "application/x-pcapng");
}

/// What one capture shows, for Wireshark.
pub(super) fn capture(page: Page, bytes: &[u8], name: &str) {
    let array = js_sys::Uint8Array::from(bytes);
    save(page, &array.into(), name, "application/x-pcapng");
}

/// The picture as SVG.
pub(super) fn svg(page: Page) {
    match picture() {
        Some(picture) => save(page, &picture.text.into(), "vethscope.svg", "image/svg+xml"),
        None => page.notify("frame.export.nothing", Vec::new()),
    }
}

/// The picture as PNG.
pub(super) fn png(page: Page) {
    leptos::task::spawn_local(async move {
        match draw().await {
            Ok(url) => download(&url, "vethscope.png"),
            Err(_) => page.notify("frame.export.failed", Vec::new()),
        }
    });
}

/// The manifest in the editor.
pub(super) fn yaml(page: Page) {
    save(page, &page.ui.text.get_untracked().into(), "vethscope.yaml", "application/yaml");
}

/// The log that makes this lab.
pub(super) fn log(page: Page) {
    let text = page.ui.lab.with_value(|lab| share::to_file(&lab.log()));
    save(page, &text.into(), "vethscope-log.json", "application/json");
}

fn save(page: Page, content: &JsValue, name: &str, kind: &str) {
    match blob_url(content, kind) {
        Ok(url) => {
            download(&url, name);
            page.ui.announce(crate::base::words::text(
                page.ui.lang.get_untracked(),
                "frame.export.saved",
                &[name.to_owned()],
            ));
            // The download has taken the content by the end of this turn of the browser's loop.
            set_timeout(
                move || {
                    let _ = web_sys::Url::revoke_object_url(&url);
                },
                std::time::Duration::from_secs(10),
            );
        }
        Err(_) => page.notify("frame.export.failed", Vec::new()),
    }
}

fn blob_url(content: &JsValue, kind: &str) -> Result<String, JsValue> {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(kind);
    let parts = js_sys::Array::of1(content);
    let blob = web_sys::Blob::new_with_u8_array_sequence_and_options(&parts, &options)?;
    web_sys::Url::create_object_url_with_blob(&blob)
}

fn download(url: &str, name: &str) {
    let Ok(anchor) = document().create_element("a") else { return };
    let anchor: HtmlAnchorElement = anchor.unchecked_into();
    anchor.set_href(url);
    anchor.set_download(name);
    anchor.click();
}

/// The stage as a picture that stands alone.
struct Picture {
    text: String,
    width: f64,
    height: f64,
}

fn picture() -> Option<Picture> {
    let drawn =
        document().query_selector("[data-testid=stage] svg, svg[data-testid=stage]").ok().flatten()?;
    let copy: Element = drawn.clone_node_with_deep(true).ok()?.unchecked_into();
    dress(&drawn, &copy);
    let rect = drawn.get_bounding_client_rect();
    let (width, height) = (rect.width(), rect.height());
    let root = document().document_element()?;
    let background = window().get_computed_style(&root).ok()??.get_property_value("background-color").ok()?;
    let sheet = document().create_element_ns(Some(SVG), "rect").ok()?;
    let size = [("width", width.to_string()), ("height", height.to_string())];
    for (name, value) in &size {
        sheet.set_attribute(name, value).ok()?;
        copy.set_attribute(name, value).ok()?;
    }
    sheet.set_attribute("fill", &background).ok()?;
    copy.set_attribute("xmlns", SVG).ok()?;
    copy.insert_before(&sheet, copy.first_child().as_ref()).ok()?;
    let text = web_sys::XmlSerializer::new().ok()?.serialize_to_string(&copy).ok()?;
    Some(Picture { text, width, height })
}

/// Writes the style of each drawn element to its copy, as presentation attributes: a `style` attribute is what the
/// page's own Content-Security-Policy forbids.
fn dress(drawn: &Element, copy: &Element) {
    let Ok(Some(style)) = window().get_computed_style(drawn) else { return };
    for name in STYLES {
        let value = style.get_property_value(name).unwrap_or_default();
        let says_something =
            !value.is_empty() && (value != "none" || matches!(name, "fill" | "stroke" | "display"));
        if says_something {
            let _ = copy.set_attribute(name, &value);
        }
    }
    for name in ["class", "style"] {
        let _ = copy.remove_attribute(name);
    }
    let (from, to) = (drawn.children(), copy.children());
    for index in 0..from.length().min(to.length()) {
        if let (Some(from), Some(to)) = (from.item(index), to.item(index)) {
            dress(&from, &to);
        }
    }
}

/// Draws the picture on a canvas and returns the address of the PNG.
async fn draw() -> Result<String, JsValue> {
    let picture = picture().ok_or(JsValue::NULL)?;
    let image = HtmlImageElement::new()?;
    image.set_src(&blob_url(&picture.text.into(), "image/svg+xml")?);
    js_sys::futures::JsFuture::from(image.decode()).await?;
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width(pixels(picture.width));
    canvas.set_height(pixels(picture.height));
    let context: web_sys::CanvasRenderingContext2d =
        canvas.get_context("2d")?.ok_or(JsValue::NULL)?.unchecked_into();
    context.draw_image_with_html_image_element_and_dw_and_dh(
        &image,
        0.0,
        0.0,
        picture.width * SCALE,
        picture.height * SCALE,
    )?;
    canvas.to_data_url()
}

#[expect(clippy::cast_sign_loss, reason = "a size on the screen is not negative")]
fn pixels(size: f64) -> u32 {
    (size * SCALE) as u32
}
