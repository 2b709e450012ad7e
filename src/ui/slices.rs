//! Long work of the page, done in slices of a frame so that the page stays alive.

use leptos::prelude::{request_animation_frame, window};

/// Milliseconds of a frame after which no further piece is begun.
const SLICE_MS: f64 = 10.0;

/// Calls `advance` until a frame's share is spent and then `after_slice`, frame after frame. `advance` does a piece and says
/// whether there is more; `None` means that whoever wanted it is gone, and everything ends there. `after_slice` is told
/// whether more is to come.
pub(super) fn in_slices(
    mut advance: impl FnMut() -> Option<bool> + 'static,
    mut after_slice: impl FnMut(bool) + 'static,
) {
    request_animation_frame(move || {
        let clock = window().performance();
        let now = || clock.as_ref().map_or(0.0, web_sys::Performance::now);
        let begun = now();
        let more = loop {
            match advance() {
                None => return,
                Some(true) if now() - begun <= SLICE_MS => {}
                Some(more) => break more,
            }
        };
        after_slice(more);
        if more {
            in_slices(advance, after_slice);
        }
    });
}
